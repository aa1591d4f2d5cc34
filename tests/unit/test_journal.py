"""The chain shows every change: of a field, of the order, of either end. Only the key makes a chain."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import End, Entry, Event, JournalBroken, JournalKey, Link, Record
from counterfoil.model.journal_check import checked_end, checked_record, parsed_checkpoint, verify
from counterfoil.model.verdict import Reason
from counterfoil.wire.journal_lines import ExportedJournal, journal_lines

KEY = JournalKey(b"k" * 32)
OTHER_KEY = JournalKey(b"o" * 32)
ENTRIES = (
    Entry(Event.ISSUED, "cliént-日本", 1_800_000_000_000_000, "cr_1"),
    Entry(Event.REFUSED, "1234", None, "backend", Reason.MALFORMED_PASSCODE, "id-1"),
    Entry(Event.REFUSED, "1234", 7, "backend", Reason.CONTEXT_MISMATCH, "id-1"),
    Entry(Event.ACCEPTED, "1234", 7, "backend", None, "id-2"),
    Entry(Event.REPLAYED, "1234", 7, "backend", None, "id-2"),
    Entry(Event.REVOKED, "c", 0, "operator"),
)


@dataclass(frozen=True)
class Journal:
    start: End
    records: tuple[Record, ...]
    head: End


def written(key: JournalKey = KEY, first: bytes = b"f" * 32, entries: tuple[Entry, ...] = ENTRIES) -> Journal:
    start = link = Link(0, first)
    records = []
    for number, entry in enumerate(entries):
        link = key.next_link(link, 100 + number, entry)
        records.append(Record(link.seq, 100 + number, entry, link.mac))
    return Journal(key.start(start), tuple(records), key.head(link))


def is_found(journal: Journal, checkpoint: Link | None = None) -> bool:
    try:
        verify(KEY, journal, checkpoint)
    except JournalBroken:
        return True
    return False


def changed_entries(entry: Entry) -> Iterator[Entry]:
    """Every field changed to its near neighbours."""
    yield entry._replace(event=Event.REVOKED if entry.event is not Event.REVOKED else Event.ISSUED)
    yield entry._replace(client_id=entry.client_id + "\0")
    yield entry._replace(timestamp_us=None if entry.timestamp_us is not None else 0)
    yield entry._replace(timestamp_us=(entry.timestamp_us or 0) + 1)
    yield entry._replace(client_id=entry.client_id + entry.by, by="")
    yield entry._replace(by=entry.by + "x")
    yield entry._replace(reason=Reason.EXPIRED if entry.reason is None else None)
    yield entry._replace(redemption_id="" if entry.redemption_id is None else None)


def tampered(journal: Journal) -> Iterator[tuple[str, Journal]]:
    """Every way in which who has no key may change a journal, each once at every place."""
    start, records, head = journal.start, journal.records, journal.head

    def with_records(*changed: Record) -> Journal:
        return Journal(start, changed, head)

    for place, record in enumerate(records):
        before, after = records[:place], records[place + 1 :]
        for entry in changed_entries(record.entry):
            yield f"changed entry {place}", with_records(*before, record._replace(entry=entry), *after)
        yield f"time {place}", with_records(*before, record._replace(at_us=record.at_us + 1), *after)
        for byte in range(32):
            mac = bytes(value ^ (number == byte) for number, value in enumerate(record.mac))
            yield f"MAC {place}", with_records(*before, record._replace(mac=mac), *after)
        yield f"removed {place}", with_records(*before, *after)
        yield (
            f"removed {place} and numbered anew",
            with_records(*before, *(each._replace(seq=each.seq - 1) for each in after)),
        )
        yield f"twice {place}", with_records(*before, record, record._replace(seq=record.seq + 1), *after)
        yield f"tail from {place} cut", with_records(*before)
        last = before[-1] if before else Record(*start.link[:1], 0, record.entry, start.link.mac)
        yield f"tail from {place} cut, head moved", Journal(start, before, End(Link(last.seq, last.mac), head.seal))
        first = Link(record.seq, record.mac)
        yield f"all up to {place} cut, start moved", Journal(End(first, start.seal), after, head)
    for place, (one, other) in enumerate(pairwise(records)):
        swapped = (other._replace(seq=one.seq), one._replace(seq=other.seq))
        yield f"swapped at {place}", with_records(*records[:place], *swapped, *records[place + 2 :])
    yield "start's seal", Journal(End(start.link, bytes(32)), records, head)
    yield "head's seal", Journal(start, records, End(head.link, bytes(32)))
    yield "seals exchanged", Journal(End(start.link, head.seal), records, End(head.link, start.seal))
    yield "another file's beginning", Journal(written(first=b"g" * 32).start, records, head)
    yield "written with another key", written(OTHER_KEY)


def test_a_journal_as_it_was_written_is_verified() -> None:
    journal = written()
    assert verify(KEY, journal) == len(ENTRIES)
    assert verify(KEY, written(entries=())) == 0


def test_every_change_is_found() -> None:
    changes = list(tampered(written()))
    assert len(changes) > 200
    assert [change for change, journal in changes if not is_found(journal)] == []


class Unchained(JournalKey):
    """Broken on purpose: an entry's MAC does not cover the one before."""

    def next_link(self, before: Link, at_us: int, entry: Entry) -> Link:
        return super().next_link(Link(before.seq, b""), at_us, entry)


