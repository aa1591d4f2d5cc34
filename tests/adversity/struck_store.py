"""One scene of the real SQLite store on a disk that fails at one point, and what came of it."""

from collections import Counter
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

import apsw

from counterfoil.ports.store import StoreUnavailable, StoreUnfit
from counterfoil.stores.sqlite import SqliteStore
from tests.adversity.deeds import checkpoints_from, done, opened
from tests.adversity.ledger import Ledger, aftermath
from tests.adversity.losing import surviving
from tests.adversity.lossy_vfs import SCRATCH, DiskVfs, Fault, disk
from tests.adversity.scenes import FILE, Found, Scene

CONNECTIONS_MAX = 3


class Point(NamedTuple):
    """The `number`th call of this kind fails in this way, and all later ones too when it is `for_good`."""

    call: str
    number: int
    fault: str
    error: type[apsw.Error]
    part: float
    for_good: bool


class StruckStore:
    """One scene on a disk that fails at one point, or at none, to count the calls."""

    def __init__(self, scene: Scene, files: Found, point: Point | None) -> None:
        self.calls: Counter[str] = Counter()
        self.ended = "not reached"
        self.untrue: list[str] = []
        self.misbehaved: list[str] = []
        self._scene, self._files, self._point = scene, files, point
        self._ledger = files.ledger()
        self._watching = False
        self._struck = False
        self._fatal = 0
        self._power_fails_at: tuple[int, Ledger] | None = None

    async def played(self, draw: Random) -> "StruckStore":
        """How it went."""
        with TemporaryDirectory(dir=SCRATCH) as folder, TemporaryDirectory(dir=SCRATCH) as other:
            path = self._files.put(Path(folder))
            with checkpoints_from(self._scene.checkpoint_pages), disk(*sorted(Path(folder).iterdir())) as vfs:
                vfs.fault_at = self._fault_at
                await self._run(path, vfs)
            self.untrue += await aftermath(path, self._ledger)
            instant, ledger = self._power_fails_at or (len(vfs.log), self._ledger)
            for name, content in surviving(vfs.log, instant, draw).items():
                (Path(other) / Path(name).name).write_bytes(content)
            self.untrue += await aftermath(Path(other) / FILE, ledger)
        return self

    async def _run(self, path: Path, vfs: DiskVfs) -> None:
        self._watching = self._scene.opens
        try:
            store = opened(path, self._told_to_end)
        except (StoreUnfit, apsw.Error):
            # What is left of it is let go of unwatched.
            self._watching = False
            self.ended = "refused to start"
            return
        self._watching = True
        refused = await self._asked(store)
        if self._scene.closes:
            await _stopped(store)
        self._watching = False
        # Now, or what is asked for again would hide what was lost.
        self._power_fails_at = len(vfs.log), deepcopy(self._ledger)
        if self._struck and self._scene.closes:
            self.ended = "stopped"
        elif self._struck:
            await self._look_at(store, refused)
        await store.close()

    async def _asked(self, store: SqliteStore) -> int:
        """Asks for the scene's deeds one by one; how many are refused."""
        refused = 0
        for deed in self._scene.deeds:
            self._ledger.ask(deed)
            try:
                self._ledger.tell(deed, await done(store, deed))
            except StoreUnavailable:
                refused += 1
        try:
            # Comes after a checkpoint, if one was due.
            await store.check_ready()
        except StoreUnavailable:
            refused += 1
        return refused

    async def _look_at(self, store: SqliteStore, refused: int) -> None:
        """The disk is well again: whether the store does what it must."""
        assert self._point is not None
        refused_now = await self._asked(store)
        if self._fatal:
            self.ended = "ended"
        elif refused:
            self.ended = "rolled back and lived on"
        else:
            self.ended = "lived on without notice"
        if self._fatal > 1:
            self.misbehaved.append("it was told to end more than once")
        if self._point.error is apsw.FullError and (self._fatal or refused_now):
            self.misbehaved.append("a full disk ended it")
        if self._point.error is apsw.IOError and not self._fatal:
            self.misbehaved.append("it lives on after an I/O error")
        if self._fatal and refused_now <= len(self._scene.deeds):
            self.misbehaved.append("it serves although it was told to end")

    def _told_to_end(self) -> None:
        self._fatal += 1

    def _fault_at(self, call: str, _path: str) -> Fault | None:
        if not self._watching:
            return None
        self.calls[call] += 1
        point = self._point
        if point is None or call != point.call or self.calls[call] < point.number:
            return None
        if self.calls[call] > point.number and not point.for_good:
            return None
        self._struck = True
        error = point.error

        def strike() -> NoReturn:
            raise error(point.fault)

        return Fault(strike, point.part)


async def _stopped(store: SqliteStore) -> None:
    """A stop on a disk that fails. SQLite takes no notice of that here; apsw does, because this disk speaks Python."""
    for _ in range(CONNECTIONS_MAX):
        with suppress(apsw.Error):
            await store.close()
