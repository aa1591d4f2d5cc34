"""One measured figure, and the goal that was set for it before it was measured. Pure."""

from dataclasses import asdict, dataclass
from typing import Any

from bench.medians import Spread, spread


@dataclass(frozen=True)
class Goal:
    """A bound; `stretch` is the further one that was hoped for."""

    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether a figure keeps it."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


GOALS = {
    "issue / echo": Goal(at_least=0.45, stretch=0.60),
    "validate / echo": Goal(at_least=0.40, stretch=0.55),
    "issue / FastAPI + Redis": Goal(at_least=6.0),
    "validate / FastAPI + Redis": Goal(at_least=4.5),
    "issue / OpenBao": Goal(at_least=50.0),
    "validate / OpenBao": Goal(at_least=80.0),
    "issue p99 at 50 %": Goal(at_most=5.0),
    "validate p99 at 50 %": Goal(at_most=5.0),
    "issue p99 at 50 % / fsync": Goal(at_most=3.0),
    "validate p99 at 50 % / fsync": Goal(at_most=3.0),
    "lone issue / fsync": Goal(at_most=2.5),
    "lone validate / fsync": Goal(at_most=2.5),
    "issue, 10 million rows / 10 thousand": Goal(at_least=0.9),
    "validate, 10 million rows / 10 thousand": Goal(at_least=0.9),
    "memory, 10 million operations / 100 thousand": Goal(at_most=1.1),
    "issue with the console open": Goal(at_least=0.97),
    "passcode length": Goal(at_most=96),
    "CPU of --help": Goal(at_most=150),
    "CPU of import": Goal(at_most=60),
    "Lambda import and first issue / sample's": Goal(at_most=0.5),
}
"""As the issue that asked for the speed sets them, by the key of the figure."""


@dataclass(frozen=True)
class Figure:
    """A row of the table: a median, the least and the most over the rounds, and its goal's key where it has one."""

    what: str
    unit: str
    median: float
    low: float
    high: float
    rounds: int
    key: str = ""

    @property
    def goal(self) -> Goal | None:
        """What was asked for."""
        return GOALS.get(self.key)


def figure(what: str, unit: str, found: Spread, key: str = "") -> Figure:
    """A figure of several rounds."""
    assert not key or key in GOALS, key
    return Figure(what, unit, found.median, found.low, found.high, found.rounds, key)


def single(what: str, unit: str, value: float, key: str = "") -> Figure:
    """A figure that was taken once."""
    return figure(what, unit, spread([value]), key)


def encoded(figures: list[Figure]) -> list[dict[str, Any]]:
    """For the machine-readable twin."""
    return [asdict(each) for each in figures]


def decoded(rows: list[dict[str, Any]]) -> list[Figure]:
    """What `encoded` wrote."""
    return [Figure(**row) for row in rows]
