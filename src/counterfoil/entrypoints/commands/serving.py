"""`serve` and `dev`: a service in this process. `serve` makes nothing; `dev` makes whatever is missing, and says so."""

import itertools
import logging
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import rich_click as click

from counterfoil.credentials.credential_file import CredentialEditor
from counterfoil.entrypoints.commands.dev_lines import LINES
from counterfoil.entrypoints.commands.options import as_json, say, settings_from, show_json, with_settings
from counterfoil.entrypoints.http_server import serve as serve_http
from counterfoil.entrypoints.log_lines import LogLines
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.model.principal import Role
from counterfoil.settings import Settings
from counterfoil.wiring import system_now_us

_DEV_CREDENTIALS = {Role.ISSUER: ("*",), Role.VALIDATOR: (), Role.OPERATOR: ()}


@click.command()
@with_settings
@click.option("--host", help="Address to listen on; 127.0.0.1 by default.")
@click.option("--port", type=int, help="TCP port; 8080 by default, 0 for a free one.")
@click.option("--tls-cert", help="Certificate chain, PEM.")
@click.option("--tls-key", help="Its private key, PEM.")
@click.option("--tls-terminated-upstream", is_flag=True, default=None, help="A proxy in front speaks TLS.")
@click.option("--seed-routes/--no-seed-routes", default=None, help="Serve generateOtp, validateOtp, invalidateOtp.")
@as_json
def serve(config: Path | None, data: Path | None, as_json: bool, **overrides: str | int | bool | None) -> None:
    """Run the service until it is told to stop.

    It needs a keyset (`keyset new`) and credentials (`credential create`), and never makes them by itself.

    Example: counterfoil serve --data my-counterfoil --port 8080
    """
    settings = settings_from(config, data, **overrides)
    _log_to_stderr(settings)

    def ready(url: str) -> None:
        if as_json:
            show_json({"url": url})
        else:
            say(f"Counterfoil serves {url}")

    sys.exit(serve_http(settings, ready))


@click.command()
@click.option("--port", type=int, default=8080, show_default=True, help="TCP port; 0 for a free one.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder to keep store, keyset and credentials in.")
@as_json
def dev(port: int, data: Path | None, as_json: bool) -> None:
    """Run a development service on loopback, with keyset, fresh credentials, and lines to paste.

    Without --data everything is forgotten at the end. Rate limits and caps are off, the reference sample's routes are on.

    Example: counterfoil dev --port 0 --json
    """
    with ExitStack() as leaving:
        folder = data or Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="counterfoil-dev-")))
        settings = Settings(
            data=folder, port=port, seed_routes=True, issue_rate_per_s=0, outstanding_max=0, log_level="WARNING"
        ).checked()
        _log_to_stderr(settings)
        made = _fresh_credentials(folder)

        def ready(url: str) -> None:
            if as_json:
                show_json({"url": url, **{role.value: secret for role, secret in made.items()}})
            else:
                _print_lines(url, made, folder if data else None)

        sys.exit(serve_http(settings, ready))


def _fresh_credentials(folder: Path) -> dict[Role, str]:
    """A keyset where there is none, and a new secret for each development credential; earlier secrets end."""
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


def _dev_names(role: Role) -> Iterator[str]:
    yield f"dev-{role.value}"
    yield from (f"dev-{role.value}-{number}" for number in itertools.count(2))


def _log_to_stderr(settings: Settings) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LogLines())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # uvicorn tells its life at INFO; that it serves is said once, by us.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _print_lines(url: str, made: dict[Role, str], kept: Path | None) -> None:
    where = f"Store, keyset and credentials are kept in {kept}." if kept else "Everything is forgotten when it ends."
    click.echo(
        LINES.format(
            url=url,
            where=where,
            issuer=made[Role.ISSUER],
            validator=made[Role.VALIDATOR],
            operator=made[Role.OPERATOR],
        )
    )
