"""What callers of a server were told until it went away, and what the next one makes of it."""

import asyncio
import signal
from collections import defaultdict
from typing import Any

from counterfoil.model.limits import ATTEMPTS_MAX
from tests.support.load import Caller, Got, connections
from tests.support.service import Deployment, Running

CALLERS = 24
_WRONG = {"stage": "wrong"}


class Promises:
    """What was promised, and what was about to be when the server went away: that may have happened or not."""

    def __init__(self) -> None:
        self.issued: dict[str, None] = {}
        self.redeemed: dict[str, str] = {}
        self.unknown: dict[str, str] = {}
        self.revoked: dict[str, bool] = {}
        """Whether it was acknowledged."""
        self.mismatches: defaultdict[str, list[bool]] = defaultdict(list)
        """Each that was asked for, and whether it was acknowledged."""
        self.odd: list[Got] = []

    async def fill(self, number: int, issuer: Caller, validator: Caller) -> None:
        """Issues, validates, mistakes and revokes until the server goes away; leaves every fifth passcode alone."""
        turn = 0
        while True:
            turn += 1
            got = await issuer.issue(lifetime_s=600)
            if got.status != 201:
                self.odd.append(got)
                continue
            passcode = got.json["passcode"]
            if turn % 5 in (0, 2):
                await self._redeem(passcode, f"{number}-{turn}", validator)
            elif turn % 5 == 1:
                await self._revoke(passcode, issuer)
            elif turn % 5 == 3:
                await self._mistake(passcode, 1 + turn % ATTEMPTS_MAX, validator)
            else:
                self.issued[passcode] = None

    async def _redeem(self, passcode: str, redemption_id: str, validator: Caller) -> None:
        self.unknown[passcode] = redemption_id
        if self._expected(await validator.validate(passcode, redemption_id), "200"):
            self.redeemed[passcode] = self.unknown.pop(passcode)

    async def _revoke(self, passcode: str, issuer: Caller) -> None:
        self.revoked[passcode] = False
        self.revoked[passcode] = self._expected(await issuer.revoke(passcode), "204")

    async def _mistake(self, passcode: str, times: int, validator: Caller) -> None:
        for _ in range(times):
            self.mismatches[passcode].append(False)
            got = await validator.validate(passcode, "wrong", context=_WRONG)
            self.mismatches[passcode][-1] = self._expected(got, "context_mismatch")

    def _expected(self, got: Got, reason: str) -> bool:
        if got.reason != reason:
            self.odd.append(got)
        return got.reason == reason


async def under_load(
    running: Running, deployment: Deployment, promises: Promises, seconds: float, end: signal.Signals, redeemed_min: int = 0
) -> None:
    """Has many callers fill in the promises until the server is sent the signal, and has gone away.

    That is after so many seconds, or later: a slow machine has then still to redeem the least.
    """
    async with connections(running.url, 2 * CALLERS) as opened:
        pairs = [
            (Caller(opened[2 * number], deployment.issuer), Caller(opened[2 * number + 1], deployment.validator))
            for number in range(CALLERS)
        ]
        fills = [asyncio.create_task(promises.fill(number, *pair)) for number, pair in enumerate(pairs)]
        await asyncio.sleep(seconds)
        while len(promises.redeemed) < redeemed_min and not any(fill.done() for fill in fills):
            await asyncio.sleep(0.01)
        running.process.send_signal(end)
        results = await asyncio.gather(*fills, return_exceptions=True)
    assert all(isinstance(result, ConnectionError | asyncio.IncompleteReadError) for result in results), results


async def broken_promises(running: Running, deployment: Deployment, promises: Promises) -> list[str]:
    """Asks the server that came after about everything that was promised; what it does not keep. Ask once."""
    said = [f"answered {got.status} {got.body!r}" for got in promises.odd]
    async with connections(running.url, 1) as (connection,):
        validator = Caller(connection, deployment.validator)

        async def hold(what: str, passcode: str, redemption_id: str, *expected: str, **body: Any) -> str:
            got = await validator.validate(passcode, redemption_id, **body)
            if got.reason not in expected:
                said.append(f"{what}: {got.reason} instead of {' or '.join(expected)}")
            return got.reason

        for passcode, redemption_id in promises.redeemed.items():
            await hold("redeemed, asked by another", passcode, "another", "already_redeemed")
            again = await validator.validate(passcode, redemption_id)
            if again.status != 200 or not again.json["replayed"]:
                said.append(f"redeemed, asked again: {again.reason}")
        for passcode, redemption_id in promises.unknown.items():
            await hold("not answered, asked again", passcode, redemption_id, "200")
            await hold("not answered, asked by another", passcode, "another", "already_redeemed")
        for passcode, acknowledged in promises.revoked.items():
            await hold("revoked", passcode, "late", "revoked", *([] if acknowledged else ["200"]))
        for passcode, asked in promises.mismatches.items():
            left = 0
            while await hold("mistaken", passcode, "wrong", "context_mismatch", "locked", context=_WRONG) == "context_mismatch":
                left += 1
            if not ATTEMPTS_MAX - len(asked) <= left <= ATTEMPTS_MAX - sum(asked):
                said.append(f"{left} attempts left after {sum(asked)} mismatches told, and {len(asked)} asked for")
        for passcode in promises.issued:
            await hold("issued", passcode, "late", "200")
            await hold("issued and redeemed", passcode, "later", "already_redeemed")
    return said
