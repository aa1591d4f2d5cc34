"""Counterfoil, its variants with a part left out, the bare server and the peers: one after the other, round after round."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from bench.figures import Figure, figure
from bench.medians import ratios, spread
from bench.peers.counterfoil import VARIANTS, counterfoil, echo
from bench.peers.handmade_services import fastapi_redis, fastapi_sqlite
from bench.peers.openbao import openbao
from bench.processes import only_running
from bench.rounds import Measured, Pace, both
from bench.service import Service

Rounds = dict[str, list[tuple[Measured, Measured]]]
"""By service: issue and redemption of every round."""
OURS, ECHO, BOUNDED_ECHO = "counterfoil", "echo", "echo within bounds"
SQLITE, REDIS, OPENBAO = "FastAPI + SQLite", "FastAPI + Redis", "OpenBao"
PARTS = ("journal", "limits", "roles")
_VERBS = ("issue", "validate")

Starting = Callable[[Path], AbstractContextManager[Service]]
HEADLINE: Mapping[str, Starting] = {OURS: counterfoil, ECHO: echo}
EVERYTHING: Mapping[str, Starting] = {
    OURS: counterfoil,
    ECHO: echo,
    BOUNDED_ECHO: partial(echo, within="bounded"),
    **{name: partial(counterfoil, name=name) for name in VARIANTS if name != OURS},
    SQLITE: fastapi_sqlite,
    REDIS: fastapi_redis,
    OPENBAO: openbao,
}


def measured(who: Mapping[str, Starting], folder: Path, pace: Pace) -> tuple[Rounds, Mapping[str, object]]:
    """The rounds of all of them in turn, and what Counterfoil says of its settings. Raises Invalid, Unfair, RuntimeError."""
    rounds: Rounds = {name: [] for name in who}
    with ExitStack() as running:
        services = {
            name: running.enter_context(start(folder / name.replace(" ", "-").replace("+", "and")))
            for name, start in who.items()
        }
        everybody = [pid for service in services.values() for pid in service.pids]
        for number in range(pace.rounds):
            for name, service in services.items():
                with only_running(service.pids, everybody):
                    issued, redeemed = both(service, folder, pace)
                rounds[name].append((issued, redeemed))
                say(f"round {number + 1}/{pace.rounds}: {name}: issue {issued.rate:,.0f}/s, validate {redeemed.rate:,.0f}/s")
        return rounds, services[OURS].says


def rates(rounds: Rounds, name: str, verb: str) -> list[float]:
    """Requests a second of every round."""
    return [each[_VERBS.index(verb)].rate for each in rounds[name]]


def headline(rounds: Rounds) -> list[Figure]:
    """What share of the bare server's throughput is left for durable verdicts."""
    return [_against(rounds, verb, OURS, ECHO, f"durable {verb} / bare ASGI echo", f"{verb} / echo") for verb in _VERBS]


def ratio_figures(rounds: Rounds) -> list[Figure]:
    """The headline, what each part costs, and the peers."""
    found = headline(rounds)
    for peer in (REDIS, SQLITE, OPENBAO):
        for verb in _VERBS:
            key = "" if peer == SQLITE else f"{verb} / {peer}"
            found.append(_against(rounds, verb, OURS, peer, f"{verb} / {_PEERS[peer, verb]}", key))
    for part in PARTS:
        found += [_against(rounds, verb, OURS, f"without {part}", f"{verb} with the {part} / without") for verb in _VERBS]
    found += [_against(rounds, verb, OURS, "without storage", f"{verb}, durable / storage switched off") for verb in _VERBS]
    for name, words in (
        ("without the three", "without journal, limits and roles"),
        ("without storage", "storage switched off"),
    ):
        found += [_against(rounds, verb, name, ECHO, f"{verb} {words} / bare ASGI echo") for verb in _VERBS]
    found += [
        _against(rounds, verb, OURS, BOUNDED_ECHO, f"durable {verb} / the echo within the product's bounds") for verb in _VERBS
    ]
    return found


_PEERS = {
    (peer, verb): words
    for peer, pair in {
        REDIS: ("FastAPI + Redis (appendfsync always)",) * 2,
        SQLITE: ("FastAPI + SQLite (synchronous=FULL)",) * 2,
        OPENBAO: ("OpenBao wrap", "OpenBao unwrap"),
    }.items()
    for verb, words in zip(_VERBS, pair, strict=True)
}


def absolute_figures(rounds: Rounds) -> list[Figure]:
    """Requests a second and CPU for each, by service."""
    found = [figure(f"{name}: {verb}", "/s", spread(rates(rounds, name, verb))) for name in rounds for verb in _VERBS]
    return (
        found
        + [
            figure(f"{name}: CPU of one {verb}", "µs", spread([each[at].cpu_us for each in rounds[name]]))
            for at, verb in enumerate(_VERBS)
            for name in (OURS, ECHO)
        ]
        + [
            figure(
                f"{name}: how busy the load was with {verb}", "%", spread([each[at].load_busy * 100 for each in rounds[name]])
            )
            for at, verb in enumerate(_VERBS)
            for name in (OURS, ECHO)
        ]
    )


def _against(rounds: Rounds, verb: str, upper: str, lower: str, what: str, key: str = "") -> Figure:
    return figure(what, "×", ratios(rates(rounds, upper, verb), rates(rounds, lower, verb)), key)


def series(rounds: Rounds) -> dict[str, dict[str, Sequence[float]]]:
    """Every round's rates, for the twin and the plots."""
    return {name: {verb: rates(rounds, name, verb) for verb in _VERBS} for name in rounds}


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
