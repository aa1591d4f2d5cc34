"""Looking at the journal: what an operator asks of it. Nothing that is read here decides anything, and nobody waits for a look.

Entries stand in the order in which they were written; their times follow that order unless a clock was set back. A look for a
time finds every entry of it as long as no clock went back by more than `CLOCK_STEP_US_MAX`.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from counterfoil.model.journal import Event, Record
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.verdict import Reason

BINS_MAX = 100
"""How many bins the refusals of one look are counted in, at most."""
CLOCK_STEP_US_MAX = 60 * MICROSECONDS_PER_S


class JournalQuery(NamedTuple):
    """Which entries are asked for: those that are all of this. With `timestamp_us` alone, from that time on."""

    client_id: str | None = None
    timestamp_us: int | None = None
    event: Event | None = None
    reason: Reason | None = None
    since_us: int | None = None
    until_us: int | None = None
    """The first microsecond that is not asked for."""
    is_newest_first: bool = True


class Span(NamedTuple):
    """The times of the first and the last entry that a look passed, whether they were asked for or not."""

    from_us: int
    to_us: int


class JournalPage(NamedTuple):
    """The entries that one look found. `next_seq` is where the next look begins; None when all was seen."""

    records: tuple[Record, ...]
    next_seq: int | None
    seen: Span | None
    """None when there was nothing to look at."""


class RefusalGroup(NamedTuple):
    """Refusals of one client's passcodes, to one caller, for one reason."""

    client_id: str
    by: str
    reason: Reason
    number: int
    first_at_us: int
    last_at_us: int


class RefusalCounts(NamedTuple):
    """The refusals from `since_us`, which is as far back as was looked, to before `until_us`; the largest groups first."""

    since_us: int
    until_us: int
    next_seq: int | None
    """Where the next look begins, which goes further back; None when all was seen that was asked for."""
    groups: tuple[RefusalGroup, ...]
    left_off: int
    """Refusals that are in none of the groups."""
    width_us: int
    bins: Mapping[tuple[Reason, int], int]
    """Under a reason and the time at which its bin begins, a multiple of `width_us`."""


class LastUses(NamedTuple):
    """When credentials were last used to any effect that the journal tells of, and how far back was looked for it."""

    by_id: Mapping[str, int]
    """Of issuers, under the credential's id."""
    by_name: Mapping[str, int]
    """Of whoever validated or revoked, under the credential's name."""
    since_us: int | None
    """None when there is no entry."""


class JournalReader(Protocol):
    """Each look is bounded in rows and in time, and says how far it came. It blocks; every verb may raise StoreUnavailable."""

    def page(self, query: JournalQuery, limit: int, from_seq: int | None) -> JournalPage:
        """At most `limit` entries, from where an earlier look ended or, with None, from the query's own beginning."""

    def refusals(self, query: JournalQuery, now_us: int, from_seq: int | None) -> RefusalCounts:
        """The refusals that the query's client and times ask for, from the newest on, or from where an earlier look ended.

        `now_us` is the end where none is asked for; what a clock stamped later is counted there.
        """

    def last_uses(self) -> LastUses:
        """What the newest entries tell."""


@runtime_checkable
class ReadableJournal(Protocol):
    """What a store is beside a Store when its journal can be read here."""

    def journal_reader(self) -> JournalReader:
        """A reader that shares nothing with the connections that the store's verbs use."""
