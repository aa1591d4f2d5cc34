"""Draws docs/performance.json with matplotlib, in the measuring environment: `python bench/plots.py TWIN FOLDER`.

It stands alone, since that environment has nothing of ours.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
# The same twin gives the same bytes.
mpl.rcParams.update(
    {"svg.hashsalt": "counterfoil", "svg.fonttype": "none", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3}
)
from matplotlib import pyplot  # noqa: E402 - only after the backend is chosen

_VERBS = (("issue", "#1f5f8b"), ("validate", "#d98e04"))
_PNG_DPI = 110


def throughput(twin: dict[str, Any]) -> Any:
    """Every service's throughput, with the spread over the rounds, on a logarithmic axis: it spans two decades and more."""
    names = list(twin["series"])[::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(names) + 1.2), layout="constrained")
    for number, (verb, colour) in enumerate(_VERBS):
        at = [index + 0.2 - 0.4 * number for index in range(len(names))]
        rounds = [twin["series"][name][verb] for name in names]
        medians = [statistics.median(each) for each in rounds]
        errors = [
            [middle - min(each) for middle, each in zip(medians, rounds, strict=True)],
            [max(each) - middle for middle, each in zip(medians, rounds, strict=True)],
        ]
        axes.barh(at, medians, 0.38, xerr=errors, label=verb, color=colour, ecolor="#444444", capsize=2)
        for height, middle in zip(at, medians, strict=True):
            axes.annotate(f"{middle:,.0f}", (middle, height), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlabel("requests a second, one core for the server side, 64 connections")
    axes.margins(x=0.12)
    axes.legend(loc="lower right")
    return figure


def latency(twin: dict[str, Any]) -> Any:
    """Percentiles by load, beside the disk."""
    found = {row["what"]: row["median"] for row in twin["figures"]}
    figure, both = pyplot.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axes, (verb, _) in zip(both, _VERBS, strict=True):
        for percentile, marker in (("p50", "o"), ("p99", "s"), ("p99.9", "^")):
            shares = (25, 50, 75)
            values = [found[f"{verb} at {share}% of capacity, {percentile}"] for share in shares]
            axes.plot(shares, values, marker=marker, label=percentile)
        axes.axhline(found["one fsync of the disk, median"], color="#888888", linestyle="--", label="one fsync")
        axes.set_title(f"{verb}, open loop, from the intended time of sending", fontsize=9)
        axes.set_xlabel("% of measured capacity")
        axes.set_xticks(shares)
        axes.set_yscale("log")
    both[0].set_ylabel("milliseconds")
    both[0].legend()
    return figure


def growth(twin: dict[str, Any]) -> Any:
    """Throughput by rows, and memory by operations."""
    found = twin["long"]["figures"]
    figure, (rows, memory) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for verb, colour in _VERBS:
        sizes = [row for row in found if row["unit"] == "/s" and row["what"].startswith(verb)]
        spreads = [[row["median"] - row["low"] for row in sizes], [row["high"] - row["median"] for row in sizes]]
        names = [row["what"].partition(", ")[2] for row in sizes]
        rows.errorbar(names, [row["median"] for row in sizes], spreads, marker="o", label=verb, color=colour, capsize=3)
    rows.set_ylim(0, rows.get_ylim()[1] * 1.1)
    rows.set_ylabel("requests a second")
    rows.legend()
    marks = [row for row in found if row["unit"] == "MiB"]
    names = [row["what"].removeprefix("resident memory, after ").removesuffix(" operations") for row in marks]
    memory.plot(names, [row["median"] for row in marks], marker="o", color="#444444")
    memory.set_ylim(0, memory.get_ylim()[1] * 1.1)
    memory.set_ylabel("resident MiB")
    memory.set_xlabel("operations")
    return figure


def main(twin_path: Path, folder: Path) -> int:
    """Writes an SVG and a PNG of each."""
    twin = json.loads(twin_path.read_text())
    drawn = {"throughput": throughput, "latency": latency, **({"growth": growth} if twin.get("long") else {})}
    for name, draw in drawn.items():
        figure = draw(twin)
        figure.savefig(folder / f"performance-{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"performance-{name}.png", dpi=_PNG_DPI, metadata={"Software": None})
        pyplot.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
