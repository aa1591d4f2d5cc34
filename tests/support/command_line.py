"""The command line as a script uses it: a process, its exit status, what it prints where."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.service import COUNTERFOIL, clean_environment


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str = field(repr=False)
    err: str

    @property
    def json(self) -> Any:
        """What it printed for machines."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """Runs commands in a folder with an environment of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    command: Sequence[str] = COUNTERFOIL

    def run(self, *words: str, given: str = "", **environment: str) -> Done:
        """One command, whatever its exit status."""
        done = subprocess.run(
            [*self.command, *words],
            cwd=self.folder,
            env={**clean_environment(), "NO_COLOR": "1", "COLUMNS": "120", **self.environment, **environment},
            input=given,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def succeed(self, *words: str, given: str = "", **environment: str) -> Done:
        """One command that must end with status 0."""
        done = self.run(*words, given=given, **environment)
        assert done.status == 0, (words, done.out, done.err)
        return done
