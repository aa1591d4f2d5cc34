"""Strict mode's rules, over a managed key that keeps the contract. On KMS: tests/aws/test_kms.py."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from counterfoil.core.sealing import Purpose, Sealing
from counterfoil.model.verdict import Reason
from counterfoil.ports.keys import OwnKey
from counterfoil.server_wiring import assembled
from counterfoil.settings import Settings
from counterfoil.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.parts import Parts, decoded, made_parts, reason


class ManagedKey:
    """Opens a key only under the context it was made under."""

    def __init__(self) -> None:
        self._made: dict[bytes, tuple[bytes, dict[str, str]]] = {}
        self.opened_times = 0

    async def fresh(self, key_context: Mapping[str, str]) -> OwnKey:
        wrapped, material = secrets.token_bytes(16), secrets.token_bytes(32)
        self._made[wrapped] = (material, dict(key_context))
        return OwnKey(material, wrapped)

    async def opened(self, wrapped: bytes, key_context: Mapping[str, str]) -> bytes | None:
        self.opened_times += 1
        material, made_under = self._made[wrapped]
        return material if made_under == key_context else None


@pytest.fixture
def strict(tmp_path: Path) -> tuple[ManagedKey, Parts]:
    clock, managed = Clock(), ManagedKey()
    parts = made_parts(tmp_path, store=MemoryStore(clock), clock=clock)
    handlers = parts.service.handlers
    parts.service = assembled(
        store=parts.store,
        keys=handlers.issuance.keys,
        credentials=handlers.validation.credentials,
        settings=Settings(data=tmp_path, issue_rate_per_s=0.0, outstanding_max=0, seed_routes=True).checked(),
        own_keys=managed,
        issues_own_keys=True,
        now_us=clock,
    )
    return managed, parts


BOUND: dict[str, Any] = {"context": {"device_id": "d-9"}, "transaction": {"amount": "10.00"}}


async def test_a_passcode_has_the_same_form_and_is_accepted_once(strict: tuple[ManagedKey, Parts]) -> None:
    _, parts = strict
    passcode = (await parts.issue(**BOUND))["passcode"]
    assert len(passcode) == 87
    assert (await parts.validate(passcode, key="a", **BOUND)).status == 200
    assert reason(await parts.validate(passcode, key="b", **BOUND)) == "already_redeemed"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"context": {"device_id": "d-8"}}, Reason.CONTEXT_MISMATCH),
        ({"transaction": {"amount": "99.00"}}, Reason.TRANSACTION_MISMATCH),
    ],
)
async def test_what_is_not_what_it_was_is_told_apart(
    strict: tuple[ManagedKey, Parts], changed: dict[str, Any], expected: Reason
) -> None:
    _, parts = strict
    passcode = (await parts.issue(**BOUND))["passcode"]
    assert reason(await parts.validate(passcode, **{**BOUND, **changed})) == expected


async def test_a_stranger_asks_nothing_of_the_managed_key(strict: tuple[ManagedKey, Parts]) -> None:
    managed, parts = strict
    passcode = (await parts.issue())["passcode"]
    forged = passcode[:40] + ("A" if passcode[40] != "A" else "B") + passcode[41:]
    assert reason(await parts.validate(forged)) == "unknown_passcode"
    assert managed.opened_times == 0


async def test_the_reference_samples_routes_work_too(strict: tuple[ManagedKey, Parts]) -> None:
    _, parts = strict
    generated = decoded(await parts.ask("GET", "/generateOtp", query="clientId=1234&deviceId=d-9", role="issuer"))
    query = f"clientId=1234&timestamp={generated['timestamp']}&deviceId="
    assert reason(await parts.ask("GET", "/validateOtp", query=f"{query}x", role="validator")) == "context_mismatch"
    assert (await parts.ask("GET", "/validateOtp", query=f"{query}d-9", role="validator")).status == 200


async def test_without_the_managed_key_a_strict_passcode_is_neither_yes_nor_no(strict: tuple[ManagedKey, Parts]) -> None:
    _, parts = strict
    passcode = (await parts.issue())["passcode"]
    object.__setattr__(parts.service.handlers.validation, "own_keys", None)
    answer = await parts.validate(passcode)
    assert (answer.status, decoded(answer)["code"]) == (503, "keys_unavailable")


def test_the_seal_needs_both_keys() -> None:
    sealing, salt, own_key = Sealing(bytes(32)), bytes(16), b"k" * 32
    sealed = sealing.seal(Purpose.PASSCODE, salt, b"otp", b"", own_key)
    assert sealing.unseal(Purpose.PASSCODE, salt, sealed, b"", own_key) == b"otp"
    for other in (None, b"l" * 32):
        assert sealing.unseal(Purpose.PASSCODE, salt, sealed, b"", other) is None
    assert Sealing(b"m" * 32).unseal(Purpose.PASSCODE, salt, sealed, b"", own_key) is None
