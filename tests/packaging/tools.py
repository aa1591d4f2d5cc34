"""The linters and installers that packages are checked with. One that is missing is a skip with its reason, in CI a failure."""

import shutil
import subprocess
from pathlib import Path

from tests.contract.engines import unless_missing

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
_ENVIRONMENT = ROOT / ".engines" / "packaging" / "bin"


def linter(name: str) -> str:
    """The path of a program of the environment that `make engines` sets up."""
    path = _ENVIRONMENT / name
    unless_missing(name, None if path.exists() else f"{name} is not installed: run `make engines`")
    return str(path)


def program(name: str, package: str) -> str:
    """The path of a program of the system's."""
    path = shutil.which(name)
    missing = f"{name} is missing: `make engines` in CI sets it up; elsewhere install it (Debian: apt-get install {package})"
    unless_missing(name, None if path else missing)
    return str(path)


def said(*command: str, status: int = 0, cwd: Path = ROOT, environment: dict[str, str] | None = None, given: str = "") -> str:
    """All that a command prints, which must end with that status."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, (command, done.stdout)
    return done.stdout
