"""Traces of a real service: from a client's span to the commit, by OTLP to a collector, which never holds anybody up."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span as LocalSpan

from counterfoil import AsyncClient, Client
from counterfoil.client import PasscodeRefused
from tests.journeys.test_secrets import Story
from tests.support.canaries import leaks
from tests.support.collector import Collector, attributes, collecting
from tests.support.command_line import CommandLine
from tests.support.scripted_server import Reply, scripted_server
from tests.support.service import Deployment, Running, clean_environment, made_deployment

ON = {"COUNTERFOIL_TRACING": "true"}
SERVER = 2
"""The kind of a server's span (opentelemetry.proto.trace.v1)."""
_WITHOUT_OTEL = "import sys; sys.modules['opentelemetry'] = None; from counterfoil.entrypoints.cli import main; main()"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return made_deployment(tmp_path / "data")


@contextmanager
def _serving_to(collector: Collector, deployment: Deployment, *options: str, **environment: str) -> Iterator[Running]:
    environment = {**ON, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **environment}
    with deployment.serving(*options, **environment) as running:
        yield running


@contextmanager
def _traced(deployment: Deployment, *options: str, **environment: str) -> Iterator[tuple[Collector, Running]]:
    with collecting() as collector, _serving_to(collector, deployment, *options, **environment) as running:
        yield collector, running


@contextmanager
def _in_a_span() -> Iterator[LocalSpan]:
    """What an application does that uses OpenTelemetry."""
    with TracerProvider(shutdown_on_exit=False).get_tracer("an application").start_as_current_span("pay") as span:
        yield span


def _ended(running: Running) -> list[dict[str, Any]]:
    """Has it end as a supervisor would; the lines of its log."""
    running.process.terminate()
    _, log = running.process.communicate(timeout=60)
    assert running.process.returncode == 0, log
    return [json.loads(line) for line in log.splitlines()]


def _paid(running: Running, deployment: Deployment) -> None:
    with Client(running.url, deployment.issuer) as issuer, Client(running.url, deployment.validator) as backend:
        passcode = issuer.issue("shop-1").passcode
        backend.validate("shop-1", passcode)
        with pytest.raises(PasscodeRefused):
            backend.validate("shop-1", passcode)


async def _paid_async(running: Running, deployment: Deployment) -> None:
    async with AsyncClient(running.url, deployment.issuer) as issuer, AsyncClient(running.url, deployment.validator) as backend:
        passcode = (await issuer.issue("shop-1")).passcode
        await backend.validate("shop-1", passcode)
        with pytest.raises(PasscodeRefused):
            await backend.validate("shop-1", passcode)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_trace_leads_from_the_clients_span_to_the_commit(deployment: Deployment, is_async: bool) -> None:
    with _traced(deployment, COUNTERFOIL_ACCESS_LOG="true") as (collector, running):
        with _in_a_span() as span:
            if is_async:
                asyncio.run(_paid_async(running, deployment))
            else:
                _paid(running, deployment)
        lines = _ended(running)
    context = span.get_span_context()
    (issued,), (accepted, refused) = collector.named("POST /v1/passcodes"), collector.named("POST /v1/passcodes/validate")
    for request in (issued, accepted, refused):
        assert int.from_bytes(request.trace_id) == context.trace_id
        assert int.from_bytes(request.parent_span_id) == context.span_id
        assert request.kind == SERVER
    assert attributes(refused)["counterfoil.verdict.reason"] == "already_redeemed"
    redeem, insert = collector.named("store.redeem")[0], collector.named("store.insert")[0]
    assert (redeem.parent_span_id, insert.parent_span_id) == (accepted.span_id, issued.span_id)
    assert {redeem.span_id, insert.span_id} <= {commit.parent_span_id for commit in collector.named("store.commit")}
    assert {bytes(each.trace_id) for each in collector.spans} == {bytes(issued.trace_id)}
    # The log knows the same ids.
    accesses = [line for line in lines if line["logger"] == "counterfoil.access"]
    assert [line["span_id"] for line in accesses] == [each.span_id.hex() for each in (issued, accepted, refused)]
    assert [line["trace_id"] for line in accesses] == [issued.trace_id.hex()] * 3
    ids = [attributes(each)["counterfoil.request_id"] for each in (issued, accepted, refused)]
    assert [line["request_id"] for line in accesses] == ids


