"""What a disk still holds after the power failed at some event of its log: a pure function of log, instant and chance.

What was synced is there. Of the rest any part may be: none, some writes without those before them, some sectors of a
write, a write cut at any byte. A sector that the file was made longer for, but that was not written, may hold anything.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from tests.adversity.disk_log import Cut, Event, Named, NamesSynced, Synced, SyncFailed, Wrote

Change: TypeAlias = Wrote | Cut
Losing: TypeAlias = Callable[[list[Change], int, Random], list[Change]]
"""Of the changes that were under way to a file whose durable size is the second argument, those that survive."""
SECTORS_BYTES = (512, 4096)


def surviving(log: Sequence[Event], instant: int, chance: Random) -> dict[str, bytes]:
    """The files, by name, after a loss of power before the event `instant` of the log."""
    disk = _Disk(chance)
    for position in range(instant):
        disk.see(position, log[position])
    return disk.left()


class _Content:
    """A file: what is durable of it, and what is under way to it since, each with its place in the log."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.under_way: list[tuple[int, Change]] = []

    def settle(self, upto: int, surviving: "Losing", chance: Random) -> None:
        """Of what was under way before `upto`, the surviving part becomes durable, and the rest is no more."""
        settled = [change for position, change in self.under_way if position < upto]
        self.under_way = [(position, change) for position, change in self.under_way if position >= upto]
        for change in surviving(settled, len(self.durable), chance):
            if isinstance(change, Cut):
                del self.durable[change.size :]
                self.durable.extend(bytes(change.size - len(self.durable)))
                continue
            self.durable.extend(bytes(max(0, change.offset - len(self.durable))))
            self.durable[change.offset : change.offset + len(change.data)] = change.data


class _Disk:
    """Replays a log."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._seen = 0
        self._contents: dict[int, _Content] = {}
        # Every file that a name has stood for since the directory was last synced; the first one durably.
        self._names: dict[str, list[int | None]] = {}
        self._lose = chance.choice((_lose_all, _lose_nothing, _lose_writes, _lose_sectors, _lose_sectors, _tear, _lose_one))

    def see(self, position: int, event: Event) -> None:
        """The next event."""
        self._seen = position + 1
        if isinstance(event, Wrote | Cut):
            self._contents[event.file].under_way.append((position, event))
        elif isinstance(event, Synced):
            self._contents[event.file].settle(event.upto, _lose_nothing, self._chance)
        elif isinstance(event, SyncFailed):
            self._contents[event.file].settle(event.upto, self._lose, self._chance)
        elif isinstance(event, Named):
            self._names.setdefault(event.name, [None]).append(event.file)
            if event.file is not None:
                self._contents[event.file] = _Content()
        elif isinstance(event, NamesSynced):
            self._names = {name: files[-1:] for name, files in self._names.items()}

    def left(self) -> dict[str, bytes]:
        """The power fails."""
        found: dict[str, bytes] = {}
        for name, files in self._names.items():
            file = self._chance.choice(files)
            if file is not None:
                content = self._contents[file]
                content.settle(self._seen, self._lose, self._chance)
                found[name] = bytes(content.durable)
        return found


def _lose_all(_changes: list[Change], _size: int, _chance: Random) -> list[Change]:
    return []


def _lose_nothing(changes: list[Change], _size: int, _chance: Random) -> list[Change]:
    return changes


def _lose_writes(changes: list[Change], _size: int, chance: Random) -> list[Change]:
    return [change for change in changes if chance.random() < 0.5]


def _lose_one(changes: list[Change], _size: int, chance: Random) -> list[Change]:
    lost = chance.randrange(len(changes) + 1)
    return changes[:lost] + changes[lost + 1 :]


def _tear(changes: list[Change], _size: int, chance: Random) -> list[Change]:
    """All in order, up to the middle of one."""
    if not changes:
        return []
    torn = chance.randrange(len(changes))
    last = changes[torn]
    if isinstance(last, Wrote):
        last = last._replace(data=last.data[: chance.randrange(len(last.data) + 1)])
    return [*changes[:torn], last]


def _lose_sectors(changes: list[Change], size: int, chance: Random) -> list[Change]:
    """Any sectors of any writes. Beyond the durable size, some of those that do not survive hold anything."""
    sector_bytes = chance.choice(SECTORS_BYTES)
    surviving_part, junk_part = chance.choice((0.1, 0.5, 0.9)), chance.choice((0, 0, 0.3))
    chosen: list[Change] = []
    for change in changes:
        if isinstance(change, Cut):
            if chance.random() < surviving_part:
                chosen.append(change)
            continue
        at, end = change.offset, change.offset + len(change.data)
        while at < end:
            upto = min(end, (at // sector_bytes + 1) * sector_bytes)
            part = change.data[at - change.offset : upto - change.offset]
            if chance.random() < surviving_part:
                chosen.append(Wrote(change.file, at, part))
            elif at >= size and chance.random() < junk_part:
                chosen.append(Wrote(change.file, at, chance.randbytes(len(part))))
            at = upto
    return chosen
