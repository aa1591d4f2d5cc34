"""How the documentation site is built (`make site`): Sphinx with MyST and Furo, from these pages as they stand.

MyST reads Markdown as GitHub does, where the same pages are read too. Nothing is loaded from another host: the theme brings
its styles and scripts. Every warning is an error, so a link or an anchor that leads nowhere, or a page that is in no table
of contents, stops the build.
"""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
from counterfoil.version import __version__  # noqa: E402 - the path comes first

project = "Counterfoil"
author = "The Counterfoil authors"
version = release = __version__
language = "en"

extensions = ["myst_parser"]
# Anchors as GitHub makes them, so that a link works in both places.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Counterfoil {__version__}"
html_show_copyright = False
html_copy_source = False
html_domain_indices = html_use_index = False
pygments_style = "friendly"

# Pages that runs of hours write down may not be there yet; the table of contents has them when they are.
_OF_LONG_RUNS = ("evidence", "mutants", "performance")
_OUTSIDE = re.compile(r"(?<!!)\[([^]]+)\]\((\.\./[^)#]+)\)")


def name_what_is_outside(app: Sphinx, name: str, source: list[str]) -> None:
    """Files of the repository that are not on the site are named there, not linked. One that is not there stays, and warns."""
    page = Path(app.srcdir) / name

    def named(link: re.Match[str]) -> str:
        path = (page.parent / link[2]).resolve()
        inside = path.is_relative_to(app.srcdir)
        return link[0] if inside or not path.exists() else f"{link[1]} (`{path.relative_to(ROOT)}` in the repository)"

    source[0] = _OUTSIDE.sub(named, source[0])


def leave_out_what_is_not_there_yet(app: Sphinx, name: str, source: list[str]) -> None:
    """Takes pages of long runs that nobody has written yet out of the table of contents."""
    if name == app.config.root_doc:
        missing = [page for page in _OF_LONG_RUNS if not (Path(app.srcdir) / f"{page}.md").exists()]
        source[0] = "".join(line for line in source[0].splitlines(keepends=True) if line.strip() not in missing)


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    app.connect("source-read", name_what_is_outside)
    app.connect("source-read", leave_out_what_is_not_there_yet)
