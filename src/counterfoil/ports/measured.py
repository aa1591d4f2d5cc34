"""What stores and key providers may tell of themselves beside their verbs, for whoever watches them. No request needs it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from msgspec import Struct

from counterfoil.model.distribution import Distribution


class Commits(Struct, frozen=True):
    """The commits of one process that waited for the disk, as they go on being counted."""

    writes: Distribution
    """How many steps shared a commit."""
    duration_s: Distribution
    """How long a commit took: writing and syncing what it changed, as the thread that waited saw it."""
    checkpoint_duration_s: Distribution
    """How long it took to write the log back into the file and to sync both."""


class Contents(Struct, frozen=True):
    """What a look into a store found, of all processes that share it."""

    outstanding: int
    """Passcodes issued, unexpired and unredeemed. At least: of very many, not all are looked at."""
    counterfoils_overdue_us: int
    """How long the oldest counterfoil should have been gone; 0 when none is left that should."""
    journal_overdue_us: int
    """The same of the journal's oldest entry."""


class StoreMeasures(Struct, frozen=True):
    """A store's measures; None for what it has not."""

    writes_waiting: Callable[[], int]
    """How many writes wait for this process's store now."""
    writes_waiting_max: int
    """How many may; the next one is refused."""
    commits: Commits | None = None
    look: Callable[[], Contents] | None = None
    """Blocks for as long as there is much to look at, so it is for a thread of its own. May raise StoreUnavailable."""


@runtime_checkable
class MeasuredStore(Protocol):
    """A store that tells."""

    def measures(self) -> StoreMeasures:
        """Its measures, which stay the same objects."""


@runtime_checkable
class MeasuredKeys(Protocol):
    """A key provider that tells."""

    def primary_created_at_us(self) -> int | None:
        """Since when there is the key that seals; None when none has been asked for yet. May raise KeysUnavailable."""
