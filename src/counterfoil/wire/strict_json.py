"""JSON read so that nothing is lost in reading: duplicate keys, inexact numbers, NUL and lone surrogates are refused.

The usual libraries keep the last of two equal keys and round a number to the nearest double, silently; two different
payments could then share one digest. Here a text is taken only if it has one meaning (RFC 7493, I-JSON).
"""

import json
from decimal import Decimal, DecimalException
from typing import Any, NoReturn, TypeVar

import msgspec

from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import BODY_BYTES_MAX, JSON_DEPTH_MAX

V = TypeVar("V")

_FIELD = "body"
_ANY_VALUE = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
# Every digit as 0 and whatever may stand before a number as a colon: one search then finds an integer of 16 digits, several
# times faster than a regular expression does.
_DIGITS_AND_MARKS = bytes.maketrans(b"123456789,[-", b"000000000:::")
_LONG_INTEGER = b":" + b"0" * 16
_EXACT_INTEGER_MAX = 2**53
# The longest integer that a double holds has 309 digits.
_NUMBER_CHARS_MAX = 400
# Stands in every object and array, so that an empty one is a level too.
_INSIDE = None


def parsed_json(body: bytes) -> Any:
    """The value that `body` spells; integers beyond 2^53 come as the float they equal. Raises Invalid.

    Read fast where that loses nothing, and else slowly, by rules that can say what is wrong.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Invalid(_FIELD, f"must have at most {BODY_BYTES_MAX} bytes")
    read = read_fast(body, _ANY_VALUE)
    return _read_by_rules(body) if read is None else read[0]


def read_fast(body: bytes, decoder: msgspec.json.Decoder[V]) -> tuple[V] | None:
    """The value as the decoder has it, when it is what `parsed_json` and a conversion give; None when that has to be asked.

    What a fast reader reads is taken when it prints back as the very bytes that came, but for white space: then there was no
    second key, no digit to lose and, for a type, no field in another place. It never raises.
    """
    if len(body) > BODY_BYTES_MAX:
        return None
    try:
        value = decoder.decode(body)
        printed = _encode(value)
        if (printed == body or printed == msgspec.json.format(body, indent=-1)) and _is_plain(printed):
            return (value,)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        pass
    return None


def _is_plain(printed: bytes) -> bool:
    """Whether a text without white space is one that the rules would only confirm."""
    return (
        (printed.count(b"{") + printed.count(b"[") <= JSON_DEPTH_MAX or _is_shallow(printed))
        and (b"\\" not in printed or b"\\u0000" not in printed)
        and _LONG_INTEGER not in (b":" + printed).translate(_DIGITS_AND_MARKS)
    )


def _is_shallow(printed: bytes) -> bool:
    """Whether no line is indented by all the levels that there may be. (No string holds a line break: these are escaped.)"""
    return b"\n" + b" " * JSON_DEPTH_MAX not in msgspec.json.format(printed, indent=1)


def _read_by_rules(body: bytes) -> Any:
    try:
        tree = _BY_RULES.decode(body.decode())
    except UnicodeDecodeError:
        raise Invalid(_FIELD, "must be UTF-8") from None
    except RecursionError:
        raise Invalid(_FIELD, f"must be at most {JSON_DEPTH_MAX} levels deep") from None
    except json.JSONDecodeError:
        raise Invalid(_FIELD, "must be JSON") from None
    _check_tree(tree)
    return tree


def _check_tree(tree: Any) -> None:
    """Checks every string, level by level. A level is what stands inside that many objects and arrays."""
    level = [tree]
    for _ in range(JSON_DEPTH_MAX + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                below += (_INSIDE, *value, *value.values())
            elif isinstance(value, list):
                below += (_INSIDE, *value)
        if not below:
            return
        level = below
    raise Invalid(_FIELD, f"must be at most {JSON_DEPTH_MAX} levels deep")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Invalid(_FIELD, "strings must have no NUL character")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(_FIELD, "strings must have no lone surrogate")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid(_FIELD, "objects must have no name twice")
    return members


def _exact_integer(text: str) -> int | float:
    if len(text) <= _NUMBER_CHARS_MAX:
        value = int(text)
        if -_EXACT_INTEGER_MAX < value < _EXACT_INTEGER_MAX:
            return value
    return _exact_float(text)


def _exact_float(text: str) -> float:
    try:
        if len(text) <= _NUMBER_CHARS_MAX:
            value = float(text)
            if Decimal(text) == Decimal(repr(value)):
                return value
    except DecimalException:
        pass
    raise Invalid(_FIELD, "numbers must be held exactly by an IEEE 754 double; send others as strings")


def _no_constant(_: str) -> NoReturn:
    raise Invalid(_FIELD, "must be JSON")


_BY_RULES = json.JSONDecoder(
    object_pairs_hook=_distinct,
    parse_int=_exact_integer,
    parse_float=_exact_float,
    parse_constant=_no_constant,
)
