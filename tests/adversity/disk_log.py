"""The log of a disk: every change, in order, and what is durable when. `losing` makes of it what a loss of power leaves."""

from typing import Any, NamedTuple, TypeAlias


class Wrote(NamedTuple):
    """Bytes that were put into a file."""

    file: int
    offset: int
    data: bytes


class Cut(NamedTuple):
    """A file that was cut, or made longer, to a size."""

    file: int
    size: int


class Synced(NamedTuple):
    """A sync that has returned. What the log has of the file before `upto`, where it was called, is durable."""

    file: int
    upto: int


class SyncFailed(NamedTuple):
    """A sync that has failed: the kernel takes what it covered for clean, written or not, and never tries again."""

    file: int
    upto: int


class Named(NamedTuple):
    """A name that now stands for this file, or for none."""

    name: str
    file: int | None


class NamesSynced(NamedTuple):
    """A sync of the directory that has returned."""


class Heard(NamedTuple):
    """Not the disk's doing: what a caller had asked for, or been told, by then."""

    note: Any


Event: TypeAlias = Wrote | Cut | Synced | SyncFailed | Named | NamesSynced | Heard
