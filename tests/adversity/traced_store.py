"""A scene of the real SQLite store in a process of its own under strace, and what came of it."""

import asyncio
import ctypes
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from tests.adversity.ledger import Ledger, aftermath
from tests.adversity.scenes import Found, Scene
from tests.adversity.warm_process import forked
from tests.support import strace

READY, GO = ("ready",), ("go",)
BESIDE = ("", "-wal", "-shm", "-journal")
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, -1
Play: TypeAlias = Callable[[Scene, Path, Callable[..., None], Callable[[], None]], Awaitable[None]]
"""Plays a scene: says what is asked and told, or one word of its own, and begins when strace has to be there."""


@dataclass(frozen=True)
class Traced:
    """What came of it."""

    ended: bool
    """Whether it came to its end by itself."""
    calls: list[strace.Call]
    words: list[str]
    """What the process said beside what it asked and was told."""
    ledger: Ledger
    objections: list[str]
    """What a store that is opened after it forgot or made up."""


def played_under_strace(scene: Scene, files: Found, injected: str | None, play: Play) -> Traced:
    """Plays the scene, on these files, with this injected into its calls."""
    with TemporaryDirectory() as folder, TemporaryDirectory() as other:
        path, record = files.put(Path(folder)), Path(other) / "calls"
        ledger, words = files.ledger(), list[str]()
        victim = forked(partial(_work, scene, path, play))
        while (note := victim.notes.recv()) != READY:
            ledger.hear(*note)
        beside = [path.with_name(path.name + suffix) for suffix in BESIDE]
        with strace.watched(victim.pid, [path.parent, *beside], record, injected):
            victim.notes.send(GO)
            victim.wait()
        for note in victim.rest():
            if isinstance(note[0], str):
                words.append(note[0])
            else:
                ledger.hear(*note)
        return Traced(victim.ended, strace.recorded(record), words, ledger, asyncio.run(aftermath(path, ledger)))


def _work(scene: Scene, path: Path, play: Play, notes: Connection) -> None:
    # Where only ancestors may trace: strace is a sibling.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)

    def wait_for_strace() -> None:
        notes.send(READY)
        notes.recv()

    async def played() -> None:
        await play(scene, path, lambda *note: notes.send(note), wait_for_strace)

    asyncio.run(played())
