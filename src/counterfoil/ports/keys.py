"""Where keys come from. A key that is gone is an answer (None); a provider that cannot be asked is a fault."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

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


class ListedKey(NamedTuple):
    """What may be told of a key: never its material, wrapped or not."""

    key_id: bytes
    state: Literal["primary", "opening", "retired"]
    """The primary key seals new passcodes; an opening one opens what it sealed; a retired one does nothing any more."""
    created_at_us: int


class KeyList(NamedTuple):
    """The keys of a deployment, the oldest first."""

    epoch: int
    keys: tuple[ListedKey, ...]
    is_whole: bool
    """Whether all keys are in it, and not the primary one alone."""
    rotates_itself: bool
    """Whether the provider makes the next key when it is time, so that nobody has to."""


@runtime_checkable
class ListsKeys(Protocol):
    """What a provider is beside a KeyProvider when it can tell which keys there are."""

    async def listed(self) -> KeyList:
        """The keys as they are now. Raises KeysUnavailable."""


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
