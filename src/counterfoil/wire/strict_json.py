"""JSON read so that nothing is lost in reading: duplicate keys, inexact numbers, NUL and lone surrogates are refused.

The usual libraries keep the last of two equal keys and round a number to the nearest double, silently; two different
payments could then share one digest. Here a text is taken only if it has one meaning (RFC 7493, I-JSON).
"""

import json
import re
from decimal import Decimal, DecimalException
from typing import Any, NoReturn

import msgspec

from counterfoil.model.invalid import Invalid
from counterfoil.model.limits import BODY_BYTES_MAX, JSON_DEPTH_MAX

_FIELD = "body"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_LONG_INTEGER = re.compile(rb"(?:^|[:,\[\-])\d{16}")
_EXACT_INTEGER_MAX = 2**53
# The longest integer that a double holds has 309 digits.
_NUMBER_CHARS_MAX = 400
# Stands in every object and array, so that an empty one is a level too.
_INSIDE = None


def parsed_json(body: bytes) -> Any:
    """The value that `body` spells; integers beyond 2^53 come as the float they equal. Raises Invalid.

    What a fast reader reads is taken when it prints back as the very bytes that came: then there was no second key
    and no digit to lose. Everything else (white space is enough) is read again, slowly, by rules that can say what is wrong.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Invalid(_FIELD, f"must have at most {BODY_BYTES_MAX} bytes")
    try:
        tree = _decode(body)
        if (
            _encode(tree) == body
            and body.count(b"{") + body.count(b"[") <= JSON_DEPTH_MAX
            and b"\\u0000" not in body
            and not _LONG_INTEGER.search(body)
        ):
            return tree
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        pass
    return _read_by_rules(body)


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
