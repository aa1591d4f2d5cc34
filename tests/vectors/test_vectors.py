"""The formats are pinned: the product makes and takes the bytes of vectors.json, which it had no part in making."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from counterfoil.core.context_sealing import ContextSealing, SealedContext
from counterfoil.core.issue import Issuance, Issued, IssueRequest
from counterfoil.core.key_context import key_context
from counterfoil.core.seed_copy import opened_copy, sealed_copy
from counterfoil.core.validate import Validation, ValidationRequest
from counterfoil.model.canonical import NO_SERVICE_CONTEXT, Binding, encoded_service_context
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import Entry, Event, JournalKey, Link
from counterfoil.model.passcode import Header, MalformedPasscode, parsed_passcode
from counterfoil.model.principal import Principal, Role
from counterfoil.model.verdict import Accepted, Reason
from counterfoil.ports.keys import DataKey, OwnKey
from counterfoil.stores.memory import MemoryStore
from counterfoil.wire.strict_json import parsed_json
from counterfoil.wire.transaction_digest import canonical_json, digest_of_json
from tests.support.clock import Clock
from tests.vectors.make import all_vectors

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
PRINCIPAL = Principal("somebody", "c0ffee", Role.VALIDATOR)


def by(name: str) -> pytest.MarkDecorator:
    """One list of vectors as a parametrisation."""
    label = "name" if "name" in VECTORS[name][0] else "why" if "why" in VECTORS[name][0] else "text"
    return pytest.mark.parametrize("vector", VECTORS[name], ids=[str(vector[label]) for vector in VECTORS[name]])


class OneKey:
    """The key of a vector."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self._key = DataKey(bytes.fromhex(vector["key_id"]), bytes.fromhex(vector["data_key"]))

    async def sealing_key(self) -> DataKey:
        return self._key

    async def opening_key(self, key_id: bytes) -> DataKey | None:
        return self._key if key_id == self._key.key_id else None


class OneOwnKey:
    """The own key of a vector, wrapped as nothing in particular."""

    def __init__(self, material: bytes) -> None:
        self._material = material

    async def fresh(self, key_context: Mapping[str, str]) -> OwnKey:
        return OwnKey(self._material, b"wrapped")

    async def opened(self, wrapped: bytes, key_context: Mapping[str, str]) -> bytes | None:
        return self._material


class NoRevocations:
    """Credentials of which none was revoked."""

    async def principal(self, secret: str) -> Principal | None:
        return None

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        return False


def drawn(*values: str) -> Any:
    """A generator of randomness that gives these values in turn."""
    remaining = iter([bytes.fromhex(value) for value in values])

    def next_value(size: int) -> bytes:
        value = next(remaining)
        assert len(value) == size
        return value

    return next_value


def test_the_vectors_are_what_their_maker_makes() -> None:
    assert all_vectors() == VECTORS


@by("passcodes")
async def test_issuing_makes_the_vectors_bytes_and_validating_takes_them(vector: dict[str, Any]) -> None:
    clock, keys = Clock(vector["timestamp"]), OneKey(vector)
    store = MemoryStore(clock)
    sealing = ContextSealing(keys, clock, drawn("5a" * 16))
    sealed = None
    if vector.get("sealed_pairs") is not None:
        sealed = (await sealing.sealed(vector["client_id"], vector["sealed_pairs"])).sealed_context
    digest = None if vector["transaction_digest"] is None else bytes.fromhex(vector["transaction_digest"])
    token_bytes = drawn(vector["salt"] + vector["otp"])
    own_keys = None if vector["own_key"] is None else OneOwnKey(bytes.fromhex(vector["own_key"]))
    service_context = encoded_service_context(vector.get("service_context"))
    issuance = Issuance(store, keys, sealing, clock, token_bytes, service_context, own_keys=own_keys)
    issued = await issuance.issue(IssueRequest(vector["client_id"], vector.get("context"), sealed, digest), PRINCIPAL)

    expires_at_us = vector["timestamp"] + vector["lifetime_s"] * 1_000_000
    assert issued == Issued(vector["client_id"], vector["timestamp"], expires_at_us, vector["passcode"])
    kept = await store.find(CounterfoilRef(vector["client_id"], vector["timestamp"]))
    assert kept is not None
    assert [kept.passcode_tag.hex(), kept.contexts_tag.hex(), kept.transaction_tag.hex()] == [
        vector["passcode_tag"],
        vector["contexts_tag"],
        vector["transaction_tag"],
    ]

    validation = Validation(store, keys, NoRevocations(), clock, service_context, own_keys)
    verdict = await validation.validate(
        ValidationRequest(
            vector["client_id"], vector["passcode"], "id", vector.get("context"), vector.get("sealed_pairs"), digest
        ),
        PRINCIPAL,
    )
    assert isinstance(verdict, Accepted)


