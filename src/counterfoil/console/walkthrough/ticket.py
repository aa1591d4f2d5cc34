"""The ticket torn in two: what was bound beside what arrived, field by field, and whether the edges meet there."""

from dataclasses import dataclass

from counterfoil.console.walkthrough.story import LIFETIME_S, By, Outcome, Payment, Slip, Try

_LABELS = {
    "client_id": "Client",
    "amount": "Amount",
    "currency": "Currency",
    "payee": "Payee",
    "reference": "Reference",
    "device_id": "Device",
}
_ASKING = {By.BACKEND: "the backend", By.NOBODY: "nobody known", By.CLIENT: "the client application"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line across the tear. `arrived` and `fits` are None while the other half is on its way."""

    label: str
    bound: str
    arrived: str | None = None
    fits: bool | None = None


def rows(slip: Slip, delivered: Try | None) -> list[Row]:
    """All lines of the ticket; the last three are the ones that are not printed on it."""
    rules = (("Time", f"{LIFETIME_S} seconds"), ("Use", "once"), ("For", "the backend"))
    if delivered is None:
        return [*_fields(slip.payment, None), *(Row(label, bound) for label, bound in rules)]
    verdict = delivered.verdict
    is_told_again = verdict.code == "accepted_again"
    is_used_up = delivered.is_again and verdict.outcome is not Outcome.ACCEPTED
    use = "the same redemption again" if is_told_again else "a second time" if is_used_up else "the first time"
    arrivals = (
        (_spelled(delivered.after_s), delivered.after_s < LIFETIME_S),
        (use, not is_used_up),
        (_ASKING[delivered.by], delivered.by is By.BACKEND),
    )
    told = zip(rules, arrivals, strict=True)
    return [*_fields(slip.payment, delivered.arrived), *(Row(*rule, *arrival) for rule, arrival in told)]


def _fields(bound: Payment, arrived: Payment | None) -> list[Row]:
    made = []
    for name, label in _LABELS.items():
        kept = getattr(bound, name)
        came = None if arrived is None else getattr(arrived, name)
        made.append(Row(label, kept, came, None if came is None else came == kept))
    return made


def _spelled(after_s: float) -> str:
    return f"after {after_s:.1f} seconds" if after_s < LIFETIME_S else f"after {after_s:.0f} seconds"
