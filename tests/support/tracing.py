"""Spans that stay in this process, and how they are looked at."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from counterfoil.telemetry.tracing import Tracing


@dataclass(frozen=True)
class Recorder:
    """Tracing, and the spans that it has made and ended."""

    tracing: Tracing
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All that have ended, in the order of their ends."""
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of that name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only one of that name."""
        (span,) = self.named(name)
        return span

    def shown(self) -> bytes:
        """Everything that is in any of them, as text."""
        return json.dumps([json.loads(span.to_json()) for span in self.spans], ensure_ascii=False).encode()

    def taken(self) -> bytes:
        """The same; it is forgotten then."""
        shown = self.shown()
        self.exporter.clear()
        return shown


def recorder(sampler: Sampler = ALWAYS_ON) -> Recorder:
    """Tracing into memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Recorder(Tracing.of(provider, provider.shutdown), exporter)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes."""
    return dict(span.attributes or {})


def parent_id(span: ReadableSpan) -> int | None:
    """The id of the span above it."""
    return None if span.parent is None else span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    """A span's own id."""
    assert span.context is not None
    return int(span.context.span_id)


def trace_id(span: ReadableSpan) -> int:
    """The id of the trace that it is in."""
    assert span.context is not None
    return int(span.context.trace_id)
