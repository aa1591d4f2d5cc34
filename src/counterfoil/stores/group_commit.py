"""Shared transactions on one SQLite connection: all who wait are committed together, by one fsync. It knows no table.

The statements of a batch run on the callers' event loop: they take microseconds, and a thread that ran them would hand
the interpreter lock to and fro at every one (measured: it doubled the cost of a write). The commit, which waits for the
disk, runs on a thread of its own, and whoever comes meanwhile makes up the next batch. A lone caller does not wait for
company. While every round of the loop brings more callers, they are taken in first, for a while: a commit costs the processor
as much as ten steps or more, however few it is for.

The connection belongs to whoever has the turn:

    IDLE ──run()──▶ DUE ──_start() on a loop──▶ TAKEN ──commit on the thread──▶ DUE, when somebody waits; else IDLE
"""

import asyncio
import logging
import time
from collections.abc import Callable
from enum import Enum, auto
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeAlias, TypeVar

import apsw

from counterfoil.model.distribution import Distribution
from counterfoil.ports.measured import Commits
from counterfoil.ports.store import StoreUnavailable
from counterfoil.stores.sqlite_file import LOCK_WAIT_S

T = TypeVar("T")
WriteStep: TypeAlias = Callable[[apsw.Connection], T]
"""What one caller wants done inside the shared transaction."""

_log = logging.getLogger(__name__)
# Nothing was written, and nothing is known to be broken: roll back, answer "unavailable", live on.
PASSING = (apsw.BusyError, apsw.FullError, apsw.LockedError, apsw.ProtocolError)
_BATCH_MAX = 512
# How long callers may keep coming before those who wait are committed: about as long as a commit takes.
_GATHERING_S = 0.002
_IDLE_S = 1.0
_BUSY_S = 0.002
# SQLite's own default: larger made p99 worse, and with none the WAL grew without bound.
_CHECKPOINT_PAGES = 1000
# With several processes always writing, a passive checkpoint may never find the WAL at rest.
_INSISTENT_CHECKPOINT_PAGES = 20 * _CHECKPOINT_PAGES
_INSISTING_S = 0.1
_INSISTING_EVERY_S = 10.0
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, _BATCH_MAX)
_DURATIONS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class _Turn(Enum):
    IDLE = auto()
    DUE = auto()
    TAKEN = auto()


_Waiting: TypeAlias = tuple[WriteStep[Any], asyncio.Future[Any]]
"""A step, and who waits for it."""


class _Batch(NamedTuple):
    """Steps on their way to the commit: `results` is None when they still have to be run, by who commits."""

    waiting: list[_Waiting]
    results: list[Any] | None = None
    failure: Exception | None = None


