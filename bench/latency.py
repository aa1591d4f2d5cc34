"""How long one caller waits: at a quarter, half and three quarters of capacity, alone, and with more and more connections."""

from contextlib import AbstractContextManager, ExitStack
from math import ceil
from pathlib import Path
from statistics import median

from bench import rounds as load
from bench.disk import fsync_times_ms
from bench.figures import Figure, figure
from bench.medians import percentile, ratios, spread
from bench.peers.counterfoil import Deployment, counterfoil, echo, made_deployment
from bench.rounds import Pace
from bench.service import Service
from bench.side_by_side import say

SHARES = (0.25, 0.5, 0.75)
CONNECTIONS = (1, 8, 64, 256)
PERCENTILES = ("p50_ms", "p99_ms", "p99.9_ms")


def open_loop_figures(folder: Path, pace: Pace, issue_rate: float, validate_rate: float) -> list[Figure]:
    """Percentiles at a share of the measured capacity, beside the disk's fsync in the same minutes."""
    found: dict[tuple[str, float], list[dict[str, float]]] = {}
    fsyncs_ms: list[float] = []
    with counterfoil(folder / "open-loop") as service:
        for number in range(min(3, pace.rounds)):
            for share in SHARES:
                fsyncs_ms.append(percentile(fsync_times_ms(folder), 0.5))
                rate, seconds = issue_rate * share, pace.open_loop_s
                found.setdefault(("issue", share), []).append(
                    load.open_loop(service, service.issue, folder, rate, seconds, None)
                )
                rate = validate_rate * share
                kept = load.stocked_with(service, folder, ceil(rate * seconds) + 1)
                found.setdefault(("validate", share), []).append(
                    load.open_loop(service, service.redeem, folder, rate, seconds, kept)
                )
                say(f"open loop, round {number + 1}: {share:.0%} of capacity")
    figures = [figure("one fsync of the disk, median", "ms", spread(fsyncs_ms))]
    for (verb, share), runs in sorted(found.items()):
        for name in PERCENTILES:
            values = spread([run[name] for run in runs])
            words = f"{verb} at {share:.0%} of capacity, {name.removesuffix('_ms')}"
            is_goal = share == 0.5 and name == "p99_ms"
            figures.append(figure(words, "ms", values, f"{verb} p99 at 50 %" if is_goal else ""))
            if is_goal:
                in_fsyncs = spread([run[name] / median(fsyncs_ms) for run in runs])
                figures.append(figure(f"{words} / one fsync", "×", in_fsyncs, f"{verb} p99 at 50 % / fsync"))
    late = spread([run["generator_late_p99_ms"] for runs in found.values() for run in runs])
    return [*figures, figure("lateness of the load generator itself, p99", "ms", late)]


def floor_figures(folder: Path, pace: Pace, echo_rate: float) -> list[Figure]:
    """What the machine and the server make of an application that does nothing: at half its own capacity, and alone."""
    found: list[dict[str, float]] = []
    alone_ms: list[float] = []
    kept = folder / "no-secrets"
    with echo(folder / "floor") as service:
        for _ in range(min(3, pace.rounds)):
            found.append(load.open_loop(service, service.issue, folder, echo_rate * 0.5, pace.open_loop_s, None))
            alone_ms.append(load.issue(service, kept, pace.redeem_s, connections=1).p50_ms)
    at_half = [
        figure(f"bare echo at 50% of its capacity, {name.removesuffix('_ms')}", "ms", spread([run[name] for run in found]))
        for name in PERCENTILES
    ]
    return [*at_half, figure("a lone caller's bare echo, median", "ms", spread(alone_ms))]


def connection_figures(folder: Path, pace: Pace) -> list[Figure]:
    """Throughput by number of connections; alone, the wait in fsyncs of the disk."""
    verbs: dict[tuple[int, str], list[load.Measured]] = {}
    fsyncs_ms: list[float] = []
    with counterfoil(folder / "connections") as service:
        for _ in range(pace.rounds):
            fsyncs_ms.append(percentile(fsync_times_ms(folder), 0.5))
            for connections in CONNECTIONS:
                issued, redeemed = load.both(service, folder, pace, connections)
                verbs.setdefault((connections, "issue"), []).append(issued)
                verbs.setdefault((connections, "validate"), []).append(redeemed)
            say("connections: a round is done")
    lone = {verb: [each.p50_ms for each in verbs[1, verb]] for verb in ("issue", "validate")}
    figures = [
        figure(f"a lone caller's {verb} / one fsync", "×", ratios(times_ms, fsyncs_ms), f"lone {verb} / fsync")
        for verb, times_ms in lone.items()
    ]
    figures += [figure(f"a lone caller's {verb}, median", "ms", spread(times_ms)) for verb, times_ms in lone.items()]
    for (connections, verb), each in verbs.items():
        figures.append(figure(f"{verb}, {connections} connections", "/s", spread([one.rate for one in each])))
    return figures


def process_figures(folder: Path, pace: Pace) -> list[Figure]:
    """One and two server processes on one SQLite file. Servers and load share both cores, since there are no more."""
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for number in range(pace.rounds):
        for many, each in found.items():
            deployment = made_deployment(folder / f"processes-{many}-{number}")
            with ExitStack() as running:
                services = [running.enter_context(_server(deployment)) for _ in range(many)]
                each.append(load.together(services, folder, pace, None))
        say("processes: a round is done")
    figures = []
    for at, verb in enumerate(("issue", "validate")):
        one, two = ([each[at] for each in found[many]] for many in (1, 2))
        figures.append(figure(f"{verb}, two server processes / one, cores shared with the load", "×", ratios(two, one)))
        figures.append(figure(f"{verb}, one server process, cores shared with the load", "/s", spread(one)))
        figures.append(figure(f"{verb}, two server processes, cores shared with the load", "/s", spread(two)))
    return figures


def _server(deployment: Deployment) -> AbstractContextManager[Service]:
    return counterfoil(deployment.folder, core=None, deployment=deployment)
