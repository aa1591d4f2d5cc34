"""Lets processes that a test starts run the same mutant as the test itself. mutmut loads it into pytest."""

import os
from pathlib import Path

# mutmut runs pytest in its copy of the project. Without this, a started process imports the code that is not mutated.
os.environ["PYTHONPATH"] = str(Path.cwd() / "src")
# While mutmut notes which test enters which function, a started process has nothing to note, and would fail at trying.
# This process keeps the word by itself.
if os.environ.get("MUTANT_UNDER_TEST") == "stats":
    del os.environ["MUTANT_UNDER_TEST"]
