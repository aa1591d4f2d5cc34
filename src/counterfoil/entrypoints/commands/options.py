"""Options that several commands share, and how they print."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from counterfoil.model.invalid import Invalid
from counterfoil.settings import Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def with_settings(command: F) -> F:
    """`--data` and `--config`, which say where a deployment is."""
    command = click.option(
        "--data", type=click.Path(path_type=Path), help="Folder of store, keyset and credentials. [COUNTERFOIL_DATA]"
    )(command)
    return click.option(
        "--config", type=click.Path(path_type=Path), envvar="COUNTERFOIL_CONFIG", help="TOML file with settings."
    )(command)


def settings_from(config: Path | None, data: Path | None, **overrides: Any) -> Settings:
    """The settings, with the command line over environment and file."""
    return load_settings(config, os.environ, {"data": data, **overrides})


def say(text: str) -> None:
    """A message for a person: on stderr, so that results can be piped."""
    click.echo(text, err=True)


def show_json(value: Any) -> None:
    """A result for a machine, on one line of stdout."""
    click.echo(json.dumps(value))


def parsed_duration_s(text: str) -> int:
    """Seconds in `90s`, `15m`, `12h` or `90d`. Raises Invalid."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise Invalid("duration", "must be a number and one of s, m, h, d, such as 90d")
    return int(match[1]) * _UNITS_S[match[2]]


def spelled_time(at_us: int | None) -> str:
    """A time for people, in UTC; `-` for none."""
    from datetime import UTC, datetime

    return "-" if at_us is None else datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
