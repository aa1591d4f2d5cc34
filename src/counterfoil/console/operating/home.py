"""The first page: an answer at once. Is it serving, are refusals unusual, what is due; and where to look further."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from counterfoil.api.http import Response
from counterfoil.console.api_calls import Answer
from counterfoil.console.operating import now, refusals, spelled, standing
from counterfoil.console.operating.due import checks, due
from counterfoil.console.operating.figures import Figures
from counterfoil.console.operating.refusals import refusals_within
from counterfoil.console.operating.sampling import Sampling
from counterfoil.console.operating.shared import SLOW_S, SharedAnswers
from counterfoil.console.operating.signs import SEVERITY, Level, Sign, signs_of
from counterfoil.console.operating.trouble import trouble_of
from counterfoil.console.pages import Visit

EVERY_S = 15
SIGNS_MAX = 4


@dataclass(frozen=True, slots=True)
class Question:
    """One of the three, and its answer."""

    asked: str
    signs: Sequence[Sign]
    leads_to: str
    label: str

    @property
    def level(self) -> Level:
        """The worst of its signs."""
        return max((sign.level for sign in self.signs), key=SEVERITY.index)


class Home:
    """The page."""

    def __init__(self, sampling: Sampling, shared: SharedAnswers, now_us: Callable[[], int]) -> None:
        self._sampling = sampling
        self._shared = shared
        self._now_us = now_us

    async def show(self, visit: Visit) -> Response:
        """What the console begins with."""
        questions = [await self._serving(visit), await self._refusals(visit), await self._due(visit)]
        worst = max((question.level for question in questions), key=SEVERITY.index)
        return visit.page(
            "operating.html",
            title="Console",
            every_s=EVERY_S,
            headline=_HEADLINES[worst],
            questions=questions,
            as_of_us=self._now_us(),
            spelled=spelled,
        )

    async def _serving(self, visit: Visit) -> Question:
        ready = await visit.ask("GET", "/readyz")
        await self._sampling.look(visit)
        if ready.status == 200:
            sign = Sign("ok", "Yes", "Store and keys would serve now", _rates(self._sampling.recent()))
        else:
            sign = _not_known(ready, "problem", "No")
        return Question("Is it serving?", [sign], now.PATH, "Now")

    async def _refusals(self, visit: Visit) -> Question:
        answer = await refusals_within(visit, self._shared, self._now_us())
        signs = signs_of(answer.json())[:SIGNS_MAX] if answer.status == 200 else [_not_known(answer)]
        return Question("Are refusals unusual?", signs, refusals.PATH, "Refusals")

    async def _due(self, visit: Visit) -> Question:
        health = await self._shared.ask(visit, "/v1/health")
        keys = await self._shared.ask(visit, "/v1/keys", fresh_s=SLOW_S)
        credentials = await self._shared.ask(visit, "/v1/credentials", fresh_s=SLOW_S)
        signs = (
            [_not_known(health)]
            if health.status != 200
            else [
                Sign(
                    check["level"],
                    _WORDS[check["level"]],
                    f"{check['name']}: {check['says']}",
                    check["mend"],
                    standing.HEALTH_PATH,
                )
                for check in checks(health.json())
                if check["level"] != "ok"
            ]
        )
        told = [answer.json() if answer.status == 200 else None for answer in (keys, credentials)]
        # What doctor has said already is not said twice.
        said = " ".join(sign.title for sign in signs)
        signs += [
            Sign(each.level, each.word, each.title, each.says, standing.KEYS_PATH)
            for each in due(told[0], told[1], self._now_us())
            if each.title not in said
        ]
        return Question(
            "What is due?",
            signs[:SIGNS_MAX] or [Sign("ok", "Nothing", "No key, no credential and no setting calls for you")],
            standing.HEALTH_PATH,
            "Health",
        )


_HEADLINES = {
    "ok": "All is well",
    "unknown": "Not everything is known",
    "warning": "Something wants a look",
    "problem": "Something is wrong",
}
_WORDS: dict[str, str] = {"warning": "Look", "problem": "Mend"}


def _rates(recent: Figures | None) -> str:
    if recent is None:
        return ""
    words = f"{spelled.rate(recent.issued_per_s)} issued and {spelled.rate(recent.accepted_per_s)} accepted a second"
    return f"{words}, {spelled.rate(recent.faults_per_s)} faults." if recent.faults_per_s else f"{words}."


def _not_known(answer: Answer, level: Level = "unknown", word: str = "Not known") -> Sign:
    trouble = trouble_of(answer)
    assert trouble is not None
    return Sign(level, word, trouble.says, trouble.do)
