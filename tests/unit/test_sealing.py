"""What one data key seals and tags, and how long it is kept set up. The bytes: tests/vectors."""

import gc
from itertools import combinations, permutations
from typing import Any

import pytest

from counterfoil.core import key_context, sealing
from counterfoil.core.sealing import Purpose, Sealing, sealing_under
from counterfoil.model.canonical import NO_SERVICE_CONTEXT, Binding
from counterfoil.model.passcode import Header, Passcode
from counterfoil.ports.keys import DataKey

SALT = bytes(range(16))
PARTS: dict[str, Any] = {
    "material": bytes(32),
    "key_id": b"abcd",
    "timestamp_us": 1_795_410_340_123_456,
    "lifetime_s": 60,
    "salt": SALT,
    "sealed_otp": bytes(32),
    "client_id": "1234",
    "issuer_id": "c0ffee",
    "context": {"device_id": "d-9"},
    "digest": bytes(32),
}
OTHERS: dict[str, Any] = {
    "material": bytes(31) + b"\1",
    "key_id": b"abce",
    "timestamp_us": 1_795_410_340_123_457,
    "lifetime_s": 61,
    "salt": bytes(range(1, 17)),
    "sealed_otp": bytes(31) + b"\1",
    "client_id": "1235",
    "issuer_id": "c0fff0",
    "context": {"device_id": "d-8"},
    "digest": bytes(31) + b"\1",
}


def _tags(**changed: Any) -> dict[str, bytes]:
    part = {**PARTS, **changed}
    header = Header.of(part["key_id"], part["timestamp_us"], part["lifetime_s"], part["salt"])
    binding = Binding.of(part["client_id"], part["context"], NO_SERVICE_CONTEXT, None, part["digest"])
    passcode = Passcode(header, part["sealed_otp"])
    tags = Sealing(part["material"]).tags(passcode, binding, part["issuer_id"])
    return {"passcode": tags.passcode, "contexts": tags.contexts, "transaction": tags.transaction}


@pytest.mark.parametrize("part", OTHERS)
def test_each_tag_covers_the_data_key_the_whole_header_the_client_and_what_it_is_of(part: str) -> None:
    before, after = _tags(), _tags(**{part: OTHERS[part]})
    covered_by = {
        "sealed_otp": {"passcode"},
        "issuer_id": {"passcode"},
        "context": {"contexts"},
        "digest": {"transaction"},
    }
    changed = {name for name in before if before[name] != after[name]}
    assert changed == covered_by.get(part, {"passcode", "contexts", "transaction"})


def test_the_three_tags_of_a_passcode_differ() -> None:
    assert all(one != other for one, other in combinations(_tags().values(), 2))


@pytest.mark.parametrize(
    "texts",
    [
        (sealing._PASSCODE, sealing._CONTEXTS, sealing._TRANSACTION),
        (*Purpose, sealing._TAGS, key_context._PURPOSE),
    ],
    ids=["labels of tags", "what an info begins with"],
)
def test_no_text_that_keeps_things_apart_is_the_beginning_of_another(texts: tuple[bytes, ...]) -> None:
    assert not any(one.startswith(other) for one, other in permutations(texts, 2))


@pytest.mark.parametrize(
    ("material", "purpose", "salt", "associated_data"),
    [
        (b"m" * 32, Purpose.PASSCODE, SALT, b"bound"),
        (bytes(32), Purpose.SEED_COPY, SALT, b"bound"),
        (bytes(32), Purpose.SEALED_CONTEXT, SALT, b"bound"),
        (bytes(32), Purpose.PASSCODE, SALT[:-1] + b"\0", b"bound"),
        (bytes(32), Purpose.PASSCODE, SALT, b"bounD"),
    ],
)
def test_what_was_sealed_opens_under_the_same_key_purpose_salt_and_binding_alone(
    material: bytes, purpose: Purpose, salt: bytes, associated_data: bytes
) -> None:
    sealed = Sealing(bytes(32)).seal(Purpose.PASSCODE, SALT, b"otp", b"bound")
    assert Sealing(bytes(32)).unseal(Purpose.PASSCODE, SALT, sealed, b"bound") == b"otp"
    assert Sealing(material).unseal(purpose, salt, sealed, associated_data) is None


def test_every_salt_has_a_key_of_its_own() -> None:
    """The nonce is the same for all: under one key, equal texts would be sealed alike."""
    sealed = {Sealing(bytes(32)).seal(Purpose.PASSCODE, bytes([each]) * 16, b"otp", b"") for each in range(20)}
    assert len(sealed) == 20


def test_what_is_set_up_for_a_key_is_kept_as_long_as_the_key_and_not_longer() -> None:
    gc.collect()
    before = len(sealing._SET_UP)
    key = DataKey(b"abcd", bytes(32))
    assert sealing_under(key) is sealing_under(key)
    assert sealing_under(key) is not sealing_under(DataKey(b"abcd", b"m" * 32))
    assert len(sealing._SET_UP) == before + 1
    del key
    gc.collect()
    assert len(sealing._SET_UP) == before


def test_what_is_set_up_shows_nothing_of_the_key() -> None:
    assert "canary" not in repr(Sealing(b"canary" + bytes(26)))
