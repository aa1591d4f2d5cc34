"""What an intermediary may do with a payment on its way, one trick at a time or several together, and how it is told."""

from dataclasses import dataclass, replace

from counterfoil.console.forms import Form, FormRefused
from counterfoil.console.walkthrough.story import By, Payment


@dataclass(frozen=True, slots=True)
class Deed:
    """How a slip is delivered. Without anything set, it is delivered honestly."""

    arrived: Payment
    is_late: bool = False
    by: By = By.BACKEND
    loses_answer: bool = False
    is_twice: bool = False

    def told(self, bound: Payment) -> str:
        """In words, for the history."""
        done = [f"{_CHANGED[name]} to {getattr(self.arrived, name)}" for name in _CHANGED if _differs(self, bound, name)]
        done += ["held it back until it was late"] * self.is_late
        done += [_STOLEN[self.by]] if self.by in _STOLEN else []
        done += ["delivered it again"] * self.is_twice
        done += ["lost the answer, and the backend asked again"] * self.loses_answer
        return ", ".join(done) or "delivered it honestly"


@dataclass(frozen=True, slots=True)
class Trick:
    """One button."""

    name: str
    icon: str
    label: str
    hint: str


TRICKS = (
    Trick("replay", "copies", "Deliver it twice", "A copy, after the first one was accepted."),
    Trick("amount", "coin", "Change the amount", "More money, same passcode."),
    Trick("payee", "person", "Change the payee", "The same amount, to somebody else."),
    Trick("delay", "clock", "Hold it back", "Until its time is over: the test clock is turned."),
    Trick("steal", "mask", "Steal it", "Redeem it yourself, without the backend's credential."),
    Trick("lose", "broken", "Lose the answer", "The backend never hears it, and asks again."),
)
HONEST = Trick("honest", "arrow", "Deliver it honestly", "As it is, in time, once.")
COMBINED = "combined"

_CHANGED = {
    "client_id": "changed the client",
    "amount": "changed the amount",
    "currency": "changed the currency",
    "payee": "changed the payee",
    "reference": "changed the reference",
    "device_id": "changed the device",
}
_STOLEN = {
    By.NOBODY: "stole it and asked without a credential",
    By.CLIENT: "stole it and asked with the client application's credential",
}


def forgery(payment: Payment) -> Payment:
    """What a thief would rather see: what the form suggests."""
    payee = "Libreria Aurelia" if payment.payee == "Libreria Aurora" else f"not {payment.payee}"
    return replace(payment, client_id="shop-2", amount=f"9{payment.amount}", payee=payee, device_id="d-666")


def deed_of(form: Form, bound: Payment) -> Deed:
    """The deed that a button and the fields beside it ask for. Raises FormRefused."""
    suggested = forgery(bound)
    forged = Payment(**{name: form.get(f"forged_{name}", getattr(suggested, name)) for name in _CHANGED})
    match form.get("trick"):
        case "honest":
            return Deed(bound)
        case "replay":
            return Deed(bound, is_twice=True)
        case "amount":
            return Deed(replace(bound, amount=forged.amount))
        case "payee":
            return Deed(replace(bound, payee=forged.payee))
        case "delay":
            return Deed(bound, is_late=True)
        case "steal":
            return Deed(bound, by=By.NOBODY)
        case "lose":
            return Deed(bound, loses_answer=True)
        case "combined":
            return _combined(form, bound, forged)
    raise FormRefused("This page knows no such trick.")


def _combined(form: Form, bound: Payment, forged: Payment) -> Deed:
    changes = {name: getattr(forged, name) for name in _CHANGED if f"changes_{name}" in form}
    by = form.get("by", By.BACKEND)
    if by not in (By.BACKEND, *_STOLEN):
        raise FormRefused("This page knows nobody of that name.")
    return Deed(
        replace(bound, **changes),
        is_late="late" in form,
        by=By(by),
        loses_answer="lose" in form,
        is_twice="twice" in form,
    )


def _differs(deed: Deed, bound: Payment, name: str) -> bool:
    return bool(getattr(deed.arrived, name) != getattr(bound, name))
