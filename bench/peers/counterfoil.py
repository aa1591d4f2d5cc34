"""Counterfoil as it is served in production, its variants with a part left out, and the bare server under it."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import PYTHON, SERVER_CORE, first_line, started
from bench.service import Service, bearer_calls
from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.principal import Role
from counterfoil.wiring import system_now_us

ISSUE, VALIDATE = "/v1/passcodes", "/v1/passcodes/validate"
_PASSCODE = '"passcode":"([%w_%-]+)"'
VARIANTS: dict[str, tuple[str, ...]] = {
    "counterfoil": (),
    "without journal": ("--without", "journal"),
    "without limits": ("--without", "limits"),
    "without roles": ("--without", "roles"),
    "without the three": ("--without", "journal", "--without", "limits", "--without", "roles"),
    "without storage": ("--without", "storage"),
}


@dataclass(frozen=True)
class Deployment:
    """A data folder with a keyset and a credential of each role that is measured."""

    folder: Path
    issuer: str = field(repr=False)
    validator: str = field(repr=False)


def made_deployment(folder: Path) -> Deployment:
    """A fresh data folder."""
    folder.mkdir(parents=True, mode=0o700)
    KeysetEditor(folder / "keyset.json", system_now_us, secrets.token_bytes).new()
    return with_credentials(folder)


def with_credentials(folder: Path) -> Deployment:
    """A data folder that is there, with new credentials: secrets are not kept."""
    credentials = CredentialEditor(folder / "credentials.json", system_now_us, secrets.token_bytes)
    name = secrets.token_hex(4)
    issuer = credentials.create(f"issuer-{name}", Role.ISSUER, ("*",))
    return Deployment(folder, issuer, credentials.create(f"validator-{name}", Role.VALIDATOR))


@contextmanager
def counterfoil(
    folder: Path,
    name: str = "counterfoil",
    *,
    core: int | None = SERVER_CORE,
    deployment: Deployment | None = None,
    options: Sequence[str] = (),
) -> Iterator[Service]:
    """One server process of that variant, on a fresh folder or on that deployment."""
    deployment = deployment or made_deployment(folder)
    issue, redeem = bearer_calls(deployment.issuer, deployment.validator, ISSUE, VALIDATE, "passcode")
    command: list[str | Path] = [PYTHON, "-m", "bench.peers.served", "--data", deployment.folder, *VARIANTS[name], *options]
    log = deployment.folder / f"server-{secrets.token_hex(2)}.log"
    with started(command, core, log=log) as process:
        says = first_line(process, log)
        yield Service(name, says.pop("url"), issue, redeem, [process.pid], _PASSCODE, says).proved()


@contextmanager
def echo(folder: Path, *, within: str = "bare") -> Iterator[Service]:
    """The same server around an application that does nothing: uvicorn as it comes, or `bounded` as the product has it."""
    deployment = made_deployment(folder)
    issue, redeem = bearer_calls(deployment.issuer, deployment.validator, ISSUE, VALIDATE, "passcode")
    log = folder / "server.log"
    with started([PYTHON, "-m", "bench.peers.served", "--data", folder, "--echo", within], SERVER_CORE, log=log) as process:
        says = first_line(process, log)
        url = says.pop("url")
        yield Service(f"echo {within}", url, issue, redeem, [process.pid], _PASSCODE, remembers=False, binds=False).proved()
