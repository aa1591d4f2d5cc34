"""Holds a journal that was read from somewhere against its key: every entry as it was written, and none missing. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import MAC_BYTES, End, Entry, Event, JournalBroken, JournalKey, Link, Record
from counterfoil.model.verdict import Reason

_NOT_WRITTEN = "an entry is not what was written there"


class Journal(Protocol):
    """A journal to be read once, from its start on. All three may raise JournalBroken."""

    @property
    def start(self) -> End: ...

    @property
    def records(self) -> Iterable[Record]: ...

    @property
    def head(self) -> End:
        """Asked for when the records have been read."""


def verify(key: JournalKey, journal: Journal, checkpoint: Link | None = None) -> int:
    """How many entries there are, every one as it was written. Raises JournalBroken.

    1. The start was sealed with the key. 2. Every entry follows the one before it. 3. The last one is the head, which was
    sealed too. 4. The checkpoint, when given, is one of the links; Invalid when it lies before what is kept.
    """
    start = journal.start
    key.check_start(start)
    if checkpoint is not None and checkpoint.seq < start.link.seq:
        raise Invalid("checkpoint", "lies before what is kept: verify the export that holds it, and keep a newer one")
    link, is_checkpoint_seen = start.link, checkpoint in (None, start.link)
    for record in journal.records:
        link = key.check_next(link, record)
        is_checkpoint_seen = is_checkpoint_seen or link == checkpoint
    head = journal.head
    key.check_head(head)
    if link != head.link:
        raise JournalBroken(f"the journal ends with entry {link.seq}, and was written up to entry {head.link.seq}")
    if not is_checkpoint_seen:
        raise JournalBroken(f"the checkpoint is not in this journal, which has {link.seq} entries: it is another one, or older")
    return link.seq - start.link.seq


def checked_record(values: Sequence[Any]) -> Record:
    """The record of those values, in the order of the journal's columns, when each is of the type that is written.

    Raises JournalBroken: 1, "1" and true are not one value, though their texts under a MAC might be.
    """
    seq, at_us, event, client_id, timestamp_us, by, reason, redemption_id, mac = values
    numbers = (seq, at_us) if timestamp_us is None else (seq, at_us, timestamp_us)
    texts = (event, client_id, by, *(text for text in (reason, redemption_id) if text is not None))
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise JournalBroken(_NOT_WRITTEN)
    if not all(type(text) is str for text in texts) or type(mac) is not bytes or len(mac) != MAC_BYTES:
        raise JournalBroken(_NOT_WRITTEN)
    try:
        "".join(texts).encode()
        told = Entry(Event(event), client_id, timestamp_us, by, None if reason is None else Reason(reason), redemption_id)
    except ValueError:
        # An event or a reason that does not exist; a lone surrogate.
        raise JournalBroken(_NOT_WRITTEN) from None
    return Record(seq, at_us, told, mac)


def checked_end(seq: Any, mac: Any, seal: Any) -> End:
    """The end, likewise."""
    if type(seq) is not int or seq < 0 or not all(type(each) is bytes and len(each) == MAC_BYTES for each in (mac, seal)):
        raise JournalBroken("an end of the journal is not what was written there")
    return End(Link(seq, mac), seal)


def parsed_checkpoint(text: str) -> Link:
    """The link that `spelled` wrote. Raises Invalid."""
    seq, _, mac = text.partition(":")
    try:
        link = Link(int(seq), bytes.fromhex(mac))
    except ValueError:
        link = Link(0, b"")
    if link.spelled() != text or len(link.mac) != MAC_BYTES:
        raise Invalid("checkpoint", "must be NUMBER:MAC, as `journal verify` prints it")
    return link
