"""What `/metrics` tells of store, keys, process and calls of AWS: what it asks them, how often, and what it leaves out."""

import asyncio
import platform
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from counterfoil.aws.call_counts import OUTCOMES, AwsCall, AwsCallCounts
from counterfoil.aws.connection import NoAnswer
from counterfoil.aws.json_protocol import Question, Refusal
from counterfoil.entrypoints import prometheus_parts
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.model.distribution import Distribution
from counterfoil.ports.keys import DataKey, KeysUnavailable
from counterfoil.ports.measured import Commits, Contents, StoreMeasures
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.memory import MemoryStore
from counterfoil.version import __version__
from tests.support.aws_client import ANYTHING, CREDENTIALS, made_client
from tests.support.clock import START_US, Clock
from tests.support.scripted_server import Reply, scripted_server

Samples = dict[str, float]


class _Store(MemoryStore):
    """A store that tells what it is told to tell."""

    def __init__(self, look: Callable[[], Contents] | None = None, commits: Commits | None = None) -> None:
        super().__init__(Clock())
        self._measures = StoreMeasures(lambda: 7, 4096, commits, look)

    def measures(self) -> StoreMeasures:
        return self._measures


class _Keys:
    """Keys whose primary one was made then; None for not yet."""

    def __init__(self, created_at_us: int | None = None, *, fails: bool = False) -> None:
        self._created_at_us = created_at_us
        self._fails = fails

    def primary_created_at_us(self) -> int | None:
        if self._fails:
            raise KeysUnavailable("gone")
        return self._created_at_us

    async def sealing_key(self) -> DataKey:
        raise KeysUnavailable("not asked for here")

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        raise KeysUnavailable("not asked for here")


class _MuteKeys:
    """Keys that tell nothing of themselves."""

    sealing_key = _Keys.sealing_key
    opening_key = _Keys.opening_key


def _observer(store: Any = None, keys: Any = None, clock: Clock | None = None) -> PrometheusObserver:
    observer = PrometheusObserver()
    observer.watch(store or _Store(), keys or _Keys(), clock or Clock())
    return observer


