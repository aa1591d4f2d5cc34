"""Passcodes over HTTP: issue, validate, revoke, seal context. Secrets come from files and the environment, never as options."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from counterfoil.client import ABSENT, Client, RequestInvalid
from counterfoil.entrypoints.commands.options import as_json, say, show_json
from counterfoil.wire.strict_json import parsed_json

_CONTEXT_HELP = "A pair, as name=value. Repeatable."


def _connection(command: Any) -> Any:
    for option in (
        click.option("--url", envvar="COUNTERFOIL_URL", required=True, help="The service. [COUNTERFOIL_URL]"),
        click.option(
            "--credential-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="File with the credential; otherwise it is in COUNTERFOIL_CREDENTIAL.",
        ),
        as_json,
    ):
        command = option(command)
    return command


def _transaction(command: Any) -> Any:
    for option in (
        click.option("--transaction", help="The transaction as JSON, or @FILE."),
        click.option(
            "--transaction-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="A transaction that is not JSON: bound by the SHA-256 of the file's bytes.",
        ),
        click.option("--transaction-digest", help="Its SHA-256 in 64 hexadecimal digits."),
        click.option("--context", "pairs", multiple=True, help=_CONTEXT_HELP),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("client_id")
@_transaction
@click.option("--sealed-context", help="A sealed context, as `context seal` gave it.")
@click.option("--lifetime", "lifetime_s", type=int, help="Seconds for which the passcode is valid.")
@_connection
def issue(
    client_id: str,
    transaction: str | None,
    transaction_file: Path | None,
    transaction_digest: str | None,
    pairs: tuple[str, ...],
    sealed_context: str | None,
    lifetime_s: int | None,
    url: str,
    credential_file: Path | None,
    as_json: bool,
) -> None:
    """Issue a passcode and print it.

    Example: counterfoil issue shop-1 --transaction '{"amount": "10.00"}' --context device_id=d-9
    """
    with _client(url, credential_file) as client:
        issued = client.issue(
            client_id,
            context=_context(pairs),
            sealed_context=sealed_context,
            lifetime_s=lifetime_s,
            **_bound(transaction, transaction_file, transaction_digest),
        )
    if as_json:
        show_json(
            {
                "client_id": issued.client_id,
                "timestamp": issued.timestamp,
                "expires_at": issued.expires_at,
                "passcode": issued.passcode,
            }
        )
    else:
        click.echo(issued.passcode)


@click.command()
@click.argument("client_id")
@click.argument("passcode")
@_transaction
@click.option("--sealed-pair", "sealed_pairs", multiple=True, help="A pair of the sealed context, as name=value.")
@click.option("--timestamp", type=int, help="The timestamp that the passcode must have, in microseconds.")
@click.option("--redemption-id", help="The id to ask again with. Without it one is made for this call.")
@_connection
def validate(
    client_id: str,
    passcode: str,
    transaction: str | None,
    transaction_file: Path | None,
    transaction_digest: str | None,
    pairs: tuple[str, ...],
    sealed_pairs: tuple[str, ...],
    timestamp: int | None,
    redemption_id: str | None,
    url: str,
    credential_file: Path | None,
    as_json: bool,
) -> None:
    """Validate PASSCODE (`-` reads it from stdin) and redeem it, once. Exit status 0 alone is acceptance.

    Example: counterfoil validate shop-1 "$PASSCODE" --transaction '{"amount": "10.00"}' --context device_id=d-9
    """
    with _client(url, credential_file) as client:
        accepted = client.validate(
            client_id,
            _text(passcode),
            context=_context(pairs),
            sealed_pairs=_context(sealed_pairs),
            timestamp=timestamp,
            redemption_id=redemption_id,
            **_bound(transaction, transaction_file, transaction_digest),
        )
    if as_json:
        show_json(
            {
                "client_id": accepted.client_id,
                "timestamp": accepted.timestamp,
                "redeemed_at": accepted.redeemed_at,
                "redemption_id": accepted.redemption_id,
                "replayed": accepted.replayed,
            }
        )
    else:
        click.echo("accepted (told again)" if accepted.replayed else "accepted")


@click.command()
@click.argument("client_id")
@click.argument("passcode", required=False)
@click.option("--timestamp", type=int, help="Instead of the passcode: its timestamp, in microseconds.")
@_connection
def revoke(
    client_id: str,
    passcode: str | None,
    timestamp: int | None,
    url: str,
    credential_file: Path | None,
    as_json: bool,
) -> None:
    """Withdraw a passcode, named by PASSCODE (`-` reads it from stdin) or by --timestamp.

    Example: counterfoil revoke shop-1 --timestamp 1795410340123456
    """
    with _client(url, credential_file) as client:
        client.revoke(client_id, passcode=None if passcode is None else _text(passcode), timestamp=timestamp)
    if as_json:
        show_json({"revoked": True})
    else:
        say("revoked")


@click.group()
def context() -> None:
    """Sealed contexts, which a client passes on unread.

    Example: counterfoil context seal shop-1 limit=500
    """


@context.command()
@click.argument("client_id")
@click.argument("pairs", nargs=-1)
@click.option("--lifetime", "lifetime_s", type=int, help="Seconds for which it can be issued with; 86400 by default.")
@_connection
def seal(
    client_id: str,
    pairs: tuple[str, ...],
    lifetime_s: int | None,
    url: str,
    credential_file: Path | None,
    as_json: bool,
) -> None:
    """Seal PAIRS (name=value) for one client and print the sealed context.

    Example: counterfoil context seal shop-1 limit=500 branch=12
    """
    with _client(url, credential_file) as client:
        sealed = client.seal_context(client_id, _context(pairs) or {}, lifetime_s=lifetime_s)
    if as_json:
        show_json(
            {
                "client_id": sealed.client_id,
                "sealed_context": sealed.sealed_context,
                "expires_at": sealed.expires_at,
            }
        )
    else:
        click.echo(sealed.sealed_context)


def _client(url: str, credential_file: Path | None) -> Client:
    import os

    secret = credential_file.read_text() if credential_file else os.environ.get("COUNTERFOIL_CREDENTIAL", "")
    if not secret.strip():
        raise RequestInvalid("no credential: give --credential-file or COUNTERFOIL_CREDENTIAL")
    return Client(url, secret.strip())


def _context(pairs: tuple[str, ...]) -> dict[str, str] | None:
    if not pairs:
        return None
    context: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name in context:
            raise RequestInvalid("context must be name=value, each name once")
        context[name] = value
    return context


def _bound(transaction: str | None, file: Path | None, digest: str | None) -> dict[str, Any]:
    """The transaction, as the client's keyword arguments; at most one way of giving it."""
    if sum(given is not None for given in (transaction, file, digest)) > 1:
        raise RequestInvalid("give the transaction one way: --transaction, --transaction-file or --transaction-digest")
    if file is not None:
        return {"transaction_digest": hashlib.sha256(file.read_bytes()).hexdigest()}
    if transaction is None:
        return {"transaction": ABSENT, "transaction_digest": digest}
    text = Path(transaction[1:]).read_bytes() if transaction.startswith("@") else transaction.encode()
    return {"transaction": parsed_json(text)}


def _text(argument: str) -> str:
    return sys.stdin.read().strip() if argument == "-" else argument
