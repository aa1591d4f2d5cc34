"""The travelling form: `cf1_` and 62 bytes in base64url. It reads and writes the string; it cannot open it.

Layout (big-endian): key id (4) ‖ timestamp µs (8) ‖ lifetime s (2) ‖ salt (16) ‖ sealed OTP (16) ‖ seal tag (16).
"""

import struct
from binascii import Error, a2b_base64, b2a_base64

from counterfoil.model.discreet import Discreet
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
_PADDING = b"=" * (-(PASSCODE_CHARS - len(PREFIX)) % 4)
_TO_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
# What is a digit of the other alphabet only, or padding, becomes what is a digit of none.
_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_+/=", b"+/!!!")
# Times are signed 64-bit integers in every store.
_TIMESTAMP_US_MAX = 2**63 - 1 - LIFETIME_S_MAX * MICROSECONDS_PER_S


class MalformedPasscode(ValueError):
    """A string that is not spelled as a passcode. It says nothing about the string."""


class Header(Discreet, frozen=True, gc=False):
    """What a passcode says openly about itself. All of it is authenticated by the seal. Made by `Header.of`."""

    key_id: bytes
    timestamp_us: int
    lifetime_s: int
    salt: bytes
    encoded: bytes
    """The same in 30 bytes, as they stand in the passcode: packed once, for the seal and three tags."""

    @classmethod
    def of(cls, key_id: bytes, timestamp_us: int, lifetime_s: int, salt: bytes) -> "Header":
        """The header that says this."""
        return cls(key_id, timestamp_us, lifetime_s, salt, _HEADER.pack(key_id, timestamp_us, lifetime_s, salt))

    @property
    def expires_at_us(self) -> int:
        """The first microsecond at which the passcode is no longer valid."""
        return self.timestamp_us + self.lifetime_s * MICROSECONDS_PER_S


class Passcode(Discreet, frozen=True, gc=False):
    """A passcode taken apart. Never stored, never shown by `repr`."""

    header: Header
    sealed_otp: bytes

    def encoded(self) -> bytes:
        """The 62 bytes under the base64url."""
        return self.header.encoded + self.sealed_otp

    def reveal(self) -> str:
        """The string that travels with the transaction."""
        digits = b2a_base64(self.encoded(), newline=False).translate(_TO_URL_ALPHABET)
        return PREFIX + digits.removesuffix(_PADDING).decode()


def parsed_passcode(text: str) -> Passcode:
    """The passcode spelled by `text`; raises MalformedPasscode for every other string.

    One passcode has one accepted spelling. Used codes were accepted again with a space added, or with the spare
    bits of base64 changed (CVE-2025-55000 in OpenBao is of that family), so nothing is trimmed and the decoded
    bytes must encode to the same digits again.
    """
    if len(text) != PASSCODE_CHARS or not text.startswith(PREFIX) or not text.isascii():
        raise MalformedPasscode
    digits = text[len(PREFIX) :].encode().translate(_TO_STANDARD_ALPHABET) + _PADDING
    try:
        raw = a2b_base64(digits, strict_mode=True)
    except Error:
        raise MalformedPasscode from None
    if b2a_base64(raw, newline=False) != digits:
        raise MalformedPasscode
    encoded = raw[: _HEADER.size]
    key_id, timestamp_us, lifetime_s, salt = _HEADER.unpack(encoded)
    if not LIFETIME_S_MIN <= lifetime_s <= LIFETIME_S_MAX or timestamp_us > _TIMESTAMP_US_MAX:
        raise MalformedPasscode
    return Passcode(Header(key_id, timestamp_us, lifetime_s, salt, encoded), raw[_HEADER.size :])
