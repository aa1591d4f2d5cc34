"""JSON loses nothing in reading: what has two meanings, or one that a double cannot hold, is refused by name."""

import json
import math
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.model.invalid import Invalid
from counterfoil.wire import strict_json
from counterfoil.wire.messages import IssueBody, ValidateBody, read_body
from counterfoil.wire.strict_json import parsed_json
from counterfoil.wire.transaction_digest import canonical_json, given_digest

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _compact(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


@given(TREES)
def test_fast_and_slow_reading_agree(tree: Any) -> None:
    slow = strict_json._read_by_rules(_compact(tree))
    assert _same(parsed_json(_compact(tree)), slow)
    assert _same(parsed_json(json.dumps(tree, indent=1).encode()), slow)
    assert _same(parsed_json(msgspec.json.encode(tree)), slow)


# Each right, or wrong in one of the ways that a field can be.
MEMBERS = st.sampled_from(
    [
        '"client_id":"1234"',
        '"client_id": "\\u00e9"',
        '"client_id":7',
        '"passcode":"cf1_x"',
        '"passcode":null',
        '"context":{"a":"1","b":"2"}',
        '"context":{"a":"1","a":"2"}',
        '"context": {}',
        '"transaction":{"b":[1,2.50],"a":"\\u0000"}',
        '"transaction":{"b":[1,2.5],"a":"é"}',
        '"transaction":12345678901234567',
        '"transaction":1234567890123456',
        '"transaction":' + "[" * 31 + "]" * 31,
        '"transaction":' + "[" * 32 + "]" * 32,
        '"transaction":[' + "{}," * 40 + "{}]",
        '"transaction_digest":"' + "0" * 64 + '"',
        '"timestamp":1795410340123456',
        '"timestamp":9007199254740993',
        '"timestamp":60.0',
        '"lifetime_s":60',
        '"lifetime_s":true',
        '"unknown":1',
    ]
)


@settings(max_examples=500)
@given(st.sampled_from([IssueBody, ValidateBody]), st.lists(MEMBERS, max_size=6), st.sampled_from([",", ", ", ",\n "]))
def test_a_body_is_read_as_the_rules_and_a_conversion_read_it(kind: Any, members: list[str], between: str) -> None:
    body = ("{" + between.join(members) + "}").encode()

    def by_rules() -> Any:
        try:
            return msgspec.convert(strict_json._read_by_rules(body), kind)
        except (Invalid, msgspec.ValidationError):
            return None

    try:
        read = read_body(body, kind)
    except Invalid:
        read = None
    expected = by_rules()
    assert read == expected
    if read is not None:
        assert repr(msgspec.structs.astuple(read)) == repr(msgspec.structs.astuple(expected))


@pytest.mark.parametrize(("more", "is_read"), [(0, True), (1, False)])
def test_a_body_has_its_bound_when_it_is_read_into_its_type(more: int, is_read: bool) -> None:
    head, tail = b'{"client_id":"1234","transaction":"', b'"}'
    body = head + b"x" * (65536 - len(head + tail) + more) + tail
    if is_read:
        assert read_body(body, IssueBody).client_id == "1234"
    else:
        with pytest.raises(Invalid, match="at most 65536 bytes"):
            read_body(body, IssueBody)


@given(TREES)
def test_the_canonical_form_is_the_librarys_for_all_that_is_accepted(tree: Any) -> None:
    read = parsed_json(_compact(tree))
    assert canonical_json(read) == rfc8785.dumps(read)


@given(st.dictionaries(st.text("aé\ud7ff\ue000\uffff\U00010000", min_size=1, max_size=3), st.just(1), max_size=6))
def test_names_sort_by_utf16_in_the_canonical_form(tree: dict[str, int]) -> None:
    assert canonical_json(tree) == rfc8785.dumps(tree)


def test_every_ascii_character_is_escaped_as_the_canonical_form_asks() -> None:
    for code in range(128):
        assert canonical_json([chr(code)]) == rfc8785.dumps([chr(code)])
        assert canonical_json({chr(code): chr(code)}) == rfc8785.dumps({chr(code): chr(code)})


@pytest.mark.parametrize("number", [1e22, 1e21, 1e-7, 1e-6, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 100.0, 1e16])
def test_floats_print_as_ecmascript_prints_them(number: float) -> None:
    for tree in (number, [number], {"n": number}, {"a": -number}):
        assert canonical_json(tree) == rfc8785.dumps(tree)


def test_equal_numbers_have_one_canonical_form() -> None:
    forms = {canonical_json(parsed_json(text)) for text in (b"[10]", b"[10.0]", b"[1e1]", b"[1E+1]", b"[100e-1]")}
    assert forms == {b"[10]"}


NOT_JSON = "must be JSON"
NOT_EXACT = "numbers must be held exactly"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", NOT_JSON),
        (b"{", NOT_JSON),
        (b"{}x", NOT_JSON),
        (b"{} {}", NOT_JSON),
        (b"{'a':1}", NOT_JSON),
        (b'{"a":1,}', NOT_JSON),
        (b"[01]", NOT_JSON),
        (b"[+1]", NOT_JSON),
        (b"[.5]", NOT_JSON),
        (b"[1.]", NOT_JSON),
        (b"NaN", NOT_JSON),
        (b"[Infinity]", NOT_JSON),
        (b"[-Infinity]", NOT_JSON),
        (b'"\x01"', NOT_JSON),
        (b'"a\nb"', NOT_JSON),
        (b'"\\x41"', NOT_JSON),
        (b"\xef\xbb\xbf{}", NOT_JSON),
        (b'{"a":\0}', NOT_JSON),
        (b'"\xff"', "must be UTF-8"),
        (b'"\xed\xa0\x80"', "must be UTF-8"),
        (b'"\xc0\xaf"', "must be UTF-8"),
        ("[1]".encode("utf-16"), "must be UTF-8"),
        (b'{"a":1,"a":1}', "no name twice"),
        (b'{"a":1,"\\u0061":2}', "no name twice"),
        (b'{"b":{"a":1,"a":2}}', "no name twice"),
        (b'[{"a":1, "a":2}]', "no name twice"),
        (b'["\\u0000"]', "no NUL"),
        (b'{"\\u0000":1}', "no NUL"),
        (b'["\\ud800"]', "no lone surrogate"),
        (b'["\\udc00\\ud800"]', "no lone surrogate"),
        (b'{"\\udfff":1}', "no lone surrogate"),
        (b"[9007199254740993]", NOT_EXACT),
        (b"[-9007199254740993]", NOT_EXACT),
        (b"[18446744073709551615]", NOT_EXACT),
        (b'{"a":12345678901234567}', NOT_EXACT),
        (b"12345678901234567", NOT_EXACT),
        (b"[0.1000000000000000055511151231257827]", NOT_EXACT),
        (b"[1.00000000000000000001]", NOT_EXACT),
        (b"[1e400]", NOT_EXACT),
        (b"[-1e400]", NOT_EXACT),
        (b"[1e-400]", NOT_EXACT),
        (b"[0e99999999999999999999]", NOT_EXACT),
        (b"[" + b"9" * 401 + b"]", NOT_EXACT),
        (b"[0." + b"1" * 401 + b"]", NOT_EXACT),
        (b"[" * 33 + b"]" * 33, "levels deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "levels deep"),
        (b"[" * 30000 + b"]" * 30000, "levels deep"),
        (b'"' + b"x" * 65536 + b'"', "at most 65536 bytes"),
    ],
)
def test_what_could_be_read_two_ways_is_refused_by_its_rule(body: bytes, rule: str) -> None:
    with pytest.raises(Invalid, match=rule) as caught:
        parsed_json(body)
    assert caught.value.field == "body"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[9007199254740991]", [9007199254740991]),
        (b"[9007199254740992]", [9007199254740992.0]),
        (b"[9007199254740994]", [9007199254740994.0]),
        (b"[1e23]", [1e23]),
        (b"[-0]", [0]),
        (b"[-0.0]", [-0.0]),
        (b"[0.10]", [0.1]),
        (b'["\\\\u0000"]', ["\\u0000"]),
        (b'["\\ud83d\\ude00"]', ["\U0001f600"]),
        (b"[1795410340123456]", [1795410340123456]),
        (b'["DE02:1203000000002020510000"]', ["DE02:1203000000002020510000"]),
        (b"[" * 32 + b"]" * 32, None),
        (b" \t\r\n{ } ", {}),
        (b'"' + b"x" * 65534 + b'"', "x" * 65534),
        (b"[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]", [{}] * 33),
    ],
)
def test_what_has_one_meaning_is_read(body: bytes, value: Any) -> None:
    read = parsed_json(body)
    if value is not None:
        assert _same(read, value)


@settings(max_examples=300)
@given(st.binary(max_size=40) | st.text(st.sampled_from('{}[]",:0123456789.eE+-truefalsn\\ud80 '), max_size=40).map(str.encode))
def test_no_body_makes_anything_but_a_value_or_a_named_rule(body: bytes) -> None:
    try:
        read = parsed_json(body)
    except Invalid:
        return
    assert canonical_json(read) == rfc8785.dumps(read)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "g" * 64, "0" * 63 + "\n", " " + "0" * 63, "0" * 64 + "\n", "٠" * 64])
def test_a_digest_is_64_hexadecimal_digits(text: str) -> None:
    with pytest.raises(Invalid):
        given_digest(text)


def _same(one: Any, other: Any) -> bool:
    """Equal, with 1 and True apart, and with 0.0 and -0.0 apart."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
