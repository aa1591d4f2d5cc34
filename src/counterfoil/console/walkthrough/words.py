"""What an answer means in words, and what a backend does with it. The words are for whoever develops, never for a payer."""

from dataclasses import dataclass

from counterfoil.console.walkthrough.story import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Meaning:
    """One answer, explained."""

    why: str
    do: str


_LEAVE = "Do not execute the payment."
_MEANINGS = {
    "accepted": Meaning(
        "This client, this context, this transaction, in time, and for the first time.",
        "Execute the payment, and keep the redemption id with it.",
    ),
    "accepted_again": Meaning(
        "The first answer was lost. Asked with the same redemption id, the service tells the same acceptance again.",
        "Execute the payment, unless it has been executed under this redemption id already.",
    ),
    "already_redeemed": Meaning(
        "The passcode was accepted once, under another redemption id. It is never accepted twice.",
        f"{_LEAVE} It is a copy. Many of these mean that somebody delivers twice: look at who.",
    ),
    "transaction_mismatch": Meaning(
        "The passcode is genuine, but the payment is not the one that the client application had it issued for.",
        f"{_LEAVE} The true one can still be delivered; after five such attempts the passcode is locked.",
    ),
    "context_mismatch": Meaning(
        "The passcode is genuine, but what surrounds the payment, here the device, is not what it was.",
        f"{_LEAVE} The true one can still be delivered; after five such attempts the passcode is locked.",
    ),
    "unknown_passcode": Meaning(
        "There is no such passcode for this client. It was issued for another one, or was never issued.",
        f"{_LEAVE} Nothing was used up: whoever holds it for the right client can still deliver it.",
    ),
    "expired": Meaning(
        "Its time was over when it arrived. A passcode lives for seconds; not a microsecond longer.",
        f"{_LEAVE} The client application may ask for a new passcode.",
    ),
    "locked": Meaning(
        "Five deliveries of it did not fit. No further one is looked at, not even the true one.",
        f"{_LEAVE} Somebody changes payments on their way: look at who.",
    ),
    "revoked": Meaning("It was withdrawn before it was redeemed.", _LEAVE),
    "malformed_passcode": Meaning(
        "That is not spelled like a passcode.", f"{_LEAVE} Look at what cuts or alters it on its way."
    ),
    "key_retired": Meaning(
        "The key that it was sealed under is gone.", f"{_LEAVE} The client application may ask for a new one."
    ),
    "timestamp_mismatch": Meaning("The timestamp given with it is not its own.", _LEAVE),
    "unauthenticated": Meaning(
        "Whoever asks without a validator's credential hears nothing about the passcode, and uses nothing up.",
        "The backend has not been asked: its payment can still be delivered. Deliver it honestly, and see.",
    ),
    "forbidden": Meaning(
        "This credential may issue passcodes and may not redeem them. Nothing was used up.",
        "The backend has not been asked: its payment can still be delivered. Deliver it honestly, and see.",
    ),
}
_UNKNOWN = Meaning(
    "Neither yes nor no: nothing was decided, or it is not known what was.",
    "Ask again with the same redemption id, and only with that. Until then, do not execute the payment.",
)
_INVALID = Meaning("The call itself breaks a rule, so nothing was judged.", "Mend the call.")


def meaning(verdict: Verdict) -> Meaning:
    """The answer, explained."""
    return _MEANINGS.get(verdict.code, _UNKNOWN if verdict.outcome is Outcome.UNKNOWN else _INVALID)
