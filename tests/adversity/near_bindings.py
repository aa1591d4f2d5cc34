"""Bindings and their near-misses: what is nearly the same, and must not be taken for the same."""

import unicodedata
from random import Random
from typing import NamedTuple

_PIECES = (
    "a",
    "b",
    "ab",
    "ba",
    "A",
    "1",
    "0",
    "=",
    " ",
    "é",
    "e\u0301",
    "\u0430",
    "\U0001f600",
    "\x00",
    "\x01",
    "\x00\x00\x00\x01",
)


class Bound(NamedTuple):
    """What a passcode is bound to, as it is given: the three contexts as pairs in some order, or None."""

    header: bytes
    client_id: str
    contexts: tuple[tuple[tuple[str, str], ...] | None, ...]
    digest: bytes | None

    def meaning(self) -> object:
        """Equal for two that are the same: the order of pairs is no part of it."""
        contexts = tuple(None if pairs is None else frozenset(pairs) for pairs in self.contexts)
        return (self.header, self.client_id, contexts, self.digest)


def any_bound(random: Random) -> Bound:
    """Texts of few pieces, so that near-misses come often."""
    contexts = tuple(
        None if random.random() < 0.2 else tuple({_text(random): _text(random) for _ in range(random.randrange(3))}.items())
        for _ in range(3)
    )
    return Bound(random.randbytes(30), _text(random), contexts, random.randbytes(32) if random.random() < 0.7 else None)


def _text(random: Random) -> str:
    return "".join(random.choices(_PIECES, k=random.randrange(4)))


def near(bound: Bound, random: Random) -> Bound:
    """The binding with one alteration, which may happen to change nothing."""
    altered = random.choice(_ALTERATIONS)(bound, random)
    # Names within one context are distinct.
    return altered if all(pairs is None or len(dict(pairs)) == len(pairs) for pairs in altered.contexts) else bound


def reordered(bound: Bound) -> Bound:
    """The same with its pairs in another order."""
    return bound._replace(contexts=tuple(pairs and tuple(reversed(pairs)) for pairs in bound.contexts))


def _with_context(bound: Bound, at: int, pairs: tuple[tuple[str, str], ...] | None) -> Bound:
    return bound._replace(contexts=(*bound.contexts[:at], pairs, *bound.contexts[at + 1 :]))


def _another_text(bound: Bound, random: Random) -> Bound:
    """One text of another spelling: normal forms, case, a space, one piece more or less."""
    change = random.choice(
        (
            lambda text: unicodedata.normalize("NFD", text),
            lambda text: unicodedata.normalize("NFC", text),
            str.swapcase,
            lambda text: text + " ",
            lambda text: text[:-1],
            lambda text: text + random.choice(_PIECES),
        )
    )
    at = random.randrange(4)
    pairs = bound.contexts[at] if at < 3 else None
    if not pairs:
        return bound._replace(client_id=change(bound.client_id))
    chosen, side = random.randrange(len(pairs)), random.randrange(2)
    name, value = pairs[chosen]
    pair = (change(name), value) if side else (name, change(value))
    return _with_context(bound, at, (*pairs[:chosen], pair, *pairs[chosen + 1 :]))


def _moved_boundary(bound: Bound, random: Random) -> Bound:
    """A character goes from the end of one text to the beginning of the next."""
    at = random.randrange(3)
    pairs = bound.contexts[at]
    if not pairs:
        return bound
    (name, value), *others = pairs
    if random.random() < 0.3:
        return _with_context(
            bound._replace(client_id=bound.client_id[:-1]), at, ((bound.client_id[-1:] + name, value), *others)
        )
    pair = (name[:-1], name[-1:] + value) if random.random() < 0.5 else (name + value[:1], value[1:])
    return _with_context(bound, at, (pair, *others))


def _moved_pair(bound: Bound, random: Random) -> Bound:
    """A pair, or all of them, in another of the three contexts."""
    source, target = random.sample(range(3), 2)
    given, taken = bound.contexts[source], bound.contexts[target]
    if random.random() < 0.4 or not given:
        return _with_context(_with_context(bound, source, taken), target, given)
    return _with_context(_with_context(bound, source, given[1:]), target, (*(taken or ()), given[0]))


def _split_or_swallowed(bound: Bound, random: Random) -> Bound:
    """One pair as two, or two pairs as one whose value spells the second as the canonical form would."""
    at = random.randrange(3)
    pairs = bound.contexts[at]
    if not pairs:
        return bound
    (name, value), *others = sorted(pairs)
    if not others:
        return _with_context(bound, at, ((name, value[:1]), (value[1:], "")))
    (second, its_value), *left = others
    swallowed = value + "".join(f"{_length(text)}{text}" for text in (second, its_value))
    return _with_context(bound, at, ((name, swallowed), *left))


def _length(text: str) -> str:
    return len(text.encode()).to_bytes(4).decode("latin-1")


def _empty_or_absent(bound: Bound, random: Random) -> Bound:
    at = random.randrange(4)
    if at == 3:
        return bound._replace(digest=bytes(32) if bound.digest is None else None)
    return _with_context(bound, at, () if bound.contexts[at] is None else None)


def _other_bytes(bound: Bound, random: Random) -> Bound:
    """A bit of header or digest, or a byte that moves between header and client id."""
    bit = 1 << random.randrange(240)
    if bound.digest is not None and random.random() < 0.5:
        return bound._replace(digest=(int.from_bytes(bound.digest) ^ bit).to_bytes(32))
    if random.random() < 0.3:
        return bound._replace(header=bound.header[:-1], client_id=chr(bound.header[-1] % 128) + bound.client_id)
    return bound._replace(
        header=(int.from_bytes(bound.header) ^ bit % (1 << 8 * len(bound.header))).to_bytes(len(bound.header))
    )


_ALTERATIONS = (_another_text, _moved_boundary, _moved_pair, _split_or_swallowed, _empty_or_absent, _other_bytes)
