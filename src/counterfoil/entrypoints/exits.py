"""Exit statuses that scripts can trust, one for each way in which a command can end."""

from counterfoil.client import (
    CounterfoilError,
    CredentialRefused,
    LimitReached,
    PasscodeRefused,
    ServiceUnavailable,
    VerdictUnknown,
)
from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import JournalBroken
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.ports.store import StoreUnfit
from counterfoil.private_file import PrivateFileProblem

DONE = 0
REFUSED = 1
INVALID = 2
UNKNOWN = 3
CREDENTIAL_REFUSED = 4
LIMIT_REACHED = 5
FAILED = 70
INTERRUPTED = 130

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (PasscodeRefused, REFUSED),
    (JournalBroken, REFUSED),
    (ServiceUnavailable, UNKNOWN),
    (CredentialRefused, CREDENTIAL_REFUSED),
    (LimitReached, LIMIT_REACHED),
    (CounterfoilError, INVALID),
    (Invalid, INVALID),
    (PrivateFileProblem, INVALID),
    (StoreUnfit, INVALID),
    (KeysUnavailable, INVALID),
    (CredentialsUnavailable, INVALID),
    # A file that is not there, not readable, or no certificate; a text that is not UTF-8.
    (OSError, INVALID),
    (UnicodeError, INVALID),
)


def status_of(error: Exception) -> tuple[int | None, str]:
    """Status and one sentence for an expected error; None for one that nobody foresaw."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status, _sentence(error)
    return None, ""


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or type(error).__name__)
    if isinstance(error, UnicodeError):
        return "a file or an argument is not UTF-8 text"
    if isinstance(error, VerdictUnknown):
        return f"{error}: not known whether it was redeemed; ask again with --redemption-id {error.redemption_id}"
    if isinstance(error, KeysUnavailable | CredentialsUnavailable) and "does not exist" in str(error):
        command = "keyset new" if isinstance(error, KeysUnavailable) else "credential create"
        return f"{error}: run `counterfoil {command}` first"
    return str(error)
