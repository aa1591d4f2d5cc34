"""Reads the text of `/metrics` into the totals that the pages show. Whatever else stands there is passed over."""

import re
from dataclasses import dataclass, field

ISSUE_ROUTES = frozenset({"/v1/passcodes", "/generateOtp"})
VALIDATE_ROUTES = frozenset({"/v1/passcodes/validate", "/validateOtp"})
_LINE = re.compile(
    r"^counterfoil_(requests_total|refusals_total|request_duration_seconds_bucket)\{([^}\n]*)\} ([^ \n]+)", re.MULTILINE
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Buckets = dict[float, float]
"""Of a histogram: how many took as long or less, by that many seconds."""


@dataclass(slots=True)
class Totals:
    """What a service has counted since it began."""

    issued: float = 0.0
    accepted: float = 0.0
    refused: float = 0.0
    """Validations that were refused; a refused revocation is none."""
    turned_away: float = 0.0
    """Requests without a credential, or with one that may not."""
    limited: float = 0.0
    faults: float = 0.0
    """Answers that are neither yes nor no."""
    reasons: dict[str, float] = field(default_factory=dict)
    issue_took: Buckets = field(default_factory=dict)
    validate_took: Buckets = field(default_factory=dict)


def totals_of(text: str) -> Totals | None:
    """The totals; None where nothing is counted. Series of one kind are added up, whatever more labels they have."""
    totals = Totals()
    found = False
    for name, labels, number in _LINE.findall(text):
        found = True
        label = dict(_LABEL.findall(labels))
        if name == "requests_total":
            _add_answers(totals, label.get("route", ""), label.get("status", ""), float(number))
        elif name == "refusals_total":
            reason = label.get("reason", "")
            totals.reasons[reason] = totals.reasons.get(reason, 0.0) + float(number)
        else:
            took = _took(totals, label.get("route", ""))
            if took is not None:
                bound_s = float(label["le"])
                took[bound_s] = took.get(bound_s, 0.0) + float(number)
    return totals if found else None


def _add_answers(totals: Totals, route: str, status: str, number: float) -> None:
    if route in ISSUE_ROUTES and status in ("200", "201"):
        totals.issued += number
    elif route in VALIDATE_ROUTES and status == "200":
        totals.accepted += number
    elif route in VALIDATE_ROUTES and status == "409":
        totals.refused += number
    if status in ("401", "403"):
        totals.turned_away += number
    elif status == "429":
        totals.limited += number
    elif status in ("500", "503"):
        totals.faults += number


def _took(totals: Totals, route: str) -> Buckets | None:
    if route in ISSUE_ROUTES:
        return totals.issue_took
    return totals.validate_took if route in VALIDATE_ROUTES else None
