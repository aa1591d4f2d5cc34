"""Runs tests in forks of a process that has imported the libraries once. Run by path, in the folder whose tests it runs.

It reads a line of JSON for every trial, `{"tests": [...], "arguments": [...], "timeout_s": ...}`, and answers with a line: the
exit status of pytest, or null when the time was over. It imports no code of the project: every fork does, as it is then.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module

_LIBRARIES = (
    "apsw",
    "botocore.session",
    "click",
    "cryptography.hazmat.primitives.ciphers.aead",
    "httptools",
    "httpx2",
    "hypothesis.internal.conjecture.engine",
    "hypothesis.strategies",
    "msgspec",
    "openapi_spec_validator",
    "prometheus_client",
    "pytest",
    "pytest_asyncio.plugin",
    "pytest_cov.plugin",
    "rich.console",
    "uvicorn",
)
# Its plugins are imported before it comes to it, which it warns of.
_ARGUMENTS = ("-x", "-W", "ignore::pytest.PytestAssertRewriteWarning")
_LOOK_EVERY_S = 0.02


def main() -> None:
    """Serves trials until the input ends."""
    here = os.getcwd()  # noqa: PTH109 - tests find the project from where they are run
    sys.path[:0] = [os.path.join(here, "src"), here]  # noqa: PTH118
    # Processes that a test starts import the same code.
    os.environ["PYTHONPATH"] = sys.path[0]
    # A file that changes twice in a second is not told from its compiled form.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in _LIBRARIES:
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(_tried(**json.loads(line))), flush=True)


def _tried(tests: list[str], arguments: list[str], timeout_s: float) -> int | None:
    child = os.fork()
    if child == 0:
        _run(tests, arguments)
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_LOOK_EVERY_S)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run(tests: list[str], arguments: list[str]) -> None:
    status = 99
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        pytest = import_module("pytest")
        status = int(pytest.main([*_ARGUMENTS, *arguments, *tests]))
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
