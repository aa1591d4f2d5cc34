"""Spans as all of this room make them: an error leaves its type in them, and never its words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

ERROR_TYPE = "error.type"
OUTCOME = "counterfoil.outcome"


@contextmanager
def span_of(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, str | int | bool],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    within: Context | None = None,
) -> Iterator[Span]:
    """A span that is the current one until the block ends; below the current one, or within another context."""
    # The library would write down what an exception says, and the lines around it.
    with tracer.start_as_current_span(
        name, context=within, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            failed(span, type(error).__name__)
            raise


def failed(span: Span, error_type: str) -> None:
    """Marks what did not work, by the name of an error."""
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(StatusCode.ERROR)
