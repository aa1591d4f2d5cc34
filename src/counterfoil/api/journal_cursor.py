"""Where a look at the journal goes on, as a text for the one who asked: an entry's number, and to which question it belongs.

It is no secret and proves nothing. Whoever makes one up asks for what they may ask for anyway.
"""

import struct
from binascii import Error, a2b_base64, b2a_base64
from hashlib import sha256

import msgspec

from counterfoil.model.invalid import Invalid
from counterfoil.ports.journal_reader import JournalQuery

# 18 bytes, so that 24 characters have no padding and no spare bits: one cursor has one spelling.
_CURSOR = struct.Struct(">q10s")
_CHARS = 24
_TO_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_+/", b"+/!!")


def spelled_cursor(query: JournalQuery, seq: int) -> str:
    """The cursor that goes on with entry `seq` of the answer to that question."""
    packed = _CURSOR.pack(seq, _mark(query))
    return b2a_base64(packed, newline=False).translate(_TO_URL_ALPHABET).decode()


def read_cursor(query: JournalQuery, text: str) -> int:
    """The number that it says. Raises Invalid for what is no cursor, and for another question's."""
    try:
        if len(text) != _CHARS:
            raise ValueError
        seq, mark = _CURSOR.unpack(a2b_base64(text.encode("ascii").translate(_TO_STANDARD_ALPHABET), strict_mode=True))
        if mark != _mark(query) or seq < 0:
            raise ValueError
    except (ValueError, Error, struct.error):
        raise Invalid("cursor", "must be the `next` of an answer to the same question") from None
    return int(seq)


def _mark(query: JournalQuery) -> bytes:
    return sha256(msgspec.json.encode(query)).digest()[:10]
