"""What is fuzzed: a way to open a target, and what every target holds its inputs to."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import counterfoil

Check: TypeAlias = Callable[[bytes], str]
"""Plays one input and says what became of it, in a word or two. It raises on whatever must not be: `Broken`, or any other."""

_ECHO_BYTES = 8
# What msgspec says of a value of the wrong type, in its own words.
_LIBRARY_WORDS = (
    "Expected `object`, got `array` missing required field `int` >= `str` matching regex '^[0-9a-fA-F]{64}$' `null`"
)


class Broken(AssertionError):
    """The product did what it promises not to do."""


@dataclass(frozen=True)
class Target:
    """One reader of foreign bytes."""

    name: str
    what: str
    """What is read, as it stands in the evidence."""
    opened: Callable[[], Check]
    """Makes what the check needs. Called once, in the process that fuzzes."""
    seeds: tuple[bytes, ...]
    """Inputs to start from: what is accepted, and what comes near it. The corpus holds what was found since."""
    tokens: tuple[bytes, ...] = ()
    """Words of the language that is read, of at most 64 bytes; the fuzzer puts them in."""
    length_max: int = 4096
    broken: Mapping[str, Callable[[], Check]] = field(default_factory=dict)
    """The same check over a reader with a defect planted in it."""


def hold(holds: bool, rule: str) -> None:
    """Raises Broken with the rule, unless it holds."""
    if not holds:
        raise Broken(rule)


def hold_silent(said: str, given: bytes) -> None:
    """Raises Broken when 8 bytes of what was given stand in what was said, unless the product says them of itself."""
    for window in _own_windows(said):
        if window in given:
            raise Broken(f"an error repeats its input: {said!r}")


@lru_cache(maxsize=4096)
def _own_windows(said: str) -> tuple[bytes, ...]:
    known = _vocabulary()
    return tuple(window for window in _windows(said) if window not in known)


def _windows(text: str) -> list[bytes]:
    encoded = text.encode("utf-8", "surrogatepass")
    return [encoded[at : at + _ECHO_BYTES] for at in range(len(encoded) - _ECHO_BYTES + 1)]


@cache
def _vocabulary() -> frozenset[bytes]:
    """Every constant text of the product: what an error may consist of, whoever sends the same words."""
    words = [_LIBRARY_WORDS]
    for path in sorted(Path(counterfoil.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.append(node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                words.append(node.target.id)
    return frozenset(window for word in words for text in (word, word.lower()) for window in _windows(text))
