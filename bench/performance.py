"""`make bench`: measures everything but what takes hours, and writes docs/performance.md with its twin and its pictures.

`--quick` measures the two headline ratios alone and writes nothing. `--try` takes one second for everything, to see that it runs.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench import latency, side_by_side
from bench.console_cost import console_figures
from bench.figures import Figure, encoded, single
from bench.flame import profile_figures
from bench.in_process import in_process_figures
from bench.machine import described, file_system
from bench.processes import MEASURING, PEERS, ROOT, WORK
from bench.read_back import proofs, prove_switched_off
from bench.rendering import page, table
from bench.rounds import QUICK_TRY, Invalid, Pace
from bench.service import Unfair
from bench.side_by_side import say
from bench.starts import lambda_figures, start_figures
from bench.wrk import Unfit

COUNTS_FOR_NOTHING = (Invalid, Unfair, Unfit, RuntimeError)
DOCS = ROOT / "docs"
PAGE, TWIN = "performance.md", "performance.json"
ANALYSIS = "performance-analysis.md"
_QUICK_ROUNDS = 5
_PICTURES = (
    ("Throughput side by side", "performance-throughput.svg"),
    ("Latency at a constant rate", "performance-latency.svg"),
    ("Flame graph of issue", "performance-issue.svg"),
    ("Flame graph of validate", "performance-validate.svg"),
)


def main(words: Sequence[str]) -> int:
    """0 when everything was measured; 2 when something that is needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.performance", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--try", dest="is_try", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where to write")
    asked = parser.parse_args(words)
    missing = missing_engines(is_quick=asked.quick) or unfit_disk()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    pace = QUICK_TRY if asked.is_try else Pace(rounds=_QUICK_ROUNDS if asked.quick else Pace.rounds)
    if asked.rounds:
        pace = Pace(pace.issue_s, pace.redeem_s, asked.rounds, pace.open_loop_s)
    end_when_told()
    begun_s = time.monotonic()
    try:
        with work_folder("run") as folder:
            if asked.quick:
                rounds, says = side_by_side.measured(side_by_side.HEADLINE, folder, pace)
                print(table(side_by_side.headline(rounds)), *(f"{name}: {value}" for name, value in says.items()), sep="\n")
            else:
                publish(measured(folder, pace, asked.docs), asked.docs)
                print((asked.docs / PAGE).read_text())
    except COUNTS_FOR_NOTHING as error:
        print(f"the run counts for nothing: {error}", file=sys.stderr)
        return 1
    say(f"took {time.monotonic() - begun_s:.0f} s")
    return 0


def missing_engines(*, is_quick: bool = False) -> str | None:
    """What has to be set up first; None when everything is there."""
    programs = ["wrk", "taskset"] if is_quick else ["wrk", "taskset", "redis-server"]
    absent = [name for name in programs if shutil.which(name) is None]
    if not is_quick:
        absent += [str(path) for path in (PEERS / "uvicorn", MEASURING / "py-spy") if not path.exists()]
    return f"missing: {', '.join(absent)}; run `make bench`, which sets them up" if absent else None


def unfit_disk() -> str | None:
    """Why the clone's disk shows nothing; None when it does. A file system in memory syncs nothing."""
    WORK.mkdir(exist_ok=True)
    kind = file_system(WORK)
    return f"{WORK} is on {kind}, where nothing is durable: clone to a disk" if kind in ("tmpfs", "ramfs") else None


def end_when_told() -> None:
    """SIGTERM ends this like Control-C, so that whatever was started is ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def measured(folder: Path, pace: Pace, docs: Path) -> dict[str, Any]:
    """The twin. Raises what makes a figure invalid."""
    docs.mkdir(exist_ok=True)
    settings, passcode_chars = proofs(folder / "proofs")
    prove_switched_off(folder / "switched-off")
    rounds, says = side_by_side.measured(side_by_side.EVERYTHING, folder, pace)
    issue_rate, validate_rate = (median(side_by_side.rates(rounds, side_by_side.OURS, verb)) for verb in ("issue", "validate"))
    figures: list[Figure] = [
        *side_by_side.ratio_figures(rounds),
        *latency.open_loop_figures(folder, pace, issue_rate, validate_rate),
        *latency.floor_figures(folder, pace, median(side_by_side.rates(rounds, side_by_side.ECHO, "issue"))),
        *latency.connection_figures(folder, pace),
        *latency.process_figures(folder, pace),
        *console_figures(folder, pace),
        *start_figures(folder, pace),
        *lambda_figures(),
        single("passcode length", "characters", passcode_chars, "passcode length"),
        *in_process_figures(folder, pace),
        *side_by_side.absolute_figures(rounds),
        *profile_figures(folder, pace, docs),
    ]
    return {
        **described(folder),
        "settings": {**settings, **says},
        "pace": {"issue_s": pace.issue_s, "redeem_s": pace.redeem_s, "rounds": pace.rounds},
        "series": side_by_side.series(rounds),
        "figures": encoded(figures),
        "pictures": [list(each) for each in _PICTURES],
        "analysis": ANALYSIS if (docs / ANALYSIS).exists() else None,
    }


def publish(twin: dict[str, Any], docs: Path) -> None:
    """Writes twin, page and pictures. What `make bench-long` found before is kept, with its own date and commit."""
    path = docs / TWIN
    if "long" not in twin and path.exists():
        twin["long"] = json.loads(path.read_text()).get("long")
    path.write_text(json.dumps(twin, indent=1, ensure_ascii=False) + "\n")
    (docs / PAGE).write_text(page(twin))
    subprocess.run([MEASURING / "python", ROOT / "bench" / "plots.py", path, docs], check=True)


@contextmanager
def work_folder(name: str) -> Iterator[Path]:
    """A fresh folder on the clone's disk, removed in the end."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
