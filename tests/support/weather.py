"""Bad weather for a fault proxy: which faults the requests of each name meet, and the answers that were kept back."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from tests.support.fault_proxy import Fault, FaultProxy

BEFORE_THE_EFFECT: tuple[Fault, ...] = ("lost request", "reset request")
AFTER_THE_EFFECT: tuple[Fault, ...] = (
    "lost answer",
    "reset answer",
    "stalled answer",
    "truncated answer",
    "duplicated request",
)


class Weather:
    """Each request takes the next fault that is announced for its name; one without a fault goes through."""

    def __init__(self, proxy: FaultProxy, name_of: Callable[[bytes], str]) -> None:
        self._name_of = name_of
        self._to_come: dict[str, deque[Fault]] = {}
        self._kept_back: defaultdict[str, list[bytes]] = defaultdict(list)
        proxy.fault_of = self._fault_of
        proxy.on_undelivered = lambda request, answer: self._kept_back[name_of(request)].append(answer)

    def announce(self, name: str, faults: Iterable[Fault]) -> None:
        """What the next requests of that name will meet, in this order."""
        self._to_come[name] = deque(faults)

    def kept_back(self, name: str) -> list[bytes]:
        """The answers to requests of that name, whole, which their caller did not get."""
        return self._kept_back[name]

    def forget(self, name: str) -> None:
        """Nobody asks under that name any more."""
        self._to_come.pop(name, None)
        self._kept_back.pop(name, None)

    def _fault_of(self, request: bytes) -> Fault:
        faults = self._to_come.get(self._name_of(request))
        return faults.popleft() if faults else "none"
