"""The README's commands are run as a newcomer would paste them, block by block, so that they cannot rot."""

import fcntl
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
from infra.emulation import deployment, emulator

from tests.contract.engines import unless_missing
from tests.support.pasted import Background, blocks, run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHELL_BLOCKS = [block.content for block in blocks(README) if block.language == "sh"]
PYTHON_BLOCKS = [block.content for block in blocks(README) if block.language == "python"]
SERVE = next(block for block in SHELL_BLOCKS if " serve " in block)
LONG_RUNNING = ("make run\n", SERVE)
DEMO_AWS = "make demo-aws\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as links, so that what the blocks leave behind is left elsewhere."""
    folder = tmp_path_factory.mktemp("checkout")
    for entry in ROOT.iterdir():
        if entry.name not in (".git", "counterfoil-data"):
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture
def started() -> Iterator[dict[str, Background]]:
    """Starts long-running blocks by name and ends them all. One test at a time: the page's port is one."""
    running: dict[str, Background] = {}
    with Path(gettempdir(), "counterfoil-readme").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield running
        for background in running.values():
            background.end()


def test_the_two_set_up_commands_are_the_first_blocks() -> None:
    assert SHELL_BLOCKS[:2] == ["make demo\n", "make test\n"]


@pytest.mark.parametrize("block", SHELL_BLOCKS[:2], ids=["make demo", "make test"])
def test_a_set_up_command_succeeds(block: str, checkout: Path) -> None:
    run(block, checkout)


def test_what_make_run_prints_works_as_pasted(checkout: Path, tmp_path: Path, started: dict[str, Background]) -> None:
    started["run"] = Background("make run\n", checkout, tmp_path / "run.log")
    said = started["run"].until("-X DELETE")
    lines = said[said.index("# 1.") :]
    for _ in range(2):
        answers = run(lines, checkout)
        statuses = re.findall(r"  (\d{3})$", answers, re.MULTILINE)
        assert statuses == ["201", "200", "409", "200", "200", "200", "200", "200"]
        assert '"reason":"already_redeemed"' in answers
        assert '"replayed":true' in answers
        assert [answers.count(said) for said in ("OTP generated", "OTP validated", "OTP deleted")] == [2, 1, 1]


def test_a_production_service_goes_from_keyset_to_acceptance(
    checkout: Path, tmp_path: Path, started: dict[str, Background]
) -> None:
    in_order = SHELL_BLOCKS[SHELL_BLOCKS.index(SERVE) - 1 : SHELL_BLOCKS.index(SERVE) + 2]
    prepare, serve, use = in_order
    shutil.rmtree(checkout / "my-counterfoil", ignore_errors=True)
    run(prepare, checkout)
    started["serve"] = Background(serve, checkout, tmp_path / "serve.log")
    started["serve"].until("http://127.0.0.1:8080")
    assert "accepted" in run(use, checkout).lower()
    (example,) = PYTHON_BLOCKS
    (checkout / "example.py").write_text(example)
    run(".venv/bin/python example.py", checkout)


def test_the_story_is_played_on_the_aws_emulator(checkout: Path) -> None:
    unless_missing("aws", emulator.missing() or deployment.missing())
    assert "✔ yes" in run(DEMO_AWS, checkout)


def test_no_shell_block_is_left_out() -> None:
    covered = {*SHELL_BLOCKS[:2], *LONG_RUNNING, DEMO_AWS}
    serve_at = SHELL_BLOCKS.index(SERVE)
    covered |= {SHELL_BLOCKS[serve_at - 1], SHELL_BLOCKS[serve_at + 1]}
    assert set(SHELL_BLOCKS) == covered
