"""Where a request's CPU time goes: samples of the server under load by py-spy, as flame graphs and as shares by room."""

import re
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import rounds as load
from bench.figures import Figure, single
from bench.peers.counterfoil import counterfoil
from bench.processes import LOAD_CORE, MEASURING, pinned
from bench.rounds import Pace
from bench.side_by_side import say

_PER_S = 400
_STOCKING_FACTOR = 2.0
_SHOWN = 8
_TITLE = re.compile(r">[^<>]*py-spy record[^<>]*<")
# The commit thread waiting for its turn on the one core: the sampler takes that for work.
_WAITS = ("GroupCommit._work ",)


def profile_figures(folder: Path, pace: Pace, drawings: Path) -> list[Figure]:
    """Shares of the samples by room. Writes a flame graph for each verb to `drawings`. The load's speed is not a figure here."""
    seconds = max(2, round(pace.open_loop_s))
    figures: list[Figure] = []
    with counterfoil(folder / "profile") as service, ThreadPoolExecutor(1) as beside:
        for verb, drive in (("issue", load.issue), ("validate", load.redeem)):
            for form, path in (("flamegraph", drawings / f"performance-{verb}.svg"), ("raw", folder / f"{verb}.folded")):
                # Longer than the samples are taken, and never out of secrets.
                kept = (
                    load.stocked(service, folder, seconds * _STOCKING_FACTOR + 2) if verb == "validate" else folder / "issued"
                )
                loading = beside.submit(drive, service, kept, seconds + 2)
                _sampled(service.pids[0], seconds, form, path)
                loading.result()
            shares = by_room((folder / f"{verb}.folded").read_text())
            figures += [
                single(f"CPU of {verb}: {room}", "%", share * 100)
                for room, share in sorted(shares.items(), key=lambda item: -item[1])[:_SHOWN]
            ]
            say(f"profile of {verb} is taken")
    return figures


def by_room(folded: str) -> dict[str, float]:
    """Each room's share of folded stacks: where the innermost frame is, which has the time of the C code that it calls."""
    counts: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        innermost = stack.rpartition(";")[2]
        if not innermost.startswith(_WAITS):
            counts[_room(innermost)] += int(count)
    total = sum(counts.values())
    return {room: count / total for room, count in counts.items()} if total else {}


def _room(frame: str) -> str:
    _, _, place = frame.partition("(")
    parts = [part for part in place.partition(":")[0].rstrip(")").split("/") if part]
    if "counterfoil" in parts:
        after = parts[parts.index("counterfoil") + 1 :]
        return f"counterfoil/{after[0].removesuffix('.py')}" if after else "counterfoil"
    if parts[:1] == ["<string>"]:
        return "constructors of dataclasses"
    return parts[0].removesuffix(".py") if parts else "outside Python"


def _sampled(pid: int, seconds: int, form: str, path: Path) -> None:
    words: list[str | Path] = [
        MEASURING / "py-spy",
        "record",
        # Paused for a look, a process stops at its next call of the kernel: whatever makes one would seem to take the time before.
        "--nonblocking",
        "--pid",
        str(pid),
        "--rate",
        str(_PER_S),
        "--duration",
        str(seconds),
    ]
    command = pinned(LOAD_CORE, [*words, "--format", form, "--output", path])
    subprocess.run(command, check=True, capture_output=True, timeout=seconds + 60)
    # py-spy's title is its command, with this machine's paths.
    path.write_text(_TITLE.sub(">CPU samples<", path.read_text()))
