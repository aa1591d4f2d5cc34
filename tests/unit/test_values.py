"""Bounds of what callers choose, each with its nearest neighbours; and the arithmetic of the limits."""

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from enum import StrEnum
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, defstruct
from msgspec.structs import replace

from counterfoil import core, model
from counterfoil.core.context_sealing import SealedContext
from counterfoil.core.issue import Issued, IssueRequest
from counterfoil.core.sealing import Tags
from counterfoil.core.validate import SeedAccepted, SeedValidationRequest, ValidationRequest, _Fitted
from counterfoil.model import limits
from counterfoil.model.canonical import Binding, encoded_service_context
from counterfoil.model.context import checked_context
from counterfoil.model.counterfoil import Counterfoil, State
from counterfoil.model.discreet import Discreet
from counterfoil.model.identifiers import checked_client_id, checked_credential_name, checked_redemption_id
from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import Event, JournalKey
from counterfoil.model.journal_check import parsed_checkpoint
from counterfoil.model.passcode import Header, Passcode
from counterfoil.model.principal import Principal, Role, checked_client_pattern
from counterfoil.model.usage import IssueLimits, LimitReached, Usage
from counterfoil.model.verdict import Accepted, Reason
from counterfoil.ports.keys import DataKey, OwnKey
from tests.contract.claims import made
from tests.support.clock import START_US


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: checked_client_id(""), "client_id: must be 1 to 128 printable characters"),
        (lambda: checked_redemption_id(""), "Idempotency-Key: must be 1 to 128 of A-Z a-z 0-9 . _ : -"),
        (lambda: checked_credential_name(""), "name: must be 1 to 64 of A-Z a-z 0-9 . _ -"),
        (lambda: checked_client_pattern(""), "client: patterns must be 1 to 128 printable characters"),
        (lambda: checked_client_pattern("a?"), "client: patterns know no wildcard but *"),
        (lambda: checked_context(dict.fromkeys("abcdefghijklmnopq", "")), "context: must have at most 16 pairs"),
        (lambda: checked_context({"": ""}), "context: names must be 1 to 64 printable characters"),
        (lambda: checked_context({"a": "v" * 513}), "context: values must have at most 512 characters"),
        (lambda: checked_context({"a": "\n"}), "context: values must have no control characters"),
        (lambda: parsed_checkpoint("1"), "checkpoint: must be NUMBER:MAC, as `journal verify` prints it"),
    ],
)
def test_a_mistake_is_told_by_its_field_and_rule(mistake: Callable[[], object], told: str) -> None:
    with pytest.raises(Invalid) as caught:
        mistake()
    assert str(caught.value) == told == f"{caught.value.field}: {caught.value.rule}"


@pytest.mark.parametrize("text", ["1", "x" * 128, "cliént 日本", "a b", "*"])
def test_a_client_id_is_1_to_128_printable_characters(text: str) -> None:
    assert checked_client_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "x" * 10_000, "a\0b", "a\nb", "\u200b", "\ud800", "\u00a0"])
def test_anything_else_is_no_client_id(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked_client_id(text)
    assert text == "" or text not in str(caught.value)


@pytest.mark.parametrize("text", ["a", "x" * 128, "AZaz09._:-"])
def test_a_redemption_id_keeps_to_its_alphabet(text: str) -> None:
    assert checked_redemption_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a\n", '"a"', "é", "a,b", "a/b"])
def test_anything_else_is_no_redemption_id(text: str) -> None:
    with pytest.raises(Invalid):
        checked_redemption_id(text)


@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {"n" * 64: "v" * 512},
        {"a": ""},
        {str(number): "x" for number in range(16)},
        {"a": "\u00a0 family: \U0001f468\u200d\U0001f469"},
    ],
)
def test_a_context_within_its_bounds_is_taken_as_it_is(pairs: dict[str, str]) -> None:
    assert checked_context(pairs) == pairs


@pytest.mark.parametrize(
    "pairs",
    [
        {"": "x"},
        {"n" * 65: "x"},
        {"a": "v" * 513},
        {"a\n": "x"},
        {"a": "x\0"},
        {"a": "x\n"},
        {"a": "x\x7f"},
        {"a": "\ud800"},
        {str(number): "x" for number in range(17)},
    ],
)
def test_a_context_beyond_its_bounds_is_refused_by_its_rule(pairs: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="sealed_pairs"):
        checked_context(pairs, "sealed_pairs")


@pytest.mark.parametrize("text", ["", "a b", "é", "x" * 65])
def test_a_credential_name_keeps_to_its_alphabet(text: str) -> None:
    with pytest.raises(Invalid):
        checked_credential_name(text)