@by("passcodes")
def test_the_associated_data_is_the_vectors(vector: dict[str, Any]) -> None:
    digest = None if vector["transaction_digest"] is None else bytes.fromhex(vector["transaction_digest"])
    service_context = encoded_service_context(vector.get("service_context"))
    binding = Binding.of(vector["client_id"], vector.get("context"), service_context, vector.get("sealed_pairs"), digest)
    header = parsed_passcode(vector["passcode"]).header
    assert binding.encoded(header.encoded).hex() == vector["associated_data"]


def test_no_two_vectors_are_bound_to_the_same_bytes() -> None:
    # Behind domain and header, which hold the salt: those differ anyway.
    bound = [bytes.fromhex(vector["associated_data"])[20 + 6 + 30 :] for vector in VECTORS["passcodes"]]
    assert all(left != right for left, right in itertools.combinations(bound, 2))


@by("misspelled_passcodes")
def test_a_misspelled_passcode_is_malformed(vector: dict[str, str]) -> None:
    with pytest.raises(MalformedPasscode):
        parsed_passcode(vector["text"])


@by("sealed_contexts")
async def test_sealing_makes_the_vectors_bytes_and_opening_takes_them(vector: dict[str, Any]) -> None:
    sealed_at_us = vector["expires_at"] - 86_400_000_000
    sealing = ContextSealing(OneKey(vector), Clock(sealed_at_us), drawn(vector["salt"]))
    sealed = await sealing.sealed(vector["client_id"], vector["sealed_pairs"])
    assert sealed == SealedContext(vector["client_id"], vector["sealed_context"], vector["expires_at"])
    assert await sealing.opened(vector["sealed_context"], vector["client_id"]) == vector["sealed_pairs"]


@by("seed_copies")
def test_a_seed_copy_is_the_vectors_bytes_and_opens_again(vector: dict[str, Any]) -> None:
    key = DataKey(bytes.fromhex(vector["key_id"]), bytes.fromhex(vector["data_key"]))
    own_key = None if vector["own_key"] is None else bytes.fromhex(vector["own_key"])
    header = Header.of(key.key_id, vector["timestamp"], vector["lifetime_s"], bytes(16))
    binding = Binding.of(vector["client_id"], None, NO_SERVICE_CONTEXT, None, None)
    otp = bytes.fromhex(vector["otp"])
    assert sealed_copy(otp, key, own_key, header, binding, drawn(vector["salt"])).hex() == vector["seed_copy"]
    copy = bytes.fromhex(vector["seed_copy"])
    assert opened_copy(copy, key, own_key, header.expires_at_us, binding) == otp
    assert opened_copy(copy, key, own_key, header.expires_at_us + 1, binding) is None


@by("key_contexts")
def test_the_managed_key_is_told_the_vectors_digests(vector: dict[str, Any]) -> None:
    digest = None if vector["transaction_digest"] is None else bytes.fromhex(vector["transaction_digest"])
    service_context = encoded_service_context(vector.get("service_context"))
    binding = Binding.of(vector["client_id"], vector.get("context"), service_context, vector.get("sealed_pairs"), digest)
    assert key_context(bytes.fromhex(vector["data_key"]), vector["timestamp"], binding) == vector["key_context"]


@by("journals")
def test_the_journals_chain_and_ends_are_the_vectors(vector: dict[str, Any]) -> None:
    key = JournalKey(bytes.fromhex(vector["journal_key"]))
    start = link = Link(vector["start"]["number"], bytes.fromhex(vector["start"]["mac"]))
    for told in vector["entries"]:
        reason = None if told["reason"] is None else Reason(told["reason"])
        names = told["client_id"], told["timestamp"], told["by"]
        link = key.next_link(link, told["at"], Entry(Event(told["event"]), *names, reason, told["redemption_id"]))
        assert link.mac.hex() == told["mac"]
    for end, told in ((key.start(start), vector["start"]), (key.head(link), vector["head"])):
        assert (end.link.seq, end.link.mac.hex(), end.seal.hex()) == (told["number"], told["mac"], told["seal"])


@by("canonical_json")
def test_json_has_the_vectors_canonical_form_and_digest(vector: dict[str, str]) -> None:
    tree = parsed_json(vector["text"].encode())
    assert canonical_json(tree).decode() == vector["canonical"]
    assert digest_of_json(tree).hex() == vector["sha256"]


@by("refused_json")
def test_refused_json_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        parsed_json(vector["text"].encode())
