"""Fuzzed: passcodes, contexts and sealed contexts, as the strings and pairs that they travel as."""

from base64 import urlsafe_b64decode
from collections.abc import Callable

from counterfoil.core.context_sealing import ContextSealing
from counterfoil.model.canonical import decoded_pairs, encoded_pairs
from counterfoil.model.context import Context
from counterfoil.model.invalid import Invalid, SealedContextRefused
from counterfoil.model.limits import LIFETIME_S_MAX
from counterfoil.model.passcode import PASSCODE_CHARS, PREFIX, Header, MalformedPasscode, Passcode, parsed_passcode
from counterfoil.wire.messages import SealContextBody, read_body, read_context
from tests.adversity.fuzzing.target import Check, Target, hold, hold_silent
from tests.adversity.seeded_service import SeededService, at_once, seeded_service

_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _passcodes(parse: Callable[[str], Passcode] = parsed_passcode) -> Check:
    def check(data: bytes) -> str:
        text = data.decode("utf-8", "surrogateescape")
        try:
            passcode = parse(text)
        except MalformedPasscode as error:
            hold_silent(str(error), data)
            return "refused"
        hold(passcode.reveal() == text, "a passcode has one spelling")
        hold(len(text) == PASSCODE_CHARS and _ALPHABET.issuperset(text), "a passcode has one form")
        hold(1 <= passcode.header.lifetime_s <= LIFETIME_S_MAX, "a lifetime is within its bounds")
        hold(0 <= passcode.header.expires_at_us < 2**63, "an expiry fits into every store")
        return "accepted"

    return check


def _contexts(read: Callable[[dict[str, str]], Context | None] = read_context) -> Check:
    def check(data: bytes) -> str:
        try:
            sent = read_body(b'{"client_id":"1234","sealed_pairs":%s}' % data, SealContextBody).sealed_pairs
            pairs = read(sent)
        except Invalid as error:
            hold_silent(str(error), data)
            return "refused"
        hold(pairs == sent, "a context is taken as it is")
        assert pairs is not None
        hold(decoded_pairs(encoded_pairs(pairs)) == sent, "a context is read as it was written")
        hold(len(pairs) <= 16, "a context has at most 16 pairs")
        hold(all(1 <= len(name) <= 64 and len(value) <= 512 for name, value in pairs.items()), "pairs are within bounds")
        printed = "".join([*pairs, *pairs.values()])
        hold(not any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in printed), "no control")
        return "accepted"

    return check


def _sealed_contexts(opened: Callable[[ContextSealing, str], Context] | None = None) -> Check:
    sealing, genuine = _sealing_and_genuine(seeded_service(1))

    def check(data: bytes) -> str:
        text = data.decode("utf-8", "surrogateescape")
        try:
            pairs = at_once(sealing.opened(text, "1234")) if opened is None else opened(sealing, text)
        except SealedContextRefused as error:
            hold_silent(str(error), data)
            return "refused"
        hold(text == genuine, "only what was sealed is opened, in one spelling")
        hold(pairs == {"limit": "500"}, "it opens as what it was sealed from")
        return "accepted"

    return check


def _sealing_and_genuine(service: SeededService) -> tuple[ContextSealing, str]:
    sealing = ContextSealing(service.keys, service.clock, service.random.randbytes)
    return sealing, at_once(sealing.sealed("1234", {"limit": "500"})).sealed_context


def _parsed_leniently(text: str) -> Passcode:
    """Broken: the spare bits of the last digit count for nothing, as in most base64 decoders."""
    try:
        return parsed_passcode(text)
    except MalformedPasscode:
        if len(text) != PASSCODE_CHARS or not text.startswith(PREFIX) or not _ALPHABET.issuperset(text):
            raise
        raw = urlsafe_b64decode(text[len(PREFIX) :] + "=")
        header = Header.of(raw[:4], int.from_bytes(raw[4:12]), int.from_bytes(raw[12:14]), raw[14:30])
        return Passcode(header, raw[30:])


def _read_trimming(pairs: dict[str, str]) -> Context | None:
    """Broken: white space around a value is taken away."""
    return read_context({name: value.strip() for name, value in pairs.items()})


def _opened_leniently(sealing: ContextSealing, text: str) -> Context:
    """Broken: characters beyond the alphabet are passed over."""
    kept = "".join(character for character in text if character in _ALPHABET)
    return at_once(sealing.opened(kept, "1234"))


_SEALED = _sealing_and_genuine(seeded_service(1))[1]
_PASSCODE = Passcode(Header.of(b"abcd", 1_795_410_340_123_456, 60, bytes(16)), bytes(32)).reveal()

TARGETS = (
    Target(
        "passcode",
        "passcodes",
        _passcodes,
        seeds=(_PASSCODE.encode(), _PASSCODE.encode() + b" ", _PASSCODE[:-1].encode() + b"=", PREFIX.encode()),
        tokens=(PREFIX.encode(), b"A" * 20, b"=", b" ", b"\n", b"\xc2\xa0"),
        length_max=120,
        broken={
            "spare bits are ignored": lambda: _passcodes(_parsed_leniently),
            "a space at the end is trimmed": lambda: _passcodes(lambda text: parsed_passcode(text.rstrip(" "))),
        },
    ),
    Target(
        "context",
        "contexts",
        _contexts,
        seeds=(b'{"device_id":"d-9"}', b'{"device_id":" d-9 "}', '{"é":"\U0001f600","stage":""}'.encode(), b"{}"),
        tokens=(b'{"', b'":"', b'","', b'"}', b'""', b"\\u00e9", b"\\ud83d\\ude00", b"null"),
        length_max=1500,
        broken={"values are trimmed": lambda: _contexts(_read_trimming)},
    ),
    Target(
        "sealed-context",
        "sealed contexts",
        _sealed_contexts,
        seeds=(_SEALED.encode(), b"cfx1_AAAA"),
        tokens=(b"cfx1_", b"=", b"-", b"_"),
        length_max=1200,
        broken={"foreign characters are passed over": lambda: _sealed_contexts(_opened_leniently)},
    ),
)
