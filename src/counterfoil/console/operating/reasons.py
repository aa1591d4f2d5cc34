"""Why passcodes are refused, in words for who runs the service: what a reason means, and what many of them look like."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What to think of a reason when it comes often."""

    FORGERY = "forgery"
    """Never seen while everybody does as they should."""
    COPIES = "copies"
    """Seen now and then; many are an attack or a broken system in between."""
    LATENESS = "lateness"
    """Part of every day; many are a fault of somebody's clock, network or keys."""


@dataclass(frozen=True, slots=True)
class Words:
    """One reason."""

    kind: Kind
    means: str
    """One sentence."""
    many: str
    """What many of them look like, and whom to ask."""


_ALTERED = "That is what an intermediary looks like that alters payments, or one that rewrites them without meaning to."
_COPIED = "That is what a replay looks like, or a broken intermediary or backend that delivers twice."

WORDS = {
    "transaction_mismatch": Words(
        Kind.FORGERY, "The payment that arrived is not the one that the passcode was issued for.", _ALTERED
    ),
    "context_mismatch": Words(
        Kind.FORGERY,
        "What surrounds the payment is not what the passcode was issued for.",
        "That is what a stolen passcode looks like that is used from elsewhere, or the two ends being set up differently.",
    ),
    "timestamp_mismatch": Words(
        Kind.FORGERY,
        "The timestamp given with the passcode is not its own.",
        "That is a system in between that mixes messages up.",
    ),
    "locked": Words(
        Kind.FORGERY, "Five deliveries of this passcode did not fit.", "Somebody tries out changes on genuine passcodes."
    ),
    "already_redeemed": Words(Kind.COPIES, "The passcode was accepted once already, for another redemption.", _COPIED),
    "unknown_passcode": Words(
        Kind.COPIES,
        "There is no such passcode for this client.",
        "That is somebody who presents them for another client or makes them up, or a backend that asks the wrong service.",
    ),
    "malformed_passcode": Words(
        Kind.COPIES, "That is not spelled like a passcode.", "That is a system in between that cuts or re-codes messages."
    ),
    "expired": Words(
        Kind.LATENESS, "Its time was over when it arrived.", "Payments are under way for too long, or somebody holds them back."
    ),
    "revoked": Words(
        Kind.LATENESS,
        "It was withdrawn before it arrived.",
        "A client withdraws what it has sent on its way, or its credential was revoked.",
    ),
    "key_retired": Words(
        Kind.LATENESS,
        "The key that it was sealed under is gone.",
        "A restore has raised the epoch, or keys were removed too early.",
    ),
}
_UNHEARD_OF = Words(Kind.COPIES, "A reason that this console does not know.", "Read its documentation.")


def words(reason: str) -> Words:
    """The reason in words."""
    return WORDS.get(reason, _UNHEARD_OF)
