"""Single alterations of what is presented for validation: each makes another passcode, context, transaction or name of it."""

import base64
import unicodedata
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.adversity.near_values import meaning, near

Body = dict[str, Any]
Alteration = Callable[[Body, Random], Body | None]
"""Gives the altered body; None where it does not apply."""

_LOOK_ALIKES = str.maketrans("aceopxyABCEHKMOPTX1l0", "асеорхуАВСЕНКМОРТХ\uff11\u04cf\uff10")
_ALPHABETS = str.maketrans("-_+/", "+/-_")
_PREFIX = "cf1_"
# Where the passcode's parts are, in bytes: docs/formats.md.
PARTS: Mapping[str, slice] = {
    "key id": slice(0, 4),
    "timestamp": slice(4, 12),
    "lifetime": slice(12, 14),
    "salt": slice(14, 30),
    "sealed OTP": slice(30, 46),
    "seal tag": slice(46, 62),
}


def altered_text(text: str, random: Random) -> str:
    """One alteration of a text; it may happen to change nothing."""
    at = random.randrange(len(text)) if text else 0
    before, here, after = text[:at], text[at : at + 1], text[at + 1 :]
    return random.choice(
        (
            lambda: before + chr(ord(here or "a") ^ (1 << random.randrange(7))) + after,
            lambda: before + after,
            lambda: before + here + here + after,
            lambda: before + after[:1] + here + after[1:],
            lambda: before + here.swapcase() + after,
            lambda: random.choice((str.upper, str.lower, str.swapcase, str.strip))(text),
            lambda: text + random.choice(("=", "==", " ", "\n", "\r\n", "\t", "\0", "\u200b", "\ufeff", ".", "A")),
            lambda: random.choice((" ", "\t", "\ufeff", "\u00a0", "A")) + text,
            lambda: before + here + random.choice((" ", "\n", "\u200b", "\u00ad")) + after,
            lambda: before + here.translate(_LOOK_ALIKES) + after,
            lambda: text.translate(_LOOK_ALIKES),
            lambda: before + f"%{ord(here or ' ') % 256:02X}" + after,
            lambda: before + here.translate(_ALPHABETS) + after,
            lambda: text.translate(_ALPHABETS),
            lambda: unicodedata.normalize(random.choice(("NFC", "NFD", "NFKC", "NFKD")), text),
            lambda: before,
            lambda: text + text,
            lambda: "",
        )
    )()


def _passcode(body: Body, random: Random) -> Body:
    return {**body, "passcode": altered_text(body["passcode"], random)}


def _spare_bits(body: Body, random: Random) -> Body:
    """The last digit's bits that carry nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(body["passcode"][-1])
    return {**body, "passcode": body["passcode"][:-1] + alphabet[last ^ random.randrange(1, 4)]}


def _part(name: str) -> Alteration:
    """One bit of a part of the passcode, which stays well-formed base64."""

    def alter(body: Body, random: Random) -> Body:
        raw = bytearray(base64.urlsafe_b64decode(body["passcode"].removeprefix(_PREFIX) + "="))
        part = PARTS[name]
        raw[random.randrange(part.start, part.stop)] ^= 1 << random.randrange(8)
        return {**body, "passcode": _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}

    return alter


def _client_id(body: Body, random: Random) -> Body:
    return {**body, "client_id": altered_text(body["client_id"], random)}


def _pairs(name: str) -> Alteration:
    """One name or value, or one pair more, fewer or emptied."""

    def alter(body: Body, random: Random) -> Body | None:
        pairs: dict[str, str] | None = body.get(name)
        if not pairs:
            return None
        chosen = random.choice(list(pairs))
        others = {each: pairs[each] for each in pairs if each != chosen}
        changed: dict[str, Any] = random.choice(
            (
                lambda: others,
                lambda: {**pairs, chosen: ""},
                lambda: {**pairs, chosen: None},
                lambda: {**pairs, random.choice(("stage", "x", chosen + " ")): random.choice(("", "test"))},
                lambda: {**others, altered_text(chosen, random): pairs[chosen]},
                lambda: {**pairs, chosen: altered_text(pairs[chosen], random)},
                lambda: {**others, pairs[chosen] or "x": chosen},
            )
        )()
        return {**body, name: changed}

    return alter


def _absence(body: Body, random: Random) -> Body:
    """A context that is absent, null or empty instead, or the other way about; or one in the other's place."""
    name, other = random.sample(("context", "sealed_pairs"), 2)
    without = {each: body[each] for each in body if each != name}
    kind = random.randrange(4)
    if kind == 0:
        return without
    if kind == 3:
        swapped = {each: body[each] for each in body if each not in (name, other)}
        return swapped | {mine: body[its] for mine, its in ((name, other), (other, name)) if its in body}
    return {**body, name: None if kind == 1 else {}}


def _transaction(body: Body, random: Random) -> Body | None:
    if "transaction" not in body:
        return None
    return {**body, "transaction": near(body["transaction"], random)}


def _transaction_digest(body: Body, random: Random) -> Body | None:
    if "transaction_digest" not in body:
        return None
    return {**body, "transaction_digest": altered_text(body["transaction_digest"], random)}


def _transaction_absence(body: Body, random: Random) -> Body:
    without = {name: body[name] for name in body if not name.startswith("transaction")}
    return random.choice((without, {**without, "transaction": None}, {**without, "transaction_digest": "0" * 64}))


def _timestamp(body: Body, random: Random) -> Body:
    issued_us = issued_at_us(body["passcode"])
    others = (
        issued_us - 1,
        issued_us + 1,
        issued_us // 1000,
        issued_us * 1000,
        0,
        -issued_us,
        str(issued_us),
        issued_us + 0.5,
        None,
    )
    return {**body, "timestamp": random.choice(others)}


ALTERATIONS: Mapping[str, Alteration] = {
    "passcode": _passcode,
    "spare bits": _spare_bits,
    **{name: _part(name) for name in PARTS},
    "client id": _client_id,
    "context": _pairs("context"),
    "sealed pairs": _pairs("sealed_pairs"),
    "absence": _absence,
    "transaction": _transaction,
    "transaction digest": _transaction_digest,
    "transaction's absence": _transaction_absence,
    "given timestamp": _timestamp,
}


def issued_at_us(passcode: str) -> int:
    """The timestamp in a well-formed passcode."""
    return int.from_bytes(base64.urlsafe_b64decode(passcode.removeprefix(_PREFIX) + "=")[PARTS["timestamp"]])


def told(body: Body, issued_us: int) -> object:
    """What a body says: equal for two that must be judged alike. The genuine timestamp says no more than none."""
    timestamp = body.get("timestamp", issued_us)
    contexts = tuple(_told_pairs(body, name) for name in ("context", "sealed_pairs"))
    digest = str(body.get("transaction_digest", "")).lower()
    transaction = meaning(body["transaction"]) if "transaction" in body else None
    return (body["client_id"], body["passcode"], contexts, digest, transaction, repr(timestamp))


def _told_pairs(body: Body, name: str) -> object:
    pairs = body.get(name, "absent")
    return frozenset(pairs.items()) if isinstance(pairs, dict) else pairs
