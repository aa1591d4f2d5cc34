"""A commit that many share is one span: every step of it leads there, by being above it or by a link."""

import asyncio
from pathlib import Path

import apsw
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, Sampler, SamplingResult

from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.group_commit import GroupCommit
from counterfoil.stores.sqlite import SqliteStore
from counterfoil.stores.watched_commit import WatchedCommit
from tests.support.clock import Clock
from tests.support.journal import JOURNAL_KEY
from tests.support.parts import Parts, made_parts
from tests.support.tracing import Recorder, attributes, parent_id, recorder, span_id, trace_id

STEPS = 40


def _parts(folder: Path, recorded: Recorder) -> Parts:
    clock = Clock()
    store = SqliteStore(
        folder / "counterfoil.db", clock, journal_key=JOURNAL_KEY, commit_watch=recorded.tracing.commits(), broom=False
    )
    return made_parts(folder, store=store, clock=clock, tracing=recorded.tracing)


def _commits(recorded: Recorder, step: ReadableSpan) -> list[int]:
    """The ids of the commits that a step leads to."""
    below = [span_id(span) for span in recorded.named("store.commit") if parent_id(span) == span_id(step)]
    return below + [link.context.span_id for link in step.links]


async def test_every_step_leads_to_the_one_commit_that_it_was_in(tmp_path: Path) -> None:
    recorded = recorder()
    parts = _parts(tmp_path, recorded)
    await asyncio.gather(*(parts.issue(client_id=f"client-{number}") for number in range(STEPS)))
    await parts.service.close()
    steps, commits = recorded.named("store.insert"), recorded.named("store.commit")
    assert len(steps) == STEPS
    led = [_commits(recorded, step) for step in steps]
    assert {len(each) for each in led} == {1}
    assert {commit for (commit,) in led} == {span_id(commit) for commit in commits}
    sizes = [attributes(commit)["counterfoil.commit.steps"] for commit in commits]
    assert sum(sizes) == STEPS
    assert max(sizes) > 1
    # One link a step at most, however many share the commit.
    assert {len(step.links) for step in steps} == {0, 1}
    assert {len(commit.links) for commit in commits} == {0}


async def test_it_is_in_the_trace_of_a_request_that_it_carries_and_within_that_step(tmp_path: Path) -> None:
    recorded = recorder()
    parts = _parts(tmp_path, recorded)
    await parts.issue()
    await parts.service.close()
    step, commit = recorded.one("store.insert"), recorded.one("store.commit")
    assert (parent_id(commit), trace_id(commit)) == (span_id(step), trace_id(step))
    times = (step.start_time, commit.start_time, commit.end_time, step.end_time)
    assert sorted(time or 0 for time in times) == list(times)
    assert attributes(step)["db.system.name"] == "sqlite"


class _EverySecond(Sampler):
    """Samples every second trace."""

    def __init__(self) -> None:
        self._number = 0

    def should_sample(self, *_: object, **__: object) -> SamplingResult:
        self._number += 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE if self._number % 2 else Decision.DROP)

    def get_description(self) -> str:
        return "every second"


async def test_requests_that_are_not_sampled_have_no_part_in_it(tmp_path: Path) -> None:
    recorded = recorder(ParentBased(_EverySecond()))
    parts = _parts(tmp_path, recorded)
    await asyncio.gather(*(parts.issue(client_id=f"client-{number}") for number in range(STEPS)))
    await parts.service.close()
    steps = recorded.named("store.insert")
    assert len(steps) == STEPS // 2
    assert {len(_commits(recorded, step)) for step in steps} == {1}


async def test_a_commit_that_carries_no_sampled_request_is_none(tmp_path: Path) -> None:
    recorded = recorder(ALWAYS_OFF)
    parts = _parts(tmp_path, recorded)
    await parts.issue()
    await parts.service.close()
    assert recorded.spans == ()


async def test_a_caller_who_went_away_is_left_alone(tmp_path: Path) -> None:
    recorded = recorder(ALWAYS_ON)
    parts = _parts(tmp_path, recorded)
    asking = [asyncio.create_task(parts.issue(client_id=f"client-{number}")) for number in range(3)]
    while not recorded.named("keys.sealing_key"):
        await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await parts.service.close()
    assert {attributes(step).get("error.type") for step in recorded.named("store.insert")} == {None, "CancelledError"}


class _Full:
    """A connection whose disk is full when it is to commit."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, statement: str) -> object:
        if statement == "COMMIT":
            raise apsw.FullError("canary")
        return self._connection.execute(statement)


async def test_a_commit_that_fails_is_an_error_by_its_name_and_still_heard_by_everybody(tmp_path: Path) -> None:
    recorded = recorder()
    tracer = recorded.tracing.tracer
    connection = apsw.Connection(str(tmp_path / "x.db"))
    writer = WatchedCommit(
        recorded.tracing.commits(),
        _Full(connection),  # type: ignore[arg-type]  # made like one
        waiting_max=10,
        after_begin=lambda _: None,
        before_commit=lambda *_: False,
        on_rollback=lambda: None,
        wait_for_lock_s=lambda _: None,
        on_fatal=lambda: None,
    )
    with tracer.start_as_current_span("step"), pytest.raises(StoreUnavailable):
        await writer.run(lambda _: None)
    writer.close()
    connection.close()
    commit = recorded.one("store.commit")
    assert attributes(commit) == {"counterfoil.commit.steps": 1, "error.type": "FullError"}
    assert list(commit.events) == []


@pytest.mark.parametrize("watched", [False, True])
async def test_a_store_that_nobody_watches_commits_by_the_same_class_as_ever(tmp_path: Path, watched: bool) -> None:
    watch = recorder().tracing.commits() if watched else None
    store = SqliteStore(tmp_path / "counterfoil.db", Clock(), journal_key=JOURNAL_KEY, commit_watch=watch)
    assert type(store._writer) is (WatchedCommit if watched else GroupCommit)
    await store.close()
