"""Where data keys come from. A key that is gone is an answer (None); a provider that cannot be asked is a fault."""

from dataclasses import dataclass, field
from typing import Protocol


class KeysUnavailable(Exception):
    """The keys cannot be had now. Neither yes nor no: ask again."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A 256-bit key and the 4 bytes that name it. Key ids are never used twice."""

    key_id: bytes
    material: bytes = field(repr=False)


class KeyProvider(Protocol):
    """The data keys of this deployment. Both verbs may raise KeysUnavailable."""

    async def sealing_key(self) -> DataKey:
        """The primary key: what new passcodes are sealed under."""

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        """The key of that id, or None when it is unknown, retired, or of an earlier epoch."""
