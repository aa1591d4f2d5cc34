"""The trace that a caller is in, handed on to the service by W3C Trace Context, where the caller uses OpenTelemetry."""

import sys


def trace_headers() -> dict[str, str]:
    """`traceparent`, and `tracestate` where there is one, of the caller's current span; nothing where there is none."""
    # Whoever has a span has imported this: nobody else pays for it, or needs to have it.
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers
