"""The operator's pages over a real service that keeps a real journal and counts, with both of its clocks to turn."""

from pathlib import Path
from typing import Any

from counterfoil.api.http import Interface, Request, Response
from counterfoil.console.app import Console
from counterfoil.console.operating.pages import furnish
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.keys.keyset_file import KeysetFile
from counterfoil.ports.store import Store
from counterfoil.server_wiring import Service, assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from counterfoil.stores.sqlite import SqliteStore
from tests.support.clock import Clock
from tests.support.console import Visitor
from tests.support.journal import JOURNAL_KEY
from tests.support.parts import Parts, made_parts


class Asked:
    """The api, which remembers what it was asked, and can be made to answer otherwise."""

    def __init__(self, api: Interface) -> None:
        self._api = api
        self.asked: list[str] = []
        self.instead: dict[str, Response] = {}

    async def handle(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        return self.instead.get(request.path) or await self._api.handle(request)


class Operating:
    """The service, its console, and whoever looks at it."""

    def __init__(self, folder: Path, *, keeps_journal: bool = True, counts: bool = True, **settings: Any) -> None:
        self.clock = Clock()
        self.seconds = 1000.0
        self.parts: Parts = made_parts(folder, clock=self.clock)
        path = folder / "counterfoil.db"
        self.store: Store = (
            SqliteStore(path, self.clock, journal_key=JOURNAL_KEY, broom=False) if keeps_journal else MemoryStore(self.clock)
        )
        limits = {"issue_rate_per_s": 0.0, "outstanding_max": 0}
        self.service: Service = assembled(
            store=self.store,
            keys=KeysetFile(self.parts.keyset.path),
            credentials=CredentialFile(self.parts.credentials.path, self.clock),
            settings=Settings(data=folder, seed_routes=True, **{**limits, **settings}).checked(),
            now_us=self.clock,
            observer=PrometheusObserver() if counts else None,
        )
        self.parts.service, self.parts.store = self.service, self.store
        self.api = Asked(self.service.api)
        self.console = Console(self.api, over_tls=False, monotonic_s=lambda: self.seconds)
        furnish(self.console, self.clock, lambda: self.seconds)

    async def visitor(self) -> Visitor:
        """An operator who has logged in."""
        visitor = Visitor(self.console)
        response = await visitor.log_in(self.parts.secrets["operator"])
        assert response.status == 200, visitor.text()
        # Nothing of what the first page has asked is fresh any more.
        self.seconds += 180
        return visitor

    def pass_s(self, seconds: float) -> None:
        """Time passes, for everybody."""
        self.seconds += seconds
        self.clock.advance_s(seconds)

    async def pay(self, client_id: str = "shop-1", **arrived: Any) -> tuple[int, dict[str, Any]]:
        """One payment; what arrives of it may differ. The status that the backend heard, and what was issued."""
        bound = {"client_id": client_id, "transaction": {"amount": "10.00"}}
        issued = await self.parts.issue(**bound)
        answer = await self.parts.validate(issued["passcode"], **{**bound, **arrived})
        return answer.status, issued
