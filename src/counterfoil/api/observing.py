"""What the api room tells whoever counts. Labels come from fixed sets: never a client id, never anything sent."""

from typing import Protocol

from counterfoil.model.verdict import Reason


class Observer(Protocol):
    """Counts answers and refusals. It must not raise, and it must be quick: it runs in every request."""

    def answered(self, route: str, status: int, duration_s: float) -> None:
        """One request was answered; `route` is a path of the route table, or `other`."""

    def refused(self, reason: Reason) -> None:
        """One passcode was refused."""

    def exposition(self) -> tuple[bytes, bytes]:
        """Content type and body of `/metrics`."""


class SilentObserver:
    """Counts nothing."""

    def answered(self, route: str, status: int, duration_s: float) -> None:
        pass

    def refused(self, reason: Reason) -> None:
        pass

    def exposition(self) -> tuple[bytes, bytes]:
        return b"text/plain; charset=utf-8", b""
