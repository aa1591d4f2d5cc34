"""A bad network between caller and service: a retry under the same redemption id hears the truth, and nobody else gets in."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import msgspec
import uvicorn

from counterfoil.entrypoints.asgi import AsgiShell
from counterfoil.stores.memory import MemoryStore
from tests.adversity.askers import IMPATIENCE_S, PATIENCE_S, Acceptance, Asker, Heard, askers
from tests.adversity.campaign import Campaign, Figures, Sizes
from tests.support.broken_stores import ForgetsTheRedemption, ForgetsTheRedemptionId
from tests.support.clock import Clock
from tests.support.fault_proxy import Fault, fault_proxy
from tests.support.load import Caller, Connection, connections, shared_out
from tests.support.parts import made_parts
from tests.support.service import made_deployment
from tests.support.weather import AFTER_THE_EFFECT, BEFORE_THE_EFFECT, Weather

_WORKERS = 8
_ASKED_MAX = 20
_CONTROL_CASES = 12


@dataclass(frozen=True)
class Served:
    """Where a service is, and who may ask it."""

    url: str
    issuer: str = field(repr=False)
    validator: str = field(repr=False)


Service: TypeAlias = Callable[[], AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def _real_service() -> AsyncIterator[Served]:
    with TemporaryDirectory() as folder:
        deployment = made_deployment(Path(folder) / "data")
        unlimited = {"COUNTERFOIL_ISSUE_RATE_PER_S": "0", "COUNTERFOIL_OUTSTANDING_MAX": "0"}
        with deployment.serving(**unlimited) as running:
            yield Served(running.url, deployment.issuer, deployment.validator)


@asynccontextmanager
async def _service_over(kind: type[MemoryStore]) -> AsyncIterator[Served]:
    """The same interface over a store of that kind, in this process."""
    clock = Clock()
    with TemporaryDirectory() as folder:
        parts = made_parts(Path(folder), store=kind(clock), clock=clock)
        shell = AsgiShell(parts.service.api, parts.store.close)
        server = uvicorn.Server(uvicorn.Config(shell, port=0, log_config=None, access_log=False, lifespan="on"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", parts.secrets["issuer"], parts.secrets["validator"])
        server.should_exit = True
        await serving


def _played(service: Service, first: int, last: int) -> Figures:
    figures = Figures()

    async def play() -> None:
        async with service() as served, connections(served.url, _WORKERS) as straight:
            with fault_proxy(served.url) as proxy:
                weather = Weather(proxy, _redemption_id)
                async with askers(proxy.url, served.validator) as asking:
                    games = [_Game(figures, served, weather, asking, connection) for connection in straight]
                    await shared_out(range(first, last), [game.play for game in games])

    asyncio.run(play())
    return figures


def _redemption_id(request: bytes) -> str:
    head = request.partition(b"\r\n\r\n")[0]
    return head.lower().partition(b"\r\nidempotency-key: ")[2].partition(b"\r\n")[0].decode()


@dataclass(frozen=True)
class _Game:
    """One worker: a connection that nothing goes wrong on, and askers out in the weather."""

    figures: Figures
    served: Served
    weather: Weather
    asking: dict[str, Asker]
    straight: Connection

    async def play(self, case: int) -> None:
        """Two passcodes: of one an answer is lost after the effect, of the other a request before it."""
        chance = random.Random(case)
        name = chance.choice(list(self.asking))
        before = [chance.choice(BEFORE_THE_EFFECT) for _ in range(chance.randrange(2))]
        await self._validate(f"{case}-answer", name, [*before, chance.choice(AFTER_THE_EFFECT)])
        await self._validate(f"{case}-request", name, [chance.choice(BEFORE_THE_EFFECT)])

    async def _validate(self, redemption_id: str, name: str, faults: list[Fault]) -> None:
        issued = await Caller(self.straight, self.served.issuer).issue(lifetime_s=600)
        passcode = issued.json["passcode"]
        self.weather.announce(redemption_id, faults)
        heard: Heard = None
        for _ in range(_ASKED_MAX):
            heard = await self.asking[name].ask(
                passcode, redemption_id, IMPATIENCE_S if "stalled answer" in faults else PATIENCE_S
            )
            if heard is not None:
                break
        lost = await self._kept_back(redemption_id, sum(fault in AFTER_THE_EFFECT for fault in faults))
        other = await Caller(self.straight, self.served.validator).validate(passcode, f"{redemption_id}-other")
        self.weather.forget(redemption_id)
        self.figures.counts.update([*faults, f"by {name}"])
        self.figures.counts["answers lost"] += len(lost)
        if not _is_true(heard, lost) or other.reason != "already_redeemed":
            self.figures.fail(f"{redemption_id}: {name} after {faults} heard {heard}, another heard {other.reason}")

    async def _kept_back(self, redemption_id: str, many: int) -> list[Heard]:
        """The lost answers. A retry may overtake one that is still on its way to being lost."""
        while len(self.weather.kept_back(redemption_id)) < many:
            await asyncio.sleep(0.01)
        return [_heard_in(answer) for answer in self.weather.kept_back(redemption_id)]


def _heard_in(answer: bytes) -> Heard:
    head, _, body = answer.partition(b"\r\n\r\n")
    said = msgspec.json.decode(body)
    return Acceptance(said["redeemed_at"], said["replayed"]) if b" 200 " in head[:20] else str(said.get("reason", head[:20]))


def _is_true(heard: Heard, lost: list[Heard]) -> bool:
    """Exactly one answer, lost or heard, is the acceptance; every other one is that acceptance told again."""
    acceptances = [each for each in (*lost, heard) if isinstance(each, Acceptance)]
    return (
        len(acceptances) == len(lost) + 1
        and len({each.redeemed_at for each in acceptances}) == 1
        and sum(not each.replayed for each in acceptances) == 1
    )


def _caught(kind: type[MemoryStore]) -> int:
    return _played(partial(_service_over, kind), 0, _CONTROL_CASES).counts["failures"]


LOST_ANSWERS = Campaign(
    name="lost-answers",
    claim="However an answer of the service is lost, a retry under the same redemption id is told the same acceptance, after a"
    " lost request the first one, and another redemption id is told that it is redeemed",
    unit="lost answers",
    sizes=Sizes(full=10_000, ci=500, laptop=60),
    run=partial(_played, _real_service),
    controls={
        "forgets the redemption id": partial(_caught, ForgetsTheRedemptionId),
        "forgets the redemption": partial(_caught, ForgetsTheRedemption),
    },
    per_chunk=500,
)
