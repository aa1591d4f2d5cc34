"""Watching a process's system calls on some files with strace, and killing it, or having the call fail, at one of them."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

WRITING = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink")
_ATTACHED = "attached"
_CALL = re.compile(r"^(\d+) +(\w+)\((?:\d+<|\")([^>\"]*)")


class Call(NamedTuple):
    """A system call on a file or folder."""

    thread: str
    name: str
    path: str


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
def watched(pid: int, paths: Sequence[Path], record: Path, injected: str | None = None) -> Iterator[None]:
    """Records the process's calls on these files, until it ends; `injected` as strace has it, which counts by thread."""
    command = ["strace", "-f", "-y", "-o", str(record), "-e", f"trace={','.join(WRITING)}"]
    for path in paths:
        command += ["-P", str(path)]
    if injected is not None:
        command += ["-e", f"inject={injected}"]
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


def recorded(record: Path) -> list[Call]:
    """The calls, in order."""
    found = (_CALL.match(line) for line in record.read_text().splitlines())
    return [Call(*match.groups()) for match in found if match is not None]
