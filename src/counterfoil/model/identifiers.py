"""The names that callers choose, each checked against its alphabet and length; it never trims or normalises."""

import re

from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import CLIENT_ID_CHARS_MAX, REDEMPTION_ID_CHARS_MAX

_REDEMPTION_ID = re.compile(rf"[A-Za-z0-9._:\-]{{1,{REDEMPTION_ID_CHARS_MAX}}}")
_CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9._\-]{1,64}")


def checked_client_id(text: str) -> str:
    """The client id itself: 1 to 128 printable characters, matched exactly ever after."""
    if not 1 <= len(text) <= CLIENT_ID_CHARS_MAX or not text.isprintable():
        raise Invalid("client_id", f"must be 1 to {CLIENT_ID_CHARS_MAX} printable characters")
    return text


def checked_redemption_id(text: str) -> str:
    """The redemption id itself, as it stands in `Idempotency-Key`."""
    if not _REDEMPTION_ID.fullmatch(text):
        raise Invalid("Idempotency-Key", f"must be 1 to {REDEMPTION_ID_CHARS_MAX} of A-Z a-z 0-9 . _ : -")
    return text


def checked_credential_name(text: str) -> str:
    """The credential name itself, which survives the rotation of its secret."""
    if not _CREDENTIAL_NAME.fullmatch(text):
        raise Invalid("name", "must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return text
