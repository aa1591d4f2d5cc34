"""One writer thread for one SQLite connection: all that waits shares one transaction and one fsync. It knows no table.

A lone caller does not wait for company: whatever is waiting when the last commit is back goes into the next one.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeAlias, TypeVar

import apsw

from counterfoil.ports.store import StoreUnavailable

T = TypeVar("T")
WriteStep: TypeAlias = Callable[[apsw.Connection], T]
"""What one caller wants done inside the shared transaction."""

_log = logging.getLogger(__name__)
# Nothing was written, and nothing is known to be broken: roll back, answer "unavailable", live on.
_PASSING = (apsw.BusyError, apsw.FullError, apsw.LockedError, apsw.ProtocolError)
_BATCH_MAX = 512
_IDLE_S = 1.0
_BUSY_S = 0.002
# SQLite's own default: larger made p99 worse, and with none the WAL grew without bound.
_CHECKPOINT_PAGES = 1000
# With several processes always writing, a passive checkpoint may never find the WAL at rest.
_INSISTENT_CHECKPOINT_PAGES = 20 * _CHECKPOINT_PAGES


class _Waiting(NamedTuple):
    step: WriteStep[Any]
    future: asyncio.Future[Any]


class GroupCommit:
    """Runs write steps in shared transactions. After an I/O error it runs none any more.

    `housekeeping` runs at the end of every transaction, with the number of steps in it, and now and then when idle; it
    says whether it has more to do. `on_rollback` forgets what steps remembered of a transaction that did not happen.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        waiting_max: int,
        housekeeping: Callable[[apsw.Connection, int], bool],
        on_rollback: Callable[[], None],
        on_fatal: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._waiting_max = waiting_max
        self._housekeeping = housekeeping
        self._on_rollback = on_rollback
        self._on_fatal = on_fatal
        self._more_to_do = False
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._failure: BaseException | None = None
        self._closed = False
        self._wal_pages = 0
        connection.set_wal_hook(self._note_wal_pages)
        self._thread = Thread(target=self._work, name="counterfoil-writer", daemon=True)
        self._thread.start()

    async def run(self, step: WriteStep[T]) -> T:
        """The step's result, once it is durable. Raises StoreUnavailable; the step may then have happened or not."""
        self.check_alive()
        if self._waiting.qsize() >= self._waiting_max:
            raise StoreUnavailable("too many writes are waiting")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Waiting(step, future))
        return await future

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
        """Lets the writer finish all that waits, then ends it. Blocks for one commit at most."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                first = self._waiting.get(timeout=_BUSY_S if self._more_to_do else _IDLE_S)
            except Empty:
                self._commit([])
                continue
            if first is None:
                break
            batch, is_last = self._with_company(first)
            self._commit(batch)
            if is_last:
                break
        self._refuse_the_rest()

    def _with_company(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        batch = [first]
        while len(batch) < _BATCH_MAX:
            try:
                waiting = self._waiting.get_nowait()
            except Empty:
                break
            if waiting is None:
                return batch, True
            batch.append(waiting)
        return batch, False

    def _refuse_the_rest(self) -> None:
        left = []
        while not self._waiting.empty():
            waiting = self._waiting.get_nowait()
            if waiting is not None:
                left.append(waiting)
        _answer(left, [StoreUnavailable("the store is closed")] * len(left))

    def _commit(self, batch: list[_Waiting]) -> None:
        if self._failure is not None:
            _answer(batch, [StoreUnavailable("the store stopped after an I/O error")] * len(batch))
            return
        results: list[Any]
        try:
            results = self._in_one_transaction(batch)
        except _PASSING as cause:
            _log.warning("a transaction of %d was rolled back: %s", len(batch), type(cause).__name__)
            results = [_unavailable("the store is busy or its disk is full", cause)] * len(batch)
        except Exception as cause:
            # Also a bug in a step ends up here: it is not known what state it left, so it is as final as a disk error.
            results = [_unavailable("the store failed; whether this was written is not known", cause)] * len(batch)
            self.fail(cause)
        _answer(batch, results)
        # After the answers: a checkpoint must not make anybody wait.
        self._checkpoint()

    def _in_one_transaction(self, batch: list[_Waiting]) -> list[Any]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [waiting.step(connection) for waiting in batch]
            self._more_to_do = self._housekeeping(connection, len(batch))
            connection.execute("COMMIT")
        except BaseException:
            self._more_to_do = False
            self._on_rollback()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _note_wal_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Done here and not by SQLite, which ignores an I/O error in an automatic checkpoint: it must be final too."""
        if self._wal_pages < _CHECKPOINT_PAGES or self._failure is not None:
            return
        insist = self._wal_pages >= _INSISTENT_CHECKPOINT_PAGES
        self._wal_pages = 0
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART if insist else apsw.SQLITE_CHECKPOINT_PASSIVE)
        except _PASSING:
            _log.info("a checkpoint is put off")
        except apsw.Error as cause:
            self.fail(cause)


def _unavailable(message: str, cause: BaseException) -> StoreUnavailable:
    fault = StoreUnavailable(message)
    fault.__cause__ = cause
    return fault


def _answer(batch: list[_Waiting], results: list[Any]) -> None:
    """Hands results back to the loops that wait, with one wake-up per loop."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = defaultdict(list)
    for waiting, result in zip(batch, results, strict=True):
        by_loop[waiting.future.get_loop()].append((waiting.future, result))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            # The caller's loop is closed: nobody waits there any more.
            _log.debug("an answer had nobody to go to")


def _resolve(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, StoreUnavailable):
            future.set_exception(result)
        else:
            future.set_result(result)
