"""Watching a process's system calls on some files with strace, and killing it as it enters one of them."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WRITING = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink")
_ATTACHED = "attached"
_CALL = re.compile(r"^(\d+) +(\w+)\(")


def missing() -> str | None:
    """Why it cannot be used here, or nothing."""
    if shutil.which("strace") is None:
        return "strace is missing: `make engines` in CI sets it up; elsewhere install it (Debian: apt-get install strace)"
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:signal=SIGKILL:when=1", "true"],
        capture_output=True,
        check=False,
    )
    if tried.returncode:
        return "strace may not trace here: this sandbox forbids ptrace; run it where that is allowed"
    return None


@contextmanager
def watched(pid: int, paths: Sequence[Path], record: Path, *, dies_at: tuple[str, int] | None = None) -> Iterator[None]:
    """Records the process's calls on these files; `dies_at` a call and its number, counted by thread. Ends with the process."""
    command = ["strace", "-f", "-o", str(record), "-e", f"trace={','.join(WRITING)}"]
    for path in paths:
        command += ["-P", str(path)]
    if dies_at is not None:
        command += ["-e", "inject={}:signal=SIGKILL:when={}".format(*dies_at)]
    tracer = subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        said = tracer.stderr.readline()
        while _ATTACHED not in said:
            assert said, "strace could not attach"
            said = tracer.stderr.readline()
        yield
    finally:
        tracer.communicate(timeout=60)


def calls_by_thread(record: Path) -> dict[str, Counter[str]]:
    """How often each thread made each call."""
    calls: dict[str, Counter[str]] = {}
    for line in record.read_text().splitlines():
        found = _CALL.match(line)
        if found is not None:
            calls.setdefault(found[1], Counter())[found[2]] += 1
    return calls
