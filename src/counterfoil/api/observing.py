"""What the api room tells whoever counts. Labels come from fixed sets: never a client id, never anything sent."""

from typing import Protocol

from counterfoil.model.verdict import Reason
from counterfoil.wire.problems import ProblemKind


class Observer(Protocol):
    """Counts answers, refusals and faults. It must not raise, and it must be quick: it runs in every request."""

    def answered(self, route: str, status: int, duration_s: float) -> None:
        """One request was answered; `route` is a path of the route table, or `other`."""

    def refused(self, reason: Reason) -> None:
        """One passcode was refused."""

    def faulted(self, kind: ProblemKind) -> None:
        """One request was answered with a fault of the service, which is neither yes nor no."""

    async def exposition(self) -> tuple[bytes, bytes]:
        """Content type and body of `/metrics`."""


class SilentObserver:
    """Counts nothing."""

    def answered(self, route: str, status: int, duration_s: float) -> None:
        pass

    def refused(self, reason: Reason) -> None:
        pass

    def faulted(self, kind: ProblemKind) -> None:
        pass

    async def exposition(self) -> tuple[bytes, bytes]:
        return b"text/plain; charset=utf-8", b""
