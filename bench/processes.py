"""Processes that are measured: pinned to a core, ended by their ids whatever happens, and asked what they used."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".bench"
"""What a run leaves behind, on the clone's own disk: a benchmark on a tmpfs would fsync nothing."""
PEERS = ROOT / ".engines" / "peers" / "bin"
MEASURING = ROOT / ".engines" / "measuring" / "bin"
PYTHON = sys.executable

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[0], _CORES[-1]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_END_S = 20


def pinned(core: int | None, command: Sequence[str | Path]) -> list[str]:
    """The command, to be run on that core alone; on any for None."""
    words = [str(word) for word in command]
    return words if core is None else ["taskset", "--cpu-list", str(core), *words]


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of ours, which would leak into what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERFOIL_")} | more


@contextmanager
def started(
    command: Sequence[str | Path], core: int | None, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The running process; ended when the block ends. What it says on stderr goes to `log`."""
    with ExitStack() as leaving:
        errors = leaving.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(
            pinned(core, command), stdout=subprocess.PIPE, stderr=errors, env=environment or clean_environment(), cwd=ROOT
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        # It may be paused, and would not hear.
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def first_line(process: subprocess.Popen[bytes], log: Path) -> Any:
    """The JSON with which a server says that it takes requests. Raises RuntimeError with its last words when it ended."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a server did not start: {log.read_text(errors='replace')[-2000:]}")
    return json.loads(line)


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds that these processes have used so far, in user and system mode."""
    ticks = 0
    for pid in pids:
        # After the name in parentheses, utime and stime are fields 14 and 15 of proc_pid_stat(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Memory that this process has in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


@contextmanager
def only_running(pids: Sequence[int], others: Sequence[int]) -> Iterator[None]:
    """The others stand still meanwhile, so that what is idle costs nothing either."""
    for pid in others:
        if pid not in pids:
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
