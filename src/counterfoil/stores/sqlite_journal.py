"""The journal's rows in an SQLite store: appended in the transaction of what they tell of, pruned from the start.

One chain per file, whoever writes to it: its head is read in the transaction that moves it. Nothing that stands in the file is
trusted on the way: a head that this key did not seal is not built upon, and an entry that does not fit is not removed.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from counterfoil.model.journal import MAC_BYTES, End, Entry, JournalBroken, JournalKey, Link, Record
from counterfoil.model.journal_check import checked_end, checked_record
from counterfoil.ports.ambient import TokenBytes
from counterfoil.ports.store import StoreUnfit
from counterfoil.stores.sqlite_file import APPLICATION_ID, check_schema, migrate, open_reader

_log = logging.getLogger(__name__)

# Before every time there is, so that it is looked for.
_UNKNOWN = -1

_COLUMNS = 'seq, at_us, event, client_id, timestamp_us, "by", reason, redemption_id, mac'
_APPEND = f"INSERT INTO journal ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECORDS = f"SELECT {_COLUMNS} FROM journal ORDER BY seq"
_CUT = "DELETE FROM journal WHERE seq <= ?"
_MAC_OF = "SELECT mac FROM journal WHERE seq = ?"
_END = "SELECT seq, mac, seal FROM journal_ends WHERE which = ?"
_MOVE_END = """
    INSERT INTO journal_ends (which, seq, mac, seal) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET seq = excluded.seq, mac = excluded.mac, seal = excluded.seal"""


def journal_beginning(key: JournalKey, first_mac: Callable[[], bytes]) -> Callable[[apsw.Connection], None]:
    """What the migration that makes the journal's tables does in its own transaction: a file without ends is damaged."""

    def begin(connection: apsw.Connection) -> None:
        link = Link(0, first_mac())
        _move_end(connection, "start", key.start(link))
        _move_end(connection, "head", key.head(link))

    return begin


def prepare(connection: apsw.Connection, key: JournalKey, token_bytes: TokenBytes) -> Link:
    """Brings a file up to date and gives its journal's head. Raises StoreUnfit: of another version, deployment or hand."""
    migrate(connection, begin_journal=journal_beginning(key, lambda: token_bytes(MAC_BYTES)))
    check_schema(connection)
    return check_ends(connection, key)


def check_ends(connection: apsw.Connection, key: JournalKey) -> Link:
    """The head's link. Raises StoreUnfit when an end is missing, or was not sealed with this key."""
    try:
        key.check_start(_end(connection, "start"))
        head = _end(connection, "head")
        key.check_head(head)
    except (JournalBroken, UnicodeDecodeError) as broken:
        says = broken if isinstance(broken, JournalBroken) else "an end of the journal is not what was written there"
        raise StoreUnfit(f"{says}: store and keyset are not of one deployment, or the store was changed") from None
    return head.link


