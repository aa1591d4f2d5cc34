"""The travelling form: `cf1_` and 62 bytes in base64url. It reads and writes the string; it cannot open it.

Layout (big-endian): key id (4) ‖ timestamp µs (8) ‖ lifetime s (2) ‖ salt (16) ‖ sealed OTP (16) ‖ seal tag (16).
"""

import struct
from base64 import urlsafe_b64encode
from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass, field

from counterfoil.model.limits import (
    KEY_ID_BYTES,
    LIFETIME_S_MAX,
    LIFETIME_S_MIN,
    MICROSECONDS_PER_S,
    OTP_BYTES,
    SALT_BYTES,
    SEAL_TAG_BYTES,
)

PREFIX = "cf1_"
_HEADER = struct.Struct(f">{KEY_ID_BYTES}sQH{SALT_BYTES}s")
_SEALED_BYTES = OTP_BYTES + SEAL_TAG_BYTES
PASSCODE_CHARS = len(PREFIX) + -(-(_HEADER.size + _SEALED_BYTES) * 8 // 6)
_PADDING = "=" * (-(PASSCODE_CHARS - len(PREFIX)) % 4)
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
# Times are signed 64-bit integers in every store.
_TIMESTAMP_US_MAX = 2**63 - 1 - LIFETIME_S_MAX * MICROSECONDS_PER_S


class MalformedPasscode(ValueError):
    """A string that is not spelled as a passcode. It says nothing about the string."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a passcode says openly about itself. All of it is authenticated by the seal."""

    key_id: bytes
    timestamp_us: int
    lifetime_s: int
    salt: bytes = field(repr=False)
    # Encoded once: the seal and three tags use the same bytes.
    _encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        encoded = _HEADER.pack(self.key_id, self.timestamp_us, self.lifetime_s, self.salt)
        object.__setattr__(self, "_encoded", encoded)

    @property
    def expires_at_us(self) -> int:
        """The first microsecond at which the passcode is no longer valid."""
        return self.timestamp_us + self.lifetime_s * MICROSECONDS_PER_S

    def encoded(self) -> bytes:
        """The 30 header bytes, as they stand in the passcode."""
        return self._encoded


@dataclass(frozen=True, slots=True)
class Passcode:
    """A passcode taken apart. Never stored, never shown by `repr`."""

    header: Header
    sealed_otp: bytes = field(repr=False)

    def encoded(self) -> bytes:
        """The 62 bytes under the base64url."""
        return self.header.encoded() + self.sealed_otp

    def reveal(self) -> str:
        """The string that travels with the transaction."""
        return PREFIX + urlsafe_b64encode(self.encoded()).rstrip(b"=").decode()


def parsed_passcode(text: str) -> Passcode:
    """The passcode spelled by `text`; raises MalformedPasscode for every other string.

    One passcode has one accepted spelling. Used codes were accepted again with a space added, or with the spare
    bits of base64 changed (CVE-2025-55000 in OpenBao is of that family), so nothing is trimmed and the decoded
    bytes must encode to `text` again.
    """
    if len(text) != PASSCODE_CHARS or not text.startswith(PREFIX) or not text.isascii():
        raise MalformedPasscode
    # The equals sign too: with the padding added below, one more would spell a passcode of a byte less.
    if "+" in text or "/" in text or "=" in text:
        raise MalformedPasscode
    digits = text[len(PREFIX) :].translate(_STANDARD_ALPHABET) + _PADDING
    try:
        raw = a2b_base64(digits, strict_mode=True)
    except Error:
        raise MalformedPasscode from None
    if b2a_base64(raw, newline=False).decode() != digits:
        raise MalformedPasscode
    key_id, timestamp_us, lifetime_s, salt = _HEADER.unpack_from(raw)
    if not LIFETIME_S_MIN <= lifetime_s <= LIFETIME_S_MAX or timestamp_us > _TIMESTAMP_US_MAX:
        raise MalformedPasscode
    return Passcode(Header(key_id, timestamp_us, lifetime_s, salt), raw[_HEADER.size :])
