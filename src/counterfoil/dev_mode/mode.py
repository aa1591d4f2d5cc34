"""Development mode as one thing: its clock, its forced answers, its routes, and the walkthrough in the console."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from counterfoil.api.handlers import Handlers
from counterfoil.api.routes import Route
from counterfoil.dev_mode.dev_clock import DevClock, clock_routes
from counterfoil.dev_mode.forced_answers import ForcedIssuance, ForcedValidation, values_of
from counterfoil.model.principal import Role
from counterfoil.ports.ambient import NowUs

if TYPE_CHECKING:
    # Where its library is missing there is no console, and development goes on without.
    from counterfoil.console.app import Console


class DevMode:
    """What `server_wiring.service` is given by `counterfoil dev`, and by nothing else."""

    def __init__(self, credentials: Mapping[Role, str], now_us: NowUs) -> None:
        """`credentials` are the secrets that dev mode has just made; they stay in this process's memory."""
        self.clock = DevClock(now_us)
        self._credentials = credentials
        self.login_token = ""
        """What the one-use login link ends with; empty where there is no console."""

    def around(self, handlers: Handlers) -> Handlers:
        """The handlers, with answers that a client id can force."""
        issuance = ForcedIssuance(**values_of(handlers.issuance))
        return replace(handlers, issuance=issuance, validation=ForcedValidation(**values_of(handlers.validation)))

    def routes(self) -> tuple[Route, ...]:
        """The routes that only development has."""
        return clock_routes(self.clock)

    def furnish(self, console: "Console") -> None:
        """Puts the walkthrough into the console, and lets the operator in by a link that works once."""
        from counterfoil.console.walkthrough.page import Walkthrough

        page = Walkthrough(self._credentials[Role.ISSUER], self._credentials[Role.VALIDATOR]).page()
        console.add(page)
        self.login_token = console.admit_once(self._credentials[Role.OPERATOR], page.path)
