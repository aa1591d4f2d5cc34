"""The journal: verified against its key, and exported. Services may go on writing meanwhile."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich_click as click

from counterfoil.entrypoints.commands.options import as_json, say, settings_from, show_json, with_settings
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.keys.open_keys import keyset_path
from counterfoil.model.journal import JournalBroken
from counterfoil.model.journal_check import Journal, parsed_checkpoint, verify
from counterfoil.settings import Settings
from counterfoil.stores.open_store import sqlite_path
from counterfoil.stores.sqlite_journal import stored_journal
from counterfoil.wire.journal_lines import ExportedJournal, journal_lines


@click.group()
def journal() -> None:
    """The journal: every issue, acceptance, refusal and revocation, chained so that a change shows.

    Example: counterfoil journal verify --data my-counterfoil
    """


@journal.command("verify")
@click.option("--checkpoint", help="NUMBER:MAC that an earlier `journal verify` printed, kept elsewhere.")
@click.option("--export", "export", type=click.Path(path_type=Path), help="Verify this export instead of the store.")
@with_settings
@as_json
def verify_journal(checkpoint: str | None, export: Path | None, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Check every entry, both ends, and that a checkpoint is still in it. Ends with status 1 when something was changed.

    Prints a new checkpoint. Keep it where whoever can write the store cannot: it is what shows an older copy put back.

    Example: counterfoil journal verify --data my-counterfoil --checkpoint 12:5f0c…
    """
    settings = settings_from(config, data)
    kept = None if checkpoint is None else parsed_checkpoint(checkpoint)
    key = KeysetFile(keyset_path(settings.keys_url)).keyset().journal_key
    try:
        with _opened(settings, export) as found:
            entries, head = verify(key, found, kept), found.head.link.spelled()
    except JournalBroken as broken:
        if as_json:
            show_json({"verified": False, "problem": str(broken)})
        raise JournalBroken(f"the journal is NOT as it was written: {broken}") from None
    if as_json:
        show_json({"verified": True, "entries": entries, "checkpoint": head})
        return
    say(f"{entries} entries, each as it was written; the checkpoint to keep elsewhere:")
    click.echo(head)


@journal.command("export")
@with_settings
def export_journal(config: Path | None, data: Path | None) -> None:
    """Print the journal as JSON lines, whole, so that `journal verify --export` can check the file later.

    Example: counterfoil journal export --data my-counterfoil > journal-2026-11.jsonl
    """
    with stored_journal(sqlite_path(settings_from(config, data).store_url)) as found:
        # Bytes: an export is UTF-8 whatever the terminal is.
        sys.stdout.buffer.writelines(journal_lines(found))


@contextmanager
def _opened(settings: Settings, export: Path | None) -> Iterator[Journal]:
    if export is None:
        with stored_journal(sqlite_path(settings.store_url)) as found:
            yield found
        return
    with export.open("rb") as lines:
        yield ExportedJournal(lines)