class GroupCommit:
    """Runs write steps in shared transactions. After an I/O error it runs none any more.

    `after_begin` runs at the beginning of every transaction. `before_commit` runs at its end, with the number of steps in it,
    and now and then when idle; it says whether it has more to do. `on_rollback` forgets what steps remembered of a transaction
    that did not happen.
    `wait_for_lock_s` says how long the connection's busy handler is to wait for another process: not at all on an event loop.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        waiting_max: int,
        after_begin: Callable[[apsw.Connection], None],
        before_commit: Callable[[apsw.Connection, int], bool],
        on_rollback: Callable[[], None],
        wait_for_lock_s: Callable[[float], None],
        on_fatal: Callable[[], None],
    ) -> None:
        self._connection = connection
        self.waiting_max = waiting_max
        self.commits = Commits(Distribution(_SIZES), Distribution(_DURATIONS_S), Distribution(_DURATIONS_S))
        self._after_begin = after_begin
        self._before_commit = before_commit
        self._on_rollback = on_rollback
        self._wait_for_lock_s = wait_for_lock_s
        self._on_fatal = on_fatal
        self._lock = Lock()
        self._turn = _Turn.IDLE
        self._waiting: list[_Waiting] = []
        self._due_since_s = 0.0
        self._seen_waiting = 0
        self._to_commit: SimpleQueue[_Batch | None] = SimpleQueue()
        self._failure: BaseException | None = None
        self._closed = False
        self._more_to_do = False
        self._has_begun = False
        self._wal_pages = 0
        self._is_synced = False
        self._insist_again_at_s = 0.0
        connection.set_wal_hook(self._note_wal_pages)
        self._thread = Thread(target=self._work, name="counterfoil-commit", daemon=True)
        self._thread.start()

    def run(self, step: WriteStep[T]) -> "asyncio.Future[T]":
        """What gives the step's result, once it is durable. Raises StoreUnavailable, and so does what it gives.

        The step may then have happened or not.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self.check_alive()
            if len(self._waiting) >= self.waiting_max:
                raise StoreUnavailable("too many writes are waiting")
            self._waiting.append((step, future))
            is_first = self._turn is _Turn.IDLE
            if is_first:
                self._make_due()
        if is_first:
            # Not at once: what else is ready in this round of the loop shares the transaction.
            loop.call_soon(self._start)
        return future

    def waiting(self) -> int:
        """How many steps wait for a transaction now."""
        return len(self._waiting)

    def check_alive(self) -> None:
        """Raises StoreUnavailable when a write would not be taken now."""
        if self._failure is not None:
            raise StoreUnavailable("the store stopped after an I/O error") from self._failure
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def fail(self, cause: BaseException) -> None:
        """Final: an I/O error leaves the state of the file unknown, and trying again would report success falsely.

        (After a failed fsync the kernel drops the dirty pages and the next fsync succeeds: USENIX ATC'20, Rebello et al.)
        """
        if self._failure is None:
            self._failure = cause
            _log.critical("store stopped: %s", type(cause).__name__, exc_info=cause)
            self._on_fatal()

    def close(self) -> None:
        """Commits all that waits, then ends the thread. Blocks meanwhile."""
        with self._lock:
            is_first = not self._closed
            self._closed = True
        if is_first:
            self._to_commit.put(None)
        self._thread.join()

    def _claimed(self, *turns: _Turn) -> list[_Waiting] | None:
        """All who wait, when the turn is one of these, and it is taken with them; None when it is somebody else's."""
        with self._lock:
            if self._turn not in turns:
                return None
            self._turn = _Turn.TAKEN
            batch, self._waiting = self._waiting[:_BATCH_MAX], self._waiting[_BATCH_MAX:]
            return batch

    def _make_due(self) -> None:
        self._turn = _Turn.DUE
        self._due_since_s = time.monotonic()
        self._seen_waiting = len(self._waiting)

    def _are_more_coming(self) -> bool:
        """Whether the last round of the loop brought more who wait, and they may be waited for."""
        seen, self._seen_waiting = self._seen_waiting, len(self._waiting)
        is_growing = seen < self._seen_waiting < _BATCH_MAX
        return is_growing and time.monotonic() < self._due_since_s + _GATHERING_S

    def _start(self) -> None:
        """On an event loop: runs the statements of all who wait, when no more are coming, then hands the commit over."""
        if self._are_more_coming():
            asyncio.get_running_loop().call_soon(self._start)
            return
        waiting = self._claimed(_Turn.DUE)
        if waiting is None:
            return
        try:
            self._begin(wait_for_lock_s=0)
        except apsw.BusyError:
            # Another process is writing. Waiting for it is for the thread.
            self._to_commit.put(_Batch(waiting))
            return
        except Exception as cause:
            self._to_commit.put(_Batch(waiting, failure=cause))
            return
        try:
            self._to_commit.put(_Batch(waiting, self._written(waiting)))
        except Exception as cause:
            self._to_commit.put(_Batch(waiting, failure=cause))

    def _begin(self, wait_for_lock_s: float) -> None:
        self._wait_for_lock_s(wait_for_lock_s)
        self._connection.execute("BEGIN IMMEDIATE")
        self._has_begun = True

    def _written(self, waiting: list[_Waiting]) -> list[Any]:
        """The results of the statements, inside an open transaction."""
        self._after_begin(self._connection)
        results = [step(self._connection) for step, _ in waiting]
        self._more_to_do = self._before_commit(self._connection, len(waiting))
        return results

    def _work(self) -> None:
        while True:
            try:
                batch = self._to_commit.get(timeout=_BUSY_S if self._more_to_do else _IDLE_S)
            except Empty:
                # Idle: housekeeping. Or due for as long: the loop that should have started is stuck or gone.
                self._take_over()
                continue
            if batch is None:
                break
            self._finish(batch)
        while self._turn is _Turn.TAKEN or self._waiting:
            try:
                last = self._to_commit.get(timeout=_BUSY_S)
            except Empty:
                self._take_over()
            else:
                if last is not None:
                    self._finish(last)

    def _take_over(self) -> None:
        waiting = self._claimed(_Turn.IDLE, _Turn.DUE)
        if waiting is not None:
            self._finish(_Batch(waiting))

    def _finish(self, batch: _Batch) -> None:
        """On the thread: commits, answers all of the batch, and passes the turn on."""
        results: list[Any]
        try:
            results = self._committed(batch)
        except PASSING as cause:
            _log.warning("a transaction of %d was rolled back: %s", len(batch.waiting), type(cause).__name__)
            results = [_unavailable("the store is busy or its disk is full", cause)] * len(batch.waiting)
        except Exception as cause:
            # Also a bug in a step ends up here: it is not known what state it left, so it is as final as a disk error.
            results = [_unavailable("the store failed; what was written is not known", cause)] * len(batch.waiting)
            self.fail(cause)
        _answer(batch.waiting, results)
        # After the answers: whoever has one does not wait for the checkpoint.
        self._checkpoint()
        self._pass_turn()

    def _committed(self, batch: _Batch) -> list[Any]:
        try:
            if self._failure is not None:
                raise self._failure
            if batch.failure is not None:
                raise batch.failure
            results = batch.results
            if results is None:
                self._begin(LOCK_WAIT_S)
                results = self._written(batch.waiting)
            self._commit(len(batch.waiting))
        except BaseException:
            self._more_to_do = False
            # Where none was begun, what is remembered of the last transaction still holds.
            if self._has_begun:
                self._on_rollback()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._has_begun = False
        return results

    def _commit(self, steps: int) -> None:
        self._is_synced = False
        since_s = time.perf_counter()
        self._connection.execute("COMMIT")
        # Where nothing was changed there was nothing to sync; and nobody waits for housekeeping.
        if steps and self._is_synced:
            self.commits.duration_s.add(time.perf_counter() - since_s)
            self.commits.writes.add(steps)

    def _pass_turn(self) -> None:
        with self._lock:
            if not self._waiting:
                self._turn = _Turn.IDLE
                return
            self._make_due()
            _, future = self._waiting[0]
            loop = future.get_loop()
        try:
            loop.call_soon_threadsafe(self._start)
        except RuntimeError:
            # That loop is closed.
            self._take_over()

    def _note_wal_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        self._is_synced = True
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Done here and not by SQLite, which ignores an I/O error in an automatic checkpoint: it must be final too."""
        if self._wal_pages < _CHECKPOINT_PAGES or self._failure is not None:
            return
        now_s = time.monotonic()
        insist = self._wal_pages >= _INSISTENT_CHECKPOINT_PAGES and now_s >= self._insist_again_at_s
        if insist:
            self._insist_again_at_s = now_s + _INSISTING_EVERY_S
        self._wal_pages = 0
        # Others wait meanwhile: who holds the WAL open for long must not stop them at every commit.
        self._wait_for_lock_s(_INSISTING_S if insist else 0)
        since_s = time.perf_counter()
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART if insist else apsw.SQLITE_CHECKPOINT_PASSIVE)
        except PASSING:
            _log.info("a checkpoint is put off")
        except apsw.Error as cause:
            self.fail(cause)
        else:
            self.commits.checkpoint_duration_s.add(time.perf_counter() - since_s)


def _unavailable(message: str, cause: BaseException) -> StoreUnavailable:
    fault = StoreUnavailable(message)
    fault.__cause__ = cause
    return fault


def _answer(batch: list[_Waiting], results: list[Any]) -> None:
    """Hands results back to the loops that wait, with one wake-up per loop."""
    for loop in {future.get_loop() for _, future in batch}:
        try:
            loop.call_soon_threadsafe(_resolve, loop, batch, results)
        except RuntimeError:
            # The caller's loop is closed: nobody waits there any more.
            _log.debug("an answer had nobody to go to")


def _resolve(loop: asyncio.AbstractEventLoop, batch: list[_Waiting], results: list[Any]) -> None:
    """On an event loop: answers those of the batch who wait there and have not gone away."""
    for (_, future), result in zip(batch, results, strict=True):
        if future.get_loop() is not loop or future.done():
            continue
        if isinstance(result, StoreUnavailable):
            future.set_exception(result)
        else:
            future.set_result(result)
