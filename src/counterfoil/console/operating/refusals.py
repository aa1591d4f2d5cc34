"""The page *refusals*: who is refused, for which reason, since when, and what that looks like. From the journal."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from counterfoil.api.http import Response
from counterfoil.console.operating import spelled
from counterfoil.console.operating.now import Chart
from counterfoil.console.operating.reasons import words
from counterfoil.console.operating.shared import SharedAnswers
from counterfoil.console.operating.signs import ordered, signs_of
from counterfoil.console.operating.trouble import trouble_of
from counterfoil.console.pages import Page, Visit

PATH = "/refusals"
EVERY_S = 15
SPANS = {"15": "a quarter of an hour", "60": "an hour", "1440": "a day", "10080": "a week"}
"""Minutes to look back over, as text."""
DEFAULT_SPAN = "60"
GROUPS_MAX = 100
LATEST_MAX = 12
_MINUTE_US = 60_000_000


async def refusals_within(
    visit: Visit, shared: SharedAnswers, now_us: int, minutes: str = DEFAULT_SPAN, client_id: str = ""
) -> Any:
    """What the API says of refusals, shared for a moment by whoever asks the same."""
    query: dict[str, str | int] = {"since": max(0, now_us - int(minutes) * _MINUTE_US)}
    if client_id:
        query["client_id"] = client_id
    return await shared.ask(visit, "/v1/refusals", query, key=f"refusals {minutes} {client_id}")


class Refusals:
    """The page."""

    def __init__(self, shared: SharedAnswers, now_us: Callable[[], int]) -> None:
        self._shared = shared
        self._now_us = now_us

    def page(self) -> Page:
        """The entry for the console."""
        return Page(PATH, "Refusals", "Who is refused, why, and since when; whether that looks like an attack.", self._show)

    async def _show(self, visit: Visit) -> Response:
        now_us = self._now_us()
        client_id = visit.query.get("client_id", "").strip()
        minutes = visit.query.get("within", DEFAULT_SPAN)
        minutes = minutes if minutes in SPANS else DEFAULT_SPAN
        answer = await refusals_within(visit, self._shared, now_us, minutes, client_id)
        told = answer.json() if answer.status == 200 else _NOTHING
        groups = sorted(told["groups"], key=lambda group: -group["count"])
        latest = await self._latest(visit, client_id, told["since"], told["until"]) if groups else []
        return visit.page(
            "refusals.html",
            title="Refusals",
            every_s=EVERY_S,
            trouble=trouble_of(answer),
            client_id=client_id,
            minutes=minutes,
            spans=SPANS,
            told=told,
            is_cut=told["since"] > now_us - int(minutes) * _MINUTE_US + _MINUTE_US,
            signs=signs_of(told) if answer.status == 200 else [],
            groups=groups[:GROUPS_MAX],
            left_off=sum(group["count"] for group in groups[GROUPS_MAX:]) + told["left_off"],
            total=sum(map(sum, told["bins"]["counts"].values())),
            reasons={reason: words(reason) for reason in ordered(list(told["bins"]["counts"]))},
            chart=_chart(told),
            bins=_bins(told),
            latest=latest,
            now_us=told["until"] or now_us,
            as_of_us=told["until"] or now_us,
            spelled=spelled,
        )

    async def _latest(self, visit: Visit, client_id: str, since_us: int, until_us: int) -> Any:
        # Until the moment of the counts, itself included, which may be a while ago: nothing is later than the page says to be.
        query: dict[str, str | int] = {
            "event": "refused",
            "order": "newest",
            "limit": LATEST_MAX,
            "since": since_us,
            "until": until_us + 1,
        }
        if client_id:
            query["client_id"] = client_id
        answer = await self._shared.ask(visit, "/v1/journal", query, key=f"latest {client_id} {since_us} {until_us}")
        return answer.json()["entries"] if answer.status == 200 else []


_NOTHING: Mapping[str, Any] = {
    "since": 0,
    "until": 0,
    "groups": (),
    "left_off": 0,
    "bins": {"width_us": 0, "starts": (), "counts": {}},
}


def _chart(told: Mapping[str, Any]) -> Chart:
    bins = told["bins"]
    reasons = ordered(list(bins["counts"]))
    columns = [[start / 1_000_000 for start in bins["starts"]], *(bins["counts"][reason] for reason in reasons)]
    return Chart(
        "refusals",
        f"Refused every {spelled.lasting(bins['width_us'] / 1e6).removeprefix('1 ')}",
        "stacked",
        "",
        [(reason, f"reason-{reason.replace('_', '-')}") for reason in reasons],
        json.dumps(columns, separators=(",", ":")),
        "How many passcodes were refused over time, by reason.",
        bins["width_us"] / 1_000_000 * max(1, len(bins["starts"])),
        "from",
    )


def _bins(told: Mapping[str, Any]) -> list[tuple[int, list[tuple[str, int]]]]:
    """The chart as text: each stretch in which something was refused, the newest first."""
    counts = told["bins"]["counts"]
    rows = [
        (start, [(reason, counts[reason][at]) for reason in ordered(list(counts)) if counts[reason][at]])
        for at, start in enumerate(told["bins"]["starts"])
    ]
    return [row for row in reversed(rows) if row[1]]
