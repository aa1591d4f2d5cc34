"""Where keys come from. A key that is gone is an answer (None); a provider that cannot be asked is a fault."""

from collections.abc import Mapping
from typing import Protocol

from counterfoil.model.discreet import Discreet


class KeysUnavailable(Exception):
    """The keys cannot be had now. Neither yes nor no: ask again."""


class DataKey(Discreet, frozen=True, weakref=True):
    """A 256-bit key and the 4 bytes that name it. Key ids are never used twice.

    A provider hands out one object for one key as long as it can: what is set up under the key goes with the object.
    """

    key_id: bytes
    material: bytes


class KeyProvider(Protocol):
    """The data keys of this deployment. Both verbs may raise KeysUnavailable."""

    async def sealing_key(self) -> DataKey:
        """The primary key: what new passcodes are sealed under."""

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        """The key of that id, or None when it is unknown, retired, or of an earlier epoch."""


class OwnKey(Discreet, frozen=True, gc=False):
    """A 256-bit key for one passcode alone, and the same key as the managed key wraps it."""

    material: bytes
    wrapped: bytes


class OwnKeys(Protocol):
    """Strict mode: a managed key makes and opens one key per passcode, each time under the passcode's whole context.

    Both verbs may raise KeysUnavailable. The context's values are digests: managed keys write it into their audit log.
    """

    async def fresh(self, key_context: Mapping[str, str]) -> OwnKey:
        """A new key, to be opened only under the same context."""

    async def opened(self, wrapped: bytes, key_context: Mapping[str, str]) -> bytes | None:
        """The key's material, or None when the context is not the one it was made under."""
