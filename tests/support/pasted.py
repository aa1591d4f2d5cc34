"""A page's code blocks, run as a newcomer would paste them, and held against the output that the page shows."""

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.service import clean_environment

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_END_OF_BLOCK = "\x1e"


@dataclass(frozen=True)
class Block:
    """A block that is run, and what the page says that it prints; None where it says nothing."""

    language: str
    content: str
    shown: str | None = None

    def prints(self, said: str) -> bool:
        """Whether that is what the page shows; `…` there stands for anything."""
        if self.shown is None:
            return True
        pattern = re.escape(self.shown.rstrip("\n")).replace("…", ".*")
        return re.fullmatch(pattern, said.rstrip("\n"), re.DOTALL) is not None


def blocks(page: str) -> list[Block]:
    """The blocks of shell and Python, each with the block of text after it."""
    found: list[Block] = []
    for language, content in _BLOCK.findall(page):
        if language in ("sh", "python"):
            found.append(Block(language, content))
        elif language == "text" and found:
            assert found[-1].shown is None, "two outputs of one block"
            found[-1] = Block(found[-1].language, found[-1].content, content)
    return found


def environment() -> dict[str, str]:
    """For what a page runs: no setting of ours, and nothing of the `make test` around it."""
    # `make test` inside `make test` would never end: this has it stop after its static checks (see scripts/test).
    inherited = {
        name: value for name, value in clean_environment().items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))
    }
    return {**inherited, "CHECKS_ONLY": "1"}


def run(script: str, folder: Path) -> str:
    """What a script prints that must succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


def run_in_order(in_order: list[Block], folder: Path) -> list[str]:
    """What each block prints, all in one shell: what one has set, the next one has."""
    parts = []
    for number, block in enumerate(in_order):
        if block.language == "python":
            (folder / f"block{number}.py").write_text(block.content)
            parts.append(f"python block{number}.py\n")
        else:
            parts.append(block.content)
    script = f"printf '{_END_OF_BLOCK}'\n".join(parts)
    return run(script, folder).split(_END_OF_BLOCK)


class Background:
    """A block that goes on: started, read until it says what it must, ended with its whole process group."""

    def __init__(self, block: str, folder: Path, log: Path) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=folder,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def until(self, expected: str, said_in: Path | None = None) -> str:
        """What it has said, on its output or in a file, once `expected` is in it."""
        deadline_s = time.monotonic() + 180
        log = said_in or self._log
        while expected not in (said := log.read_text() if log.exists() else ""):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline_s, said
            time.sleep(0.05)
        return said

    def end(self) -> None:
        """Ends it as Ctrl-C would."""
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(timeout=30)