def test_the_standards_variables_are_heard(deployment: Deployment) -> None:
    environment = {
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=payments,deployment.environment.name=test",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=night",
    }
    with _traced(deployment, **environment) as (collector, running):
        assert httpx2.get(f"{running.url}/healthz").status_code == 200
        assert _ended(running) == []
    found = collector.resource()
    assert (found["service.name"], found["deployment.environment.name"]) == ("payments", "test")
    assert (collector.paths[0], collector.headers[0]["x-team"]) == ("/v1/traces", "night")


def test_it_is_called_counterfoil_by_default(deployment: Deployment) -> None:
    with _traced(deployment) as (collector, running):
        httpx2.get(f"{running.url}/healthz")
        _ended(running)
    assert collector.resource()["service.name"] == "counterfoil"


@pytest.mark.parametrize("environment", [{"OTEL_TRACES_SAMPLER": "always_off"}, {"OTEL_SDK_DISABLED": "true"}])
def test_what_is_not_sampled_does_not_leave(deployment: Deployment, environment: dict[str, str]) -> None:
    with _traced(deployment, **environment) as (collector, running):
        _paid(running, deployment)
        assert _ended(running) == []
    assert collector.spans == []


def test_without_being_switched_on_it_sends_nothing_and_knows_nothing_of_it(deployment: Deployment) -> None:
    with _traced(deployment, COUNTERFOIL_TRACING="false") as (collector, running):
        _paid(running, deployment)
        _ended(running)
    assert not collector.asked.is_set()
    imported = "import counterfoil.entrypoints.http_server, counterfoil.client, sys; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imported], check=False, env=clean_environment()).returncode == 0


# -- a collector that is away --


def test_a_collector_that_is_not_there_is_said_once_and_no_request_notices(deployment: Deployment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://canary-user:canary-7f3a91@127.0.0.1:{taken.getsockname()[1]}/canary-path"
    environment = {**ON, "OTEL_EXPORTER_OTLP_ENDPOINT": nobody, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with deployment.serving(COUNTERFOIL_LOG_LEVEL="DEBUG", OTEL_EXPORTER_OTLP_TIMEOUT="0.2", **environment) as running:
        for _ in range(5):
            _paid(running, deployment)
        lines = _ended(running)
    said = [line for line in lines if line["logger"] == "counterfoil.telemetry.export"]
    assert [line["message"].partition(" (")[0] for line in said] == ["spans cannot be handed on"]
    assert "canary" not in json.dumps(lines)


def test_a_collector_that_never_answers_does_not_keep_the_service_from_ending(deployment: Deployment) -> None:
    with collecting(answers=False) as collector, _serving_to(collector, deployment, OTEL_BSP_SCHEDULE_DELAY="20") as running:
        _paid(running, deployment)
        assert collector.asked.wait(timeout=30)
        # It waits for the collector now, and goes on serving.
        _paid(running, deployment)
        lines = _ended(running)
        # Its own patience with a collector would not have ended yet: nothing was answered while it ran.
        assert collector.bodies == []
    assert [line["message"].partition(" in ")[0] for line in lines] == ["the last spans were not taken"]


def test_a_queue_that_is_full_drops_spans_and_no_request(deployment: Deployment) -> None:
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}
    with collecting(answers=False) as collector, _serving_to(collector, deployment, **small) as running:
        for _ in range(10):
            _paid(running, deployment)
        collector.answers.set()
        _ended(running)
    assert 0 < len(collector.spans) < 4 + 2 + 2 + 10


# -- switched on wrongly --


def test_without_the_extra_it_does_not_start_and_names_the_extra(deployment: Deployment) -> None:
    command = [sys.executable, "-c", _WITHOUT_OTEL, "serve", "--port", "0", "--data", str(deployment.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**clean_environment(), **ON}, timeout=60)
    assert (done.returncode, done.stderr) == (2, "counterfoil: tracing: needs OpenTelemetry: pip install 'counterfoil[otel]'\n")


def test_without_the_extra_a_service_and_its_log_work_as_ever(deployment: Deployment) -> None:
    command = (sys.executable, "-c", _WITHOUT_OTEL)
    with deployment.serving(command=command, COUNTERFOIL_ACCESS_LOG="true") as running:
        _paid(running, deployment)
        assert [line["status"] for line in _ended(running)] == [201, 200, 409]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: must be http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "OTEL_TRACES_EXPORTER: must be otlp"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-7", "tracing: an OTEL_… variable of the environment has a value that cannot be taken"),
    ],
)
def test_a_variable_that_asks_for_what_is_not_spoken_is_refused(
    deployment: Deployment, name: str, value: str, says: str
) -> None:
    refused = CommandLine(deployment.folder).run(
        "serve", "--data", str(deployment.folder), "--port", "0", **ON, **{name: value}
    )
    assert (refused.status, refused.err.startswith(f"counterfoil: {says}")) == (2, True), refused.err


