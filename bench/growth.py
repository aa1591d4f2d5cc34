"""`make bench-long`: throughput by the number of rows, with the broom running, and memory over millions of operations.

What is done is noted in .bench/long, and not done again by the next run of the same commit's src. It adds its figures to
docs/performance.json and docs/performance.md.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench import filled_store, performance
from bench import rounds as load
from bench.figures import Figure, decoded, encoded, figure, single
from bench.machine import described, git
from bench.medians import ratios, spread
from bench.peers.counterfoil import counterfoil, made_deployment
from bench.processes import WORK, resident_bytes
from bench.rounds import Pace
from bench.side_by_side import say

T = TypeVar("T")
Rates = dict[str, dict[str, float]]
"""By size of the store: issues and validations a second, and rows that were swept."""

SIZES = {"10 thousand": 10_000, "1 million": 1_000_000, "10 million": 10_000_000}
MEMORY_AFTER = {"100 thousand": 100_000, "1 million": 1_000_000, "3 million": 3_000_000, "10 million": 10_000_000}
_VERBS = ("issue", "validate")
_NOTES = WORK / "long"


def main(words: Sequence[str]) -> int:
    """0 when everything was measured, now or before; 2 when something that is needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of rows and operations; below 1 for trying alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--docs", type=Path, default=performance.DOCS, help="where to write")
    asked = parser.parse_args(words)
    missing = performance.missing_engines() or performance.unfit_disk()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    performance.end_when_told()
    notes = Notes(_NOTES, f"{git('rev-parse', 'HEAD:src')} {asked.scale:g}")
    pace = Pace(rounds=asked.rounds)
    figures = growth_figures(notes, asked.scale, pace)
    figures += decoded(notes.once("memory", lambda: encoded(memory_figures(notes.folder, asked.scale))))
    for name in SIZES.values():
        # Gigabytes; the notes stay.
        shutil.rmtree(notes.folder / f"rows-{name}", ignore_errors=True)
    run = {
        **described(notes.folder),
        "figures": encoded(figures),
        "pictures": [["Growth and memory", "performance-growth.svg"]],
    }
    print(json.dumps(run, indent=1, ensure_ascii=False))
    path = asked.docs / performance.TWIN
    if asked.scale == 1.0 and path.exists():
        performance.publish({**json.loads(path.read_text()), "long": run}, asked.docs)
    else:
        say("not written to the page: " + ("run `make bench` first" if asked.scale == 1.0 else "the scale is for trying"))
    return 0


class Notes:
    """What was measured already, by part; forgotten when what is measured has changed."""

    def __init__(self, folder: Path, of: str) -> None:
        self.folder = folder
        mark = folder / "of"
        if not mark.exists() or mark.read_text() != of:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(of)

    def once(self, name: str, measure: Callable[[], T]) -> T:
        """What was found of that part, from the note where there is one."""
        note = self.folder / f"{name}.json"
        if not note.exists():
            content = json.dumps(measure())
            (self.folder / "new").write_text(content)
            (self.folder / "new").replace(note)
        found: T = json.loads(note.read_text())
        return found


def growth_figures(notes: Notes, scale: float, pace: Pace) -> list[Figure]:
    """Throughput over each size of store, in turns. Rows fall due at the rate at which a full one is written to."""
    rounds = [
        notes.once(f"round-{number}", partial(_round, notes.folder, scale, pace, number)) for number in range(pace.rounds)
    ]
    figures = []
    for verb in _VERBS:
        rates = {name: [each[name][verb] for each in rounds] for name in SIZES}
        for name in ("10 million", "1 million"):
            key = f"{verb}, 10 million rows / 10 thousand" if name == "10 million" else ""
            figures.append(figure(f"{verb}, {name} rows / 10 thousand", "×", ratios(rates[name], rates["10 thousand"]), key))
        figures += [figure(f"{verb}, {name} rows", "/s", spread(rates[name])) for name in SIZES]
    swept = {name: spread([each[name]["swept"] for each in rounds]) for name in SIZES}
    return figures + [figure(f"rows that the broom took in a round, of {name}", "rows", found) for name, found in swept.items()]


def _round(folder: Path, scale: float, pace: Pace, number: int) -> Rates:
    found: Rates = {}
    for name, rows in SIZES.items():
        deployment = filled_store.opened_or_filled(folder / f"rows-{rows}", max(1000, int(rows * scale)))
        oldest = filled_store.oldest_us(deployment.folder)
        options = ("--retention-s", str(filled_store.retention_s(oldest)))
        with counterfoil(deployment.folder, deployment=deployment, options=options) as service:
            issued, redeemed = load.both(service, deployment.folder, pace)
        swept = filled_store.filler_rows_before(oldest, deployment.folder)
        found[name] = {"issue": issued.rate, "validate": redeemed.rate, "swept": swept}
        say(f"growth, round {number + 1}/{pace.rounds}: {name} rows, {swept:,.0f} of them swept")
    return found


def memory_figures(folder: Path, scale: float) -> list[Figure]:
    """Resident memory of one server process after so many operations: issues and validations, with the production settings."""
    marks: Mapping[str, int] = {name: int(many * scale) for name, many in MEMORY_AFTER.items()}
    target = folder / "memory"
    shutil.rmtree(target, ignore_errors=True)
    resident: dict[str, float] = {}
    done = 0.0
    with counterfoil(target, deployment=made_deployment(target)) as service:
        while len(resident) < len(marks):
            seconds = 5.0 if "100 thousand" in resident else 1.0
            kept = load.stocked(service, target, seconds)
            issued = load.lines(kept)
            # Shorter than the issuing, so that there are secrets left; what is left over expires.
            redeemed = load.redeem(service, kept, max(1.0, seconds * 0.6))
            done += issued + redeemed.rate * max(1.0, round(seconds * 0.6))
            for name, many in marks.items():
                if done >= many and name not in resident:
                    resident[name] = resident_bytes(service.pids[0]) / 2**20
                    say(f"memory after {done:,.0f} operations: {resident[name]:.1f} MiB")
    shutil.rmtree(target)
    few, *_, most = (resident[name] for name in MEMORY_AFTER)
    words = "resident memory, after 10 million operations"
    return [
        single(f"{words} / after 100 thousand", "×", most / few, "memory, 10 million operations / 100 thousand"),
        *(single(f"resident memory, after {name} operations", "MiB", mib) for name, mib in resident.items()),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