class WithoutNumbers(JournalKey):
    """Broken on purpose: covers text that runs together, so that fields can be moved."""

    def next_link(self, before: Link, at_us: int, entry: Entry) -> Link:
        text = f"{at_us}{entry.event}{entry.client_id}{entry.by}{entry.reason}{entry.redemption_id}{entry.timestamp_us}"
        return Link(before.seq + 1, hmac.digest(b"k" * 32, before.mac + text.encode(), "sha256"))


@pytest.mark.parametrize("broken", [Unchained(b"k" * 32), WithoutNumbers(b"k" * 32)], ids=lambda broken: type(broken).__name__)
def test_control_a_weaker_chain_misses_a_change(broken: JournalKey) -> None:
    def is_missed(journal: Journal) -> bool:
        try:
            verify(broken, journal)
        except JournalBroken:
            return False
        return True

    # A whole journal of another file is the change that an unchained MAC cannot see.
    others = [*tampered(written(broken)), ("spliced", _spliced(broken))]
    assert any(is_missed(journal) for _, journal in others)
    assert not is_missed(written(OTHER_KEY))


def _spliced(key: JournalKey) -> Journal:
    """One entry of another journal of the same deployment, in its place there and here."""
    mine, other = written(key), written(key, b"g" * 32, (ENTRIES[0], ENTRIES[3], *ENTRIES[2:]))
    return Journal(mine.start, (mine.records[0], other.records[1], *mine.records[2:]), mine.head)


def test_an_entry_of_another_journal_does_not_fit() -> None:
    assert is_found(_spliced(KEY))


def test_an_older_copy_is_whole_and_a_checkpoint_kept_elsewhere_finds_it() -> None:
    journal, older = written(), written(entries=ENTRIES[:-1])
    for link in (journal.start.link, *(Link(record.seq, record.mac) for record in journal.records)):
        assert not is_found(journal, link)
        assert not is_found(journal, parsed_checkpoint(link.spelled()))
    assert not is_found(older)
    assert is_found(older, journal.head.link)
    assert is_found(written(first=b"g" * 32), journal.head.link)


def test_it_is_said_where_a_journal_breaks() -> None:
    journal, records = written(), written().records
    changed = records[2]._replace(at_us=1)
    kept = KEY.start(Link(records[1].seq, records[1].mac))

    def told(records: tuple[Record, ...], checkpoint: Link | None = None, start: End = journal.start) -> str:
        with pytest.raises((JournalBroken, Invalid)) as caught:
            verify(KEY, Journal(start, records, journal.head), checkpoint)
        return str(caught.value)

    assert told(records, start=End(journal.start.link, b"")) == "an end of the journal was not sealed with this key"
    assert told((*records[:2], *records[3:])) == "entry 3 is missing: entry 4 follows entry 2"
    assert told((*records[:2], changed, *records[3:])) == "entry 3 is not what was written there, or not in its place"
    assert told(records[:4]) == "the journal ends with entry 4, and was written up to entry 6"
    too_old = "checkpoint: lies before what is kept: verify the export that holds it, and keep a newer one"
    unknown = "the checkpoint is not in this journal, which has 6 entries: it is another one, or older"
    assert told(records[2:], Link(1, records[0].mac), kept) == too_old
    for seq in (2, 3, 7):
        assert told(records[2:], Link(seq, b"x" * 32), kept) == unknown


