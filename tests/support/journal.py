"""What tests hand to stores for the journal."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.journal import JOURNAL_KEY_BYTES, MAC_BYTES, Entry, Event, JournalKey, Link
from counterfoil.model.journal_check import verify
from counterfoil.model.verdict import Reason
from counterfoil.stores.sqlite_journal import _move_end, journal_beginning, prepare, stored_journal

JOURNAL_KEY = JournalKey(bytes(range(JOURNAL_KEY_BYTES)))
BEGIN_JOURNAL = journal_beginning(JOURNAL_KEY, lambda: bytes(MAC_BYTES))


def prepared(connection: apsw.Connection) -> None:
    """Brings a store's file up to date, as opening it does."""
    prepare(connection, JOURNAL_KEY, secrets.token_bytes)


def mismatch(ref: CounterfoilRef) -> Entry:
    """The entry of a refused validation of that passcode."""
    return Entry(Event.REFUSED, *ref, "backend", Reason.CONTEXT_MISMATCH, "id")


def revocation(ref: CounterfoilRef) -> Entry:
    """The entry of a revocation of that passcode."""
    return Entry(Event.REVOKED, *ref, "backend")


def verified_entries(path: Path) -> list[Entry]:
    """The entries in that file's journal, every one as it was written. Raises JournalBroken."""
    with stored_journal(path) as found:
        records = list(found.records)
        verify(JOURNAL_KEY, found._replace(records=iter(records)))
    return [record.entry for record in records]


def wrote_journal(path: Path, entries: Iterable[tuple[int, Entry]]) -> int:
    """Makes a store's file of which the journal has these entries, each with its time; says how many there are.

    The MACs are none, so that it is done quickly: for who reads and does not verify. A store goes on behind the last one.
    """
    count, mac = 0, bytes(MAC_BYTES)

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal count
        for count, (at_us, entry) in enumerate(entries, start=1):
            yield (count, at_us, *entry, mac)

    with closing(apsw.Connection(str(path))) as connection:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "off")
        prepared(connection)
        with connection:
            connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
            _move_end(connection, "head", JOURNAL_KEY.head(Link(count, mac)))
    path.chmod(0o600)
    return count
