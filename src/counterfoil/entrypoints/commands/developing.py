"""`dev`: a development service in this process. It makes whatever is missing, and says so."""

import itertools
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import rich_click as click

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.dev_mode.mode import DevMode
from counterfoil.entrypoints.commands.dev_lines import CONSOLE, LINES, NO_CONSOLE
from counterfoil.entrypoints.commands.options import as_json, show_json
from counterfoil.entrypoints.http_server import serve as serve_http
from counterfoil.entrypoints.server_log import log_to_stderr
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.invalid import Invalid
from counterfoil.model.principal import Role
from counterfoil.server_wiring import CONSOLE_NEEDS
from counterfoil.settings import Settings
from counterfoil.wiring import system_now_us

_DEV_CREDENTIALS = {Role.ISSUER: ("*",), Role.VALIDATOR: (), Role.OPERATOR: ()}
_FIRST_NAMES = {role: f"dev-{role.value}" for role in _DEV_CREDENTIALS}


@click.command()
@click.option("--port", type=int, default=8080, show_default=True, help="TCP port; 0 for a free one.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder to keep store, keyset and credentials in.")
@as_json
def dev(port: int, data: Path | None, as_json: bool) -> None:
    """Run a development service on loopback, with keyset, fresh credentials, a console, and lines to paste.

    Without --data everything is forgotten at the end. Rate limits and caps are off, the reference sample's routes are on,
    and so is the test mode: a clock to turn, and client ids that force each refusal.

    Example: counterfoil dev --port 0 --json
    """
    with ExitStack() as leaving:
        folder = data or Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="counterfoil-dev-")))
        settings = Settings(
            data=folder,
            port=port,
            seed_routes=True,
            issue_rate_per_s=0,
            outstanding_max=0,
            console=find_spec("jinja2") is not None,
            log_level="WARNING",
            log_format="text",
        ).checked()
        log_to_stderr(settings.log_level, settings.log_format)
        made = _fresh_credentials(folder)
        mode = DevMode(made, system_now_us)

        def ready(url: str) -> None:
            console = f"{url}/console/login?once={mode.login_token}" if mode.login_token else None
            if as_json:
                show_json({"url": url, **{role.value: secret for role, secret in made.items()}, "console": console})
            else:
                _print_lines(url, console, made, folder if data else None)

        sys.exit(serve_http(settings, ready, now_us=mode.clock, mode=mode))


def _fresh_credentials(folder: Path) -> dict[Role, str]:
    """A keyset where there is none, and a new secret for each development credential; earlier secrets end. Raises Invalid."""
    _refuse_what_is_not_developments(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keyset = KeysetEditor(folder / "keyset.json", system_now_us, secrets.token_bytes)
    if not keyset.path.exists():
        keyset.new()
    credentials = CredentialEditor(folder / "credentials.json", system_now_us, secrets.token_bytes)
    revoked = {record.name: record.revoked_at_us is not None for record in credentials.read()}
    made = {}
    for role, patterns in _DEV_CREDENTIALS.items():
        # Somebody may have tried out revocation on the last ones; names are not used twice.
        name = next(name for name in _dev_names(role) if not revoked.get(name, False))
        if name in revoked:
            credentials.finish_exchange(name)
            made[role] = credentials.exchange(name)
            credentials.finish_exchange(name)
        else:
            made[role] = credentials.create(name, role, patterns)
    return made


def _refuse_what_is_not_developments(folder: Path) -> None:
    """The test clock would have a real service's journal removed as too old, and that service would take our credentials."""
    records = CredentialEditor(folder / "credentials.json", system_now_us, secrets.token_bytes).read()
    is_used = bool(records) or (folder / "counterfoil.db").exists()
    if is_used and not any(record.name.startswith(tuple(_FIRST_NAMES.values())) for record in records):
        raise Invalid("data", "names the folder of a service that is not development's; give one of its own")


def _dev_names(role: Role) -> Iterator[str]:
    yield _FIRST_NAMES[role]
    yield from (f"{_FIRST_NAMES[role]}-{number}" for number in itertools.count(2))


def _print_lines(url: str, console: str | None, made: dict[Role, str], kept: Path | None) -> None:
    where = f"Store, keyset and credentials are kept in {kept}." if kept else "Everything is forgotten when it ends."
    click.echo(
        LINES.format(
            url=url,
            where=where,
            console=CONSOLE.format(link=console) if console else NO_CONSOLE.format(needs=CONSOLE_NEEDS),
            issuer=made[Role.ISSUER],
            validator=made[Role.VALIDATOR],
            operator=made[Role.OPERATOR],
        )
    )