class SqliteJournal:
    """The chain of one file, for the connection that writes it. It begins and ends no transaction.

    What it knows of the file it knows as long as nobody else writes there: the head as it wrote it, and since when the oldest
    entry waits for its retention to end.
    """

    def __init__(self, key: JournalKey, head: Link) -> None:
        self._key = key
        self._noted: list[tuple[int, Entry]] = []
        # What stood there when this process last wrote, and before this transaction: it must never be gone again.
        self._seen = self._seen_before = head
        self._is_head_seen = False
        self._oldest_at_us = _UNKNOWN
        self._is_prunable = True

    def note(self, at_us: int, entry: Entry) -> None:
        """To be appended at the end of this transaction."""
        self._noted.append((at_us, entry))

    def begin(self, *, is_file_as_left: bool) -> None:
        """A transaction has begun, on the file as this connection's last one left it or not."""
        self._seen_before = self._seen
        if not is_file_as_left:
            self._is_head_seen = False
            self._oldest_at_us = _UNKNOWN

    def forget_noted(self) -> None:
        """The transaction did not happen."""
        self._noted.clear()
        self._seen = self._seen_before

    def append_noted(self, connection: apsw.Connection) -> None:
        """Writes what was noted behind the head that is there. Raises JournalBroken rather than build upon a change."""
        if not self._noted:
            return
        seq, mac = self._seen if self._is_head_seen else self._head(connection)
        next_mac, rows = self._key.next_mac, []
        for at_us, entry in self._noted:
            seq += 1
            mac = next_mac(mac, seq, at_us, entry)
            rows.append((seq, at_us, *entry, mac))
        connection.executemany(_APPEND, rows)
        self._seen = Link(seq, mac)
        self._is_head_seen = True
        _move_end(connection, "head", self._key.head(self._seen))
        self._noted.clear()

    def prune(self, connection: apsw.Connection, before_us: int, most: int) -> bool:
        """Removes entries older than `before_us` from the start, `most` at most; says if there may be more.

        Only what follows from the start by its MACs is removed: a sealed start behind entries that were changed would hide it.
        """
        if before_us <= self._oldest_at_us or not self._is_prunable:
            return False
        self._oldest_at_us = _UNKNOWN
        try:
            start = _end(connection, "start")
            last, count = start.link, 0
            for row in connection.execute(f"{_RECORDS} LIMIT ?", (most,)):
                record = checked_record(row)
                if record.at_us >= before_us:
                    self._oldest_at_us = record.at_us
                    break
                last, count = self._key.check_next(last, record), count + 1
            if count:
                self._key.check_start(start)
                connection.execute(_CUT, (last.seq,))
                _move_end(connection, "start", self._key.start(last))
        except (JournalBroken, UnicodeDecodeError):
            self._is_prunable = False
            _log.critical(
                "the journal is not what was written, so nothing is removed from it; run `counterfoil journal verify`"
            )
            return False
        return count == most

    def _head(self, connection: apsw.Connection) -> Link:
        """The head, unless it is one that nobody with the key left there."""
        head = _end(connection, "head")
        self._key.check_head(head)
        seq, mac = self._seen
        found: Any = connection.execute(_MAC_OF, (seq,)).fetchone()
        is_pruned = found is None and _end(connection, "start").link.seq >= seq
        if head.link.seq < seq or not (is_pruned or (found is not None and found[0] == mac)):
            raise JournalBroken("what this process has written into the journal is not there any more")
        return head.link


class StoredJournal(NamedTuple):
    """A journal as one snapshot of the file has it; `records` are read as they are asked for."""

    start: End
    records: Iterator[Record]
    head: End


@contextmanager
def stored_journal(path: Path) -> Iterator[StoredJournal]:
    """The journal in that file, while services write on. Raises StoreUnfit; JournalBroken when it is not what was written."""
    if not path.is_file():
        raise StoreUnfit(f"{path} does not exist")
    try:
        with closing(open_reader(path)) as connection:
            if connection.pragma("application_id") != APPLICATION_ID:
                raise StoreUnfit(f"{path} is not a Counterfoil store")
            connection.execute("BEGIN")
            check_schema(connection)
            yield StoredJournal(_end(connection, "start"), _records(connection), _end(connection, "head"))
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError) as error:
        raise JournalBroken(f"the file cannot be read: {type(error).__name__}") from None
    except apsw.Error as error:
        # Locked, no descriptor left, no right to: that says nothing of the journal.
        raise StoreUnfit(f"{path} cannot be read now: {type(error).__name__}") from error


def _records(connection: apsw.Connection) -> Iterator[Record]:
    for row in connection.execute(_RECORDS):
        yield checked_record(row)


def _end(connection: apsw.Connection, which: str) -> End:
    row: Any = connection.execute(_END, (which,)).fetchone()
    if row is None:
        raise JournalBroken("an end of the journal is missing")
    return checked_end(*row)


def _move_end(connection: apsw.Connection, which: str, end: End) -> None:
    connection.execute(_MOVE_END, (which, *end.link, end.seal))
