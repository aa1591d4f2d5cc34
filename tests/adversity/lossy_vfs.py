"""A disk under SQLite that keeps a log of every change, and can fail at any call.

The shared-memory file is not on it: SQLite builds it anew from the WAL.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from unittest.mock import patch

import apsw

from counterfoil.private_file import sync_directory
from counterfoil.stores import sqlite_file
from tests.adversity.disk_log import Cut, Event, Named, NamesSynced, Synced, SyncFailed, Wrote

SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where such disks' files may lie: they are lost by their log's word alone, so no real platter need turn."""


class Fault(NamedTuple):
    """What happens to a call: this part of its data (0 to 1) still gets through, then `strike` raises or kills."""

    strike: Callable[[], NoReturn]
    part: float = 0


class DiskVfs(apsw.VFS):
    """The system's files, with a log. `fault_at(call, path)` is asked before every call that touches a file."""

    def __init__(self) -> None:
        super().__init__("counterfoil-disk", base="unix", makedefault=True)
        self.log: list[Event] = []
        self.fault_at: Callable[[str, str], Fault | None] = lambda _call, _path: None
        self.syncs_lie = False
        self._files: dict[str, int] = {}
        self._next = 0

    def adopt(self, path: Path) -> None:
        """Takes a file that is there for durable as it is."""
        number = self._named(str(path))
        self.log += [Wrote(number, 0, path.read_bytes()), Synced(number, len(self.log) + 1), NamesSynced()]

    def xOpen(self, name: Any, flags: list[int]) -> "_File":  # noqa: N802 - apsw's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self.meet("xOpen", path)
        is_new = not Path(path).exists()
        file = _File(self, name, path, flags)
        if path not in self._files:
            # The database itself is made, and its name synced, before SQLite is told of it.
            self._named(path)
            if not is_new:
                self.log.append(NamesSynced())
        file.number, file.name_is_new = self._files[path], is_new
        return file

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name
        self.meet("xDelete", name)
        super().xDelete(name, syncdir)
        self._files.pop(name, None)
        self.log.append(Named(name, None))
        if syncdir:
            self.log.append(NamesSynced())

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: N802 - apsw's name
        self.meet("xAccess", name)
        return super().xAccess(name, flags)

    def excepthook(self, *_: object) -> bool:
        """Faults are wanted here; apsw would print them."""
        return True

    def _named(self, path: str) -> int:
        self._files[path] = self._next = self._next + 1
        self.log.append(Named(path, self._next))
        return self._next

    def sync_names(self) -> None:
        """The store has synced the directory itself."""
        self.log.append(NamesSynced())

    def meet(self, call: str, path: str) -> None:
        """Strikes where a fault is due."""
        fault = self.fault_at(call, path)
        if fault is not None:
            fault.strike()


class _File(apsw.VFSFile):
    """One open file."""

    number = 0
    name_is_new = False

    def __init__(self, vfs: DiskVfs, name: Any, path: str, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._vfs = vfs
        self._path = path

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        self._vfs.meet("xRead", self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        data = bytes(data)
        fault = self._vfs.fault_at("xWrite", self._path)
        if fault is not None:
            data = data[: int(fault.part * len(data))]
        if data:
            self._vfs.log.append(Wrote(self.number, offset, data))
            super().xWrite(data, offset)
        if fault is not None:
            fault.strike()

    def xTruncate(self, size: int) -> None:  # noqa: N802 - apsw's name
        self._vfs.meet("xTruncate", self._path)
        self._vfs.log.append(Cut(self.number, size))
        super().xTruncate(size)

    def xFileSize(self) -> int:  # noqa: N802 - apsw's name
        self._vfs.meet("xFileSize", self._path)
        return super().xFileSize()

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        log, upto = self._vfs.log, len(self._vfs.log)
        try:
            self._vfs.meet("xSync", self._path)
            super().xSync(flags)
        except apsw.Error:
            log.append(SyncFailed(self.number, upto))
            raise
        if self._vfs.syncs_lie:
            return
        log.append(Synced(self.number, upto))
        if self.name_is_new:
            # SQLite's unix layer syncs the directory with the first sync of a journal or WAL that it has made.
            self.name_is_new = False
            log.append(NamesSynced())

    def excepthook(self, *_: object) -> bool:
        """Faults are wanted here; apsw would print them."""
        return True


@contextmanager
def disk(*there: Path) -> Iterator[DiskVfs]:
    """Has every database of this process opened on such a disk, with these files. They must be closed before the end."""
    vfs = DiskVfs()
    for path in there:
        vfs.adopt(path)

    def synced(directory: Path) -> None:
        sync_directory(directory)
        vfs.sync_names()

    try:
        with patch.object(sqlite_file, "sync_directory", synced):
            yield vfs
    finally:
        vfs.unregister()
