"""Counterfoils in an SQLite file: one process or several on one machine, durable, with an fsync shared by all who wait.

Reads happen where the caller runs: a row look-up takes microseconds and WAL readers never wait. Nothing read decides;
every change is one conditional statement inside a shared transaction, with the clock read there, and its journal entry is
in the same transaction.
"""

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock, local
from typing import Any

import apsw

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, JournalKey, accepted, issued
from counterfoil.model.limits import (
    CLOCK_TOLERANCE_US,
    JOURNAL_RETENTION_S_DEFAULT,
    MICROSECONDS_PER_S,
    RETENTION_S_DEFAULT,
)
from counterfoil.model.usage import IssueLimits, LimitReached, Usage
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.commit_watch import CommitWatch
from counterfoil.ports.journal_reader import JournalReader
from counterfoil.ports.measured import Contents, StoreMeasures
from counterfoil.ports.store import Inserted, Outcome, StoreUnavailable
from counterfoil.stores.group_commit import PASSING, GroupCommit, WriteStep
from counterfoil.stores.sqlite_accounts import SqliteAccounts
from counterfoil.stores.sqlite_broom import SqliteBroom, kept_us
from counterfoil.stores.sqlite_contents import looked_into
from counterfoil.stores.sqlite_file import Patience, bind_to_epoch, durability, open_durable, open_reader
from counterfoil.stores.sqlite_journal import SqliteJournal, prepare
from counterfoil.stores.sqlite_journal_reader import SqliteJournalReader
from counterfoil.stores.watched_commit import WatchedCommit

WAITING_MAX_DEFAULT = 4096
# The broom takes more per transaction than was put in, so it keeps up; and never so many that a commit is felt.
_SWEPT_PER_WRITE = 2
_SWEPT_WHEN_IDLE = 512

_COLUMNS = (
    "client_id, timestamp_us, expires_at_us, key_id, passcode_tag, contexts_tag, transaction_tag, issuer_id,"
    " seed_copy, wrapped_key, state, attempts, redemption_id, redeemed_by, redeemed_at_us"
)
_INSERT = f"""
    INSERT INTO counterfoils ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'issued', 0, NULL, NULL, NULL)
    ON CONFLICT DO NOTHING"""
# From here on, a number stands for one thing: 1 client_id, 2 timestamp_us, 3 now_us, 4 attempts_max. Names cost a look-up each.
_NAMED = "WHERE timestamp_us = ?2 AND client_id = ?1"
_FIND = f"SELECT {_COLUMNS} FROM counterfoils {_NAMED}"
_JUDGEABLE = f"""
    {_NAMED} AND state = 'issued' AND attempts < ?4 AND expires_at_us > ?3 AND timestamp_us <= ?3 + {CLOCK_TOLERANCE_US}"""
_ERASED_SEED_COPY = "seed_copy = CASE WHEN seed_copy IS NULL THEN NULL ELSE x'' END"
_REDEEM = f"""
    UPDATE counterfoils SET state = 'redeemed', redemption_id = ?5, redeemed_by = ?6, redeemed_at_us = ?3,
    {_ERASED_SEED_COPY} {_JUDGEABLE}"""
_COUNT_MISMATCH = f"""
    UPDATE counterfoils SET attempts = attempts + 1,
    state = CASE WHEN attempts + 1 >= ?4 THEN 'locked' ELSE 'issued' END {_JUDGEABLE}"""
_REVOKE = f"UPDATE counterfoils SET state = 'revoked', {_ERASED_SEED_COPY} {_NAMED} AND state = 'issued'"
_STATES = {state.value: state for state in State}


def _ignore() -> None:
    """What happens on a fatal error when nobody asked to be told."""


