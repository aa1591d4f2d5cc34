"""From a template and values to a page. Every value is escaped; a value that a template misses is an error."""

import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from counterfoil.console.assets import Assets
from counterfoil.console.cookies import PATH
from counterfoil.console.forms import HIDDEN_FIELD
from counterfoil.version import __version__


class Templates:
    """The console's templates."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(str(files(__package__).joinpath("templates"))),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters["coded"] = _coded
        self._environment.globals.update(
            asset=assets.path, console=PATH, token_field=HIDDEN_FIELD, version=__version__, caller=None, here="", entries=()
        )

    def rendered(self, name: str, **values: Any) -> str:
        """The template with these values in it."""
        return self._environment.get_template(name).render(**values)


def _coded(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 -- it is escaped first
