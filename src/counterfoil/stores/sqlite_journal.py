"""The journal's rows in an SQLite store: appended in the transaction of what they tell of, pruned from the start.

One chain per file, whoever writes to it: its head is read in the transaction that moves it.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from counterfoil.model.journal import End, Entry, Event, JournalBroken, JournalKey, Link, Record
from counterfoil.model.verdict import Reason
from counterfoil.ports.store import StoreUnfit
from counterfoil.stores.sqlite_file import APPLICATION_ID, MIGRATIONS, open_reader, schema_version

_APPEND = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECORDS = 'SELECT seq, at_us, event, client_id, timestamp_us, "by", reason, redemption_id, mac FROM journal ORDER BY seq'
_OLDEST = "SELECT seq, at_us, mac FROM journal ORDER BY seq LIMIT ?"
_CUT = "DELETE FROM journal WHERE seq <= ?"
_END = "SELECT seq, mac, seal FROM journal_ends WHERE which = ?"
_MOVE_END = """
    INSERT INTO journal_ends VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET seq = excluded.seq, mac = excluded.mac, seal = excluded.seal"""
_IS_NEW = "SELECT NOT EXISTS (SELECT 1 FROM journal_ends) AND NOT EXISTS (SELECT 1 FROM journal)"


class SqliteJournal:
    """The chain of one file, for the connection that writes it. It begins and ends no transaction."""

    def __init__(self, connection: apsw.Connection, key: JournalKey, first_mac: Callable[[], bytes]) -> None:
        """Begins the chain of a file that has none. Raises StoreUnfit when the file's was not written with this key."""
        self._key = key
        self._noted: list[tuple[int, Entry]] = []
        _begin(connection, key, first_mac)
        try:
            start, head = _ends(connection)
        except JournalBroken as broken:
            raise StoreUnfit(f"{broken}; restore the store from a copy") from None
        if not key.sealed_both(start, head):
            raise StoreUnfit("the store's journal was not written with this keyset: one of the two is another deployment's")

    def note(self, at_us: int, entry: Entry) -> None:
        """To be appended at the end of this transaction."""
        self._noted.append((at_us, entry))

    def forget_noted(self) -> None:
        """The transaction did not happen."""
        self._noted.clear()

    def append_noted(self, connection: apsw.Connection) -> None:
        """Writes what was noted behind the head as this transaction finds it."""
        if not self._noted:
            return
        head = _end(connection, "head")
        assert head is not None
        link, rows = head.link, []
        for at_us, entry in self._noted:
            link = self._key.next_link(link, at_us, entry)
            event, client_id, timestamp_us, by, reason, redemption_id = entry
            rows.append((link.seq, at_us, event, client_id, timestamp_us, by, reason, redemption_id, link.mac))
        connection.executemany(_APPEND, rows)
        _move_end(connection, "head", self._key.head(link))
        self._noted.clear()

    def prune(self, connection: apsw.Connection, before_us: int, most: int) -> bool:
        """Removes entries older than `before_us` from the start, `most` at most; says if it had to stop there."""
        last, count = None, 0
        for seq, at_us, mac in connection.execute(_OLDEST, (most,)):
            if at_us >= before_us:
                break
            last, count = Link(seq, mac), count + 1
        if last is not None:
            connection.execute(_CUT, (last.seq,))
            _move_end(connection, "start", self._key.start(last))
        return count == most


class StoredJournal(NamedTuple):
    """A journal as one snapshot of the file has it; `records` are read as they are asked for."""

    start: End
    records: Iterator[Record]
    head: End


@contextmanager
def stored_journal(path: Path) -> Iterator[StoredJournal]:
    """The journal in that file, while services write on. Raises StoreUnfit, and JournalBroken when it cannot be read."""
    if not path.is_file():
        raise StoreUnfit(f"{path} does not exist")
    try:
        with closing(open_reader(path)) as connection:
            if connection.pragma("application_id") != APPLICATION_ID or schema_version(connection) != len(MIGRATIONS):
                raise StoreUnfit(f"{path} is not a store of this version: start the service on it once, or upgrade")
            connection.execute("BEGIN")
            start, head = _ends(connection)
            yield StoredJournal(start, _records(connection), head)
    except apsw.Error as error:
        raise JournalBroken(f"the file cannot be read: {type(error).__name__}") from error


def _begin(connection: apsw.Connection, key: JournalKey, first_mac: Callable[[], bytes]) -> None:
    # Under the write lock: two processes that start on a new file must not begin two chains.
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute(_IS_NEW).get:
            link = Link(0, first_mac())
            _move_end(connection, "start", key.start(link))
            _move_end(connection, "head", key.head(link))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _records(connection: apsw.Connection) -> Iterator[Record]:
    try:
        for seq, at_us, event, client_id, timestamp_us, by, reason, redemption_id, mac in connection.execute(_RECORDS):
            told = Entry(Event(event), client_id, timestamp_us, by, None if reason is None else Reason(reason), redemption_id)
            yield Record(seq, at_us, told, mac)
    except ValueError:
        # An event or a reason that does not exist, or text that is not UTF-8.
        raise JournalBroken("an entry is not what was written there") from None


def _ends(connection: apsw.Connection) -> tuple[End, End]:
    start, head = _end(connection, "start"), _end(connection, "head")
    if start is None or head is None:
        raise JournalBroken("an end of the journal is missing")
    return start, head


def _end(connection: apsw.Connection, which: str) -> End | None:
    row: Any = connection.execute(_END, (which,)).fetchone()
    return None if row is None else End(Link(row[0], row[1]), row[2])


def _move_end(connection: apsw.Connection, which: str, end: End) -> None:
    connection.execute(_MOVE_END, (which, *end.link, end.seal))
