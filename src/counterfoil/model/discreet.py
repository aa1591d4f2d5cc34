"""Values whose `repr` says what is open and nothing else: passcodes, contexts, keys and transactions stay out of logs."""

from typing import Any

from msgspec import Struct

_OPEN_FIELDS = frozenset(
    {
        "accepted",
        "attempts",
        "client_id",
        "counterfoil",
        "counts",
        "expires_at",
        "expires_at_us",
        "header",
        "issuer_id",
        "key_id",
        "lifetime_s",
        "misfit",
        "redeemed_at_us",
        "redemption",
        "redemption_id",
        "state",
        "timestamp",
        "timestamp_us",
    }
)
"""What a field of such a name holds may be read by everybody, in every value."""


class Discreet(Struct, frozen=True):
    """A value of which `repr` names the open fields alone. A new field is not shown until its name is one of them."""

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in self.__rich_repr__()]
        return f"{type(self).__name__}({', '.join([*shown, '...'])})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What the rich library shows; a Struct's own would name every field."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name in _OPEN_FIELDS]
