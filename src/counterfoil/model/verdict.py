"""Verdicts are values: accepted, or refused for a reason. A fault is never one of them."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Reason(StrEnum):
    """Why a passcode is refused; told to the validator and the journal, never to an end user (PSD2 RTS 4(3)(a))."""

    MALFORMED_PASSCODE = "malformed_passcode"
    KEY_RETIRED = "key_retired"
    UNKNOWN_PASSCODE = "unknown_passcode"
    ALREADY_REDEEMED = "already_redeemed"
    REVOKED = "revoked"
    LOCKED = "locked"
    EXPIRED = "expired"
    CONTEXT_MISMATCH = "context_mismatch"
    TRANSACTION_MISMATCH = "transaction_mismatch"
    TIMESTAMP_MISMATCH = "timestamp_mismatch"


class Accepted(Struct, frozen=True, gc=False):
    """The one acceptance; `replayed` when it is told again to the same redemption id."""

    client_id: str
    timestamp_us: int
    expires_at_us: int
    redeemed_at_us: int
    redemption_id: str
    replayed: bool


class Refused(Struct, frozen=True, gc=False):
    """Not accepted, and why."""

    reason: Reason


Verdict: TypeAlias = Accepted | Refused
