"""The test clock: the system's, and as far ahead of it as somebody has turned it. It is never turned back."""

from typing import Annotated

from msgspec import Meta, Struct

from counterfoil.api.handlers import Call, Handler
from counterfoil.api.http import Response, answer
from counterfoil.api.routes import Route
from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import MICROSECONDS_PER_S
from counterfoil.model.principal import Role
from counterfoil.ports.ambient import NowUs
from counterfoil.wire.messages import Body, TimeUs, read_body

ADVANCE_S_MAX = 30 * 24 * 3600
"""At once: as long as a counterfoil may be retained."""
AHEAD_S_MAX = 10 * 365 * 24 * 3600
"""In all: far from where times end."""
_OPERATOR = (Role.OPERATOR,)
_ABOUT = (
    "Of `counterfoil dev` alone. The whole service goes by this clock; it is never turned back. Beside it, client ids force"
    " answers of validation: `refuse-expired` and so on for every reason, `refuse-store_unavailable` and the other faults."
)


class DevClock:
    """The time of the whole service: core, store, broom, limits, credentials."""

    def __init__(self, now_us: NowUs) -> None:
        self._now_us = now_us
        self.ahead_s = 0

    def __call__(self) -> int:
        return self._now_us() + self.ahead_s * MICROSECONDS_PER_S

    def advance_s(self, seconds: int) -> None:
        """Turns it forward. Raises Invalid for a step that is no whole second, too long, or leads too far."""
        if not 1 <= seconds <= ADVANCE_S_MAX:
            raise Invalid("advance_s", f"must be 1 to {ADVANCE_S_MAX}")
        if self.ahead_s + seconds > AHEAD_S_MAX:
            raise Invalid("advance_s", f"must not lead more than {AHEAD_S_MAX} s ahead; start the service again")
        self.ahead_s += seconds


class AdvanceBody(Body, frozen=True):
    """How far to turn the test clock."""

    advance_s: Annotated[int, Meta(description=f"Whole seconds, 1 to {ADVANCE_S_MAX}.", examples=[61])]


class ClockAnswer(Struct, frozen=True):
    """What time it is for the service, and how far that is ahead of the system's clock."""

    now: TimeUs
    ahead_s: int


def clock_routes(clock: DevClock) -> tuple[Route, ...]:
    """To read the clock and to turn it."""

    async def show(_: Call) -> Response:
        return answer(200, ClockAnswer(clock(), clock.ahead_s))

    async def advance(call: Call) -> Response:
        clock.advance_s(read_body(call.request.body, AdvanceBody).advance_s)
        return await show(call)

    def route(method: str, handler: Handler, summary: str, body: type[Body] | None = None) -> Route:
        return Route(method, "/dev/clock", _OPERATOR, handler, 200, summary, _ABOUT, body, ClockAnswer)

    return (
        route("GET", show, "The test clock"),
        route("POST", advance, "Turn the test clock forward", AdvanceBody),
    )
