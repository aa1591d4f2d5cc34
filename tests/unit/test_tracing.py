"""Traces: a span for each request below its caller's, one for each step of store and keys, and in none what was sent."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from counterfoil.api.http import Request, Response
from counterfoil.entrypoints.json_lines import JsonLogLines
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef
from counterfoil.ports.keys import DataKey, KeysUnavailable
from counterfoil.ports.store import StoreUnavailable
from counterfoil.server_wiring import assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from counterfoil.telemetry.spans import span_of
from counterfoil.telemetry.tracing import SpanIds
from tests.support.canaries import leaks
from tests.support.clock import Clock
from tests.support.parts import Parts, decoded, made_parts
from tests.support.tracing import Recorder, attributes, parent_id, recorder, span_id, trace_id
from tests.unit.test_strict_mode import ManagedKey

CANARY = "canary-7f3a91"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def recorded() -> Recorder:
    return recorder()


@pytest.fixture
def parts(tmp_path: Path, recorded: Recorder) -> Parts:
    return made_parts(tmp_path, tracing=recorded.tracing, console=True)


def _tree(recorded: Recorder, above: ReadableSpan) -> list[tuple[str, Any]]:
    """The spans below one, in the order of their beginnings, with their outcomes."""
    below = [span for span in recorded.spans if parent_id(span) == span_id(above)]
    return [(span.name, attributes(span).get("counterfoil.outcome")) for span in sorted(below, key=_started_ns)]


def _started_ns(span: ReadableSpan) -> int:
    assert span.start_time is not None
    return span.start_time


# -- requests --


async def test_a_request_is_a_server_span_by_the_semantic_conventions(parts: Parts, recorded: Recorder) -> None:
    await parts.issue()
    span = recorded.one("POST /v1/passcodes")
    assert (span.kind, span.status.status_code, span.parent) == (SpanKind.SERVER, StatusCode.UNSET, None)
    assert attributes(span) == {
        "url.scheme": "http",
        "url.path": "/v1/passcodes",
        "server.address": "127.0.0.1",
        "server.port": 8080,
        "http.request.method": "POST",
        "http.route": "/v1/passcodes",
        "http.response.status_code": 201,
        "counterfoil.request_id": "req_test",
    }
    assert (span.instrumentation_scope or span).name == "counterfoil"


async def test_steps_of_keys_and_store_are_below_it_with_their_outcomes(parts: Parts, recorded: Recorder) -> None:
    passcode = (await parts.issue(context={"device": "a"}))["passcode"]
    await parts.validate(passcode, context={"device": "b"})
    await parts.validate(passcode, context={"device": "a"})
    await parts.validate(passcode, context={"device": "a"})
    await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", "timestamp": 7}, role="issuer")
    await parts.ask("GET", "/readyz")
    issued = recorded.one("POST /v1/passcodes")
    mismatch, accepted, again = recorded.named("POST /v1/passcodes/validate")
    fit: list[tuple[str, Any]] = [("keys.opening_key", "found"), ("store.find", "found")]
    assert _tree(recorded, issued) == [("keys.sealing_key", None), ("store.insert", "stored")]
    assert _tree(recorded, mismatch) == [*fit, ("store.count_mismatch", "applied")]
    assert _tree(recorded, accepted) == [*fit, ("store.redeem", "applied")]
    assert _tree(recorded, again) == [*fit, ("store.record", None)]
    revoked = _tree(recorded, recorded.one("POST /v1/passcodes/revoke"))
    assert revoked == [("store.revoke", "not_applied"), ("store.record", None)]
    assert _tree(recorded, recorded.one("GET /readyz")) == [("keys.sealing_key", None), ("store.check_ready", None)]


async def test_a_refusal_has_its_reason_and_every_problem_its_code(parts: Parts, recorded: Recorder) -> None:
    await parts.validate(f"cf1_{CANARY}")
    await parts.ask("POST", "/v1/passcodes/validate", {}, role="issuer")
    refused, forbidden = recorded.named("POST /v1/passcodes/validate")
    told = ("http.response.status_code", "counterfoil.problem.code", "counterfoil.verdict.reason", "error.type")
    assert [attributes(refused).get(name) for name in told] == [409, "passcode_refused", "malformed_passcode", None]
    assert [attributes(forbidden).get(name) for name in told] == [403, "forbidden", None, None]
    # A caller's mistake is no error of the service.
    assert refused.status.status_code is forbidden.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("method", "path", "name", "route"),
    [
        ("GET", f"/v1/{CANARY}", "GET", None),
        (CANARY, "/healthz", "HTTP /healthz", "/healthz"),
        (CANARY, f"/{CANARY}", "HTTP", None),
        ("GET", f"/console/{CANARY}", "GET /console/{page}", "/console/{page}"),
    ],
)
async def test_no_method_or_path_is_told_as_it_was_sent(
    parts: Parts, recorded: Recorder, method: str, path: str, name: str, route: str | None
) -> None:
    await parts.ask(method, path, query=CANARY, headers={b"user-agent": CANARY.encode(), b"host": CANARY.encode()})
    span = recorded.one(name)
    found = attributes(span)
    assert (found["http.request.method"], found.get("http.route")) == ("_OTHER" if method == CANARY else "GET", route)
    assert ("url.path" in found) == (route == "/healthz")
    assert leaks({"spans": recorded.shown()}, {"canary": CANARY.encode()}) == []


@pytest.mark.parametrize(
    ("settings", "server"),
    [
        ({"tls_terminated_upstream": True, "host": "0.0.0.0", "port": 0}, ("https", None, None)),
        ({"tls_cert": "a", "tls_key": "b", "host": "::"}, ("https", None, 8080)),
        ({"host": "127.0.0.2", "port": 1}, ("http", "127.0.0.2", 1)),
    ],
)
async def test_where_it_came_in_is_what_the_settings_say(
    tmp_path: Path, recorded: Recorder, settings: dict[str, Any], server: tuple[str, str | None, int | None]
) -> None:
    await made_parts(tmp_path, tracing=recorded.tracing, **settings).ask("GET", "/healthz")
    found = attributes(recorded.one("GET /healthz"))
    assert (found["url.scheme"], found.get("server.address"), found.get("server.port")) == server


# -- the caller's trace --


async def _asked_with(parts: Parts, recorded: Recorder, headers: Mapping[bytes, bytes]) -> ReadableSpan:
    await parts.ask("GET", "/healthz", headers=dict(headers))
    return recorded.one("GET /healthz")


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-00",
        # What a later version adds is not read (W3C Trace Context, section 3.2.4).
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be",
    ],
)
async def test_a_request_is_below_the_span_that_its_caller_names(parts: Parts, recorded: Recorder, header: str) -> None:
    span = await _asked_with(parts, recorded, {b"traceparent": header.encode()})
    assert span.parent is not None
    assert (format_trace_id(trace_id(span)), format_span_id(span.parent.span_id)) == (TRACE, SPAN)
    assert span.parent.is_remote


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"x",
        f"00-{TRACE}-{SPAN}".encode(),
        f"00-{TRACE}-{SPAN}-0".encode(),
        f"00-{TRACE}-{SPAN}-01-".encode(),
        f"00-{TRACE}-{SPAN}-01-more".encode(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        f"00-{TRACE[1:]}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}0-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        # Given twice: the shell has joined them.
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01".encode(),
        f"cc-{TRACE}-{SPAN}-01-{'x' * 200}".encode(),
        b"00-" + b"\xff" * 52,
        b"\x00" * 55,
    ],
)
async def test_what_names_no_span_by_the_standard_begins_a_trace(parts: Parts, recorded: Recorder, header: bytes) -> None:
    span = await _asked_with(parts, recorded, {b"traceparent": header})
    assert span.parent is None
    assert format_trace_id(trace_id(span)) != TRACE
    assert attributes(span)["http.response.status_code"] == 200


async def test_nothing_else_of_the_callers_trace_is_taken(parts: Parts, recorded: Recorder) -> None:
    named = {b"traceparent": f"00-{TRACE}-{SPAN}-01".encode()}
    carried = {b"tracestate": f"vendor={CANARY}".encode(), b"baggage": f"user={CANARY}".encode()}
    span = await _asked_with(parts, recorded, {**named, **carried})
    assert span.context is not None
    assert not span.context.trace_state
    assert leaks({"spans": recorded.shown()}, {"canary": CANARY.encode()}) == []


@pytest.mark.parametrize(("flags", "spans"), [("00", 0), ("01", 1)])
async def test_a_sampler_that_goes_by_the_caller_hears_what_the_caller_decided(tmp_path: Path, flags: str, spans: int) -> None:
    recorded = recorder(ParentBased(ALWAYS_OFF))
    parts = made_parts(tmp_path, tracing=recorded.tracing)
    await parts.ask("GET", "/healthz", headers={b"traceparent": f"00-{TRACE}-{SPAN}-{flags}".encode()})
    assert len(recorded.spans) == spans


async def test_below_a_request_that_is_not_sampled_no_span_is_made(tmp_path: Path) -> None:
    asked: list[str] = []

    class Counting(Sampler):
        def should_sample(self, parent_context: object, trace_id: int, name: str, *_: object, **__: object) -> SamplingResult:
            asked.append(name)
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "none"

    recorded = recorder(Counting())
    await made_parts(tmp_path, tracing=recorded.tracing).issue()
    assert asked == ["POST /v1/passcodes"]
    # Control: one that stands alone asks the sampler for itself.
    with span_of(recorded.tracing.tracer, "alone", {}):
        pass
    assert asked == ["POST /v1/passcodes", "alone"]


# -- errors --


class _Failing(MemoryStore):
    """Finds nothing, with words that nobody is to see."""

    fault: Exception = StoreUnavailable(f"no {CANARY}")

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        raise self.fault from KeyError(CANARY)


async def _failed(tmp_path: Path, recorded: Recorder, fault: Exception) -> tuple[Response, ReadableSpan, ReadableSpan]:
    clock = Clock()
    store = _Failing(clock)
    store.fault = fault
    parts = made_parts(tmp_path, store=store, clock=clock, tracing=recorded.tracing)
    response = await parts.validate((await parts.issue())["passcode"])
    return response, recorded.one("POST /v1/passcodes/validate"), recorded.one("store.find")


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (StoreUnavailable(f"no {CANARY}"), 503, ("store_unavailable", "StoreUnavailable")),
        (RuntimeError(CANARY), 500, ("internal_error", "RuntimeError")),
    ],
)
async def test_a_fault_is_an_error_in_both_spans_by_its_name_alone(
    tmp_path: Path, recorded: Recorder, fault: Exception, status: int, told: tuple[str, str]
) -> None:
    response, request, step = await _failed(tmp_path, recorded, fault)
    assert response.status == attributes(request)["http.response.status_code"] == status
    assert (attributes(request)["error.type"], attributes(step)["error.type"]) == told
    for span in (request, step):
        assert (span.status.status_code, span.status.description, list(span.events)) == (StatusCode.ERROR, None, [])
    assert leaks({"spans": recorded.shown()}, {"canary": CANARY.encode()}) == []


def test_control_the_library_left_alone_writes_down_what_an_error_says(recorded: Recorder) -> None:
    with pytest.raises(KeyError), recorded.tracing.tracer.start_as_current_span("step"):
        raise KeyError(CANARY)
    assert leaks({"spans": recorded.shown()}, {"canary": CANARY.encode()}) != []


async def test_keys_that_cannot_be_had_are_an_error_too(tmp_path: Path, recorded: Recorder) -> None:
    class Gone:
        async def sealing_key(self) -> NoReturn:
            raise KeysUnavailable(CANARY)

        async def opening_key(self, key_id: bytes) -> DataKey | None:
            return None

    keys = recorded.tracing.keys(Gone())
    with pytest.raises(KeysUnavailable):
        await keys.sealing_key()
    assert attributes(recorded.one("keys.sealing_key")) == {"error.type": "KeysUnavailable"}
    assert await keys.opening_key(b"1234") is None
    assert attributes(recorded.one("keys.opening_key")) == {"counterfoil.outcome": "not_found"}


async def test_strict_modes_keys_have_spans_of_their_own(tmp_path: Path, recorded: Recorder) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=MemoryStore(clock), clock=clock)
    handlers = parts.service.handlers
    parts.service = assembled(
        store=parts.store,
        keys=handlers.issuance.keys,
        credentials=handlers.validation.credentials,
        settings=Settings(data=tmp_path, issue_rate_per_s=0.0, outstanding_max=0).checked(),
        own_keys=ManagedKey(),
        issues_own_keys=True,
        now_us=clock,
        tracing=recorded.tracing,
    )
    passcode = (await parts.issue(context={"device": "a"}))["passcode"]
    await parts.validate(passcode, context={"device": "b"})
    await parts.validate(passcode, context={"device": "a"})
    assert len(recorded.named("own_keys.fresh")) == 1
    outcomes = [attributes(span)["counterfoil.outcome"] for span in recorded.named("own_keys.opened")]
    assert sorted(outcomes) == ["found", "not_found"]


async def test_a_limit_is_told_by_its_step(tmp_path: Path, recorded: Recorder) -> None:
    parts = made_parts(tmp_path, tracing=recorded.tracing, issue_rate_per_s=1.0, issue_burst=1)
    await parts.issue()
    assert (await parts.ask("POST", "/v1/passcodes", {"client_id": "1234"}, role="issuer")).status == 429
    outcomes = [attributes(span)["counterfoil.outcome"] for span in recorded.named("store.insert")]
    # The clock stands, so the second one's first microsecond is taken.
    assert outcomes == ["stored", "timestamp_taken", "limit_reached"]


# -- the log, and the rest of the house --


async def test_lines_of_the_log_have_the_ids_of_their_span(
    tmp_path: Path, recorded: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(SpanIds())
    caplog.set_level(logging.INFO)
    parts = made_parts(tmp_path, tracing=recorded.tracing, access_log=True)
    parts.keyset.path.unlink()
    assert (await parts.ask("POST", "/v1/passcodes", {"client_id": "1234"}, role="issuer")).status == 503
    logging.getLogger("counterfoil").info("outside")
    span = recorded.one("POST /v1/passcodes")
    ids = {"trace_id": format_trace_id(trace_id(span)), "span_id": format_span_id(span_id(span))}
    fault, access, outside = (json.loads(JsonLogLines().format(record)) for record in caplog.records)
    assert ids.items() <= fault.items()
    assert ids.items() <= access.items()
    assert not ids.keys() & outside.keys()


async def test_when_it_is_off_nothing_is_laid_around_anything(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)
    handlers = parts.service.handlers
    assert handlers.issuance.store is handlers.validation.store is handlers.revocation.store is parts.store
    assert handlers.issuance.keys is handlers.validation.keys is parts.service.keys
    assert parts.service.front is parts.service.api
    assert parts.service.tracing is None


async def test_control_when_it_is_on_parts_are_wrapped_and_the_service_still_has_them(parts: Parts) -> None:
    handlers = parts.service.handlers
    assert handlers.issuance.store is not parts.store
    assert handlers.issuance.keys is not parts.service.keys
    assert parts.service.store is parts.store


async def test_a_closed_service_has_closed_its_store_and_then_its_tracing(parts: Parts, recorded: Recorder) -> None:
    await parts.issue()
    await parts.service.close()
    before = len(recorded.spans)
    await parts.ask("GET", "/healthz")
    assert len(recorded.spans) == before


async def test_what_is_answered_is_the_same_with_it_and_without(tmp_path: Path, recorded: Recorder) -> None:
    for folder in ("plain", "traced"):
        (tmp_path / folder).mkdir()
    houses = (made_parts(tmp_path / "plain"), made_parts(tmp_path / "traced", tracing=recorded.tracing, access_log=True))
    answers = []
    for parts in houses:
        issued = await parts.issue(context={"device": "a"})
        heard = [await parts.validate(issued["passcode"], key="k", context={"device": each}) for each in ("b", "a", "a")] + [
            await parts.service.front.handle(Request("GET", "/nowhere", b"", {}, b"", "req_test"))
        ]
        answers.append([(each.status, decoded(each).get("reason"), decoded(each).get("replayed")) for each in heard])
    assert answers[0] == answers[1]