# -- what is in it --


async def test_no_span_line_or_event_of_a_whole_story_shows_a_secret(deployment: Deployment) -> None:
    story = Story(deployment)
    environment = {"COUNTERFOIL_SERVICE_CONTEXT": '{"stage": "canary-stage-0a9d33"}', "COUNTERFOIL_ACCESS_LOG": "true"}
    with _traced(deployment, "--seed-routes", COUNTERFOIL_LOG_LEVEL="DEBUG", **environment) as (collector, running):
        await story.play(running.url)
        await _paid_async(running, deployment)
        lines = _ended(running)
    assert len(collector.spans) > 40
    shown = "\n".join(map(str, collector.requests)).encode()
    seen = {"protobuf": b"".join(collector.bodies), "text": shown, "log": json.dumps(lines).encode()}
    assert leaks(seen, story.secrets) == []
    # A client id is no secret, and is told all the same by no span and no line.
    assert b"shop-1" not in b"".join(seen.values())
    assert not any(span.events for span in collector.spans)


# -- the client --


def _asked_headers(script: str) -> list[dict[str, str]]:
    """What a program of its own sent, which was told a service's address."""
    with scripted_server(Reply(status=204)) as server:
        done = subprocess.run(
            [sys.executable, "-c", script, server.url], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return [asked.headers for asked in server.asked]


_REVOKES = "from counterfoil import Client; import sys\nwith Client(sys.argv[1], 'cfi_x') as c: c.revoke('1', timestamp=1)\n"


def test_a_client_without_the_library_or_without_a_span_sends_no_trace() -> None:
    without = "import sys; sys.modules['opentelemetry'] = None\n"
    imported = "import opentelemetry.trace\n"
    for before in (without, imported, ""):
        (headers,) = _asked_headers(before + _REVOKES)
        assert "traceparent" not in headers


def test_a_client_says_the_span_that_it_is_in_and_what_its_makers_keep_there() -> None:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span

    state = TraceState([("vendor", "1")])
    context = SpanContext(0x0AF7, 0xB7AD, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    with scripted_server(Reply(status=204)) as server, Client(server.url, "cfi_x") as client:
        with use_span(NonRecordingSpan(context)):
            client.revoke("1", timestamp=1)
        client.revoke("1", timestamp=1)
    inside, outside = (asked.headers for asked in server.asked)
    assert inside["traceparent"] == f"00-{0x0AF7:032x}-{0xB7AD:016x}-01"
    assert inside["tracestate"] == "vendor=1"
    assert "traceparent" not in outside
