"""What stands out: from refusals in a stretch of time to signs that somebody should look at. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from counterfoil.console.operating import spelled
from counterfoil.console.operating.reasons import WORDS, Kind, words

Level: TypeAlias = Literal["idle", "ok", "warning", "problem", "unknown"]
SEVERITY: tuple[Level, ...] = ("idle", "ok", "unknown", "warning", "problem")
"""From the least to the worst; what is idle does nothing any more, and that is as it should be."""

RECENT_US = 600_000_000
FEW = 5
"""So many of one kind within the recent time are no accident."""
MANY = 20
TIMES = 3
"""A spike: so many times as often as in the time before."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing to know, and how much it matters."""

    level: Level
    word: str
    """The level in a word: colour is never alone."""
    title: str
    says: str = ""
    leads_to: str = ""
    """The page that says more, below the console."""


def signs_of(told: Mapping[str, Any]) -> list[Sign]:
    """What stands out in what the API told of refusals, the worst first; one sign of calm where nothing does."""
    starts, window_us = told["bins"]["starts"], told["until"] - told["since"]
    # The recent time is made of whole bins: the one that is not over yet, and those before it.
    bins = min(RECENT_US, window_us // TIMES) // max(1, told["bins"]["width_us"]) + 1
    recent_us = told["until"] - starts[-bins:][0] if starts else 0
    found = []
    for reason, numbers in told["bins"]["counts"].items():
        recent, total = sum(numbers[-bins:]), sum(numbers)
        level = _level(reason, recent, total, recent_us, window_us)
        if level != "ok":
            found.append((level, recent, reason))
    found.sort(key=lambda each: (SEVERITY.index(each[0]), each[1]), reverse=True)
    if found:
        return [_sign(level, recent, reason, recent_us, told) for level, recent, reason in found]
    total = sum(map(sum, told["bins"]["counts"].values()))
    return [Sign("ok", "As usual", "No reason stands out", _all(total, window_us))]


def _level(reason: str, recent: int, total: int, recent_us: int, window_us: int) -> Level:
    kind = words(reason).kind
    earlier = (total - recent) * recent_us / max(1, window_us - recent_us)
    is_spike = recent >= TIMES * earlier
    if kind is Kind.FORGERY:
        return "problem" if recent >= FEW else "warning" if total else "ok"
    if kind is Kind.COPIES and is_spike:
        return "problem" if recent >= MANY else "warning" if recent >= FEW else "ok"
    return "warning" if recent >= MANY and is_spike else "ok"


def _sign(level: Level, recent: int, reason: str, recent_us: int, told: Mapping[str, Any]) -> Sign:
    groups = [group for group in told["groups"] if group["reason"] == reason]
    total = sum(told["bins"]["counts"][reason])
    within = "within the last"
    lately = f"{spelled.count(recent)} {within} {_lasting(recent_us)}"
    title = lately if recent else f"{spelled.count(total)} {within} {_lasting(told['until'] - told['since'])}"
    says = " ".join((words(reason).many, _who(groups, total)))
    return Sign(level, "Unusual" if level == "problem" else "Look", f"`{reason}`: {title}", says.strip())


def _who(groups: Sequence[Mapping[str, Any]], total: int) -> str:
    """For whom it happens most, and who asks."""
    if not groups:
        return ""
    most = max(groups, key=lambda group: group["count"])
    share = "All" if most["count"] == total else f"{spelled.count(most['count'])} of {spelled.count(total)}"
    first_us = min(group["first_at"] for group in groups)
    return f"{share} for client {most['client_id']}, asked by {most['by']}; since {spelled.moment(first_us)}."


def _all(total: int, window_us: int) -> str:
    what = {0: "Nothing was", 1: "One was"}.get(total, f"{spelled.count(total)} were")
    return f"{what} refused within the last {_lasting(window_us)}."


def _lasting(us: int) -> str:
    """A length of time as it stands after "the last"."""
    return spelled.lasting(us / 1_000_000).removeprefix("1 ")


def ordered(reasons: Sequence[str]) -> list[str]:
    """Reasons in the order in which they worry."""
    known = list(WORDS)
    return sorted(reasons, key=lambda reason: (known.index(reason) if reason in known else len(known), reason))
