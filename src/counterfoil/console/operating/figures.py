"""From two looks at what a service has counted to what happened between them: rates, shares, latencies. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from counterfoil.console.operating.exposition import Buckets, Totals


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in a stretch of time. None stands for what nothing is known of: a share of nothing has no number."""

    issued_per_s: float
    accepted_per_s: float
    refused_per_s: float
    turned_away_per_s: float
    limited_per_s: float
    faults_per_s: float
    accepted_share: float | None
    issue_p50_s: float | None
    issue_p99_s: float | None
    validate_p50_s: float | None
    validate_p99_s: float | None
    reasons_per_s: Mapping[str, float] = field(default_factory=dict)


def figures_between(before: Totals, after: Totals, seconds: float) -> Figures | None:
    """The figures; None when something was counted backwards, because a process has begun anew."""
    counts = [getattr(after, name) - getattr(before, name) for name in _COUNTED]
    reasons = {reason: total - before.reasons.get(reason, 0.0) for reason, total in after.reasons.items()}
    if min((*counts, *reasons.values())) < 0:
        return None
    issued, accepted, refused, turned_away, limited, faults = counts
    issue_took, validate_took = _less(after.issue_took, before.issue_took), _less(after.validate_took, before.validate_took)
    return Figures(
        issued_per_s=issued / seconds,
        accepted_per_s=accepted / seconds,
        refused_per_s=refused / seconds,
        turned_away_per_s=turned_away / seconds,
        limited_per_s=limited / seconds,
        faults_per_s=faults / seconds,
        accepted_share=accepted / (accepted + refused) if accepted + refused else None,
        issue_p50_s=quantile_s(0.5, issue_took),
        issue_p99_s=quantile_s(0.99, issue_took),
        validate_p50_s=quantile_s(0.5, validate_took),
        validate_p99_s=quantile_s(0.99, validate_took),
        reasons_per_s={reason: count / seconds for reason, count in reasons.items() if count},
    )


_COUNTED = ("issued", "accepted", "refused", "turned_away", "limited", "faults")


def quantile_s(share: float, took: Buckets) -> float | None:
    """How long that share took at most, as Prometheus' histogram_quantile has it: evenly spread within a bucket.

    What lies beyond the last bound is told as that bound.
    """
    bounds = sorted(took)
    total = took[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    wanted = share * total
    lower_s, below = 0.0, 0.0
    for bound_s in bounds[:-1]:
        if took[bound_s] >= wanted:
            return lower_s + (bound_s - lower_s) * (wanted - below) / (took[bound_s] - below)
        lower_s, below = bound_s, took[bound_s]
    return lower_s


def _less(after: Buckets, before: Buckets) -> Buckets:
    return {bound_s: number - before.get(bound_s, 0.0) for bound_s, number in after.items()}
