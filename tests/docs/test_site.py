"""The documentation site: built without a warning, whole, in its order, and without a request to another host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import unmeasured_environment

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
# As `make site` says it; where it goes is a test's own affair.
BUILD = re.search(r"-m sphinx (.*) docs \$\(SITE\)", (ROOT / "Makefile").read_text())
ORDER = (
    *("index", "concepts", "integrate-client", "integrate-backend", "http", "test-mode"),
    *("install", "settings", "operations", "console"),
    *("security", "evidence", "mutants", "performance", "performance-analysis"),
    *("formats", "cost", "lambda-start", "decisions/index", "faq"),
)


def _built(pages: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    assert BUILD is not None
    command = [sys.executable, "-m", "sphinx", *BUILD[1].split(), str(pages), str(target)]
    environment = unmeasured_environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = _built(ROOT / "docs", target)
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_on_the_site(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if not (site / page).is_file()] == []
    assert len(pages) > 20


def test_the_pages_stand_in_the_order_in_which_they_are_read(site: Path) -> None:
    sidebar = (site / "index.html").read_text().partition('class="sidebar-tree"')[2]
    links = re.findall(r'class="reference internal" href="([^"#]+)\.html"', sidebar)
    there = [page for page in ORDER if (ROOT / "docs" / f"{page}.md").exists()]
    # The first one is the page itself, to which its own link is "#"; decisions have pages under theirs.
    assert [page for page in dict.fromkeys(links) if not page.startswith("decisions/0")] == there[1:]


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    elsewhere = re.compile(r"""(?:src|srcset|action)=["']?https?://|<link\b[^>]*https?://|@import|url\(["']?(?:https?:)?//""")
    read = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    assert len(read) > 25
    assert {path.name: found for path in read if (found := elsewhere.findall(path.read_text()))} == {}
    scripts = "".join(path.read_text() for path in site.rglob("*.js"))
    assert re.findall(r"""(?:fetch|import|open)\(["']https?://""", scripts) == []


def test_the_drawing_says_what_it_shows(site: Path) -> None:
    drawing = (ROOT / "docs" / "ticket.svg").read_text()
    assert 'role="img" aria-labelledby="ticket-title ticket-desc"' in drawing
    assert "prefers-color-scheme: dark" in drawing
    for page in ("index", "concepts"):
        (alternative,) = re.findall(r'<img alt="([^"]+)" src="[^"]*ticket\.svg"', (site / f"{page}.html").read_text())
        assert len(alternative) > 100


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("# Here\n[there](nowhere.md)\n", "nowhere"),
        ("# Here\n[there](#nowhere)\n", "nowhere"),
        ("# Here\n[there](../nowhere/at/all.py)\n", "nowhere"),
        ("# Here\n![there](nowhere.svg)\n", "nowhere"),
        ("# Here\n```{toctree}\nnowhere\n```\n", "nowhere"),
    ],
)
def test_control_what_leads_nowhere_stops_the_build(tmp_path: Path, text: str, warned: str) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    (tmp_path / "src").symlink_to(ROOT / "src")
    (pages / "conf.py").write_text((ROOT / "docs" / "conf.py").read_text())
    (pages / "index.md").write_text(text)
    done = _built(pages, tmp_path / "site")
    assert done.returncode != 0
    assert warned in done.stderr