@pytest.mark.parametrize(
    ("patterns", "client_id", "covered"),
    [
        (("*",), "anything", True),
        (("shop-*",), "shop-1", True),
        (("shop-*",), "shop-", True),
        (("shop-*",), "Shop-1", False),
        (("shop-*",), "my-shop-1", False),
        (("shop-1",), "shop-1", True),
        (("shop-1",), "shop-11", False),
        (("a", "b*"), "bc", True),
        ((), "a", False),
    ],
)
def test_an_issuer_acts_for_the_clients_that_its_patterns_cover(
    patterns: tuple[str, ...], client_id: str, covered: bool
) -> None:
    assert Principal("n", "i", Role.ISSUER, patterns).covers(client_id) is covered


def test_other_roles_act_for_every_client() -> None:
    assert Principal("n", "i", Role.VALIDATOR).covers("any")


@pytest.mark.parametrize("text", ["*", "shop-*", "X", "x" * 128, "cliént"])
def test_a_pattern_of_1_to_128_printable_characters_is_taken_as_it_is(text: str) -> None:
    assert checked_client_pattern(text) == text


@pytest.mark.parametrize("text", ["", "a?", "[a]", "x" * 129, "a\n"])
def test_a_pattern_knows_no_wildcard_but_the_star(text: str) -> None:
    with pytest.raises(Invalid):
        checked_client_pattern(text)


