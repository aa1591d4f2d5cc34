"""How spans leave the process: in batches, by OTLP over HTTP, as the standard's variables say. No request waits for it.

Spans wait in a queue that has an end. While the collector is away they are dropped, which is said once; at the end of the
process they have a short time to leave.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from counterfoil.model.invalid import Invalid
from counterfoil.version import __version__

FLUSH_S = 3.0
_log = logging.getLogger(__name__)
_SPOKEN = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
}


def exporting_provider(environment: Mapping[str, str] = os.environ) -> tuple[TracerProvider, Callable[[], None]]:
    """What makes spans that are sent to the collector, and what ends it in bounded time. Raises Invalid.

    Sampler, endpoint, headers, limits and the rest are read from the environment by the SDK itself.
    """
    for name, spoken in _SPOKEN.items():
        if environment.get(name, spoken) != spoken:
            raise Invalid(name, f"must be {spoken}, which is all that is spoken here, or not set")
    line = Line()
    try:
        exporter = PatientExporter(OTLPSpanExporter(session=line), line)
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except ValueError:
        raise Invalid("tracing", "an OTEL_… variable of the environment has a value that cannot be taken") from None
    return provider, lambda: shut_down(provider.shutdown, exporter.give_up)


class Line(requests.Session):
    """Sends, and remembers what came of it in words of its own: a collector's address and answer may hold its credential."""

    became = "nothing was sent"

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        try:
            response = super().request(*arguments, **named)
        except Exception as error:
            self.became = type(error).__name__
            raise
        self.became = f"HTTP status {response.status_code}"
        return response


class PatientExporter(SpanExporter):
    """An exporter that says once when spans cannot leave, and once when they can again."""

    def __init__(self, exporter: SpanExporter, line: Line) -> None:
        self._exporter = exporter
        self._line = line
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.warning("spans are taken again; %d were lost", self._lost)
            self._lost = 0
            return result
        if not self._lost:
            _log.warning("spans cannot be handed on (%s); until they can, they are lost", self._line.became)
        self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def give_up(self) -> None:
        """Ends what is being tried."""
        self._exporter.shutdown()


def shut_down(flush: Callable[[], None], give_up: Callable[[], None]) -> None:
    """Flushes for `FLUSH_S` at most. Blocks meanwhile."""
    # The SDK's own patience is half a minute, and more where the collector takes its time to answer.
    flushing = Thread(target=flush, name="counterfoil-last-spans", daemon=True)
    flushing.start()
    flushing.join(FLUSH_S)
    if flushing.is_alive():
        _log.warning("the last spans were not taken in %g s, and are lost", FLUSH_S)
        give_up()


def _resource() -> Resource:
    ours = {"service.name": "counterfoil", "service.version": __version__}
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})
