"""The moments at which a store is struck, call by call: each verb with and without a checkpoint, starting and stopping."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

from tests.adversity.deeds import Deed, all_done, checkpoints_from, opened, plan
from tests.adversity.ledger import Ledger
from tests.adversity.lossy_vfs import SCRATCH

Note: TypeAlias = tuple[Any, ...]
FILE = "counterfoil.db"
FRESH, TO_REDEEM, TO_MISTAKE, TO_REVOKE, REDEEMED = range(5)
OTHERS_FROM = 100
_BEFORE = (
    *(Deed("issue", number) for number in (TO_REDEEM, TO_MISTAKE, TO_REVOKE, REDEEMED)),
    Deed("redeem", REDEEMED, "before"),
    Deed("mismatch", TO_REVOKE),
)


@dataclass(frozen=True)
class Scene:
    """What is done while every call may fail. `left` says how the store that is found was left."""

    name: str
    deeds: tuple[Deed, ...] = ()
    left: Literal["not at all", "closed", "killed"] = "killed"
    opens: bool = False
    """Whether opening it is a part of what may fail."""
    closes: bool = False
    checkpoint_pages: int = 1000


ISSUE = Deed("issue", FRESH)
VALIDATE = Deed("redeem", TO_REDEEM, "mine")
MISMATCH = Deed("mismatch", TO_MISTAKE)
REVOKE = Deed("revoke", TO_REVOKE)
LOOK = Deed("find", REDEEMED)
_LIFE = (*_BEFORE[:3], VALIDATE, MISMATCH, REVOKE)

SCENES = (
    Scene("create", left="not at all", opens=True),
    Scene("start", left="closed", opens=True),
    Scene("start after a kill", left="killed", opens=True),
    Scene("issue", (ISSUE,)),
    Scene("validate", (VALIDATE,)),
    Scene("mismatch", (MISMATCH,)),
    Scene("revoke", (REVOKE,)),
    Scene("issue into a new WAL", (ISSUE,), left="closed"),
    Scene("validate into a new WAL", (VALIDATE,), left="closed"),
    Scene("issue with a checkpoint", (ISSUE,), checkpoint_pages=1),
    # The second one finds a WAL that is used up, and begins it anew.
    Scene("validate with two checkpoints", (VALIDATE, MISMATCH), checkpoint_pages=1),
    Scene("start, look, issue and validate", (LOOK, ISSUE, VALIDATE), opens=True),
    Scene("stop", (VALIDATE,), closes=True),
    Scene(
        "a whole life",
        (*_BEFORE[:3], VALIDATE, MISMATCH, REVOKE),
        left="not at all",
        opens=True,
        closes=True,
        checkpoint_pages=2,
    ),
)


@dataclass(frozen=True)
class Found:
    """A store's files as somebody left them, and what callers had heard by then."""

    files: Mapping[str, bytes]
    notes: Sequence[Note]

    def put(self, folder: Path) -> Path:
        """Puts them there; the store's path."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder / FILE

    def ledger(self) -> Ledger:
        """What was heard, as a ledger to go on with."""
        ledger = Ledger()
        for note in self.notes:
            ledger.hear(*note)
        return ledger


async def found(scene: Scene, draw: Random) -> Found:
    """What a store leaves that has lived as the scene wants it, among other passcodes drawn by chance."""
    if scene.left == "not at all":
        return Found({}, ())
    notes: list[Note] = []

    def heard(*note: Any) -> None:
        notes.append(note)

    with TemporaryDirectory(dir=SCRATCH) as folder:
        store = opened(Path(folder) / FILE)
        for group in (*([deed] for deed in _BEFORE), *plan(draw, draw.randint(2, 8), OTHERS_FROM)):
            await all_done(store, group, heard, heard)
        killed = _files(Path(folder))
        await store.close()
        return Found(killed if scene.left == "killed" else _files(Path(folder)), notes)


async def lived(scene: Scene, path: Path, say: Callable[..., None], begin: Callable[[], None]) -> None:
    """Plays the scene and says what is asked and told. `begin` is called where from then on every call may be the last."""
    with checkpoints_from(scene.checkpoint_pages):
        if scene.opens:
            begin()
        store = opened(path)
        if not scene.opens and not scene.closes:
            begin()
        for deed in scene.deeds:
            await all_done(store, [deed], say, say)
        # Comes after a checkpoint, if one was due.
        await store.check_ready()
        if scene.closes:
            if not scene.opens:
                begin()
            await store.close()


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm")}
