"""How spans leave: failures are said once, and the end of the process waits for nobody."""

import logging
import threading
from collections.abc import Sequence

import pytest
import requests
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from counterfoil.model.invalid import Invalid
from counterfoil.telemetry import export
from counterfoil.telemetry.export import PatientExporter, exporting_provider, shut_down
from tests.support.collector import attributes, collecting

CANARY = "canary-7f3a91"
_SUCCESS, _FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


class _Scripted(SpanExporter):
    """Gives one result after another."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)
        self.shut_times = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._results.pop(0)

    def shutdown(self) -> None:
        self.shut_times += 1


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "counterfoil.telemetry.export"]


def test_that_spans_cannot_leave_is_said_once_and_that_they_can_again_once(caplog: pytest.LogCaptureFixture) -> None:
    exporter = PatientExporter(_Scripted(_SUCCESS, _FAILURE, _FAILURE, _SUCCESS, _SUCCESS, _FAILURE), export.Line())
    span = ReadableSpan("x")
    results = [exporter.export([span] * number) for number in (1, 2, 3, 4, 5, 6)]
    assert results == [_SUCCESS, _FAILURE, _FAILURE, _SUCCESS, _SUCCESS, _FAILURE]
    lost = "spans cannot be handed on (nothing was sent); until they can, they are lost"
    assert _said(caplog) == [lost, "spans are taken again; 5 were lost", lost]


@pytest.mark.parametrize("status", [400, 503])
def test_what_came_of_it_is_told_by_status_or_kind_of_error_alone(status: int) -> None:
    line = export.Line()
    with collecting() as collector:
        collector.status = status
        assert line.post(f"{collector.url}/{CANARY}", data=b"x").status_code == status
        assert line.became == f"HTTP status {status}"
        url = collector.url
    line = export.Line()
    with pytest.raises(requests.ConnectionError):
        line.post(f"{url}/{CANARY}", data=b"x")
    assert line.became == "ConnectionError"


def _wait(event: threading.Event) -> None:
    event.wait()


def test_a_flush_that_takes_too_long_is_given_up(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "FLUSH_S", 0.01)
    never, given_up = threading.Event(), threading.Event()
    shut_down(lambda: _wait(never), given_up.set)
    never.set()
    assert given_up.is_set()
    assert _said(caplog) == ["the last spans were not taken in 0.01 s, and are lost"]


def test_control_one_that_is_done_is_not_given_up(caplog: pytest.LogCaptureFixture) -> None:
    given_up = threading.Event()
    shut_down(lambda: None, given_up.set)
    assert not given_up.is_set()
    assert _said(caplog) == []


def test_spans_that_wait_leave_at_the_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        provider, close = exporting_provider({"OTEL_TRACES_EXPORTER": "otlp"})
        with provider.get_tracer("x").start_as_current_span("pay", attributes={"a": 1}):
            assert collector.spans == []
        close()
        (span,) = collector.spans
    assert (span.name, attributes(span)) == ("pay", {"a": 1})
    assert _said(caplog) == []


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_EXPORTER"])
def test_what_is_not_spoken_is_refused_by_the_variables_name_and_not_its_value(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        exporting_provider({name: CANARY})
    assert str(caught.value).startswith(f"{name}: must be ")
    assert CANARY not in str(caught.value)


def test_a_value_that_the_library_does_not_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(Invalid, match="tracing: an OTEL_"):
        exporting_provider({})


def test_an_exporter_that_is_shut_down_shuts_the_one_behind_it() -> None:
    inner = _Scripted()
    exporter = PatientExporter(inner, export.Line())
    exporter.shutdown()
    exporter.give_up()
    assert inner.shut_times == 2
