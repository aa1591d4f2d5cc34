"""Data keys: made, rotated, listed, retired. Key material is never printed."""

import secrets
from pathlib import Path

import rich_click as click

from counterfoil.entrypoints.commands.options import as_json, say, settings_from, show_json, spelled_time, with_settings
from counterfoil.keys.keyset_file import Keyset, KeysetEditor
from counterfoil.keys.open_keys import keyset_path
from counterfoil.model.invalid import Invalid
from counterfoil.wiring import system_now_us


def editor_for(config: Path | None, data: Path | None) -> KeysetEditor:
    """The editor of the deployment's keyset file."""
    return KeysetEditor(keyset_path(settings_from(config, data).keys_url), system_now_us, secrets.token_bytes)


@click.group()
def keyset() -> None:
    """Data keys, which seal passcodes.

    Example: counterfoil keyset rotate --data my-counterfoil
    """


@keyset.command()
@with_settings
def new(config: Path | None, data: Path | None) -> None:
    """Make a keyset with one fresh key. A keyset that is there is never overwritten.

    Example: counterfoil keyset new --data my-counterfoil
    """
    editor = editor_for(config, data)
    made = editor.new()
    say(f"made {editor.path} with key {made.primary_id.hex()}; keep a copy where the store's copies are not")


@keyset.command()
@with_settings
def rotate(config: Path | None, data: Path | None) -> None:
    """Add a fresh key and seal with it from now on. Earlier keys go on opening.

    Example: counterfoil keyset rotate --data my-counterfoil
    """
    rotated = editor_for(config, data).rotate()
    say(f"key {rotated.primary_id.hex()} seals from now on")


@keyset.command()
@with_settings
def upgrade(config: Path | None, data: Path | None) -> None:
    """Add what an earlier version's keyset lacks. A keyset that lacks nothing stays as it is.

    Example: counterfoil keyset upgrade --data my-counterfoil
    """
    editor_for(config, data).upgrade()
    say("the keyset is what this version needs")


@keyset.command("list")
@with_settings
@as_json
def list_keys(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the keys: which seals, which only open, which are retired.

    Example: counterfoil keyset list --json
    """
    found = editor_for(config, data).read()
    rows = _rows(found)
    if as_json:
        show_json({"epoch": found.epoch, "keys": rows})
        return
    click.echo(f"epoch {found.epoch}")
    for row in rows:
        click.echo(f"{row['id']}  {row['state']:8}  epoch {row['epoch']}  made {spelled_time(int(row['created_at']))}")


@keyset.command()
@click.argument("key_id")
@with_settings
def retire(key_id: str, config: Path | None, data: Path | None) -> None:
    """Forget a key for good. Its passcodes are refused as `key_retired` from now on, and its sealed contexts at issue.

    Example: counterfoil keyset retire 5f0c6a21 --data my-counterfoil
    """
    try:
        wanted = bytes.fromhex(key_id)
    except ValueError:
        raise Invalid("key id", "must be 8 hexadecimal digits, as `keyset list` shows them") from None
    editor_for(config, data).retire(wanted)
    say("retired; its passcodes and sealed contexts are refused from now on")


def _rows(found: Keyset) -> list[dict[str, str | int]]:
    return [
        {
            "id": record.key_id.hex(),
            "state": _state(found, record.key_id),
            "epoch": record.epoch,
            "created_at": record.created_at_us,
        }
        for record in found.records
    ]


def _state(found: Keyset, key_id: bytes) -> str:
    if key_id == found.primary_id:
        return "primary"
    return "opens" if key_id in found.usable else "retired"
