"""Real services in processes of their own, over real HTTP."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.principal import Role
from counterfoil.wiring import system_now_us

COUNTERFOIL = (sys.executable, "-m", "counterfoil")


@dataclass
class Running:
    """A service that takes requests at `url`."""

    url: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """SIGKILL, now."""
        self.process.kill()
        self.process.wait(timeout=30)


@dataclass
class Deployment:
    """A data folder with a keyset and one credential of each role, for services to be started on."""

    folder: Path
    issuer: str = field(repr=False)
    validator: str = field(repr=False)
    operator: str = field(repr=False)

    @contextmanager
    def serving(self, *options: str, command: Sequence[str] = COUNTERFOIL, **environment: str) -> Iterator[Running]:
        """One `counterfoil serve` on a free port; ended, if it has not ended by itself, when the block ends."""
        process = subprocess.Popen(
            [*command, "serve", "--data", str(self.folder), "--port", "0", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean_environment(), **environment},
        )
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield Running(json.loads(line)["url"], process)
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=30)


@contextmanager
def developing(folder: Path) -> Iterator[dict[str, str]]:
    """One `counterfoil dev` on a free port, which keeps nothing: its `url`, and a credential by the name of each role."""
    process = subprocess.Popen(
        [*COUNTERFOIL, "dev", "--port", "0", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    try:
        assert process.stdout is not None
        made: dict[str, str] = json.loads(process.stdout.readline())
        yield made
    finally:
        process.terminate()
        process.communicate(timeout=30)


def made_deployment(folder: Path) -> Deployment:
    """A fresh data folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    KeysetEditor(folder / "keyset.json", system_now_us, secrets.token_bytes).new()
    credentials = CredentialEditor(folder / "credentials.json", system_now_us, secrets.token_bytes)
    return Deployment(
        folder,
        issuer=credentials.create("the-issuer", Role.ISSUER, ("*",)),
        validator=credentials.create("the-validator", Role.VALIDATOR),
        operator=credentials.create("the-operator", Role.OPERATOR),
    )


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of ours, which would leak into what is tested."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERFOIL_")}


def unmeasured_environment() -> dict[str, str]:
    """The same without coverage measurement: a process on a failing disk could not write its data, and would say so."""
    return {name: value for name, value in clean_environment().items() if not name.startswith("COVERAGE_")}
