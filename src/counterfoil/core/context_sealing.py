"""Sealed contexts: pairs that the backend encrypts for one client, and that the client application passes on unread (S4).

The string is `cfx1_` and, in base64url: key id (4) ‖ salt (16) ‖ sealed content ‖ seal tag (16).
The content is expiry µs (8) ‖ the client id with its length (4) ‖ the pairs in canonical form.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass

from counterfoil.core.sealing import Purpose, sealing_under
from counterfoil.model.canonical import decoded_pairs, encoded_pairs
from counterfoil.model.context import Context
from counterfoil.model.discreet import Discreet
from counterfoil.model.invalid import Invalid, SealedContextRefused
from counterfoil.model.limits import (
    KEY_ID_BYTES,
    MICROSECONDS_PER_S,
    SALT_BYTES,
    SEALED_CONTEXT_CHARS_MAX,
    SEALED_CONTEXT_LIFETIME_S_DEFAULT,
    SEALED_CONTEXT_LIFETIME_S_MAX,
)
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.keys import KeyProvider

PREFIX = "cfx1_"
_ASSOCIATED_DATA = b"counterfoil/sealed-context/v1"
_CONTENT_HEAD = struct.Struct(">QI")


class SealedContext(Discreet, frozen=True, gc=False):
    """A sealed context and the first microsecond at which issuing refuses it."""

    client_id: str
    sealed_context: str
    expires_at_us: int


@dataclass(frozen=True, slots=True)
class ContextSealing:
    """Seals contexts for clients, and opens them when a passcode is issued."""

    keys: KeyProvider
    now_us: NowUs
    token_bytes: TokenBytes

    async def sealed(self, client_id: str, pairs: Context, lifetime_s: int | None = None) -> SealedContext:
        """The pairs as a string of at most 1 KiB that only this service reads. Raises Invalid, KeysUnavailable."""
        lifetime_s = SEALED_CONTEXT_LIFETIME_S_DEFAULT if lifetime_s is None else lifetime_s
        if not 1 <= lifetime_s <= SEALED_CONTEXT_LIFETIME_S_MAX:
            raise Invalid("lifetime_s", f"must be 1 to {SEALED_CONTEXT_LIFETIME_S_MAX}")
        expires_at_us = self.now_us() + lifetime_s * MICROSECONDS_PER_S
        key = await self.keys.sealing_key()
        salt = self.token_bytes(SALT_BYTES)
        client = client_id.encode()
        content = _CONTENT_HEAD.pack(expires_at_us, len(client)) + client + encoded_pairs(pairs)
        sealed = sealing_under(key).seal(Purpose.SEALED_CONTEXT, salt, content, _ASSOCIATED_DATA + key.key_id)
        text = PREFIX + urlsafe_b64encode(key.key_id + salt + sealed).rstrip(b"=").decode()
        if len(text) > SEALED_CONTEXT_CHARS_MAX:
            raise Invalid("sealed_pairs", f"do not fit into a sealed context of {SEALED_CONTEXT_CHARS_MAX} characters")
        return SealedContext(client_id, text, expires_at_us)

    async def opened(self, text: str, client_id: str) -> Context:
        """The pairs. Raises SealedContextRefused for whatever was not sealed here, for this client, or is late."""
        raw = _raw(text)
        key_id, salt, sealed = raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:][:SALT_BYTES], raw[KEY_ID_BYTES + SALT_BYTES :]
        key = await self.keys.opening_key(key_id)
        if key is None:
            raise SealedContextRefused
        content = sealing_under(key).unseal(Purpose.SEALED_CONTEXT, salt, sealed, _ASSOCIATED_DATA + key_id)
        if content is None:
            raise SealedContextRefused
        expires_at_us, client_bytes = _CONTENT_HEAD.unpack_from(content)
        owner = content[_CONTENT_HEAD.size :][:client_bytes]
        if owner != client_id.encode() or self.now_us() >= expires_at_us:
            raise SealedContextRefused
        return decoded_pairs(content[_CONTENT_HEAD.size + client_bytes :])


def _raw(text: str) -> bytes:
    digits = text.removeprefix(PREFIX)
    if digits == text or not text.isascii() or len(text) > SEALED_CONTEXT_CHARS_MAX:
        raise SealedContextRefused
    try:
        raw = urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except Error:
        raise SealedContextRefused from None
    # One spelling, as for passcodes: decoding is lenient, so what it reads must spell the same text.
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != digits:
        raise SealedContextRefused
    return raw
