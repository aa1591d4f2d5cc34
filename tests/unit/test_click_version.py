"""Click is told its version without a look at all metadata: the listing of commands is what people wait for most often."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from counterfoil.entrypoints import click_version

_HELP = """
import sys
{before}
from counterfoil.entrypoints.cli import main
sys.argv = ["counterfoil", "--help"]
try:
    main()
finally:
    print("importlib.metadata" in sys.modules, file=sys.stderr)
"""
_UNTOLD = "from counterfoil.entrypoints import click_version; click_version.tell = lambda: None"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What click's module holds, for one test without a version; looked at so, it does not look itself."""
    held = vars(click)
    monkeypatch.setitem(held, "__version__", "")
    del held["__version__"]
    return held


def test_it_is_the_version_that_is_installed(names: dict[str, object]) -> None:
    click_version.tell()
    assert names["__version__"] == version("click")


@pytest.mark.parametrize("folders", [(), ("click-8.3.0.dist-info", "click-8.3.1.dist-info")])
def test_where_it_cannot_be_told_click_is_left_alone(
    folders: tuple[str, ...], names: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(click, "__file__", str(tmp_path / "click" / "__init__.py"))
    click_version.tell()
    assert "__version__" not in names


@pytest.mark.parametrize(("before", "reads"), [("", False), (_UNTOLD, True)], ids=["told", "click's own way"])
def test_the_help_reads_no_metadata(before: str, reads: bool) -> None:
    script = _HELP.format(before=before)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stderr.strip() == str(reads)
