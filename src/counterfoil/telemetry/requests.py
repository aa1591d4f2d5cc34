"""One span for each request, below the span that its caller named by W3C Trace Context. It takes nothing else from the wire.

Attributes are those of OpenTelemetry's semantic conventions for HTTP servers, as far as they have nothing that was sent.
"""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from counterfoil.api.http import Interface, Request, Response
from counterfoil.telemetry.answers import RouteNames, named_method, told_problem
from counterfoil.telemetry.spans import failed, span_of

# A header of version 00 has 55 characters; what a later version may add is not read.
_TRACEPARENT_CHARS_MAX = 128
_NO_PARENT = Context()
_propagator = TraceContextTextMapPropagator()


class TracedInterface:
    """An interface, and a span around each of its answers."""

    def __init__(self, interface: Interface, tracer: Tracer, names: RouteNames, server: Mapping[str, str | int]) -> None:
        """`server` says where requests come in: `url.scheme`, `server.address` and `server.port`."""
        self._interface = interface
        self._tracer = tracer
        self._names = names
        self._server = server

    async def handle(self, request: Request) -> Response:
        """The interface's answer."""
        method = named_method(request.method)
        route = self._names.of(request.path)
        attributes = {
            **self._server,
            "http.request.method": method or "_OTHER",
            "counterfoil.request_id": request.request_id,
        }
        if route is not None:
            attributes["http.route"] = route
        if route == request.path:
            # No other path is told: whoever asks for a page that is not there may ask with a secret in its name.
            attributes["url.path"] = request.path
        name = f"{method or 'HTTP'} {route}" if route else method or "HTTP"
        with span_of(self._tracer, name, attributes, kind=SpanKind.SERVER, within=parent(request.headers)) as span:
            response = await self._interface.handle(request)
            span.set_attribute("http.response.status_code", response.status)
            code, reason = told_problem(response)
            if code is not None:
                span.set_attribute("counterfoil.problem.code", code)
            if reason is not None:
                span.set_attribute("counterfoil.verdict.reason", reason)
            if response.status >= 500:
                failed(span, code or str(response.status))
            return response


def parent(headers: Mapping[bytes, bytes]) -> Context:
    """Where the caller's span is the current one, when `traceparent` names one as the standard has it; else an empty one.

    `tracestate` and `baggage` are not looked at: they hold whatever a caller likes, and would be handed on with each span.
    """
    named = headers.get(b"traceparent")
    if named is None or len(named) > _TRACEPARENT_CHARS_MAX:
        return _NO_PARENT
    return _propagator.extract({"traceparent": named.decode("latin-1")}, _NO_PARENT)
