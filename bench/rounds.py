"""One round of one service: issue for a while, then redeem what was issued, and what it cost in CPU."""

import json
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.processes import LOAD_CORE, PYTHON, ROOT, clean_environment, cpu_s, pinned
from bench.service import Call, Service
from bench.wrk import Load, Report, run_together

CONNECTIONS = 64
_WARM_UP_S = 1.0
# Issue for longer than redeem: whatever redeems faster than it issues would run out of secrets otherwise.
ISSUE_S, REDEEM_S = 3.0, 2.0
_STOCK_FACTORS = (3.0, 8.0)
_STOCKING_S = 30


class Invalid(Exception):
    """A figure that counts for nothing: something was refused, or broke."""


class Unsound(Invalid):
    """Some answers were no success."""

    def __init__(self, name: str, requests: int, wrong: int) -> None:
        super().__init__(f"{name}: {wrong} of {requests} answers were no success")
        self.requests = requests


class RanOut(Invalid):
    """There were fewer secrets than could be redeemed in the time."""


@dataclass(frozen=True)
class Measured:
    """One verb in one round: successes a second, their latencies, and the server side's CPU for each."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    load_busy: float
    """The share of the time in which the load was on its core: near 1, it would be the load that was measured."""


@dataclass(frozen=True)
class Pace:
    """How long a round lasts. Shorter is for trying alone."""

    issue_s: float = ISSUE_S
    redeem_s: float = REDEEM_S
    rounds: int = 7
    open_loop_s: float = 5.0


QUICK_TRY = Pace(1.0, 1.0, 1, 1.0)


def issue(service: Service, kept: Path, seconds: float, connections: int = CONNECTIONS) -> Measured:
    """Issues; the secrets are appended to `kept`. Raises Invalid."""
    return _measured(service, [_issuing(service, kept)], seconds, connections)


def redeem(service: Service, kept: Path, seconds: float, connections: int = CONNECTIONS) -> Measured:
    """Redeems what is in `kept`, each once. Raises RanOut, Invalid."""
    load = Load(service.url, service.redeem.template(service.secret_chars), kept, again=not service.remembers)
    try:
        return _measured(service, [load], seconds, connections)
    except Unsound as refused:
        if service.remembers and refused.requests >= lines(kept):
            raise RanOut(str(refused)) from refused
        raise


def both(service: Service, folder: Path, pace: Pace, connections: int = CONNECTIONS) -> tuple[Measured, Measured]:
    """Issue and redeem, warmed up. Raises Invalid."""
    kept = stocked(service, folder, _WARM_UP_S, connections)
    issued = issue(service, kept, pace.issue_s, connections)
    for factor in _STOCK_FACTORS:
        try:
            return issued, redeem(service, kept, pace.redeem_s, connections)
        except RanOut:
            kept = stocked(service, folder, pace.redeem_s * factor, connections)
    return issued, redeem(service, kept, pace.redeem_s, connections)


def stocked(service: Service, folder: Path, seconds: float, connections: int = CONNECTIONS) -> Path:
    """A file of fresh secrets, as many as are issued in that time. Raises Invalid."""
    kept = folder / f"secrets-{service.name.replace(' ', '-')}"
    kept.unlink(missing_ok=True)
    issue(service, kept, seconds, connections)
    return kept


def stocked_with(service: Service, folder: Path, many: int) -> Path:
    """A file of at least that many fresh secrets. Raises Invalid, also when they would be stale before there are enough."""
    kept = stocked(service, folder, 1.0)
    for _ in range(_STOCKING_S):
        if lines(kept) >= many:
            return kept
        issue(service, kept, 1.0)
    raise Invalid(f"{service.name} issues too slowly: {many} secrets could not be had in {_STOCKING_S} s")


def lines(path: Path) -> int:
    """How many secrets are in that file."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def together(services: Sequence[Service], folder: Path, pace: Pace, core: int | None) -> tuple[float, float]:
    """Issues and redemptions a second of all of them at once, each with its share of the connections. Raises Invalid."""
    connections = CONNECTIONS // len(services)
    files = [folder / f"secrets-{number}" for number in range(len(services))]
    for path in files:
        path.unlink(missing_ok=True)
    issuing = [_issuing(service, path) for service, path in zip(services, files, strict=True)]
    redeeming = [
        Load(service.url, service.redeem.template(service.secret_chars), path)
        for service, path in zip(services, files, strict=True)
    ]
    _sound(services[0].name, run_together(issuing, _WARM_UP_S, connections, core))
    issued = _sound(services[0].name, run_together(issuing, pace.issue_s, connections, core))
    redeemed = _sound(services[0].name, run_together(redeeming, pace.redeem_s, connections, core))
    return sum(each.rate for each in issued), sum(each.rate for each in redeemed)


def open_loop(service: Service, call: Call, folder: Path, rate: float, seconds: float, kept: Path | None) -> dict[str, float]:
    """Latencies at that rate, from the intended time of sending. Raises Invalid."""
    template, parts = folder / "request", urlsplit(service.url)
    template.write_text(call.template(service.secret_chars), newline="")
    words = [PYTHON, "-m", "bench.open_loop", str(parts.hostname), str(parts.port), "--template", str(template)]
    words += ["--rate", str(rate), "--seconds", str(seconds), *(["--secrets", str(kept)] if kept else [])]
    command = pinned(LOAD_CORE, words)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=clean_environment(), timeout=seconds + 60)
    if done.returncode:
        raise Invalid(f"the constant-rate generator failed: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout)
    if found["wrong"]:
        raise Invalid(f"{service.name}: {found['wrong']:.0f} answers at {rate:.0f} a second were wrong or missing")
    return found


def _issuing(service: Service, kept: Path) -> Load:
    # What forgets need not be kept: reading its answers would only cost the load.
    path = kept if service.remembers else None
    if path is None:
        kept.write_text(f"c0001 {service.issued}\n")
    template = service.issue.template(service.secret_chars)
    return Load(service.url, template, kept=path, client_pattern=service.client_pattern, secret_pattern=service.secret_pattern)


def _measured(service: Service, loads: list[Load], seconds: float, connections: int) -> Measured:
    before_s, load_before_s = cpu_s(service.pids), _ended_children_s()
    report = _sound(service.name, run_together(loads, seconds, connections))[0]
    used_s, load_s = cpu_s(service.pids) - before_s, _ended_children_s() - load_before_s
    cpu_us = used_s / report.requests * 1e6
    return Measured(report.rate, report.p50_ms, report.p99_ms, cpu_us, load_s / report.seconds)


def _ended_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _sound(name: str, reports: list[Report]) -> list[Report]:
    for report in reports:
        if report.wrong or not report.requests:
            raise Unsound(name, report.requests, report.wrong)
    return reports
