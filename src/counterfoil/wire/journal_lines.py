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

from counterfoil.model.journal import End, JournalBroken, Record
from counterfoil.model.journal_check import Journal, checked_end, checked_record

_NOT_OURS = "a line is not what an export of the journal has there"


def journal_lines(journal: Journal) -> Iterator[bytes]:
    """The lines, in UTF-8, with their ends."""
    yield _spelled({"start": _end_fields(journal.start)})
    for record in journal.records:
        yield _spelled(_record_fields(record))
    yield _spelled({"head": _end_fields(journal.head)})


class ExportedJournal:
    """A journal read from the lines of an export, once: `head` is the line after the last of `records`."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._last = b""
        self.start = _end("start", next(self._lines, b""))

    @property
    def records(self) -> Iterator[Record]:
        """Every entry. One line is read ahead: the last one is no entry."""
        self._last = next(self._lines, b"")
        for line in self._lines:
            yield _record(self._last)
            self._last = line

    @property
    def head(self) -> End:
        """What the last line says."""
        return _end("head", self._last)


def _spelled(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


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


def _end(which: str, line: bytes) -> End:
    try:
        fields = json.loads(line)[which]
        end = checked_end(fields["seq"], bytes.fromhex(fields["mac"]), bytes.fromhex(fields["seal"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        raise JournalBroken(_NOT_OURS) from None
    if _spelled({which: _end_fields(end)}) != line:
        raise JournalBroken(_NOT_OURS)
    return end


def _record(line: bytes) -> Record:
    try:
        fields = json.loads(line)
        record = checked_record([*(fields[name] for name in _FIELDS), bytes.fromhex(fields["mac"])])
    except (ValueError, LookupError, TypeError, RecursionError):
        raise JournalBroken(_NOT_OURS) from None
    if _spelled(_record_fields(record)) != line:
        raise JournalBroken(_NOT_OURS)
    return record


_FIELDS = ("seq", "at", "event", "client_id", "timestamp", "by", "reason", "redemption_id")