class SqliteStore:
    """The store contract over one SQLite file.

    `on_fatal` is called once, from any thread, after an I/O error: the process is to answer 503 and end. A process
    that forks opens its store after the fork.
    """

    def __init__(
        self,
        path: Path,
        now_us: NowUs,
        *,
        journal_key: JournalKey,
        retention_s: int = RETENTION_S_DEFAULT,
        journal_retention_s: int = JOURNAL_RETENTION_S_DEFAULT,
        epoch: int = 1,
        waiting_max: int = WAITING_MAX_DEFAULT,
        broom: bool = True,
        on_fatal: Callable[[], None] = _ignore,
        token_bytes: TokenBytes = secrets.token_bytes,
        commit_watch: CommitWatch | None = None,
    ) -> None:
        """Opens or creates the file. Raises StoreUnfit when it must not be used as it is."""
        self._path = path
        self._now_us = now_us
        self._retention_s = retention_s
        self._journal_kept_us = journal_retention_s * MICROSECONDS_PER_S
        self._broom = SqliteBroom(retention_s) if broom else None
        self._accounts = SqliteAccounts()
        self._patience = Patience()
        writer = open_durable(path, self._patience)
        self._journal = SqliteJournal(journal_key, prepare(writer, journal_key, token_bytes))
        bind_to_epoch(writer, epoch)
        self.durability = durability(writer)
        self._writer_connection = writer
        # One cursor for all steps: making one costs as much as a short statement.
        self._cursor = writer.cursor()
        self._data_version: int | None = None
        self._readers = local()
        self._all_readers: list[apsw.Connection] = []
        self._readers_lock = Lock()
        # This thread is most often the one that serves: later, there might be no file descriptor left for it.
        self._reader()
        # The same class as ever where nobody watches: being watched costs something at every step.
        commit = GroupCommit if commit_watch is None else partial(WatchedCommit, commit_watch)
        self._writer = commit(
            writer,
            waiting_max=waiting_max,
            after_begin=self._begin_transaction,
            before_commit=self._end_transaction,
            on_rollback=self._forget_transaction,
            wait_for_lock_s=self._patience.set,
            on_fatal=on_fatal,
        )

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        return await self._writer.run(lambda connection: self._insert(connection, counterfoil, limits))

    async def find(self, ref: CounterfoilRef) -> Counterfoil | None:
        self._writer.check_alive()
        try:
            return _found(self._reader(), ref)
        except (*PASSING, apsw.CantOpenError) as cause:
            # Too many open files is passing too: they are closed again.
            raise StoreUnavailable("the store is busy") from cause
        except apsw.Error as cause:
            self._writer.fail(cause)
            raise StoreUnavailable("the store cannot be read") from cause

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        values = (attempts_max, redemption.redemption_id, redemption.principal)
        return await self._writer.run(self._change(_REDEEM, ref, values, accepted(ref, redemption)))

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        return await self._writer.run(self._change(_COUNT_MISMATCH, ref, (attempts_max,), entry))

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        return await self._writer.run(self._change(_REVOKE, ref, (), entry))

    async def record(self, entry: Entry) -> None:
        await self._writer.run(lambda _: self._journal.note(self._now_us(), entry))

    async def check_ready(self) -> None:
        # An empty step goes the whole way: queue, lock, commit.
        await self._writer.run(lambda _: None)

    def measures(self) -> StoreMeasures:
        """What `ports.measured` has of a store."""
        writer = self._writer
        return StoreMeasures(writer.waiting, writer.waiting_max, writer.commits, self._look)

    async def close(self) -> None:
        self._writer.close()
        for connection in (*self._all_readers, self._writer_connection):
            connection.close()

    def journal_reader(self) -> JournalReader:
        return SqliteJournalReader(self._path)

    def _look(self) -> Contents:
        return looked_into(
            self._path,
            self._now_us(),
            counterfoils_kept_us=kept_us(self._retention_s),
            journal_kept_us=self._journal_kept_us,
        )

    def _insert(
        self, connection: apsw.Connection, counterfoil: Counterfoil, limits: IssueLimits | None
    ) -> Inserted | LimitReached:
        now_us = self._now_us()
        client_id, expires_at_us = counterfoil.client_id, counterfoil.expires_at_us
        usage, arrival_us = None, 0
        if limits is not None:
            usage = self._accounts.of(connection, client_id) or Usage()
            arrival_us = usage.arrival_us
            reached = usage.take(limits, now_us, expires_at_us)
            if reached is not None:
                return reached
        values = (
            client_id,
            counterfoil.timestamp_us,
            expires_at_us,
            counterfoil.key_id,
            counterfoil.passcode_tag,
            counterfoil.contexts_tag,
            counterfoil.transaction_tag,
            counterfoil.issuer_id,
            counterfoil.seed_copy,
            counterfoil.wrapped_key,
        )
        self._cursor.execute(_INSERT, values)
        if not connection.changes():
            if usage is not None:
                usage.take_back(arrival_us, expires_at_us)
            return "timestamp_taken"
        if usage is not None:
            self._accounts.change(client_id, usage)
        if self._broom is not None:
            self._broom.row_added(counterfoil.timestamp_us)
        self._journal.note(now_us, issued(counterfoil))
        return "stored"

    def _change(self, statement: str, ref: CounterfoilRef, values: tuple[str | int, ...], entry: Entry) -> WriteStep[Outcome]:
        def step(connection: apsw.Connection) -> Outcome:
            now_us = self._now_us()
            # What comes without values does not go by the clock either.
            self._cursor.execute(statement, (*ref, now_us, *values) if values else ref)
            is_applied = connection.changes() > 0
            found = _found(self._cursor, ref)
            if is_applied and found is not None:
                self._journal.note(now_us, entry)
                if found.state is not State.ISSUED:
                    usage = self._accounts.of(connection, ref.client_id)
                    if usage is not None:
                        usage.give_back(found.expires_at_us)
                        self._accounts.change(ref.client_id, usage)
            return Outcome(is_applied, found, now_us)

        return step

    def _begin_transaction(self, connection: apsw.Connection) -> None:
        """What is known of the file stays known until somebody else writes; SQLite tells that, under the lock held now."""
        data_version = connection.execute("PRAGMA data_version").get
        is_file_as_left = data_version == self._data_version
        self._journal.begin(is_file_as_left=is_file_as_left)
        if not is_file_as_left:
            self._accounts.forget()
            if self._broom is not None:
                self._broom.look_again()
        self._data_version = data_version

    def _end_transaction(self, connection: apsw.Connection, writes: int) -> bool:
        """Writes accounts and journal, and lets the broom take a few rows whose retention is over; says if more are left."""
        self._journal.append_noted(connection)
        self._accounts.write_changed(connection)
        if self._broom is None:
            return False
        now_us = self._now_us()
        if not writes:
            self._accounts.forget_idle(connection, now_us)
        most = _SWEPT_PER_WRITE * writes or _SWEPT_WHEN_IDLE
        are_rows_left = self._broom.sweep(connection, now_us, most)
        are_entries_left = self._journal.prune(connection, now_us - self._journal_kept_us, most)
        return are_rows_left or are_entries_left

    def _forget_transaction(self) -> None:
        self._data_version = None
        self._accounts.forget()
        self._journal.forget_noted()

    def _reader(self) -> apsw.Cursor:
        """This thread's cursor for reading."""
        cursor: apsw.Cursor | None = getattr(self._readers, "cursor", None)
        if cursor is None:
            connection = open_reader(self._path)
            cursor = self._readers.cursor = connection.cursor()
            with self._readers_lock:
                self._all_readers.append(connection)
        return cursor


def _found(cursor: apsw.Cursor, ref: CounterfoilRef) -> Counterfoil | None:
    # `get` reads to the end, which lets go of the snapshot: a cursor that is kept must not keep one.
    row: Any = cursor.execute(_FIND, ref).get
    if row is None:
        return None
    *kept, state, attempts, redemption_id, redeemed_by, redeemed_at_us = row
    redemption = None if redemption_id is None else Redemption(redemption_id, redeemed_by)
    return Counterfoil(*(*kept, _STATES[state], attempts, redemption, redeemed_at_us))
