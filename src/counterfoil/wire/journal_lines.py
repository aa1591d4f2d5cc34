"""The journal as JSON lines: its start, every entry, its head. Whole, so that an export is verified as the store is.

    {"start":{"seq":0,"mac":"…","seal":"…"}}
    {"seq":1,"at":1795410340123456,"event":"issued","client_id":"1234","timestamp":1795410340123456,"by":"…",
     "reason":null,"redemption_id":null,"mac":"…"}
    {"head":{"seq":1,"mac":"…","seal":"…"}}

A line has one spelling: what it says, spelled again, must be the same bytes.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from counterfoil.model.journal import End, Entry, Event, JournalBroken, Link, Record
from counterfoil.model.verdict import Reason

_NOT_OURS = "a line is not what an export of the journal has there"


def journal_lines(start: End, records: Iterable[Record], head: End) -> Iterator[str]:
    """The lines, without their ends."""
    yield _spelled({"start": _end_fields(start)})
    for record in records:
        yield _spelled(_record_fields(record))
    yield _spelled({"head": _end_fields(head)})


class ExportedJournal:
    """A journal read from an export. `head` is known once `records` have been read. Everything may raise JournalBroken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.start = _end("start", next(self._lines, ""))
        self._last = next(self._lines, "")
        self._head: End | None = None

    def records(self) -> Iterator[Record]:
        """Every entry; one line is read ahead, since the last is the head."""
        for line in self._lines:
            yield _record(self._last)
            self._last = line
        self._head = _end("head", self._last)

    @property
    def head(self) -> End:
        """The last line."""
        assert self._head is not None
        return self._head


def _spelled(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _end_fields(end: End) -> dict[str, Any]:
    return {"seq": end.link.seq, "mac": end.link.mac.hex(), "seal": end.seal.hex()}


def _record_fields(record: Record) -> dict[str, Any]:
    entry = record.entry
    return {
        "seq": record.seq,
        "at": record.at_us,
        "event": entry.event,
        "client_id": entry.client_id,
        "timestamp": entry.timestamp_us,
        "by": entry.by,
        "reason": entry.reason,
        "redemption_id": entry.redemption_id,
        "mac": record.mac.hex(),
    }


def _end(which: str, line: str) -> End:
    try:
        fields = json.loads(line)[which]
        end = End(Link(fields["seq"], bytes.fromhex(fields["mac"])), bytes.fromhex(fields["seal"]))
    except (ValueError, KeyError, TypeError):
        raise JournalBroken(_NOT_OURS) from None
    if _spelled({which: _end_fields(end)}) + "\n" != line:
        raise JournalBroken(_NOT_OURS)
    return end


def _record(line: str) -> Record:
    try:
        fields = json.loads(line)
        reason = None if fields["reason"] is None else Reason(fields["reason"])
        entry = Entry(
            Event(fields["event"]), fields["client_id"], fields["timestamp"], fields["by"], reason, fields["redemption_id"]
        )
        record = Record(fields["seq"], fields["at"], entry, bytes.fromhex(fields["mac"]))
    except (ValueError, KeyError, TypeError):
        raise JournalBroken(_NOT_OURS) from None
    if _spelled(_record_fields(record)) + "\n" != line:
        raise JournalBroken(_NOT_OURS)
    return record
