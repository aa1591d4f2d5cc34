"""Checks a set-up and says what to do. It makes no file and changes no setting, key, credential or counterfoil."""

import sys
from dataclasses import asdict
from pathlib import Path

import rich_click as click

from counterfoil.entrypoints.commands.options import as_json, settings_from, show_json, with_settings
from counterfoil.entrypoints.exits import DONE, REFUSED
from counterfoil.examination import CORRECT_SETTING, examined
from counterfoil.model.invalid import Invalid
from counterfoil.ports.examination import Finding
from counterfoil.wiring import system_now_us


@click.command()
@with_settings
@as_json
def doctor(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Check settings, store, durability, clock, keys, credentials and file modes. Exit status 1 when there is a problem.

    Example: counterfoil doctor --data my-counterfoil
    """
    findings = found_in(config, data, system_now_us())
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mend = f"  -> {finding.mend}" if finding.mend else ""
            click.echo(f"{finding.level:8} {finding.what}: {finding.says}{mend}")
    sys.exit(REFUSED if any(finding.level == "problem" for finding in findings) else DONE)


def found_in(config: Path | None, data: Path | None, now_us: int) -> list[Finding]:
    """All findings. Where the settings cannot be read there is nothing more to look at."""
    try:
        settings = settings_from(config, data)
    except Invalid as error:
        return [Finding("settings", "problem", str(error), CORRECT_SETTING)]
    return examined(settings, now_us)
