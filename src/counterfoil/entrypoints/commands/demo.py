"""The story in one table: payments delivered honestly and dishonestly, and what the backend hears.

The service is real: `counterfoil dev` in a process of its own, asked over HTTP.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import rich_click as click

from counterfoil.client import (
    ABSENT,
    Client,
    CounterfoilError,
    CredentialRefused,
    IssuedAnswer,
    PasscodeRefused,
    new_redemption_id,
)
from counterfoil.entrypoints.commands.options import as_json, say, show_json
from counterfoil.entrypoints.exits import DONE, REFUSED

_CLIENT_ID = "shop-1"
_CONTEXT = {"device_id": "d-9", "region": "eu-south"}
_LATE_LIFETIME_S = 1
_LATE_AFTER_S = 1.2


@dataclass(frozen=True)
class Payment:
    """An example transaction, and how a dishonest intermediary would change it."""

    name: str
    content: str
    amount: tuple[str, str]
    payee: tuple[str, str]
    is_json: bool

    def bound(self) -> dict[str, Any]:
        """The transaction, as the client's keyword arguments."""
        if self.is_json:
            return {"transaction": json.loads(self.content)}
        return {"transaction": ABSENT, "transaction_digest": hashlib.sha256(self.content.encode()).hexdigest()}

    def changed(self, change: tuple[str, str]) -> "Payment":
        """The same payment with one value replaced."""
        assert change[0] in self.content
        return replace(self, content=self.content.replace(*change))


@dataclass(frozen=True)
class Delivery:
    """What arrives at the backend."""

    payment: Payment
    passcode: str = field(repr=False)
    client_id: str = _CLIENT_ID
    context: dict[str, str] = field(default_factory=lambda: dict(_CONTEXT))


@dataclass(frozen=True)
class Scene:
    """One line of the table."""

    payment: str
    who: str
    did: str
    heard: str
    expected: str

    @property
    def is_expected(self) -> bool:
        """Whether the backend heard what it should."""
        return self.heard == self.expected


@click.command()
@as_json
def demo(as_json: bool) -> None:
    """Play honest and dishonest deliveries against a real service, and show what the backend hears.

    Exit status 1 when any verdict is not the expected one.

    Example: counterfoil demo
    """
    with _service() as service:
        scenes = played(service)
    if as_json:
        show_json([{**vars(scene), "as_expected": scene.is_expected} for scene in scenes])
    else:
        print_table(scenes)
    sys.exit(DONE if all(scene.is_expected for scene in scenes) else REFUSED)


