"""Counterfoils in an SQLite file: one process or several on one machine, durable, with an fsync shared by all who wait.

Reads happen where the caller runs: a row look-up takes microseconds and WAL readers never wait. Nothing read decides;
every change is one conditional statement inside a shared transaction, with the clock read there, and its journal entry is
in the same transaction.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from threading import Lock, local
from typing import Any

import apsw

from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, JournalKey, accepted, issued
from counterfoil.model.limits import (
    CLOCK_TOLERANCE_US,
    JOURNAL_RETENTION_S_DEFAULT,
    LIFETIME_S_MAX,
    MICROSECONDS_PER_S,
    RETENTION_S_DEFAULT,
)
from counterfoil.model.usage import IssueLimits, LimitReached, Usage
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.store import Inserted, Outcome, StoreUnavailable
from counterfoil.stores.group_commit import PASSING, GroupCommit, WriteStep
from counterfoil.stores.sqlite_file import Patience, bind_to_epoch, durability, open_durable, open_reader
from counterfoil.stores.sqlite_journal import SqliteJournal, prepare

WAITING_MAX_DEFAULT = 4096
# The broom takes more per transaction than was put in, so it keeps up; and never so many that a commit is felt.
_SWEPT_PER_WRITE = 2
_SWEPT_WHEN_IDLE = 512
_USAGE_LOOKED_AT = 32

_COLUMNS = (
    "client_id, timestamp_us, expires_at_us, key_id, passcode_tag, contexts_tag, transaction_tag, issuer_id,"
    " seed_copy, wrapped_key, state, attempts, redemption_id, redeemed_by, redeemed_at_us"
)
_INSERT = f"""
    INSERT INTO counterfoils ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'issued', 0, NULL, NULL, NULL)
    ON CONFLICT DO NOTHING RETURNING 1"""
_FIND = f"SELECT {_COLUMNS} FROM counterfoils WHERE timestamp_us = :timestamp_us AND client_id = :client_id"
_JUDGEABLE = f"""
    WHERE timestamp_us = :timestamp_us AND client_id = :client_id
    AND state = 'issued' AND attempts < :attempts_max AND expires_at_us > :now_us
    AND :timestamp_us <= :now_us + {CLOCK_TOLERANCE_US}"""
_ERASED_SEED_COPY = "seed_copy = CASE WHEN seed_copy IS NULL THEN NULL ELSE x'' END"
_REDEEM = f"""
    UPDATE counterfoils SET state = 'redeemed', redemption_id = :redemption_id, redeemed_by = :principal,
    redeemed_at_us = :now_us, {_ERASED_SEED_COPY} {_JUDGEABLE} RETURNING {_COLUMNS}"""
_COUNT_MISMATCH = f"""
    UPDATE counterfoils SET attempts = attempts + 1,
    state = CASE WHEN attempts + 1 >= :attempts_max THEN 'locked' ELSE 'issued' END
    {_JUDGEABLE} RETURNING {_COLUMNS}"""
_REVOKE = f"""
    UPDATE counterfoils SET state = 'revoked', {_ERASED_SEED_COPY}
    WHERE timestamp_us = :timestamp_us AND client_id = :client_id AND state = 'issued' RETURNING {_COLUMNS}"""
_SWEEP_BOUND = """
    SELECT max(timestamp_us), count(*) FROM
    (SELECT timestamp_us FROM counterfoils WHERE timestamp_us <= ? ORDER BY timestamp_us LIMIT ?)"""
_SWEEP = "DELETE FROM counterfoils WHERE timestamp_us <= ?"
_FIND_USAGE = "SELECT arrival_us, outstanding FROM client_usage WHERE client_id = ?"
_KEEP_USAGE = """
    INSERT INTO client_usage VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    arrival_us = excluded.arrival_us, outstanding = excluded.outstanding, idle_at_us = excluded.idle_at_us"""
_NEXT_USAGE = "SELECT client_id, idle_at_us FROM client_usage WHERE client_id > ? ORDER BY client_id LIMIT ?"
_FORGET_USAGE = "DELETE FROM client_usage WHERE client_id = ?"


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
    ) -> None:
        """Opens or creates the file. Raises StoreUnfit when it must not be used as it is."""
        self._path = path
        self._now_us = now_us
        # Rows go by their timestamp alone; the longest lifetime is added so that none goes before its retention ends.
        self._kept_us = (retention_s + LIFETIME_S_MAX) * MICROSECONDS_PER_S
        self._journal_kept_us = journal_retention_s * MICROSECONDS_PER_S
        self._broom = broom
        self._usage_seen_to = ""
        self._usage: dict[str, Usage] = {}
        self._patience = Patience()
        writer = open_durable(path, self._patience)
        self._journal = SqliteJournal(journal_key, prepare(writer, journal_key, token_bytes))
        bind_to_epoch(writer, epoch)
        self.durability = durability(writer)
        self._writer_connection = writer
        self._readers = local()
        self._all_readers: list[apsw.Connection] = []
        self._readers_lock = Lock()
        # This thread is most often the one that serves: later, there might be no file descriptor left for it.
        self._reader()
        self._writer = GroupCommit(
            writer,
            waiting_max=waiting_max,
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
        values = {"redemption_id": redemption.redemption_id, "principal": redemption.principal}
        entry = accepted(ref, redemption)
        return await self._writer.run(self._change(_REDEEM, ref, values | {"attempts_max": attempts_max}, entry))

    async def count_mismatch(self, ref: CounterfoilRef, attempts_max: int, entry: Entry) -> Outcome:
        return await self._writer.run(self._change(_COUNT_MISMATCH, ref, {"attempts_max": attempts_max}, entry))

    async def revoke(self, ref: CounterfoilRef, entry: Entry) -> Outcome:
        return await self._writer.run(self._change(_REVOKE, ref, {}, entry))

    async def record(self, entry: Entry) -> None:
        await self._writer.run(lambda _: self._journal.note(self._now_us(), entry))

    async def check_ready(self) -> None:
        # An empty step goes the whole way: queue, lock, commit.
        await self._writer.run(lambda _: None)

    async def close(self) -> None:
        self._writer.close()
        for connection in (*self._all_readers, self._writer_connection):
            connection.close()

    def _insert(
        self, connection: apsw.Connection, counterfoil: Counterfoil, limits: IssueLimits | None
    ) -> Inserted | LimitReached:
        now_us = self._now_us()
        if limits is not None:
            if _found(connection, counterfoil.ref) is not None:
                return "timestamp_taken"
            usage = self._usage_of(connection, counterfoil.client_id) or Usage()
            reached = usage.take(limits, now_us, counterfoil.expires_at_us)
            if reached is not None:
                return reached
            self._usage[counterfoil.client_id] = usage
        values = (
            counterfoil.client_id,
            counterfoil.timestamp_us,
            counterfoil.expires_at_us,
            counterfoil.key_id,
            counterfoil.passcode_tag,
            counterfoil.contexts_tag,
            counterfoil.transaction_tag,
            counterfoil.issuer_id,
            counterfoil.seed_copy,
            counterfoil.wrapped_key,
        )
        if connection.execute(_INSERT, values).fetchone() is None:
            return "timestamp_taken"
        self._journal.note(now_us, issued(counterfoil))
        return "stored"

    def _change(self, statement: str, ref: CounterfoilRef, values: dict[str, str | int], entry: Entry) -> WriteStep[Outcome]:
        def step(connection: apsw.Connection) -> Outcome:
            now_us = self._now_us()
            bindings = {"timestamp_us": ref.timestamp_us, "client_id": ref.client_id, "now_us": now_us, **values}
            row = connection.execute(statement, bindings).fetchone()
            if row is None:
                return Outcome(False, _found(connection, ref), now_us)
            self._journal.note(now_us, entry)
            changed = _counterfoil(row)
            if changed.state is not State.ISSUED:
                usage = self._usage_of(connection, ref.client_id)
                if usage is not None:
                    usage.give_back(changed.expires_at_us)
            return Outcome(True, changed, now_us)

        return step

    def _usage_of(self, connection: apsw.Connection, client_id: str) -> Usage | None:
        """The client's account within this transaction: read once, written once, however many steps touch it."""
        usage = self._usage.get(client_id)
        if usage is None:
            row = connection.execute(_FIND_USAGE, (client_id,)).fetchone()
            if row is None:
                return None
            usage = self._usage[client_id] = Usage.decoded(*row)
        return usage

    def _end_transaction(self, connection: apsw.Connection, writes: int) -> bool:
        """Writes accounts and journal, and lets the broom take a few rows whose retention is over; says if more are left."""
        self._journal.append_noted(connection)
        for client_id, usage in self._usage.items():
            row = (client_id, usage.arrival_us, usage.encoded_outstanding(), usage.idle_at_us())
            connection.execute(_KEEP_USAGE, row)
        self._usage.clear()
        if not self._broom:
            return False
        now_us = self._now_us()
        if not writes:
            self._forget_idle_usage(connection, now_us)
        most = _SWEPT_PER_WRITE * writes or _SWEPT_WHEN_IDLE
        bound, count = connection.execute(_SWEEP_BOUND, (now_us - self._kept_us, most)).fetchall()[0]
        if count:
            connection.execute(_SWEEP, (bound,))
        is_journal_left = self._journal.prune(connection, now_us - self._journal_kept_us, most)
        return bool(count == most) or is_journal_left

    def _forget_transaction(self) -> None:
        self._usage.clear()
        self._journal.forget_noted()

    def _forget_idle_usage(self, connection: apsw.Connection, now_us: int) -> None:
        rows: list[Any] = connection.execute(_NEXT_USAGE, (self._usage_seen_to, _USAGE_LOOKED_AT)).fetchall()
        for client_id, idle_at_us in rows:
            if idle_at_us <= now_us:
                connection.execute(_FORGET_USAGE, (client_id,))
        self._usage_seen_to = rows[-1][0] if rows else ""

    def _reader(self) -> apsw.Connection:
        """This thread's reading connection."""
        connection: apsw.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = open_reader(self._path)
            with self._readers_lock:
                self._all_readers.append(connection)
        return connection


def _found(connection: apsw.Connection, ref: CounterfoilRef) -> Counterfoil | None:
    bindings = {"timestamp_us": ref.timestamp_us, "client_id": ref.client_id}
    row = connection.execute(_FIND, bindings).fetchone()
    return None if row is None else _counterfoil(row)


def _counterfoil(row: Any) -> Counterfoil:
    *kept, state, attempts, redemption_id, redeemed_by, redeemed_at_us = row
    redemption = None if redemption_id is None else Redemption(redemption_id, redeemed_by)
    history = (State(state), attempts, redemption, redeemed_at_us)
    return Counterfoil(*(*kept, *history))