def test_a_checkpoint_before_what_is_kept_is_said_to_be_too_old() -> None:
    journal = written()
    start = KEY.start(Link(journal.records[1].seq, journal.records[1].mac))
    pruned = Journal(start, journal.records[2:], journal.head)
    assert verify(KEY, pruned) == 4
    with pytest.raises(Invalid, match="before what is kept"):
        verify(KEY, pruned, Link(1, journal.records[0].mac))


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "1:zz", ":" + "00" * 32, "01:" + "00" * 32, "1:" + "00" * 31, "1:" + "AA" * 32]
)
def test_a_checkpoint_has_one_spelling(text: str) -> None:
    with pytest.raises(Invalid, match="checkpoint"):
        parsed_checkpoint(text)


WRITTEN = (1, 2, "issued", "1234", 3, "cr_1", None, None, b"m" * 32)


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 2**63), (1, -1), (4, True), (3, b"1234"), (5, None), (2, "spent"), (6, "luck"), (3, "\ud800"), (8, b"m" * 31)],
)
def test_values_that_are_never_written_make_no_record(column: int, value: object) -> None:
    assert checked_record(WRITTEN) == Record(1, 2, Entry(Event.ISSUED, "1234", 3, "cr_1"), b"m" * 32)
    with pytest.raises(JournalBroken, match=r"^an entry is not what was written there$"):
        checked_record((*WRITTEN[:column], value, *WRITTEN[column + 1 :]))


@pytest.mark.parametrize(
    "end",
    [
        (-1, b"m" * 32, b"s" * 32),
        (True, b"m" * 32, b"s" * 32),
        ("1", b"m" * 32, b"s" * 32),
        (1, b"m" * 31, b"s" * 32),
        (1, b"m" * 32, "s" * 32),
    ],
)
def test_an_end_that_is_never_written_is_none(end: tuple[object, object, object]) -> None:
    assert checked_end(1, b"m" * 32, b"s" * 32) == End(Link(1, b"m" * 32), b"s" * 32)
    with pytest.raises(JournalBroken, match=r"^an end of the journal is not what was written there$"):
        checked_end(*end)


# -- exported --


def exported(journal: Journal) -> bytes:
    return b"".join(journal_lines(journal))


def problem_of_export(content: bytes) -> str | None:
    try:
        verify(KEY, ExportedJournal(content.splitlines(keepends=True)))
    except JournalBroken as broken:
        return str(broken)
    return None


def test_an_export_is_verified_as_the_journal_is() -> None:
    assert problem_of_export(exported(written())) is None
    assert problem_of_export(exported(written(entries=()))) is None


@pytest.mark.parametrize("change", [lambda value: value ^ 1, lambda value: value ^ 0x20, lambda _: 0x20])
def test_every_changed_byte_of_an_export_is_found(change: Callable[[int], int]) -> None:
    content = exported(written())
    for place, value in enumerate(content):
        changed = content[:place] + bytes([change(value)]) + content[place + 1 :]
        assert changed == content or problem_of_export(changed) is not None


def test_every_removed_byte_and_line_of_an_export_is_found() -> None:
    content = exported(written())
    for place in range(len(content)):
        assert problem_of_export(content[:place] + content[place + 1 :]) is not None
        assert problem_of_export(content[:place]) is not None
    lines = content.splitlines(keepends=True)
    for place in range(len(lines)):
        assert problem_of_export(b"".join(lines[:place] + lines[place + 1 :])) is not None


def test_the_key_is_in_no_repr() -> None:
    assert repr(KEY) == "JournalKey()"
