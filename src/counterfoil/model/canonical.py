"""The one byte string that a passcode is bound to: length-prefixed, tagged, domain-separated.

docs/formats.md has it byte by byte.

Two different bindings never have the same bytes: every field has its own tag, says whether it is there,
and says how long it is. Nothing is normalised, so "é" in two spellings is two values.
"""

import struct
from functools import lru_cache

from counterfoil.model.context import Context
from counterfoil.model.discreet import Discreet

_U32 = struct.Struct(">I").pack
_READ_U32 = struct.Struct(">I").unpack_from
_DOMAIN = b"counterfoil/bound/v1"
_HEADER = b"\x01"
_CLIENT_ID = b"\x02"
_CONTEXT = b"\x03"
_SERVICE_CONTEXT = b"\x04"
_SEALED_PAIRS = b"\x05"
_TRANSACTION = b"\x06"
_ISSUER = b"\x07"
_ABSENT = b"\x00"
_PRESENT = b"\x01"
_FIELD_HEAD = struct.Struct(">ccI").pack


NO_SERVICE_CONTEXT = _SERVICE_CONTEXT + _ABSENT


class Binding(Discreet, frozen=True, gc=False):
    """What a passcode is bound to, beside its own header; each part encoded once, for the seal and three tags."""

    client_id: str
    encoded_client_id: bytes
    encoded_contexts: bytes
    """The three contexts, each under its own tag, so that none passes for another."""
    encoded_transaction: bytes
    """The transaction's SHA-256 digest, or its absence."""

    @classmethod
    def of(
        cls,
        client_id: str,
        context: Context | None,
        service_context: bytes,
        sealed_pairs: Context | None,
        transaction_digest: bytes | None,
    ) -> "Binding":
        """The binding to these. `None` means absent, which differs from empty; see `encoded_service_context`."""
        return cls(
            client_id,
            _field(_CLIENT_ID, client_id.encode()),
            _pairs_field(_CONTEXT, context) + service_context + _pairs_field(_SEALED_PAIRS, sealed_pairs),
            _field(_TRANSACTION, transaction_digest),
        )

    def encoded(self, header: bytes) -> bytes:
        """All of it: the associated data of the seal, under the given passcode header."""
        encoded_header = _field(_HEADER, header)
        return _DOMAIN + encoded_header + self.encoded_client_id + self.encoded_contexts + self.encoded_transaction


def encoded_service_context(pairs: Context | None) -> bytes:
    """The service context as all bindings of a deployment have it: encoded when the deployment is put together."""
    return _pairs_field(_SERVICE_CONTEXT, pairs)


# Few credentials issue, and each of their passcodes asks for the same bytes.
@lru_cache(maxsize=1024)
def issuer_field(issuer_id: str) -> bytes:
    """The issuing credential, as a counterfoil's tag covers it."""
    return _field(_ISSUER, issuer_id.encode())


def encoded_pairs(pairs: Context) -> bytes:
    """Count, then each name and value with its length, ordered by the UTF-8 bytes of the names."""
    encoded = _U32(len(pairs))
    # Sorting by code points is sorting by UTF-8 bytes: that order is a property of the encoding.
    for name in sorted(pairs):
        encoded_name, encoded_value = name.encode(), pairs[name].encode()
        encoded += _U32(len(encoded_name)) + encoded_name + _U32(len(encoded_value)) + encoded_value
    return encoded


def decoded_pairs(encoded: bytes) -> Context:
    """The pairs that `encoded_pairs` wrote; only for bytes that a seal has vouched for."""
    (count,) = _READ_U32(encoded)
    texts = []
    at = 4
    for _ in range(2 * count):
        (length,) = _READ_U32(encoded, at)
        texts.append(encoded[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _pairs_field(tag: bytes, pairs: Context | None) -> bytes:
    return tag + _ABSENT if pairs is None else _field(tag, encoded_pairs(pairs))


def _field(tag: bytes, content: bytes | None) -> bytes:
    if content is None:
        return tag + _ABSENT
    return _FIELD_HEAD(tag, _PRESENT, len(content)) + content
