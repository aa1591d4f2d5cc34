"""Copies of the store: made while services run, put back under a new epoch."""

import secrets
from pathlib import Path

import rich_click as click

from counterfoil.entrypoints.commands.options import say, settings_from, with_settings
from counterfoil.keys.keyset_file import KeysetEditor
from counterfoil.keys.open_keys import keyset_path
from counterfoil.stores import sqlite_file, sqlite_journal
from counterfoil.stores.open_store import sqlite_path
from counterfoil.wiring import system_now_us


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@with_settings
def backup(target: Path, config: Path | None, data: Path | None) -> None:
    """Copy the store to TARGET, whole and durable, while services run. TARGET must not exist.

    Example: counterfoil backup /backups/counterfoil.db --data my-counterfoil
    """
    sqlite_file.backup(sqlite_path(settings_from(config, data).store_url), target)
    say(f"copied to {target}; keep the keyset elsewhere, a copy with its keyset is worth more to a thief")


@click.command()
@click.argument("copy", type=click.Path(path_type=Path))
@with_settings
def restore(copy: Path, config: Path | None, data: Path | None) -> None:
    """Put COPY in the store's place and begin a new epoch: every passcode issued before is dead.

    Stop the services first. What the copy does not know was redeemed could otherwise be redeemed again.

    Example: counterfoil restore /backups/counterfoil.db --data my-counterfoil
    """
    settings = settings_from(config, data)
    editor = KeysetEditor(keyset_path(settings.keys_url), system_now_us, secrets.token_bytes)
    # Before anything else: without the keyset there is no epoch to bump, and the copy would un-redeem.
    journal_key = editor.read().journal_key
    kept = sqlite_file.restore(
        copy,
        sqlite_path(settings.store_url),
        lambda connection: sqlite_journal.prepare(connection, journal_key, secrets.token_bytes),
        lambda: editor.bump_epoch().epoch,
    )
    say(f"restored; epoch {editor.read().epoch} has begun and every earlier passcode is dead")
    if kept is not None:
        say(f"the store that was there is kept as {kept}, until you remove it")
