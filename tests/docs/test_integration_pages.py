"""The integration pages are done as they are read: every block of shell and Python, in order, against a development service."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.pasted import Background, Block, blocks, run_in_order

ROOT = Path(__file__).parents[2]
PAGES = ("integrate-client.md", "integrate-backend.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader stands: in a checkout, with `counterfoil` and `python` of its environment."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_block_does_what_the_page_shows(page: str, folder: Path, tmp_path: Path) -> None:
    serve, *others = blocks((ROOT / "docs" / page).read_text())
    service = Background(serve.content, folder, tmp_path / "service.log")
    try:
        service.until("}\n", said_in=folder / "dev.json")
        said = run_in_order(others, folder)
    finally:
        service.end()
    assert len(said) == len(others)
    assert [(block, output) for block, output in zip(others, said, strict=True) if not block.prints(output)] == []
    assert sum(block.shown is not None for block in others) > 6


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_no_block_of_another_language(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    fences = text.count("\n```") // 2
    found = blocks(text)
    assert fences == len(found) + sum(block.shown is not None for block in found)


def test_control_another_output_is_seen() -> None:
    assert Block("sh", "", '{"code":"…"} 409\n').prints('{"code":"x"} 409\n')
    assert not Block("sh", "", '{"code":"…"} 409\n').prints('{"code":"x"} 200\n')
    assert not Block("sh", "", "accepted\n").prints("")
