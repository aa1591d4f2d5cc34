"""Processes to be killed: forked from one that has imported everything and opened no store, and heard through a pipe."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tests.adversity.campaign import Figures
from tests.support.service import unmeasured_environment

ROOT = Path(__file__).resolve().parents[2]
Work: TypeAlias = Callable[[Connection], None]
"""What a process does. A note that it has sent is heard, whatever becomes of it then."""


@dataclass
class Victim:
    """A process that works until it is killed or has ended by itself."""

    pid: int
    notes: Connection
    ended: bool = False
    """Whether it had come to its end before it was killed."""

    def kill(self) -> None:
        """SIGKILL, now."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> None:
        """Until it is gone, however it went."""
        _, status = os.waitpid(self.pid, 0)
        self.ended = os.waitstatus_to_exitcode(status) == 0

    def rest(self) -> list[tuple[Any, ...]]:
        """What it had said and nobody had heard yet, once it is gone."""
        said = []
        try:
            while True:
                said.append(self.notes.recv())
        except EOFError:
            self.notes.close()
        return said


def forked(work: Work) -> Victim:
    """Starts the work in a process of its own. This one must have no thread."""
    notes, to_say = Pipe()
    pid = os.fork()
    if pid:
        to_say.close()
        return Victim(pid, notes)
    status = 1
    try:
        notes.close()
        work(to_say)
        status = 0
    finally:
        os._exit(status)


def played_apart(module: str, *arguments: int | str) -> Figures:
    """The figures of a range of cases, played by the module's `main` in a warm process without threads of others."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=unmeasured_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    said = msgspec.json.decode(done.stdout)
    return Figures(Counter(said["counts"]), said["failures"])


def print_figures(figures: Figures) -> None:
    """For `played_apart` to read."""
    sys.stdout.buffer.write(msgspec.json.encode(figures))
