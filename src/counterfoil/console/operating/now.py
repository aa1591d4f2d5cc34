"""The page *now*: what the service is doing, as a strip that moves. Everything on it comes from `/metrics`."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.api.http import Response
from counterfoil.console.operating import spelled
from counterfoil.console.operating.figures import Figures
from counterfoil.console.operating.sampling import EVERY_S, Interval, Sampling
from counterfoil.console.operating.trouble import trouble_of
from counterfoil.console.pages import Page, Visit

PATH = "/now"
_ROWS_MAX = 15
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure in large print."""

    id: str
    label: str
    value: str
    more: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: the columns of its data, the first being seconds since the epoch, and how they are drawn."""

    id: str
    title: str
    kind: str
    unit: str
    series: Sequence[tuple[str, str]]
    """Label and name of the colour."""
    columns: str
    """JSON: columns of numbers, as a plotting library wants them."""
    says: str
    """The chart in a sentence."""
    span_s: float = 60
    """What is shown at least, however little there is."""
    bars: str = "until"
    """Whether a time is when a bar's stretch ends or when it begins."""


@dataclass(frozen=True, slots=True)
class Row:
    """The same as text: one interval."""

    clock: str
    figures: Figures
    reasons: str


class Now:
    """The page."""

    def __init__(self, sampling: Sampling, monotonic_s: Callable[[], float], now_us: Callable[[], int]) -> None:
        self._sampling = sampling
        self._monotonic_s = monotonic_s
        self._now_us = now_us

    def page(self) -> Page:
        """The entry for the console."""
        return Page(PATH, "Now", "Rates, acceptance, latency and refusals as they happen.", self._show)

    async def _show(self, visit: Visit) -> Response:
        sampling = self._sampling
        await sampling.look(visit)
        # Samples are dated by a clock that is never turned; what is shown is what that is in the service's time.
        offset_s = self._now_us() / _US - self._monotonic_s()
        intervals = list(sampling.intervals)
        newest, recent = sampling.newest, sampling.recent()
        return visit.page(
            "now.html",
            title="Now",
            every_s=EVERY_S,
            trouble=None if sampling.problem is None else trouble_of(sampling.problem),
            counts=newest is not None,
            is_fresh=newest is not None and not (newest.totals.issued or newest.totals.accepted or newest.totals.refused),
            tiles=_tiles(recent),
            charts=_charts(intervals, offset_s),
            rows=_rows(intervals, offset_s),
            totals=None if newest is None else newest.totals,
            reasons=[] if newest is None else sorted(newest.totals.reasons.items(), key=lambda each: (-each[1], each[0])),
            recent=recent,
            as_of_us=self._now_us(),
            spelled=spelled,
        )


def _tiles(recent: Figures | None) -> list[Tile]:
    def told(name: str) -> Any:
        return None if recent is None else getattr(recent, name)

    validated = None if recent is None else recent.accepted_per_s + recent.refused_per_s
    faults = told("faults_per_s")
    return [
        Tile("issued", "Issued", spelled.rate(told("issued_per_s")), "a second"),
        Tile("validated", "Validated", spelled.rate(validated), "a second"),
        Tile("share", "Accepted", spelled.share(told("accepted_share")), "of validations"),
        Tile("refused", "Refused", spelled.rate(told("refused_per_s")), "a second"),
        Tile("issue-took", "Issue takes", spelled.took(told("issue_p50_s")), f"p99 {spelled.took(told('issue_p99_s'))}"),
        Tile(
            "validate-took",
            "Validate takes",
            spelled.took(told("validate_p50_s")),
            f"p99 {spelled.took(told('validate_p99_s'))}",
        ),
        Tile("turned-away", "Turned away", spelled.rate(told("turned_away_per_s")), "a second: 401 or 403"),
        Tile("faults", "Faults", spelled.rate(faults), "a second: 500 or 503", bool(faults)),
    ]


def _charts(intervals: Sequence[Interval], offset_s: float) -> list[Chart]:
    clocks = [each.at_s + offset_s for each in intervals]

    def column(name: str, scale: float = 1.0) -> list[float | None]:
        values = [None if each.figures is None else getattr(each.figures, name) for each in intervals]
        return [None if value is None else value * scale for value in values]

    reasons = sorted({reason for each in intervals if each.figures for reason in each.figures.reasons_per_s})
    by_reason = [
        [None if each.figures is None else each.figures.reasons_per_s.get(reason, 0.0) for each in intervals]
        for reason in reasons
    ]
    return [
        Chart(
            "rates",
            "Passcodes a second",
            "lines",
            "/s",
            (("issued", "series-1"), ("accepted", "series-2"), ("refused", "series-3")),
            _json(clocks, column("issued_per_s"), column("accepted_per_s"), column("refused_per_s")),
            "How many passcodes were issued, accepted and refused in a second.",
        ),
        Chart(
            "reasons",
            "Refused a second, by reason",
            "stacked",
            "/s",
            [(reason, f"reason-{reason.replace('_', '-')}") for reason in reasons],
            _json(clocks, *by_reason),
            "How many passcodes were refused in a second, by reason.",
        ),
        Chart(
            "latency",
            "Milliseconds an answer takes",
            "log",
            " ms",
            (
                ("issue p50", "series-1"),
                ("issue p99", "series-1-strong"),
                ("validate p50", "series-2"),
                ("validate p99", "series-2-strong"),
            ),
            _json(clocks, *(column(f"{each}_s", 1000) for each in ("issue_p50", "issue_p99", "validate_p50", "validate_p99"))),
            "How long issuing and validating took, median and 99th percentile.",
        ),
        Chart(
            "share",
            "Accepted of all validations",
            "share",
            " %",
            (("accepted", "series-2"),),
            _json(clocks, column("accepted_share", 100)),
            "Which part of the validations was accepted.",
        ),
    ]


def _json(*columns: Iterable[float | None]) -> str:
    rounded = [[None if value is None else round(value, 3) for value in column] for column in columns]
    return json.dumps(rounded, separators=(",", ":"))


def _rows(intervals: Sequence[Interval], offset_s: float) -> list[Row]:
    shown = [each for each in intervals if each.figures is not None][: -_ROWS_MAX - 1 : -1]
    return [
        Row(spelled.clock(int((each.at_s + offset_s) * _US)), each.figures, _reasons(each.figures))
        for each in shown
        if each.figures is not None
    ]


def _reasons(figures: Figures) -> str:
    return ", ".join(f"{reason} {spelled.rate(per_s)}/s" for reason, per_s in sorted(figures.reasons_per_s.items())) or "none"
