"""One span for a commit that many requests share: below the first of them, and each of the others has a link to it.

So a request's own trace always leads to the commit that it waited for, with one link a step however many share it; and a commit
is in a trace when one of its requests is, and in none otherwise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer, get_current_span, set_span_in_context

from counterfoil.telemetry.spans import span_of


class CommitSpans:
    """What a store's shared commits are watched by (`stores.watched_commit`)."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def joins(self) -> Span:
        """The span of whoever hands over a step: the store's, around it."""
        return get_current_span()

    @contextmanager
    def committing(self, joined: Sequence[Span]) -> Iterator[None]:
        """The span of the commit."""
        recorded = [span for span in joined if span.is_recording()]
        if not recorded:
            yield
            return
        first, *others = recorded
        size = {"counterfoil.commit.steps": len(joined)}
        with span_of(self._tracer, "store.commit", size, within=set_span_in_context(first, Context())) as commit:
            for each in others:
                each.add_link(commit.get_span_context())
            yield
