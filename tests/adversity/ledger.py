"""What callers asked for and were told before an accident, and what a store that is opened after it makes of that."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import apsw

from counterfoil.model.counterfoil import Counterfoil, Redemption, State
from counterfoil.model.journal import Entry, Event, JournalBroken
from counterfoil.model.limits import ATTEMPTS_MAX
from counterfoil.ports.store import StoreUnavailable, StoreUnfit
from counterfoil.stores.sqlite import SqliteStore
from tests.adversity.deeds import REDEEMER, Deed, done, kept_of, opened
from tests.support.journal import verified_entries


class Ledger:
    """The callers' side. What was told must be there; what was only asked for may be there or not; nothing else may."""

    def __init__(self) -> None:
        self._asked: defaultdict[int, list[Deed]] = defaultdict(list)
        self._told: dict[int, Counterfoil] = {}
        self.counts: Counter[str] = Counter()

    def ask(self, deed: Deed) -> None:
        """The deed is on its way."""
        self._asked[deed.number].append(deed)

    def tell(self, deed: Deed, shown: Counterfoil | None) -> None:
        """An answer has left, and it shows this."""
        self.counts[f"acknowledged {deed.verb}"] += 1
        if shown is None:
            return
        before = self._told.get(deed.number)
        # Answers of one transaction may be heard in any order.
        if before is None or _progress(shown) > _progress(before):
            self._told[deed.number] = shown

    def hear(self, deed: Deed, *answer: Counterfoil | None) -> None:
        """A note of a log: a deed, alone when it was asked for, and with what the answer showed when it was told."""
        if answer:
            self.tell(deed, *answer)
        else:
            self.ask(deed)

    async def objections(self, store: SqliteStore) -> list[str]:
        """What the store forgot, made up, or accepts twice. Redeems all that is left, as others, so ask once."""
        numbers = list(self._asked)
        found = [await store.find(kept_of(number).ref) for number in numbers]
        said = [self._objection(number, row) for number, row in zip(numbers, found, strict=True)]
        first, second = [await _all_redeemed(store, numbers, redeemer) for redeemer in ("after", "later")]
        for number, row, applied, again in zip(numbers, found, first, second, strict=True):
            if applied != (row is not None and row.state is State.ISSUED):
                said.append(f"passcode {number} is {_shown(row)}, and another redemption is {'' if applied else 'not '}applied")
            told = self._told.get(number)
            if applied and told is not None and told.state is not State.ISSUED:
                said.append(f"passcode {number} was told {_shown(told)}, and is accepted again")
            if again:
                said.append(f"passcode {number} is accepted twice after the accident")
        return [objection for objection in said if objection]

    def unrecorded(self, entries: Sequence[Entry]) -> list[str]:
        """What was told, or is accepted twice, by the journal as it was left."""
        counts = Counter((entry.event, entry.timestamp_us) for entry in entries)
        said = []
        for number, told in self._told.items():
            events = {event: counts[event, told.timestamp_us] for event in Event}
            missing = (
                not events[Event.ISSUED]
                or events[Event.REFUSED] < told.attempts
                or (told.state is State.REDEEMED and not events[Event.ACCEPTED])
                or (told.state is State.REVOKED and not events[Event.REVOKED])
            )
            if missing:
                said.append(f"passcode {number} was told {_shown(told)}, and the journal has {events}")
        return said + [f"the journal has {key} {many} times" for key, many in counts.items() if _is_once(key[0]) and many > 1]

    def _objection(self, number: int, found: Counterfoil | None) -> str:
        told, asked = self._told.get(number), self._asked[number]
        if told is not None and not _keeps(told, found):
            return f"passcode {number} was told {_shown(told)}, and is {_shown(found)}"
        if found is not None and not _is_explained(found, asked):
            return f"passcode {number} is {_shown(found)}, for which nobody asked"
        return ""


async def aftermath(path: Path, ledger: Ledger) -> list[str]:
    """Opens the store that is left, as a restart does, and holds it to the ledger; empty when nothing is amiss."""
    try:
        store = opened(path)
    except (StoreUnfit, apsw.Error) as cause:
        return [f"the store does not open: {cause!r}"]
    try:
        said = await ledger.objections(store)
    except (StoreUnavailable, ValueError) as cause:
        # A ValueError when a row came back as junk.
        said = [f"the store does not serve: {cause!r}"]
    finally:
        await store.close()
    return [*said, *_damage(path), *_journal_objections(path, ledger)]


def _journal_objections(path: Path, ledger: Ledger) -> list[str]:
    try:
        return ledger.unrecorded(verified_entries(path))
    except (JournalBroken, StoreUnfit) as broken:
        return [f"the journal is not whole: {broken}"]


def _is_once(event: Event) -> bool:
    return event in (Event.ISSUED, Event.ACCEPTED)


def _damage(path: Path) -> list[str]:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        try:
            verdict = connection.execute("PRAGMA integrity_check").get
        except apsw.Error as cause:
            verdict = repr(cause)
    return [] if verdict == "ok" else [f"integrity_check: {verdict}"]


async def _all_redeemed(store: SqliteStore, numbers: Iterable[int], redeemer: str) -> list[bool]:
    shown = await asyncio.gather(*(done(store, Deed("redeem", number, redeemer)) for number in numbers))
    return [counterfoil is not None and counterfoil.redemption == Redemption(redeemer, REDEEMER) for counterfoil in shown]


def _progress(counterfoil: Counterfoil) -> tuple[int, bool]:
    return counterfoil.attempts, counterfoil.state is not State.ISSUED


def _keeps(told: Counterfoil, found: Counterfoil | None) -> bool:
    if found is None:
        return False
    if told.state is not State.ISSUED:
        return found == told
    return found.attempts >= told.attempts and found.passcode_tag == told.passcode_tag


def _is_explained(found: Counterfoil, asked: list[Deed]) -> bool:
    verbs = Counter(deed.verb for deed in asked)
    by = None if found.redemption is None else found.redemption.redemption_id
    return (
        verbs["issue"] > 0
        and found.attempts <= verbs["mismatch"]
        and (found.state is State.LOCKED) == (found.attempts == ATTEMPTS_MAX)
        and (found.state is State.REDEEMED) == (by is not None)
        and (by is None or any(deed.redemption_id == by for deed in asked))
        and (found.state is not State.REVOKED or verbs["revoke"] > 0)
    )


def _shown(counterfoil: Counterfoil | None) -> str:
    if counterfoil is None:
        return "unknown"
    by = "" if counterfoil.redemption is None else f" by {counterfoil.redemption.redemption_id}"
    return f"{counterfoil.state}{by} after {counterfoil.attempts} mismatches"
