"""The walkthrough as a page of the console: forms into steps of the play, the story into what is shown."""

import re
from asyncio import Lock
from dataclasses import fields

from counterfoil.api.http import Response
from counterfoil.console.answers import see_other
from counterfoil.console.cookies import PATH
from counterfoil.console.forms import Form
from counterfoil.console.pages import Page, Visit
from counterfoil.console.walkthrough import scripts
from counterfoil.console.walkthrough.deeds import COMBINED, HONEST, TRICKS, deed_of, forgery
from counterfoil.console.walkthrough.play import Play
from counterfoil.console.walkthrough.story import LIFETIME_S, By, Payment, Story
from counterfoil.console.walkthrough.ticket import rows
from counterfoil.console.walkthrough.words import meaning

_HERE = "/walkthrough"
_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")
_SHELF = "walkthrough"


class Walkthrough:
    """The page and what its forms do. It has the two ends' credentials, which only development mode has in memory."""

    def __init__(self, issuer: str, validator: str) -> None:
        self._credentials = {By.CLIENT: issuer, By.BACKEND: validator}
        self._one_at_a_time = Lock()

    def page(self) -> Page:
        """The entry for the console."""
        acts = {"issue": self._issue, "deliver": self._deliver, "again": self._again}
        about = "Be the systems in between: change, copy, delay and steal a payment, and see what the backend hears."
        return Page(_HERE, "Walkthrough", about, self._show, acts)

    async def _show(self, visit: Visit) -> Response:
        story = _story(visit)
        now_us = await self._play(visit).look_at_the_clock()
        slip, last = story.slip, story.last
        shows_passcode = slip is not None and not slip.is_shown
        values = {
            "title": "Walkthrough",
            "story": story,
            "slip": slip,
            "last": last,
            "meaning": None if last is None else meaning(last.verdict),
            "problem": story.problem,
            "rows": [] if slip is None else rows(slip, last),
            "forgery": forgery(slip.payment if slip else story.payment),
            "honest": HONEST,
            "tricks": TRICKS,
            "combined": COMBINED,
            "lifetime_s": LIFETIME_S,
            "left_s": 0 if slip is None else max(0, LIFETIME_S - (now_us - slip.issued_at_us) // 1_000_000),
            "shows_passcode": shows_passcode,
            "curl": "" if slip is None else scripts.curl(_url(visit), tuple(slip.calls)),
            "python": "" if slip is None else scripts.python(_url(visit), tuple(slip.calls)),
        }
        response = visit.page("walkthrough.html", **values)
        if slip is not None and visit.request.method == "GET":
            slip.is_shown = True
        return response

    async def _issue(self, visit: Visit) -> Response:
        async with self._one_at_a_time:
            await self._play(visit).issue(_payment(visit.form))
        return see_other(f"{PATH}{_HERE}#slip")

    async def _deliver(self, visit: Visit) -> Response:
        story = _story(visit)
        async with self._one_at_a_time:
            play = self._play(visit)
            trick = visit.form.get("trick", "")
            if story.slip is not None and story.slip.is_spent and "fresh" in visit.form and not _goes_on(trick):
                await play.issue(story.slip.payment)
            if story.slip is not None and story.problem is None:
                deed = deed_of(visit.form, story.slip.payment)
                await play.deliver(deed)
                story.tricks.add(trick)
        return see_other(f"{PATH}{_HERE}#verdict")

    async def _again(self, visit: Visit) -> Response:
        visit.session.shelf.pop(_SHELF, None)
        return see_other(f"{PATH}{_HERE}")

    def _play(self, visit: Visit) -> Play:
        return Play(_story(visit), visit.calls, {**self._credentials, By.OPERATOR: visit.session.credential})


def _goes_on(trick: str) -> bool:
    """Whether a trick is about the very slip that was delivered before."""
    return trick == "replay"


def _story(visit: Visit) -> Story:
    story: Story = visit.session.shelf.setdefault(_SHELF, Story())
    return story


def _payment(form: Form) -> Payment:
    given = {each.name: form[each.name] for each in fields(Payment) if each.name in form}
    return Payment(**given)


def _url(visit: Visit) -> str:
    """This service as the visitor reaches it."""
    host = visit.request.headers.get(b"host", b"")
    return f"http://{host.decode()}" if _HOST.fullmatch(host) else "http://127.0.0.1:8080"
