"""What tests hand to stores for the journal."""

import secrets
from pathlib import Path

import apsw

from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.journal import JOURNAL_KEY_BYTES, MAC_BYTES, Entry, Event, JournalKey
from counterfoil.model.journal_check import verify
from counterfoil.model.verdict import Reason
from counterfoil.stores.sqlite_journal import journal_beginning, prepare, stored_journal

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
