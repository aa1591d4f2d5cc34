"""One-time passcodes for transactions: issued once, bound to context and transaction, redeemed once."""

from typing import TYPE_CHECKING, Any

from counterfoil.version import __version__

if TYPE_CHECKING:
    from counterfoil.client import (
        ABSENT,
        AsyncClient,
        Client,
        CounterfoilError,
        PasscodeRefused,
        VerdictUnknown,
        new_redemption_id,
    )

__all__ = [
    "ABSENT",
    "AsyncClient",
    "Client",
    "CounterfoilError",
    "PasscodeRefused",
    "VerdictUnknown",
    "__version__",
    "new_redemption_id",
]


def __getattr__(name: str) -> Any:
    # The HTTP library takes a fifth of a second to import, and the server has no use for it.
    if name in __all__:
        from counterfoil import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
