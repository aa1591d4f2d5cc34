"""Issue, validate and revoke through the interface, over a clock that stands still unless told."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from counterfoil.core.judgement import ClockDisagrees
from counterfoil.core.validate import ValidationRequest
from counterfoil.model.counterfoil import Counterfoil, CounterfoilRef, Redemption, State
from counterfoil.model.journal import Entry, Event
from counterfoil.model.principal import Principal, Role
from counterfoil.model.usage import IssueLimits, LimitReached
from counterfoil.model.verdict import Accepted, Reason, Refused
from counterfoil.ports.store import Inserted, Outcome, StoreUnavailable
from counterfoil.stores.memory import MemoryStore
from tests.support.clock import START_US, Clock
from tests.support.parts import Parts, decoded, made_parts, reason

PAYMENT = {"amount": "10.00", "payee": "Anna"}
CONTEXT = {"device_id": "d-9"}
BACKEND = Principal("the-validator", "x", Role.VALIDATOR)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return made_parts(tmp_path)


async def test_what_was_issued_is_accepted_once(parts: Parts) -> None:
    issued = await parts.issue(context=CONTEXT, transaction=PAYMENT)
    first = await parts.validate(issued["passcode"], key="a", context=CONTEXT, transaction=PAYMENT)
    assert first.status == 200
    assert decoded(first) == {
        "client_id": "1234",
        "timestamp": issued["timestamp"],
        "redeemed_at": parts.clock.now_us,
        "redemption_id": "a",
        "replayed": False,
    }
    again = await parts.validate(issued["passcode"], key="b", context=CONTEXT, transaction=PAYMENT)
    assert reason(again) == "already_redeemed"


async def test_the_same_redemption_id_hears_the_same_acceptance_until_long_after_expiry(parts: Parts) -> None:
    issued = await parts.issue(transaction=PAYMENT)
    first = decoded(await parts.validate(issued["passcode"], key="a", transaction=PAYMENT))
    parts.clock.advance_s(3000)
    again = decoded(await parts.validate(issued["passcode"], key="a", transaction=PAYMENT))
    assert again == {**first, "replayed": True}


async def test_the_same_redemption_id_with_something_changed_hears_no_acceptance(parts: Parts) -> None:
    issued = await parts.issue(transaction=PAYMENT)
    await parts.validate(issued["passcode"], key="a", transaction=PAYMENT)
    changed = await parts.validate(issued["passcode"], key="a", transaction={**PAYMENT, "amount": "99.00"})
    assert reason(changed) == "already_redeemed"


async def test_another_principal_with_the_same_redemption_id_hears_no_acceptance(parts: Parts) -> None:
    issued = await parts.issue()
    await parts.validate(issued["passcode"], key="a")
    parts.secrets["validator"] = parts.credentials.create("another", Role.VALIDATOR)
    assert reason(await parts.validate(issued["passcode"], key="a")) == "already_redeemed"


async def test_a_credentials_new_secret_is_still_the_same_principal(parts: Parts) -> None:
    issued = await parts.issue()
    await parts.validate(issued["passcode"], key="a")
    parts.secrets["validator"] = parts.credentials.exchange("the-validator")
    assert decoded(await parts.validate(issued["passcode"], key="a"))["replayed"] is True


async def test_without_a_redemption_id_every_validation_has_its_own(parts: Parts) -> None:
    issued = await parts.issue()
    assert (await parts.validate(issued["passcode"])).status == 200
    assert reason(await parts.validate(issued["passcode"])) == "already_redeemed"


@pytest.mark.parametrize(
    ("issued_with", "presented", "expected"),
    [
        ({"context": CONTEXT}, {}, "context_mismatch"),
        ({}, {"context": CONTEXT}, "context_mismatch"),
        ({"context": {}}, {}, "context_mismatch"),
        ({}, {"context": {}}, "context_mismatch"),
        ({"context": CONTEXT}, {"context": {"device_id": "D-9"}}, "context_mismatch"),
        ({"context": CONTEXT}, {"context": {"device_id": "d-9 "}}, "context_mismatch"),
        ({"context": CONTEXT}, {"context": {"device_id": "d-9", "more": ""}}, "context_mismatch"),
        ({"context": CONTEXT}, {"sealed_pairs": CONTEXT}, "context_mismatch"),
        ({"transaction": PAYMENT}, {}, "transaction_mismatch"),
        ({}, {"transaction": PAYMENT}, "transaction_mismatch"),
        ({}, {"transaction": None}, "transaction_mismatch"),
        ({"transaction": None}, {}, "transaction_mismatch"),
        ({"transaction": None}, {"transaction": {}}, "transaction_mismatch"),
        ({"transaction": PAYMENT}, {"transaction": {**PAYMENT, "amount": "10.01"}}, "transaction_mismatch"),
        ({"transaction": {"n": 1}}, {"transaction": {"n": "1"}}, "transaction_mismatch"),
        ({"transaction": {"n": 1}}, {"transaction": {"n": True}}, "transaction_mismatch"),
        ({"transaction": [1, 2]}, {"transaction": [2, 1]}, "transaction_mismatch"),
        ({"transaction_digest": "0" * 64}, {"transaction_digest": "0" * 63 + "1"}, "transaction_mismatch"),
        ({"context": CONTEXT, "transaction": PAYMENT}, {}, "context_mismatch"),
    ],
)
async def test_what_is_not_as_it_was_is_refused_and_counted(
    parts: Parts, issued_with: dict[str, Any], presented: dict[str, Any], expected: str
) -> None:
    issued = await parts.issue(**issued_with)
    assert reason(await parts.validate(issued["passcode"], **presented)) == expected
    found = await parts.store.find(CounterfoilRef("1234", issued["timestamp"]))
    assert found is not None
    assert (found.state, found.attempts) == (State.ISSUED, 1)
    assert (await parts.validate(issued["passcode"], **issued_with)).status == 200


async def test_equal_json_is_the_same_transaction_however_it_is_written(parts: Parts) -> None:
    issued = await parts.issue(transaction={"b": 1.0, "a": "x"})
    raw = b'{"client_id":"1234","passcode":"%s","transaction":{ "a" : "x", "b":1}}' % issued["passcode"].encode()
    assert (await parts.ask("POST", "/v1/passcodes/validate", raw=raw, role="validator")).status == 200


async def test_a_given_digest_is_the_transactions_own(parts: Parts) -> None:
    issued = await parts.issue(transaction_digest="aB" * 32)
    assert (await parts.validate(issued["passcode"], transaction_digest="Ab" * 32)).status == 200


async def test_the_passcodes_own_timestamp_is_accepted_and_another_is_counted(parts: Parts) -> None:
    issued = await parts.issue()
    wrong = await parts.validate(issued["passcode"], timestamp=issued["timestamp"] + 1)
    assert reason(wrong) == "timestamp_mismatch"
    assert (await parts.validate(issued["passcode"], timestamp=issued["timestamp"])).status == 200


async def test_the_context_speaks_before_the_timestamp(parts: Parts) -> None:
    issued = await parts.issue()
    both = await parts.validate(issued["passcode"], timestamp=1, context=CONTEXT)
    assert reason(both) == "context_mismatch"


async def test_a_wrong_client_id_is_unknown_and_costs_nothing(parts: Parts) -> None:
    issued = await parts.issue()
    for _ in range(9):
        asked = {"client_id": "4321", "passcode": issued["passcode"]}
        assert reason(await parts.ask("POST", "/v1/passcodes/validate", asked, role="validator")) == "unknown_passcode"
    assert (await parts.validate(issued["passcode"])).status == 200


async def test_five_wrong_contexts_lock_it_for_the_right_one(parts: Parts) -> None:
    issued = await parts.issue(context=CONTEXT)
    for _ in range(5):
        assert reason(await parts.validate(issued["passcode"], context={})) == "context_mismatch"
    assert reason(await parts.validate(issued["passcode"], context=CONTEXT)) == "locked"
    assert reason(await parts.validate(issued["passcode"], context={})) == "locked"


async def test_1000_parallel_wrong_contexts_are_five_mismatches_and_then_locked(parts: Parts) -> None:
    issued = await parts.issue(context=CONTEXT)
    answers = await asyncio.gather(*(parts.validate(issued["passcode"], context={}) for _ in range(1000)))
    reasons = [reason(answer) for answer in answers]
    assert (reasons.count("context_mismatch"), reasons.count("locked")) == (5, 995)


async def test_a_forger_of_1000_passcodes_locks_nothing(parts: Parts) -> None:
    issued = await parts.issue(context=CONTEXT)
    text = issued["passcode"]
    for number in range(1000):
        at = 24 + number % 60
        forged = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert reason(await parts.validate(forged, context={})) == "unknown_passcode"
    assert (await parts.validate(text, context=CONTEXT)).status == 200


@pytest.mark.parametrize(("late_us", "is_accepted"), [(-1, True), (0, False), (1, False)])
async def test_it_is_valid_to_the_last_microsecond_and_not_longer(parts: Parts, late_us: int, is_accepted: bool) -> None:
    issued = await parts.issue(lifetime_s=1)
    parts.clock.now_us = issued["expires_at"] + late_us
    answer = await parts.validate(issued["passcode"])
    assert (answer.status == 200) is is_accepted
    if not is_accepted:
        assert reason(answer) == "expired"


async def test_a_passcode_from_the_future_is_a_fault_and_not_a_refusal(parts: Parts) -> None:
    issued = await parts.issue()
    parts.clock.advance_s(-5.000001)
    answer = await parts.validate(issued["passcode"])
    assert (answer.status, decoded(answer)["code"]) == (503, "clock_disagrees")
    parts.clock.advance_s(0.000001)
    assert (await parts.validate(issued["passcode"])).status == 200


async def test_the_default_lifetime_is_a_minute_and_bounds_are_kept(parts: Parts) -> None:
    issued = await parts.issue()
    assert issued["expires_at"] - issued["timestamp"] == 60_000_000
    for lifetime_s in (0, 601, -1):
        answer = await parts.ask("POST", "/v1/passcodes", {"client_id": "1234", "lifetime_s": lifetime_s}, role="issuer")
        assert answer.status == 400


async def test_a_lower_ceiling_is_kept_too(tmp_path: Path) -> None:
    parts = made_parts(tmp_path, lifetime_default_s=10, lifetime_max_s=30)
    assert (await parts.issue())["expires_at"] == parts.clock.now_us + 10_000_000
    longest = await parts.issue(lifetime_s=30)
    assert longest["expires_at"] - longest["timestamp"] == 30_000_000
    answer = await parts.ask("POST", "/v1/passcodes", {"client_id": "1234", "lifetime_s": 31}, role="issuer")
    assert decoded(answer)["detail"] == "lifetime_s: must be 1 to 30"


async def test_issues_in_one_microsecond_take_the_next_ones_with_salts_of_their_own(parts: Parts) -> None:
    issued = await asyncio.gather(*(parts.issue() for _ in range(20)))
    assert {each["timestamp"] - parts.clock.now_us for each in issued} == set(range(20))
    assert len({each["passcode"][24:40] for each in issued}) == 20
    for each in issued:
        assert (await parts.validate(each["passcode"])).status == 200


async def test_a_retired_keys_passcodes_are_refused_as_such(parts: Parts) -> None:
    issued = await parts.issue()
    before = parts.keyset.read().primary_id
    parts.keyset.rotate()
    assert (await parts.validate((await parts.issue())["passcode"])).status == 200
    parts.keyset.retire(before)
    assert reason(await parts.validate(issued["passcode"])) == "key_retired"


async def test_a_rotated_key_goes_on_opening(parts: Parts) -> None:
    issued = await parts.issue()
    parts.keyset.rotate()
    assert (await parts.validate(issued["passcode"])).status == 200


async def test_a_bumped_epoch_retires_every_earlier_key(parts: Parts) -> None:
    issued = await parts.issue()
    parts.keyset.bump_epoch()
    assert reason(await parts.validate(issued["passcode"])) == "key_retired"
    assert (await parts.validate((await parts.issue())["passcode"])).status == 200


async def test_a_credential_revoked_with_its_passcodes_takes_them_along(parts: Parts) -> None:
    issued, redeemed = await parts.issue(), await parts.issue()
    await parts.validate(redeemed["passcode"], key="a")
    parts.credentials.revoke("the-issuer", with_passcodes=True)
    assert reason(await parts.validate(issued["passcode"])) == "revoked"
    assert decoded(await parts.validate(redeemed["passcode"], key="a"))["replayed"] is True


async def test_a_credential_revoked_alone_leaves_its_passcodes(parts: Parts) -> None:
    issued = await parts.issue()
    parts.credentials.revoke("the-issuer")
    assert (await parts.validate(issued["passcode"])).status == 200


# -- revoke --


@pytest.mark.parametrize("name", ["passcode", "timestamp"])
@pytest.mark.parametrize("role", ["issuer", "validator"])
async def test_a_withdrawn_passcode_is_refused_and_withdrawing_twice_is_fine(parts: Parts, name: str, role: str) -> None:
    issued = await parts.issue()
    for _ in range(2):
        answer = await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", name: issued[name]}, role=role)
        assert (answer.status, answer.body) == (204, b"")
    assert reason(await parts.validate(issued["passcode"])) == "revoked"


async def test_a_redeemed_passcode_cannot_be_withdrawn(parts: Parts) -> None:
    issued = await parts.issue()
    await parts.validate(issued["passcode"])
    for name in ("passcode", "timestamp"):
        asked = {"client_id": "1234", name: issued[name]}
        assert reason(await parts.ask("POST", "/v1/passcodes/revoke", asked, role="issuer")) == "already_redeemed"


async def test_a_locked_passcode_can_be_withdrawn_and_stays_locked(parts: Parts) -> None:
    issued = await parts.issue()
    for _ in range(5):
        await parts.validate(issued["passcode"], context={})
    asked = {"client_id": "1234", "timestamp": issued["timestamp"]}
    assert (await parts.ask("POST", "/v1/passcodes/revoke", asked, role="issuer")).status == 204
    assert reason(await parts.validate(issued["passcode"])) == "locked"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text + "=", "malformed_passcode"),
        (lambda text: "cf1_AAAA" + text[8:], "key_retired"),
        (lambda text: text[:30] + ("A" if text[30] != "A" else "B") + text[31:], "unknown_passcode"),
    ],
)
async def test_a_forged_passcode_withdraws_nothing(parts: Parts, change: Callable[[str], str], expected: str) -> None:
    issued = await parts.issue()
    asked = {"client_id": "1234", "passcode": change(issued["passcode"])}
    assert reason(await parts.ask("POST", "/v1/passcodes/revoke", asked, role="issuer")) == expected
    assert (await parts.validate(issued["passcode"])).status == 200


async def test_what_was_never_issued_is_unknown_to_withdrawing(parts: Parts) -> None:
    issued = await parts.issue()
    for asked in (
        {"client_id": "1234", "timestamp": 1},
        {"client_id": "4321", "passcode": issued["passcode"]},
    ):
        assert reason(await parts.ask("POST", "/v1/passcodes/revoke", asked, role="issuer")) == "unknown_passcode"


async def test_the_journal_tells_who_was_refused_to_withdraw_what(tmp_path: Path) -> None:
    clock = Clock()
    store = MemoryStore(clock)
    parts = made_parts(tmp_path, store=store, clock=clock)
    issued = await parts.issue()
    at_us, passcode = issued["timestamp"], issued["passcode"]
    await parts.validate(passcode)
    for asked, told in (
        ({"passcode": "nonsense"}, (None, Reason.MALFORMED_PASSCODE)),
        ({"passcode": passcode[:-4] + "AAAA"}, (at_us, Reason.UNKNOWN_PASSCODE)),
        ({"passcode": passcode}, (at_us, Reason.ALREADY_REDEEMED)),
        ({"timestamp": at_us}, (at_us, Reason.ALREADY_REDEEMED)),
        ({"timestamp": 7}, (7, Reason.UNKNOWN_PASSCODE)),
    ):
        await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", **asked}, role="issuer")
        _, entry = store.journal[-1]
        assert entry == Entry(Event.REFUSED, "1234", told[0], "the-issuer", told[1])


async def test_a_revocation_says_that_it_is_one_every_time(parts: Parts) -> None:
    ref = CounterfoilRef("1234", (await parts.issue())["timestamp"])
    revocation = parts.service.handlers.revocation
    assert [await revocation.revoke(ref, BACKEND) for _ in range(2)] == ["revoked", "revoked"]


@pytest.mark.parametrize("names", [(), ("passcode", "timestamp")])
async def test_withdrawing_takes_exactly_one_name(parts: Parts, names: tuple[str, ...]) -> None:
    issued = await parts.issue()
    asked = {"client_id": "1234", **{name: issued[name] for name in names}}
    assert (await parts.ask("POST", "/v1/passcodes/revoke", asked, role="issuer")).status == 400


# -- what the store says when somebody else was first --


class Scripted(MemoryStore):
    """Answers redemptions from a script, and otherwise as it should."""

    script: list[Callable[[Counterfoil], Outcome]]

    async def redeem(self, ref: CounterfoilRef, redemption: Redemption, attempts_max: int) -> Outcome:
        found = await self.find(ref)
        assert found is not None
        return self.script.pop(0)(found)


def _redeemed_by(redemption: Redemption) -> Callable[[Counterfoil], Outcome]:
    def outcome(found: Counterfoil) -> Outcome:
        changed = replace(found, state=State.REDEEMED, redemption=redemption, redeemed_at_us=found.timestamp_us + 1)
        return Outcome(False, changed, found.timestamp_us + 2)

    return outcome


def _unchanged(found: Counterfoil) -> Outcome:
    return Outcome(False, found, found.timestamp_us)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([_redeemed_by(Redemption("other", "the-validator"))], Refused(Reason.ALREADY_REDEEMED)),
        ([lambda found: Outcome(False, None, found.timestamp_us)], Refused(Reason.UNKNOWN_PASSCODE)),
        ([lambda found: Outcome(False, found, found.expires_at_us)], Refused(Reason.EXPIRED)),
        ([_redeemed_by(Redemption("mine", "the-validator"))], None),
        ([_unchanged, _redeemed_by(Redemption("mine", "the-validator"))], None),
    ],
)
async def test_who_loses_the_race_is_judged_on_what_the_write_found(
    tmp_path: Path, script: list[Any], expected: Refused | None
) -> None:
    clock = Clock()
    store = Scripted(clock)
    store.script = list(script)
    parts = made_parts(tmp_path, store=store, clock=clock)
    issued = await parts.issue()
    validation = parts.service.handlers.validation
    verdict = await validation.validate(ValidationRequest("1234", issued["passcode"], "mine"), BACKEND)
    if expected is None:
        assert isinstance(verdict, Accepted)
        assert verdict.replayed
    else:
        assert verdict == expected
    _, told = store.journal[-1]
    event = Event.REPLAYED if expected is None else Event.REFUSED
    assert told == Entry(
        event, "1234", issued["timestamp"], BACKEND.name, None if expected is None else expected.reason, "mine"
    )


async def test_a_store_that_never_settles_is_a_fault(tmp_path: Path) -> None:
    clock = Clock()
    store = Scripted(clock)
    store.script = [_unchanged] * 99
    parts = made_parts(tmp_path, store=store, clock=clock)
    issued = await parts.issue()
    with pytest.raises(StoreUnavailable):
        await parts.service.handlers.validation.validate(ValidationRequest("1234", issued["passcode"], "mine"), BACKEND)


class AlwaysTaken(MemoryStore):
    """Has no free timestamp."""

    async def insert(self, counterfoil: Counterfoil, limits: IssueLimits | None) -> Inserted | LimitReached:
        return "timestamp_taken"


async def test_a_store_without_a_free_timestamp_is_a_fault_and_not_an_endless_loop(tmp_path: Path) -> None:
    clock = Clock()
    parts = made_parts(tmp_path, store=AlwaysTaken(clock), clock=clock)
    answer = await parts.ask("POST", "/v1/passcodes", {"client_id": "1234"}, role="issuer")
    assert (answer.status, decoded(answer)["code"]) == (503, "store_unavailable")


def test_a_disagreeing_clock_is_an_exception_of_its_own() -> None:
    assert not issubclass(ClockDisagrees, StoreUnavailable)


# -- a row that was written to by somebody else --


@pytest.mark.parametrize("change", [{"expires_at_us": START_US + 600_000_000}, {"issuer_id": "somebody-else"}])
async def test_a_row_whose_expiry_or_issuer_was_changed_belongs_to_no_passcode(tmp_path: Path, change: dict[str, Any]) -> None:
    clock = Clock()
    store = MemoryStore(clock)
    parts = made_parts(tmp_path, store=store, clock=clock)
    issued = await parts.issue()
    ref = CounterfoilRef("1234", issued["timestamp"])
    store._counterfoils[ref] = replace(store._counterfoils[ref], **change)
    clock.advance_s(61 if "expires_at_us" in change else 0)
    assert reason(await parts.validate(issued["passcode"])) == "unknown_passcode"


async def test_a_generated_passcode_whose_row_says_another_expiry_is_not_accepted(tmp_path: Path) -> None:
    clock = Clock()
    store = MemoryStore(clock)
    parts = made_parts(tmp_path, store=store, clock=clock)
    generated = decoded(await parts.ask("GET", "/generateOtp", query="clientId=1234", role="issuer"))
    ref = CounterfoilRef("1234", generated["timestamp"])
    store._counterfoils[ref] = replace(store._counterfoils[ref], expires_at_us=START_US + 600_000_000)
    clock.advance_s(61)
    query = f"clientId=1234&timestamp={generated['timestamp']}"
    assert (await parts.ask("GET", "/validateOtp", query=query, role="validator")).status == 409
