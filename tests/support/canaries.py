"""Searching for secrets in every spelling in which they could leak."""

import base64
import json
from urllib.parse import quote, quote_plus


def spellings(secret: bytes) -> dict[str, bytes]:
    """The secret raw, in hex, in base64 (both alphabets, all three offsets), URL-, JSON- and Python-escaped, and reversed."""
    found = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "reversed": secret[::-1],
        "reversed hex": secret.hex()[::-1].encode(),
        "bytes of Python": repr(secret)[2:-1].encode(),
        "url, bytes": quote(secret, safe="").encode(),
        "URL, every byte": "".join(f"%{byte:02X}" for byte in secret).encode(),
        "url, every byte": "".join(f"%{byte:02x}" for byte in secret).encode(),
    }
    for offset in range(3):
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            # The first and last digits depend on what stands around; those in between do not.
            digits = encode(b"\0" * offset + secret).rstrip(b"=")
            start, end = -(-offset * 8 // 6), len(digits) - (1 if (offset + len(secret)) % 3 else 0)
            found[f"{name}+{offset}"] = digits[start:end]
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return found
    found["form"] = quote_plus(text).encode()
    found["json"] = json.dumps(text)[1:-1].encode()
    found["json, not ASCII"] = json.dumps(text, ensure_ascii=False)[1:-1].encode()
    found["json, every character"] = "".join(f"\\u{unit:04x}" for unit in _utf16(text)).encode()
    found["JSON, every character"] = "".join(f"\\u{unit:04X}" for unit in _utf16(text)).encode()
    found["reversed text"] = text[::-1].encode()
    found["text of Python"] = repr(text)[1:-1].encode()
    return found


def _utf16(text: str) -> list[int]:
    encoded = text.encode("utf-16-be")
    return [int.from_bytes(encoded[at : at + 2], "big") for at in range(0, len(encoded), 2)]


def leaks(haystacks: dict[str, bytes], secrets: dict[str, bytes]) -> list[str]:
    """Which secret stands where, in which spelling; names only, so that a failing test leaks nothing either."""
    return [
        f"{secret} as {spelling} in {place}"
        for secret, value in secrets.items()
        for spelling, needle in spellings(value).items()
        for place, haystack in haystacks.items()
        if len(needle) >= 8 and needle in haystack
    ]
