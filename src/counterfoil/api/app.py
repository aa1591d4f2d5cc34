"""Dispatch: from a request to exactly one answer, whatever happens. A fault becomes a 503, never a verdict.

1. Find the route. 2. Find the caller, and whether the route is for them. 3. Check the content type. 4. Call the handler.
"""

import logging
import re
from collections.abc import Sequence
from time import perf_counter

from counterfoil.api.callers import Authenticate
from counterfoil.api.handlers import Call
from counterfoil.api.http import Request, Response, problem
from counterfoil.api.looks import TooManyLooks
from counterfoil.api.observing import Observer
from counterfoil.api.routes import Route
from counterfoil.core.judgement import ClockDisagrees
from counterfoil.model.invalid import Invalid, SealedContextRefused
from counterfoil.model.principal import Principal, Role
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.ports.store import StoreUnavailable
from counterfoil.wire import problems as kinds
from counterfoil.wire.problems import ProblemKind

_log = logging.getLogger(__name__)
_CONTENT_TYPE = re.compile(rb'application/json(?: *; *charset="?utf-8"?)?', re.IGNORECASE)
_NOBODY = Principal("nobody", "", Role.VALIDATOR)
_TOO_MANY_LOOKS = "too many looks are waiting for the one that is under way"
_CHALLENGE = ((b"www-authenticate", b"Bearer"),)


class Api:
    """The interface of one service, or of one function of it: the routes that it is given, and no other."""

    def __init__(self, routes: Sequence[Route], authenticate: Authenticate, observer: Observer) -> None:
        self.routes = tuple(routes)
        self._authenticate = authenticate
        self._observer = observer
        self._routes = {(route.method, route.path): route for route in self.routes}
        self._open_routes = {route.path: route for route in self.routes if route.method == "GET" and not route.roles}
        self._methods: dict[str, list[str]] = {}
        for route in self.routes:
            self._methods.setdefault(route.path, []).append(route.method)

    async def handle(self, request: Request) -> Response:
        """The answer. It never raises."""
        started_s = perf_counter()
        try:
            response = await self._answered(request)
        except Invalid as error:
            refused = isinstance(error, SealedContextRefused)
            kind = kinds.SEALED_CONTEXT_REFUSED if refused else kinds.INVALID_REQUEST
            response = problem(kind, request.request_id, str(error))
        except TooManyLooks:
            response = problem(kinds.LIMIT_REACHED, request.request_id, _TOO_MANY_LOOKS, ((b"retry-after", b"1"),))
        except StoreUnavailable as fault:
            wait = str(fault.retry_after_s).encode()
            response = self._fault(kinds.STORE_UNAVAILABLE, request, fault, wait)
        except KeysUnavailable as fault:
            response = self._fault(kinds.KEYS_UNAVAILABLE, request, fault)
        except CredentialsUnavailable as fault:
            response = self._fault(kinds.CREDENTIALS_UNAVAILABLE, request, fault)
        except ClockDisagrees as fault:
            response = self._fault(kinds.CLOCK_DISAGREES, request, fault)
        except Exception:
            # The last resort (ASVS 5.0, 16.5.4): nothing was accepted, and the caller is told that nothing is known.
            _log.exception("request %s met an unforeseen error", request.request_id, extra={"request_id": request.request_id})
            self._observer.faulted(kinds.INTERNAL_ERROR)
            response = problem(kinds.INTERNAL_ERROR, request.request_id)
        path = request.path if request.path in self._methods else "other"
        self._observer.answered(path, response.status, perf_counter() - started_s)
        return response

    async def _answered(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is None and request.method == "HEAD":
            # Health checks ask so; the server leaves the body out. Not where a credential is needed: a GET there may redeem.
            route = self._open_routes.get(request.path)
        if route is None:
            return self._no_such_route(request)
        caller = _NOBODY
        if route.roles:
            found = await self._authenticate(request)
            if found is None:
                return problem(kinds.UNAUTHENTICATED, request.request_id, more=_CHALLENGE)
            if found.role not in route.roles:
                return problem(kinds.FORBIDDEN, request.request_id)
            caller = found
        if route.body is not None and not _is_json(request.headers.get(b"content-type", b"")):
            return problem(kinds.WRONG_CONTENT_TYPE, request.request_id)
        return await route.handler(Call(request, caller))

    def _no_such_route(self, request: Request) -> Response:
        methods = self._methods.get(request.path)
        if methods is None:
            return problem(kinds.NOT_FOUND, request.request_id)
        allow = ", ".join(sorted(methods)).encode()
        return problem(kinds.METHOD_NOT_ALLOWED, request.request_id, more=((b"allow", allow),))

    def _fault(self, kind: ProblemKind, request: Request, fault: Exception, wait: bytes = b"1") -> Response:
        named = {"request_id": request.request_id, "code": kind.code}
        _log.warning("request %s: %s: %s", request.request_id, kind.code, fault, extra=named)
        self._observer.faulted(kind)
        return problem(kind, request.request_id, more=((b"retry-after", wait),))


def _is_json(content_type: bytes) -> bool:
    return content_type == b"application/json" or _CONTENT_TYPE.fullmatch(content_type) is not None