@given(st.lists(st.integers(0, 3_000_000), max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_no_window_holds_more_than_the_burst_and_what_the_rate_adds(gaps_us: list[int], rate: int, burst: int) -> None:
    limits, usage = IssueLimits(rate, burst, 0), Usage()
    taken: list[int] = []
    now_us = START_US
    for gap_us in gaps_us:
        now_us += gap_us
        if usage.take(limits, now_us, now_us) is None:
            taken.append(now_us)
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            window_s = (taken[end] - taken[start]) / 1_000_000
            assert end - start + 1 <= burst + rate * window_s + 1e-3


def _outstanding_to_us(expires_at_us: int) -> int:
    """The end of the eight seconds, as the clock counts them, in which it expires."""
    return (expires_at_us // 8_000_000 + 1) * 8_000_000


@given(st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(1, 60), st.booleans()), max_size=60))
def test_the_cap_is_never_exceeded_and_never_leaks(steps: list[tuple[int, int, bool]]) -> None:
    limits, usage = IssueLimits(0, 1, 3), Usage()
    alive: list[int] = []
    now_us = START_US
    for gap_us, lifetime_s, gives_back in steps:
        now_us += gap_us
        usage = Usage.decoded(usage.arrival_us, usage.encoded_outstanding())
        alive = [expiry_us for expiry_us in alive if _outstanding_to_us(expiry_us) > now_us]
        expires_at_us = now_us + lifetime_s * 1_000_000
        reached = usage.take(limits, now_us, expires_at_us)
        assert (reached is None) is (len(alive) < 3)
        if reached is None:
            alive.append(expires_at_us)
        if gives_back and alive:
            usage.give_back(alive.pop())


def test_a_window_counts_to_its_end_also_when_an_earlier_one_is_forgotten() -> None:
    usage = Usage(outstanding={7: 1, 15: 1})
    assert isinstance(usage.take(IssueLimits(0, 1, 1), 15_500_000, 60_000_000), LimitReached)
    assert usage.take(IssueLimits(0, 1, 1), 16_000_000, 60_000_000) is None


def test_a_shorter_life_is_forgotten_before_a_longer_one_that_was_counted_first() -> None:
    limits, usage = IssueLimits(0, 1, 2), Usage()
    now_us = START_US // 8_000_000 * 8_000_000
    long_us, short_us = now_us + 600_000_000, now_us + 9_000_000
    assert usage.take(limits, now_us, long_us) is None
    # What has gone before is forgotten, and the longer life alone is known of.
    assert usage.take(limits, now_us + 1_000_000, short_us) is None
    assert isinstance(usage.take(limits, _outstanding_to_us(short_us) - 1, long_us), LimitReached)
    assert usage.take(limits, _outstanding_to_us(short_us), long_us) is None


def test_giving_back_what_was_never_counted_harms_nothing() -> None:
    limits, usage = IssueLimits(0, 1, 1), Usage()
    usage.give_back(START_US)
    assert usage.take(limits, START_US, START_US + 1) is None
    usage.give_back(START_US + 8_000_000)
    assert isinstance(usage.take(limits, START_US, START_US + 1), LimitReached)


def test_what_was_taken_back_was_never_counted() -> None:
    limits, usage = IssueLimits(1, 2, 2), Usage()
    for _ in range(9):
        before_us = usage.arrival_us
        assert usage.take(limits, START_US, START_US) is None
        usage.take_back(before_us, START_US)
    assert usage.idle_at_us() == 0
    assert [usage.take(limits, START_US, START_US) is None for _ in range(3)] == [True, True, False]


def test_what_was_given_back_says_nothing_of_when_to_come_again() -> None:
    limits, usage = IssueLimits(0, 1, 1), Usage()
    soon_us, later_us = START_US + 5_000_000, START_US + 60_000_000
    assert usage.take(limits, START_US, soon_us) is None
    usage.give_back(soon_us)
    assert usage.take(limits, START_US, later_us) is None
    wait_s = -((START_US - _outstanding_to_us(later_us)) // 1_000_000)
    assert 60 < wait_s <= 68
    assert usage.take(limits, START_US, later_us) == LimitReached("too many passcodes of this client are outstanding", wait_s)
    assert usage.take(limits, START_US + wait_s * 1_000_000, later_us) is None


def test_a_clock_that_goes_back_does_not_stop_a_client() -> None:
    usage, limits = Usage(), IssueLimits(rate_per_s=10, burst=5, outstanding_max=0)
    assert usage.take(limits, START_US, START_US + 60_000_000) is None
    an_hour_before_us = START_US - 3_600_000_000
    reached = usage.take(limits, an_hour_before_us, an_hour_before_us + 60_000_000)
    assert reached is None or reached.retry_after_s == 1


def test_waiting_as_long_as_told_is_enough_and_is_never_nothing() -> None:
    limits, usage = IssueLimits(0.5, 1, 0), Usage()
    assert usage.take(limits, START_US, START_US) is None
    reached = usage.take(limits, START_US, START_US)
    assert reached == LimitReached("this client issues too fast", 2)
    assert usage.take(limits, START_US + 2_000_000, START_US) is None


def test_an_account_is_idle_once_nothing_in_it_matters() -> None:
    usage = Usage()
    assert usage.idle_at_us() == 0
    usage.take(IssueLimits(1, 1, 1), START_US, START_US + 5_000_000)
    assert usage.idle_at_us() == _outstanding_to_us(START_US + 5_000_000)
    usage.give_back(START_US + 5_000_000)
    assert usage.idle_at_us() == START_US + 1_000_000


def test_the_next_one_is_too_early_by_a_microsecond_and_then_not() -> None:
    limits, usage = IssueLimits(2, 1, 0), Usage()
    assert usage.take(limits, START_US, START_US) is None
    assert isinstance(usage.take(limits, START_US + 499_999, START_US), LimitReached)
    assert usage.take(limits, START_US + 500_000, START_US) is None


def test_no_repr_shows_a_secret() -> None:
    text, raw, pairs = "canary", b"canary", {"canary": "canary"}
    header = Header.of(b"abcd", 1, 2, b"canary----------")
    counterfoil = made(seed_copy=raw)
    examples: list[Any] = [
        replace(counterfoil, passcode_tag=raw, contexts_tag=raw, transaction_tag=raw, wrapped_key=raw),
        IssueRequest("c", pairs, text, raw, 1),
        Issued("c", 1, 2, text),
        ValidationRequest("c", text, "r", pairs, pairs, raw, 1),
        SeedValidationRequest("c", 1, "r", pairs, text),
        SeedAccepted(Accepted("c", 1, 2, 3, "r", False), raw),
        _Fitted(counterfoil, None, raw),
        SealedContext("c", text, 1),
        Binding.of("c", pairs, encoded_service_context(pairs), pairs, raw),
        header,
        Passcode(header, raw),
        JournalKey(raw),
        DataKey(b"abcd", raw),
        OwnKey(raw, raw),
        Tags(raw, raw, raw),
    ]
    assert "canary" not in repr(examples)
    assert "canary" not in repr([each.__rich_repr__() for each in examples if isinstance(each, Struct)])
    # Whatever is discreet is held to it here; what travels, in tests/adversity.
    assert {type(each) for each in examples} >= {
        kind
        for kind in _kinds(Discreet)
        if kind.__module__.startswith(("counterfoil.model", "counterfoil.core", "counterfoil.ports"))
    }


def _kinds(kind: type[Any]) -> Iterator[type[Any]]:
    for narrower in kind.__subclasses__():
        yield narrower
        yield from _kinds(narrower)


def test_what_everybody_may_read_is_shown() -> None:
    open_names = [
        "accepted",
        "attempts",
        "client_id",
        "counterfoil",
        "counts",
        "expires_at",
        "expires_at_us",
        "header",
        "issuer_id",
        "key_id",
        "lifetime_s",
        "misfit",
        "redeemed_at_us",
        "redemption",
        "redemption_id",
        "state",
        "timestamp",
        "timestamp_us",
    ]
    kind = defstruct("Example", [*open_names, "new"], bases=(Discreet,), frozen=True)
    assert repr(kind(*open_names, "canary")) == f"Example({', '.join(f'{name}={name!r}' for name in open_names)}, ...)"


def test_a_new_field_is_hidden_until_it_is_said_to_be_open() -> None:
    class Example(Discreet, frozen=True):
        client_id: str
        new: str

    assert repr(Example("1234", "canary")) == "Example(client_id='1234', ...)"


def test_a_counterfoil_is_never_changed_in_place_and_says_nothing_of_copies_unless_told() -> None:
    counterfoil = Counterfoil("1234", START_US, START_US + 1, b"key", b"tag", b"tag", b"tag", "cr_1")
    with pytest.raises(AttributeError):
        counterfoil.state = State.REDEEMED  # type: ignore[misc] # that is what is forbidden
    assert (counterfoil.state, counterfoil.seed_copy, counterfoil.wrapped_key) == (State.ISSUED, None, None)


@pytest.mark.parametrize("room", [core, model])
def test_what_travels_through_the_rooms_of_the_promises_never_changes_and_is_no_work_for_the_collector(
    room: ModuleType,
) -> None:
    modules = [import_module(f"{room.__name__}.{each.name}") for each in iter_modules(room.__path__)]
    kinds = [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    structs = [kind for kind in kinds if issubclass(kind, Struct) and kind is not Discreet]
    # What is made of it need not say so itself.
    assert Discreet.__struct_config__.frozen
    dataclasses: list[Any] = [kind for kind in kinds if is_dataclass(kind)]
    assert structs
    assert dataclasses
    for struct in structs:
        assert (struct.__struct_config__.frozen, struct.__struct_config__.gc) == (True, False), struct
    for dataclass in dataclasses:
        assert dataclass.__dataclass_params__.frozen, dataclass
        assert "__slots__" in vars(dataclass), dataclass


def test_an_issuer_without_patterns_covers_nobody() -> None:
    assert not Principal("shop", "cr_1", Role.ISSUER).covers("1234")


@pytest.mark.parametrize("text", ["a", "Z", "AZ-az_09.", "x" * 64])
def test_a_credential_name_is_1_to_64_of_its_characters(text: str) -> None:
    assert checked_credential_name(text) == text


def test_the_protocols_bounds_are_these() -> None:
    # NIST SP 800-63B-4 (3.1.3.2) and ASVS 5.0 (6.5.5) set the longest lifetime, PSD2 RTS 4(3)(b) the attempts.
    assert (limits.LIFETIME_S_MIN, limits.LIFETIME_S_DEFAULT, limits.LIFETIME_S_MAX) == (1, 60, 600)
    assert limits.ATTEMPTS_MAX == 5
    assert limits.CLOCK_TOLERANCE_US == 5_000_000
    assert limits.RETENTION_S_DEFAULT == 60 * 60
    assert limits.JOURNAL_RETENTION_S_DEFAULT == 90 * 24 * 60 * 60
    assert limits.BODY_BYTES_MAX == 65_536
    assert limits.JSON_DEPTH_MAX == 32
    assert limits.SEALED_CONTEXT_CHARS_MAX == 1_024
    assert (limits.SEALED_CONTEXT_LIFETIME_S_DEFAULT, limits.SEALED_CONTEXT_LIFETIME_S_MAX) == (86_400, 2_592_000)
    assert limits.MICROSECONDS_PER_S == 1_000_000
    assert (limits.CLIENT_ID_CHARS_MAX, limits.REDEMPTION_ID_CHARS_MAX) == (128, 128)
    assert (limits.CONTEXT_PAIRS_MAX, limits.CONTEXT_NAME_CHARS_MAX, limits.CONTEXT_VALUE_CHARS_MAX) == (16, 64, 512)
    assert (limits.OTP_BYTES, limits.SALT_BYTES, limits.KEY_ID_BYTES) == (16, 16, 4)
    assert (limits.DATA_KEY_BYTES, limits.SEAL_TAG_BYTES) == (32, 16)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (State, "issued redeemed revoked locked"),
        (Role, "issuer validator operator"),
        (Event, "issued accepted replayed refused revoked"),
        (
            Reason,
            """malformed_passcode key_retired unknown_passcode already_redeemed revoked locked expired
            context_mismatch transaction_mismatch timestamp_mismatch""",
        ),
    ],
)
def test_words_that_are_stored_or_sent_are_these(kind: type[StrEnum], words: str) -> None:
    assert [str(member) for member in kind] == words.split()
    assert [member.name.lower() for member in kind] == words.split()
