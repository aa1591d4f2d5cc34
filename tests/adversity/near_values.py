"""JSON values, their near-misses, and the many spellings of one value."""

import json
import math
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

_TEXTS = (
    "",
    "10.00",
    "10",
    "EUR",
    "eur",
    "null",
    "true",
    "é",
    "e\u0301",
    "\u0130",
    "\U0001f600",
    "\ue000",
    'a"b',
    "a\\b",
    "a/b",
    "\t",
    " ",
)
_NUMBERS = (0, 1, 10, -1, 100, 10.5, 0.1, 1e21, 1e-7, 1e22, 5e-324, 9007199254740991, 9007199254740992.0, 1795410340123456)
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def meaning(value: Any) -> object:
    """Equal for values that RFC 8785 calls equal: a number is its double, and members have no order."""
    if isinstance(value, dict):
        return ("object", frozenset((name, meaning(each)) for name, each in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(meaning, value)))
    if isinstance(value, bool) or value is None:
        return ("literal", str(value))
    return ("text", value) if isinstance(value, str) else ("number", float(value))


def any_value(random: Random, depth: int = 3) -> Any:
    """A value such as a payment could be."""
    kind = random.random()
    if depth and kind < 0.45:
        return {_any_text(random): any_value(random, depth - 1) for _ in range(random.randrange(4))}
    if depth and kind < 0.6:
        return [any_value(random, depth - 1) for _ in range(random.randrange(3))]
    if kind < 0.75:
        return random.choice((None, True, False))
    return random.choice(_NUMBERS) if kind < 0.87 else _any_text(random)


def _any_text(random: Random) -> str:
    return random.choice(_TEXTS) + random.choice(_TEXTS)


def near(value: Any, random: Random) -> Any:
    """The value with one alteration, at any depth; it may happen to change nothing."""
    if isinstance(value, dict) and value and random.random() < 0.8:
        return _near_object(value, random)
    if isinstance(value, list) and value and random.random() < 0.8:
        return _near_array(value, random)
    if isinstance(value, str):
        return _near_text(value, random)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _near_number(value, random)
    return random.choice((None, False, True, 0, "", "null", [], {}, [value], {"": value}))


def _near_object(value: dict[str, Any], random: Random) -> dict[str, Any]:
    name = random.choice(list(value))
    others = {each: value[each] for each in value if each != name}
    kind = random.randrange(5)
    if kind == 0:
        return others
    if kind == 1:
        return {**others, _near_text(name, random): value[name]}
    if kind == 2:
        return {**value, name + " ": None}
    if kind == 3 and others:
        other = random.choice(list(others))
        return {**value, name: value[other], other: value[name]}
    return {**value, name: near(value[name], random)}


def _near_array(value: list[Any], random: Random) -> list[Any]:
    at, kind = random.randrange(len(value)), random.randrange(4)
    if kind == 0:
        return value[:at] + value[at + 1 :]
    if kind == 1:
        return value[::-1]
    if kind == 2:
        return [*value, None]
    return [*value[:at], near(value[at], random), *value[at + 1 :]]


def _near_text(text: str, random: Random) -> Any:
    changes: tuple[Callable[[str], str], ...] = (
        str.swapcase,
        lambda text: unicodedata.normalize("NFC", text),
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text + " ",
        lambda text: text[:-1],
        lambda text: text[::-1],
        lambda text: text + "0",
    )
    return random.choice(changes)(text)


def _near_number(number: float, random: Random) -> Any:
    if random.random() < 0.3:
        return repr(number)
    changed = random.choice((-number, number + 1, number * 10, math.nextafter(number, math.inf), number / 10))
    if abs(changed) >= 2**53:
        # Beyond, not every integer is a double.
        changed = float(changed)
    return changed if math.isfinite(changed) else 0


def spelled(value: Any, random: Random) -> bytes:
    """One of the value's spellings: members in some order, any escapes, white space, numbers as nobody would write them."""
    return _spelled(value, random).encode()


def _spelled(value: Any, random: Random) -> str:
    space = random.choice(("", "", " ", "\n\t"))
    if isinstance(value, dict):
        members = [f"{space}{_spelled_text(name, random)}{space}:{_spelled(value[name], random)}" for name in value]
        random.shuffle(members)
        return "{" + ",".join(members) + space + "}"
    if isinstance(value, list):
        return "[" + ",".join(space + _spelled(each, random) for each in value) + space + "]"
    if isinstance(value, str):
        return _spelled_text(value, random)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return _spelled_number(value, random)


def _spelled_text(text: str, random: Random) -> str:
    escaped = random.random() < 0.5
    return '"' + "".join(_spelled_character(each, escaped and random.random() < 0.5) for each in text) + '"'


def _spelled_character(character: str, is_escaped: bool) -> str:
    if is_escaped:
        units = character.encode("utf-16-be")
        return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    must = character in '"\\' or character < " "
    return _SHORT_ESCAPES.get(character, f"\\u{ord(character):04x}") if must else character


def _spelled_number(number: float, random: Random) -> str:
    if random.random() < 0.4:
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    zeros = random.randrange(3)
    written = "".join(map(str, digits)) + "0" * zeros
    exponent_written = f"{random.choice('eE')}{int(exponent) - zeros:+d}"
    # A whole part of zeros alone is one zero.
    return ("-" if sign else "") + (written.lstrip("0") or "0") + exponent_written
