"""What the simulated service is made of. The sound one is the product; a control exchanges one part for a broken one."""

from collections.abc import Callable
from dataclasses import dataclass

from counterfoil.core.validate import Validation
from counterfoil.model.counterfoil import Counterfoil
from counterfoil.stores.memory import MemoryStore
from tests.adversity.simulation.parts import RETENTION_US, SimulatedKeys


def kept_long_enough(counterfoil: Counterfoil, now_us: int) -> bool:
    """Whether the broom may take it, by the sweeping process's clock."""
    return counterfoil.expires_at_us + RETENTION_US <= now_us


def forget_nothing(_: MemoryStore) -> None:
    """What a crash takes from a durable store."""


@dataclass(frozen=True)
class Variant:
    """The exchangeable parts."""

    store: type[MemoryStore] = MemoryStore
    validation: type[Validation] = Validation
    keys: type[SimulatedKeys] = SimulatedKeys
    may_sweep: Callable[[Counterfoil, int], bool] = kept_long_enough
    on_crash: Callable[[MemoryStore], None] = forget_nothing


SOUND = Variant()
