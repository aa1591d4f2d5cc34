"""From what the ports found to what operators are told. Only what is named here leaves."""

from counterfoil.model.counterfoil import Counterfoil, State
from counterfoil.model.journal import Record
from counterfoil.ports.credentials import ListedCredential
from counterfoil.ports.examination import Finding
from counterfoil.ports.journal_reader import BINS_MAX, LastUses, RefusalCounts
from counterfoil.wire import operator_messages as wire


def journal_entry(record: Record) -> wire.JournalEntry:
    """The entry without its MAC, which is for `journal verify`."""
    entry = record.entry
    return wire.JournalEntry(
        record.seq,
        record.at_us,
        entry.event,
        entry.client_id,
        entry.timestamp_us,
        entry.by,
        entry.reason,
        entry.redemption_id,
    )


def counterfoil_now(found: Counterfoil, now_us: int) -> wire.CounterfoilNow:
    """How it stands at that time."""
    is_expired = found.state is State.ISSUED and now_us >= found.expires_at_us
    return wire.CounterfoilNow(
        "expired" if is_expired else found.state.value, found.attempts, found.expires_at_us, found.key_id.hex()
    )


def credential_answer(found: ListedCredential, uses: LastUses) -> wire.CredentialAnswer:
    """The credential, with its last use: an issue is told under its id, all else under its name."""
    times = [at_us for at_us in (uses.by_id.get(found.credential_id), uses.by_name.get(found.name)) if at_us is not None]
    return wire.CredentialAnswer(
        id=found.credential_id,
        name=found.name,
        role=found.role,
        client_patterns=list(found.client_patterns),
        created_at=found.created_at_us,
        secret_created_at=found.secret_created_at_us,
        live_secrets=found.live_secrets,
        expires_at=found.expires_at_us,
        revoked_at=found.revoked_at_us,
        passcodes_revoked=found.are_passcodes_revoked,
        last_used_at=max(times, default=None),
    )


def refusals_answer(counts: RefusalCounts, to_next: str | None) -> wire.RefusalsAnswer:
    """The groups as they are, and the bins without gaps, so that they can be drawn."""
    width_us = counts.width_us
    last = (counts.until_us - 1) // width_us
    first = min(last, max(counts.since_us // width_us, last - BINS_MAX + 1))
    by_reason: dict[str, list[int]] = {}
    for (reason, start_us), count in sorted(counts.bins.items()):
        # What a clock that was set back has stamped earlier is counted with the earliest.
        number = min(max(start_us // width_us, first), last)
        by_reason.setdefault(reason.value, [0] * (last - first + 1))[number - first] += count
    starts = [number * width_us for number in range(first, last + 1)]
    groups = [wire.RefusalGroupAnswer(*group) for group in counts.groups]
    bins = wire.RefusalBins(width_us, starts, by_reason)
    return wire.RefusalsAnswer(counts.since_us, counts.until_us, groups, counts.left_off, bins, to_next)


def health_check(finding: Finding) -> wire.HealthCheck:
    """What was found."""
    return wire.HealthCheck(finding.what, finding.level == "ok", finding.level, finding.says, finding.mend)