@contextmanager
def _service() -> Iterator[dict[str, str]]:
    """A development service on a free port; it ends with the story."""
    process = subprocess.Popen(
        [sys.executable, "-m", "counterfoil", "dev", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise CounterfoilError("the service did not start; see the lines above")
        yield json.loads(line)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def played(service: dict[str, str]) -> list[Scene]:
    """The story against the service at `url`, with its `issuer` and `validator` credentials."""
    with (
        Client(service["url"], service["issuer"]) as client_side,
        Client(service["url"], service["validator"]) as backend,
        Client(service["url"], "cfv_" + "0" * 43) as thief,
    ):
        # Issued first and delivered last: being late takes its time.
        late = [(payment, _issued(client_side, payment, _LATE_LIFETIME_S)) for payment in payments()]
        issued_at_s = time.monotonic()
        scenes: list[Scene] = []
        for payment in payments():
            scenes += _deliveries(payment, client_side, backend, thief)
        time.sleep(max(0.0, issued_at_s + _LATE_AFTER_S - time.monotonic()))
        for payment, issued in late:
            heard = _heard(backend, Delivery(payment, issued.passcode))
            scenes.append(Scene(payment.name, "intermediary", "held it back until it was late", heard, "refused: expired"))
    return sorted(scenes, key=lambda scene: scene.payment)


def _deliveries(payment: Payment, client_side: Client, backend: Client, thief: Client) -> Iterator[Scene]:
    def scene(who: str, did: str, heard: str, expected: str) -> Scene:
        return Scene(payment.name, who, did, heard, expected)

    def fresh() -> Delivery:
        return Delivery(payment, _issued(client_side, payment).passcode)

    honest = fresh()
    yield scene("intermediary", "delivered it unchanged", _heard(backend, honest), "accepted")
    yield scene("intermediary", "delivered it a second time", _heard(backend, honest), "refused: already_redeemed")
    amount = replace(fresh(), payment=payment.changed(payment.amount))
    yield scene(
        "intermediary", f"changed the amount to {payment.amount[1]}", _heard(backend, amount), "refused: transaction_mismatch"
    )
    payee = replace(fresh(), payment=payment.changed(payment.payee))
    yield scene("intermediary", "changed the payee", _heard(backend, payee), "refused: transaction_mismatch")
    elsewhere = replace(fresh(), context={**_CONTEXT, "region": "elsewhere"})
    yield scene("intermediary", "changed the context", _heard(backend, elsewhere), "refused: context_mismatch")
    other = replace(fresh(), client_id="shop-2")
    yield scene("intermediary", "said that it came from another client", _heard(backend, other), "refused: unknown_passcode")
    stolen = fresh()
    yield scene("thief", "redeemed it without a credential", _heard(thief, stolen), "no credential")
    yield scene("intermediary", "delivered what the thief had tried", _heard(backend, stolen), "accepted")
    lost, redemption_id = fresh(), new_redemption_id()
    _heard(backend, lost, redemption_id)
    yield scene(
        "network", "lost the answer; the backend asked again", _heard(backend, lost, redemption_id), "accepted, told again"
    )


def _issued(client_side: Client, payment: Payment, lifetime_s: int | None = None) -> IssuedAnswer:
    return client_side.issue(_CLIENT_ID, context=_CONTEXT, lifetime_s=lifetime_s, **payment.bound())


def _heard(backend: Client, delivery: Delivery, redemption_id: str | None = None) -> str:
    """What a backend hears that gives each delivery a redemption id of its own, unless it asks again."""
    try:
        accepted = backend.validate(
            delivery.client_id,
            delivery.passcode,
            context=delivery.context,
            redemption_id=redemption_id,
            **delivery.payment.bound(),
        )
    except PasscodeRefused as refused:
        return f"refused: {refused.reason}"
    except CredentialRefused:
        return "no credential"
    return "accepted, told again" if accepted.replayed else "accepted"


def payments() -> tuple[Payment, Payment]:
    """The example transactions."""
    return (
        Payment(
            "card payment (JSON)",
            _example("card-payment.json"),
            amount=("49.90", "949.90"),
            payee=("Libreria Aurora", "Libreria Aurelia"),
            is_json=True,
        ),
        Payment(
            "credit transfer (pain.001)",
            _example("credit-transfer.pain.001.xml"),
            amount=("1250.00", "9250.00"),
            payee=("DE02120300000000202051", "DE02500105170137075030"),
            is_json=False,
        ),
    )


def _example(name: str) -> str:
    installed = files("counterfoil").joinpath("examples", name)
    if installed.is_file():
        return installed.read_text()
    # In a checkout the examples stand at its root, where readers look for them.
    return (Path(__file__).parents[4] / "examples" / name).read_text()


def print_table(scenes: list[Scene]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="A passcode travels with a payment through systems that nobody controls")
    for heading in ("who", "did what", "the backend heard", "as expected"):
        table.add_column(heading)
    for name in dict.fromkeys(scene.payment for scene in scenes):
        table.add_row(f"[bold]{name}[/]")
        for scene in scenes:
            if scene.payment == name:
                verdict = "✔ yes" if scene.is_expected else f"✘ NO, expected {scene.expected}"
                style = "green" if scene.heard.startswith("accepted") else "yellow"
                table.add_row(scene.who, scene.did, f"[{style}]{scene.heard}[/]", verdict)
        table.add_section()
    Console(width=max(100, Console().width)).print(table)
    expected = sum(scene.is_expected for scene in scenes)
    say(f"{expected} of {len(scenes)} verdicts are the expected ones.")
