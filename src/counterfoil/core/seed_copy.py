"""The second copy of an OTP that the seed-compatible API needs: sealed under its own purpose, erased on redemption.

Layout: key id (4) ‖ lifetime s (2) ‖ salt (16) ‖ sealed OTP (16) ‖ seal tag (16).
"""

import struct

from counterfoil.core.sealing import Purpose, sealing_under
from counterfoil.model.canonical import Binding
from counterfoil.model.limits import KEY_ID_BYTES, MICROSECONDS_PER_S, SALT_BYTES
from counterfoil.model.passcode import Header
from counterfoil.ports.ambient import TokenBytes
from counterfoil.ports.keys import DataKey

_LAYOUT = struct.Struct(f">{KEY_ID_BYTES}sH{SALT_BYTES}s")


def sealed_copy(
    otp: bytes, key: DataKey, own_key: bytes | None, header: Header, binding: Binding, token_bytes: TokenBytes
) -> bytes:
    """The OTP, bound to all that its passcode is bound to, under a salt of its own."""
    salt = token_bytes(SALT_BYTES)
    copy_header = Header.of(key.key_id, header.timestamp_us, header.lifetime_s, salt)
    sealed = sealing_under(key).seal(Purpose.SEED_COPY, salt, otp, binding.encoded(copy_header.encoded), own_key)
    return _LAYOUT.pack(key.key_id, header.lifetime_s, salt) + sealed


def opened_copy(copy: bytes, key: DataKey, own_key: bytes | None, expires_at_us: int, binding: Binding) -> bytes | None:
    """The OTP, or None when the context, or the expiry that the counterfoil says, is not what it was at issue."""
    key_id, lifetime_s, salt = _LAYOUT.unpack_from(copy)
    copy_header = Header.of(key_id, expires_at_us - lifetime_s * MICROSECONDS_PER_S, lifetime_s, salt)
    sealed = copy[_LAYOUT.size :]
    return sealing_under(key).unseal(Purpose.SEED_COPY, salt, sealed, binding.encoded(copy_header.encoded), own_key)
