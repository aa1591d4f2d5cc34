"""What tests hand to stores for the journal."""

from pathlib import Path

from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.journal import JOURNAL_KEY_BYTES, Entry, Event, JournalKey, verify
from counterfoil.model.verdict import Reason
from counterfoil.stores.sqlite_journal import stored_journal

JOURNAL_KEY = JournalKey(bytes(range(JOURNAL_KEY_BYTES)))


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
        verify(JOURNAL_KEY, found.start, records, found.head)
    return [record.entry for record in records]
