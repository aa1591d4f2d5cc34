"""The README's commands are run as a newcomer would paste them, block by block, so that they cannot rot."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from infra.emulation import deployment, emulator

from tests.contract.engines import unless_missing
from tests.support.service import clean_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHELL_BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
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


def _environment() -> dict[str, str]:
    # `make test` inside `make test` would never end: this has it stop after its static checks (see scripts/test).
    inherited = {
        name: value for name, value in clean_environment().items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))
    }
    return {**inherited, "CHECKS_ONLY": "1"}


def _run(block: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout


class Background:
    """A block that goes on: started, read until it says what it must, ended with its whole process group."""

    def __init__(self, block: str, folder: Path, log: Path) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=folder,
                env=_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def until(self, expected: str) -> str:
        """What it has said, once `expected` is in it."""
        deadline_s = time.monotonic() + 60
        while expected not in (said := self._log.read_text()):
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline_s, said
            time.sleep(0.05)
        return said

    def end(self) -> None:
        """Ends it as Ctrl-C would."""
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(timeout=30)


@pytest.fixture
def started() -> Iterator[dict[str, Background]]:
    """Starts long-running blocks by name and ends them all."""
    running: dict[str, Background] = {}
    yield running
    for background in running.values():
        background.end()


def test_the_two_set_up_commands_are_the_first_blocks() -> None:
    assert SHELL_BLOCKS[:2] == ["make demo\n", "make test\n"]


@pytest.mark.parametrize("block", SHELL_BLOCKS[:2], ids=["make demo", "make test"])
def test_a_set_up_command_succeeds(block: str, checkout: Path) -> None:
    _run(block, checkout)


def test_what_make_run_prints_works_as_pasted(checkout: Path, tmp_path: Path, started: dict[str, Background]) -> None:
    started["run"] = Background("make run\n", checkout, tmp_path / "run.log")
    said = started["run"].until("-X DELETE")
    lines = said[said.index("# 1.") :]
    for _ in range(2):
        answers = _run(lines, checkout)
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
    _run(prepare, checkout)
    started["serve"] = Background(serve, checkout, tmp_path / "serve.log")
    started["serve"].until("http://127.0.0.1:8080")
    assert "accepted" in _run(use, checkout).lower()
    (example,) = PYTHON_BLOCKS
    (checkout / "example.py").write_text(example)
    _run(".venv/bin/python example.py", checkout)


def test_the_story_is_played_on_the_aws_emulator(checkout: Path) -> None:
    unless_missing("aws", emulator.missing() or deployment.missing())
    assert "✔ yes" in _run(DEMO_AWS, checkout)


def test_no_shell_block_is_left_out() -> None:
    covered = {*SHELL_BLOCKS[:2], *LONG_RUNNING, DEMO_AWS}
    serve_at = SHELL_BLOCKS.index(SERVE)
    covered |= {SHELL_BLOCKS[serve_at - 1], SHELL_BLOCKS[serve_at + 1]}
    assert set(SHELL_BLOCKS) == covered
