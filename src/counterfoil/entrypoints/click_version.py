"""Tells click which version it is, from the name of a folder: its own way reads all metadata, a seventh of `--help`'s time."""

from pathlib import Path

import click

_METADATA = "click-*.dist-info"


def tell() -> None:
    """For rich-click, which asks click for it. Where it cannot be told at a glance, click's own way is left."""
    found = [*Path(click.__file__).parent.parent.glob(_METADATA)]
    if len(found) == 1:
        _, _, version = found[0].stem.partition("-")
        vars(click)["__version__"] = version
