"""One line of the log for each request: who was answered what, how fast, and why not. No line has anything that was sent."""

import logging
from time import perf_counter

from counterfoil.api.http import Interface, Request, Response
from counterfoil.telemetry.answers import RouteNames, named_method, told_problem

_log = logging.getLogger("counterfoil.access")


class AccessLog:
    """An interface, and a line at INFO behind each of its answers."""

    def __init__(self, interface: Interface, names: RouteNames) -> None:
        self._interface = interface
        self._names = names

    async def handle(self, request: Request) -> Response:
        """The interface's answer."""
        started_s = perf_counter()
        response = await self._interface.handle(request)
        duration_ms = round((perf_counter() - started_s) * 1000, 3)
        method = named_method(request.method) or "other"
        route = self._names.of(request.path) or "other"
        code, reason = told_problem(response)
        why = "".join(f" {each}" for each in (code, reason) if each)
        fields = {
            "request_id": request.request_id,
            "method": method,
            "route": route,
            "status": response.status,
            "duration_ms": duration_ms,
            "code": code,
            "reason": reason,
        }
        told = "request %s: %s %s %d in %.1f ms%s"
        _log.info(told, request.request_id, method, route, response.status, duration_ms, why, extra=fields)
        return response
