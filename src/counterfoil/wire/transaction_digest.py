"""The digest that stands for a transaction: SHA-256 over its canonical JSON (RFC 8785), or one that the caller gives."""

import re
from hashlib import sha256
from typing import Any

import msgspec
import rfc8785

from counterfoil.model.invalid import Invalid

_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
# Without its digits a number with a point or an exponent is a mark before one of these: one search then finds it, many times
# faster than a regular expression does. (It finds a few texts as well; they take the longer way to the same form.)
_MARKS_AND_POINTS = bytes.maketrans(b",[eE", b"::..")
_DIGITS = b"0123456789-"


def digest_of_json(tree: Any) -> bytes:
    """SHA-256 over the RFC 8785 form of a value that `parsed_json` gave."""
    return sha256(canonical_json(tree)).digest()


def canonical_json(tree: Any) -> bytes:
    """The RFC 8785 form. Where no float and no character beyond ASCII occurs, a sorted fast encoding is that form.

    (Floats print unlike ECMAScript's, and names beyond ASCII sort by UTF-16 there. A test holds both ways together.)
    """
    encoded = _encode_sorted(tree)
    if encoded.isascii() and b":." not in (b":" + encoded).translate(_MARKS_AND_POINTS, _DIGITS):
        return encoded
    return rfc8785.dumps(tree)


def given_digest(text: str) -> bytes:
    """The 32 bytes of a digest in 64 hexadecimal digits. Raises Invalid."""
    if not _HEX_DIGEST.fullmatch(text):
        raise Invalid("transaction_digest", "must be a SHA-256 digest in 64 hexadecimal digits")
    return bytes.fromhex(text)
