"""Credentials: created, listed, exchanged, revoked. A secret is printed once, on stdout, and nowhere else."""

import secrets
from pathlib import Path
from typing import Any

import rich_click as click

from counterfoil.credentials.credential_file import CredentialEditor, CredentialRecord, SecretRecord
from counterfoil.entrypoints.commands.options import (
    as_json,
    parsed_duration_s,
    say,
    settings_from,
    show_json,
    spelled_time,
    with_settings,
)
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.principal import Role
from counterfoil.wiring import system_now_us

_expires_in = click.option("--expires-in", help="How long the secret is taken, such as 90d. Without it: until revoked.")


def _editor(config: Path | None, data: Path | None) -> CredentialEditor:
    return CredentialEditor(settings_from(config, data).credentials_path, system_now_us, secrets.token_bytes)


@click.group()
def credential() -> None:
    """Credentials of issuers, validators and operators.

    Example: counterfoil credential create web-shop --role issuer --client 'shop-*'
    """


@credential.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="What it may do.")
@click.option("--client", "clients", multiple=True, help="Issuers: a client id, `*` for any characters. Repeatable.")
@_expires_in
@with_settings
def create(
    name: str, role: str, clients: tuple[str, ...], expires_in: str | None, config: Path | None, data: Path | None
) -> None:
    """Create a credential and print its secret, this once.

    Example: counterfoil credential create web-shop --role issuer --client 'shop-*' > issuer.credential
    """
    secret = _editor(config, data).create(name, Role(role), clients, _expires_at_us(expires_in))
    click.echo(secret)
    say(f"created {role} {name}; the secret is shown this once")


@credential.command("list")
@with_settings
@as_json
def list_credentials(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the credentials, without their secrets.

    Example: counterfoil credential list --json
    """
    rows = [_row(record) for record in _editor(config, data).read()]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        clients = f"  clients {' '.join(row['clients'])}" if row["clients"] else ""
        expiry = f"  expires {spelled_time(row['expires_at'])}" if row["expires_at"] else ""
        click.echo(f"{row['name']}  {row['role']}  {row['state']}  {row['live_secrets']} live{clients}{expiry}")


@credential.command()
@click.argument("name")
@_expires_in
@with_settings
def exchange(name: str, expires_in: str | None, config: Path | None, data: Path | None) -> None:
    """Give a credential a second secret; the first goes on until `finish-exchange`.

    Example: counterfoil credential exchange web-shop > issuer.credential.new
    """
    click.echo(_editor(config, data).exchange(name, _expires_at_us(expires_in)))
    say(f"{name} has two live secrets; run `counterfoil credential finish-exchange {name}` when the new one is in use")


@credential.command("finish-exchange")
@click.argument("name")
@with_settings
def finish_exchange(name: str, config: Path | None, data: Path | None) -> None:
    """End all secrets of a credential but the newest.

    Example: counterfoil credential finish-exchange web-shop
    """
    _editor(config, data).finish_exchange(name)
    say(f"{name} has one live secret")


@credential.command()
@click.argument("name")
@click.option("--with-passcodes", is_flag=True, help="Also refuse every passcode that it issued.")
@with_settings
def revoke(name: str, with_passcodes: bool, config: Path | None, data: Path | None) -> None:
    """Revoke a credential, effective at the next request.

    Example: counterfoil credential revoke web-shop --with-passcodes
    """
    _editor(config, data).revoke(name, with_passcodes=with_passcodes)
    say(f"revoked {name}" + (" and every passcode that it issued" if with_passcodes else ""))


def _expires_at_us(expires_in: str | None) -> int | None:
    return None if expires_in is None else system_now_us() + parsed_duration_s(expires_in) * MICROSECONDS_PER_S


def _row(record: CredentialRecord) -> dict[str, Any]:
    live = [secret for secret in record.secrets if secret.is_live(system_now_us())]
    return {
        "name": record.name,
        "role": record.role.value,
        "clients": list(record.client_patterns),
        "state": "revoked" if record.revoked_at_us is not None else "live" if live else "expired",
        "live_secrets": len(live),
        "created_at": record.created_at_us,
        "expires_at": _last_expiry_us(live),
    }


def _last_expiry_us(live: list[SecretRecord]) -> int | None:
    """When none of the secrets is taken any more; None for never, or where there is none."""
    expiries = [secret.expires_at_us for secret in live]
    return None if None in expiries else max((each for each in expiries if each is not None), default=None)