async def _samples(observer: PrometheusObserver) -> Samples:
    """Each sample by its name and labels."""
    _, text = await observer.exposition()
    return {
        sample.name + "".join(f"|{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def test_store_and_keys_are_shown_as_they_tell() -> None:
    commits = Commits(Distribution((1, 2)), Distribution((0.001, 0.5)), Distribution((0.001, 0.5)))
    for writes, duration_s in ((1, 0.0005), (2, 0.25), (3, 2.0)):
        commits.writes.add(writes)
        commits.duration_s.add(duration_s)
    store = _Store(lambda: Contents(12, 1_500_000, 2_000_000), commits)
    found = await _samples(_observer(store, _Keys(START_US - 90_500_000)))
    expected = {
        "counterfoil_store_waiting_writes": 7,
        "counterfoil_store_waiting_writes_max": 4096,
        "counterfoil_commit_writes_bucket|le=1.0": 1,
        "counterfoil_commit_writes_bucket|le=2.0": 2,
        "counterfoil_commit_writes_bucket|le=+Inf": 3,
        "counterfoil_commit_writes_count": 3,
        "counterfoil_commit_writes_sum": 6,
        "counterfoil_commit_duration_seconds_bucket|le=0.001": 1,
        "counterfoil_commit_duration_seconds_bucket|le=0.5": 2,
        "counterfoil_commit_duration_seconds_count": 3,
        "counterfoil_commit_duration_seconds_sum": 2.2505,
        "counterfoil_checkpoint_duration_seconds_count": 0,
        "counterfoil_outstanding_passcodes": 12,
        "counterfoil_broom_lag_seconds|table=counterfoils": 1.5,
        "counterfoil_broom_lag_seconds|table=journal": 2,
        "counterfoil_primary_key_age_seconds": 90.5,
        f"counterfoil_build_info|python={platform.python_version()}|version={__version__}": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["process_start_time_seconds"] <= time.time()
    assert found["process_resident_memory_bytes"] > 1_000_000
    assert found["process_open_fds"] > 2


async def test_what_does_not_tell_is_left_out() -> None:
    """Zeros would say that all is well."""
    found = await _samples(_observer(MemoryStore(Clock()), _MuteKeys()))
    assert _told(found) == set()
    assert "process_open_fds" in found
    found = await _samples(_observer(_Store(), _Keys()))
    assert _told(found) == {"counterfoil_store_waiting_writes", "counterfoil_store_waiting_writes_max"}


def _told(found: Samples) -> set[str]:
    """The names of all that store and keys have told."""
    told = ("counterfoil_store_w", "counterfoil_c", "counterfoil_outstanding", "counterfoil_broom", "counterfoil_primary")
    return {name for name in found if name.startswith(told)}


async def test_a_store_that_cannot_be_looked_into_is_left_out_until_it_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prometheus_parts, "_REST", 0)
    answers: list[Contents | Exception] = [Contents(1, 0, 0), StoreUnavailable("busy"), Contents(3, 0, 0)]

    def look() -> Contents:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    observer = _observer(_Store(look))
    assert [(await _samples(observer)).get("counterfoil_outstanding_passcodes") for _ in range(3)] == [1, None, 3]
    assert [record.getMessage() for record in caplog.records] == ["metrics of the store are left out: busy"]


async def test_keys_that_cannot_be_had_are_left_out() -> None:
    assert "counterfoil_primary_key_age_seconds" not in await _samples(_observer(keys=_Keys(fails=True)))


async def test_those_who_scrape_together_share_a_look() -> None:
    looks, may_end = [0], threading.Event()

    def look() -> Contents:
        looks[0] += 1
        assert may_end.wait(30)
        return Contents(0, 0, 0)

    observer = _observer(_Store(look))
    scrapes = [asyncio.ensure_future(observer.exposition()) for _ in range(5)]
    await asyncio.sleep(0)
    # One who gives up takes nobody else's answer along.
    scrapes.pop(0).cancel()
    may_end.set()
    await asyncio.gather(*scrapes)
    assert looks == [1]


@pytest.mark.parametrize(("rest", "looks_made"), [(10**6, 1), (0, 3)])
async def test_a_look_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch, rest: int, looks_made: int) -> None:
    """Whoever scrapes without a pause must not have the store read all the time."""
    monkeypatch.setattr(prometheus_parts, "_REST", rest)
    looks = [0]

    def look() -> Contents:
        looks[0] += 1
        return Contents(looks[0], 0, 0)

    observer = _observer(_Store(look))
    found = [(await _samples(observer))["counterfoil_outstanding_passcodes"] for _ in range(3)]
    assert looks == [looks_made]
    assert found[-1] == looks_made


# -- calls of AWS --


def test_each_call_of_aws_is_counted_once_by_its_outcome() -> None:
    outcomes = [
        ("", 200, "ok"),
        ("ThrottlingException", 400, "throttled"),
        ("DisabledException", 400, "refused"),
        ("ConditionalCheckFailedException", 400, "condition_failed"),
        ("KMSInternalException", 500, "failed"),
        ("cut off", 200, "no_answer"),
    ]
    unreadable: Question[bytes] = Question("Decrypt", dict, _unreadable)
    counts = AwsCallCounts()
    with scripted_server(*(Reply(status, {"__type": code}) for code, status, _ in outcomes)) as server:
        kms = made_client(server.url, counts=counts)
        for code, _, outcome in outcomes:
            question = unreadable if outcome == "no_answer" else ANYTHING
            with pytest.raises((Refusal, NoAnswer), match=code) if code else nullcontext():
                kms.ask(question, CREDENTIALS)
        kms.close()
    assert counts.calls == {AwsCall("kms", "Decrypt", outcome): 1 for _, _, outcome in outcomes}
    assert sum(counts.durations_s["kms", "Decrypt"].counts) == len(outcomes)
    assert {outcome for _, _, outcome in outcomes} == set(OUTCOMES)


def _unreadable(_: bytes) -> bytes:
    raise NoAnswer("cut off")


def test_a_call_of_aws_that_nobody_answers_is_counted_too() -> None:
    counts = AwsCallCounts()
    # Nothing listens there.
    with pytest.raises(NoAnswer):
        made_client("http://127.0.0.1:1", counts=counts).ask(Question("GenerateDataKey", dict, bytes), CREDENTIALS)
    assert counts.calls == {AwsCall("kms", "GenerateDataKey", "no_answer"): 1}


async def test_calls_of_aws_are_shown_by_service_operation_and_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = AwsCallCounts()
    monkeypatch.setattr(prometheus_parts, "AWS_CALLS", counts)
    with scripted_server(Reply(200, {})) as server:
        kms = made_client(server.url, counts=counts)
        for _ in range(2):
            kms.ask(ANYTHING, CREDENTIALS)
        kms.close()
    found = await _samples(_observer())
    assert found["counterfoil_aws_calls_total|operation=Decrypt|outcome=ok|service=kms"] == 2
    assert found["counterfoil_aws_call_duration_seconds_count|operation=Decrypt|service=kms"] == 2
