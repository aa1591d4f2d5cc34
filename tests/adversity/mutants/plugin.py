"""Lets processes that a test starts run the same mutant as the test itself. mutmut loads it into pytest."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

# mutmut runs pytest in its copy of the project. Without this, a started process imports the code that is not mutated.
os.environ["PYTHONPATH"] = str(Path.cwd() / "src")
# While mutmut notes which test enters which function, a started process has nothing to note, and would fail at trying.
# This process keeps the word by itself.
if os.environ.get("MUTANT_UNDER_TEST") == "stats":
    del os.environ["MUTANT_UNDER_TEST"]


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main() -> Generator[None, int | pytest.ExitCode | None, int | pytest.ExitCode | None]:
    """What a thread raises after the last test is a failed test too: pytest raises it, and mutmut would end."""
    try:
        return (yield)
    except pytest.PytestUnhandledThreadExceptionWarning:
        return pytest.ExitCode.TESTS_FAILED
