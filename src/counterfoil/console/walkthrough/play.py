"""The play itself: every step is a real call to the public API, with the credentials of the two ends or with none."""

import json
import secrets
from dataclasses import replace
from typing import Any

from counterfoil.console.api_calls import Answer, ApiCalls
from counterfoil.console.walkthrough.deeds import Deed
from counterfoil.console.walkthrough.scripts import CLOCK, ISSUE, VALIDATE
from counterfoil.console.walkthrough.story import LIFETIME_S, By, Call, Outcome, Payment, Slip, Story, Try, Verdict

_US = 1_000_000


class Play:
    """One visitor's request to go on with a story. `credentials` are those of the ends, and the visitor's own as operator."""

    def __init__(self, story: Story, calls: ApiCalls, credentials: dict[By, str]) -> None:
        self._story = story
        self._calls = calls
        self._credentials = credentials

    async def issue(self, payment: Payment) -> None:
        """The client application asks for a passcode: the slip that travels from now on, or the story's problem."""
        story = self._story
        story.payment = payment
        body = {**payment.bound(), "lifetime_s": LIFETIME_S}
        answer = await self._calls.ask("POST", ISSUE, self._credentials[By.CLIENT], body)
        story.problem = None if answer.status == 201 else _verdict(answer)
        if story.problem is None:
            issued = answer.json()
            story.slips += 1
            story.slip = Slip(story.slips, payment, issued["passcode"], issued["timestamp"])
            story.slip.calls.append(Call(By.CLIENT, ISSUE, body, answer.status))

    async def deliver(self, deed: Deed) -> None:
        """The slip is delivered as the intermediary pleases, and each delivery becomes a try of the story."""
        slip = self._story.slip
        assert slip is not None
        if deed.is_twice and not slip.is_redeemed:
            await self._ask(slip, Deed(slip.payment), secrets.token_urlsafe(16))
        if deed.is_late:
            await self._wait(slip)
        redemption_id = secrets.token_urlsafe(16)
        if deed.loses_answer:
            await self._ask(slip, replace(deed, loses_answer=False), redemption_id, is_lost=True)
        await self._ask(slip, deed, redemption_id)

    async def look_at_the_clock(self) -> int:
        """What time it is for the service, in microseconds."""
        answer = await self._calls.ask("GET", CLOCK, self._credentials[By.OPERATOR])
        clock = answer.json()
        self._story.ahead_s = clock["ahead_s"]
        return int(clock["now"])

    async def _wait(self, slip: Slip) -> None:
        body = {"advance_s": LIFETIME_S}
        answer = await self._calls.ask("POST", CLOCK, self._credentials[By.OPERATOR], body)
        slip.calls.append(Call(By.OPERATOR, CLOCK, body, answer.status))

    async def _ask(self, slip: Slip, deed: Deed, redemption_id: str, *, is_lost: bool = False) -> None:
        """One validation. A lost answer is no try: nobody heard it."""
        body = deed.arrived.bound()
        sent = {**body, "passcode": slip.passcode}
        now_us = await self.look_at_the_clock()
        answer = await self._calls.ask("POST", VALIDATE, self._credentials.get(deed.by), sent, redemption_id)
        slip.calls.append(Call(deed.by, VALIDATE, body, answer.status, redemption_id, is_lost))
        if not is_lost:
            verdict = _verdict(answer)
            self._story.made += 1
            self._story.tries.append(
                Try(
                    number=self._story.made,
                    slip=slip.number,
                    did=deed.told(slip.payment),
                    bound=slip.payment,
                    arrived=deed.arrived,
                    by=deed.by,
                    is_again=slip.is_redeemed,
                    after_s=(now_us - slip.issued_at_us) / _US,
                    verdict=verdict,
                )
            )
            slip.is_spent = slip.is_spent or verdict.code in _ENDS
        slip.is_redeemed = slip.is_redeemed or answer.status == 200


_ENDS = frozenset({"accepted", "accepted_again", "already_redeemed", "expired", "locked", "revoked", "key_retired"})
_OUTCOMES = {409: Outcome.REFUSED, 401: Outcome.TURNED_AWAY, 403: Outcome.TURNED_AWAY, 400: Outcome.TURNED_AWAY}


def _verdict(answer: Answer) -> Verdict:
    told: dict[str, Any] = answer.json()
    laid_out = json.dumps({**told, "passcode": "…"} if "passcode" in told else told, indent=2, ensure_ascii=False)
    if answer.status == 200:
        code = "accepted_again" if told["replayed"] else "accepted"
        return Verdict(Outcome.ACCEPTED, code, answer.status, answer.request_id, answer=laid_out)
    code = told.get("reason", told["code"])
    outcome = _OUTCOMES.get(answer.status, Outcome.UNKNOWN)
    return Verdict(outcome, code, answer.status, answer.request_id, told["detail"], laid_out)
