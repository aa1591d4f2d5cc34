"""One passcode's story: from its journal entries to what happened, in order, and how it ended. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.console.operating import spelled
from counterfoil.console.operating.reasons import words
from counterfoil.console.operating.signs import Sign

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened."""

    at_us: int
    after: str
    """How long after the passcode was issued."""
    level: str
    word: str
    says: str
    by: str
    reason: str = ""
    redemption_id: str = ""
    other_client: str = ""
    """For which client it was presented, where that is another one."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that the journal has."""

    client_id: str
    timestamp_us: int
    ending: Sign
    moments: Sequence[Moment]
    counterfoil: Entry | None
    """How it stands in the store; None where it is not kept, or not any more."""


def story_of(
    entries: Sequence[Entry], client_id: str, timestamp_us: int, names: Mapping[str, str], counterfoil: Entry | None = None
) -> Story:
    """The story of the passcode that was issued to that client at that time. `names` are credentials' names by their ids."""
    ordered = sorted(entries, key=lambda entry: entry["seq"])
    own = [entry for entry in ordered if entry["client_id"] == client_id]
    moments = [_moment(entry, client_id, timestamp_us, names) for entry in ordered]
    state = "" if counterfoil is None else counterfoil["state"]
    return Story(client_id, timestamp_us, _ending(own, len(ordered) - len(own), timestamp_us, state), moments, counterfoil)


def clients_of(entries: Iterable[Entry]) -> list[str]:
    """Whose passcode it is: the clients that one was issued to; all that it was presented for where no issue is known."""
    entries = list(entries)
    issued = [entry["client_id"] for entry in entries if entry["event"] == "issued"]
    return list(dict.fromkeys(issued or [entry["client_id"] for entry in entries]))


def _moment(entry: Entry, client_id: str, timestamp_us: int, names: Mapping[str, str]) -> Moment:
    event, reason = entry["event"], entry["reason"] or ""
    level, word, says = _EVENTS[event]
    return Moment(
        at_us=entry["at"],
        after=spelled.after(entry["at"], timestamp_us),
        level=level,
        word=word,
        says=words(reason).means if reason else says,
        by=names.get(entry["by"], entry["by"]),
        reason=reason,
        redemption_id=entry["redemption_id"] or "",
        other_client="" if entry["client_id"] == client_id else entry["client_id"],
    )


_EVENTS = {
    "issued": ("neutral", "Issued", "Its counterfoil was kept, and the passcode went on its way."),
    "accepted": ("ok", "Accepted", "Client, context and transaction fitted, in time and for the first time."),
    "replayed": ("ok", "Told again", "Asked again with the same redemption id, the service told the same acceptance."),
    "refused": ("problem", "Refused", ""),
    "revoked": ("warning", "Withdrawn", "It was withdrawn; nothing accepts it any more."),
}


def _ending(own: Sequence[Entry], elsewhere: int, timestamp_us: int, state: str) -> Sign:
    """How it stands, by what the journal has of it and the store's word on whether it still lives."""
    events = [entry["event"] for entry in own]
    reasons = [entry["reason"] for entry in own if entry["event"] == "refused"]
    copies = reasons.count("already_redeemed")
    misfits = [reason for reason in reasons if reason in _MISFITS]
    told = (
        (copies, f"It was delivered again {_times(copies)} for another redemption, and refused."),
        (len(misfits), f"It did not fit {_times(len(misfits))}: {_list(misfits)}."),
        (elsewhere, f"It was presented for another client {_times(elsewhere)}."),
    )
    says = " ".join(text for number, text in told if number)
    if "accepted" in events:
        at = spelled.after(own[events.index("accepted")]["at"], timestamp_us).removeprefix("+")
        title = f"Redeemed once, {at} after it was issued"
        if copies:
            return Sign("problem", "Copied", title, says)
        return Sign("warning", "Altered", title, says) if misfits else Sign("ok", "Redeemed", title, says)
    if "revoked" in events:
        return Sign("warning", "Withdrawn", "Withdrawn before it was redeemed", says)
    if reasons:
        word = "Locked" if state == "locked" else "Altered" if misfits else "Refused"
        title = f"Never redeemed; refused {_times(len(reasons))}"
        return Sign("problem" if misfits else "warning", word, title, says or f"{_list(reasons)}.")
    if state == "expired":
        return Sign("ok", "Expired", "Not redeemed in time", says or "Nobody has asked for it, and nobody can any more.")
    if events:
        return Sign("unknown", "Open", "Not redeemed", says or "Nobody has asked for it since it was issued.")
    return Sign("unknown", "Not known", "The journal has nothing of it", says)


_MISFITS = ("transaction_mismatch", "context_mismatch", "timestamp_mismatch", "locked")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _list(reasons: Sequence[str]) -> str:
    told = [f"`{reason}` {_times(reasons.count(reason))}" for reason in dict.fromkeys(reasons)]
    return ", ".join(told)
