"""Spans as all of this room make them: an error leaves its type in them, and never its words."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from types import TracebackType

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context

ERROR_TYPE = "error.type"
OUTCOME = "counterfoil.outcome"


def span_of(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, str | int | bool],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    within: Context | None = None,
) -> AbstractContextManager[Span]:
    """A span that is the current one until the block ends; below the current one, or within another context."""
    if within is None:
        above = get_current_span()
        if above.get_span_context().is_valid and not above.is_recording():
            # Its trace is not kept: what is below it need not be made to be dropped.
            return nullcontext(above)
    return _Spanning(tracer.start_span(name, context=within, kind=kind, attributes=attributes))


def failed(span: Span, error_type: str) -> None:
    """Marks what did not work, by the name of an error."""
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(StatusCode.ERROR)


class _Spanning:
    """A span's block. The library's own would write down what an exception says, and costs twice as much."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token: Token[Context] = attach(set_span_in_context(self._span))
        return self._span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        detach(self._token)
        if kind is not None:
            failed(self._span, kind.__name__)
        self._span.end()
