"""Forged passcodes cost nothing: whoever makes up strings locks, burns and finds nobody's passcode."""

import asyncio
import random
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from counterfoil.stores.sqlite import SqliteStore
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.adversity.lockouts import RIGHT, VALIDATIONS, sqlite_service
from tests.support.broken_stores import SqliteCountsBeforeItLooks, SqliteRedeemsBeforeItLooks
from tests.support.parts import heard

_CONTROL_CASES = 2


def _forge(kind: type[SqliteStore], first: int, last: int) -> Figures:
    figures = Figures()

    async def forge() -> None:
        with TemporaryDirectory() as folder:
            async with sqlite_service(Path(folder), kind) as parts:
                for case in range(first, last):
                    passcode = (await parts.issue(context=RIGHT))["passcode"]
                    answers = await asyncio.gather(
                        *(parts.validate(each, context=RIGHT) for each in _forgeries(case, passcode))
                    )
                    told = Counter(heard(each) for each in answers)
                    genuine = heard(await parts.validate(passcode, context=RIGHT))
                    figures.counts.update(told)
                    if set(told) != {"unknown_passcode"} or genuine != "200":
                        figures.fail(f"passcode {case}: {dict(told)}, and then the genuine one: {genuine}")

    asyncio.run(forge())
    return figures


def _forgeries(case: int, passcode: str) -> list[str]:
    """The passcode with one to three of the digits of its salt, sealed OTP or tag changed."""
    chance = random.Random(case)
    forged: list[str] = []
    while len(forged) < VALIDATIONS:
        digits = list(passcode)
        # The digits before name the key and the counterfoil; the very last one has spare bits.
        for at in chance.sample(range(24, len(digits) - 1), chance.randint(1, 3)):
            digits[at] = chance.choice("ABCDwxyz0189-_")
        if "".join(digits) != passcode:
            forged.append("".join(digits))
    return forged


FORGERIES = Campaign(
    name="forgeries",
    claim="Each of 1,000 forgeries of a passcode is unknown, and then the genuine one is accepted",
    unit="passcodes",
    sizes=Sizes(full=1000, ci=100, laptop=10),
    run=partial(_forge, SqliteStore),
    controls={
        "redeems before it looks": lambda: _forge(SqliteRedeemsBeforeItLooks, 0, _CONTROL_CASES).counts["failures"],
        "counts before it looks": lambda: _forge(SqliteCountsBeforeItLooks, 0, _CONTROL_CASES).counts["failures"],
    },
    per_chunk=50,
)
