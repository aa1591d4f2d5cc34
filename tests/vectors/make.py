"""Makes vectors.json: every format of docs/formats.md, written a second time from that page and not from the product.

It imports nothing of the product. HKDF, HMAC and GCM stand here in plain Python; only the AES block comes from a library.

    python -m tests.vectors.make > tests/vectors/vectors.json
"""

import hmac
import json
import struct
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

DATA_KEY = bytes(range(32))
KEY_ID = bytes.fromhex("5f0c6a21")
TIMESTAMP_US = 1795410340123456
LIFETIME_S = 60
ISSUER_ID = "c0ffee"
_ENTRY = {
    "at": TIMESTAMP_US + 1,
    "event": "",
    "client_id": "café",
    "timestamp": TIMESTAMP_US,
    "by": "backend",
    "reason": None,
    "redemption_id": None,
}


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, 2.3, with SHA-256."""
    output, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]


def gcm_encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """NIST SP 800-38D, 7.1, with a 96-bit nonce: ciphertext and the 16-byte tag."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    subkey = int.from_bytes(encryptor.update(bytes(16)), "big")

    def keystream(first_counter: int, length: int) -> bytes:
        blocks = range(first_counter, first_counter + -(-length // 16))
        return b"".join(encryptor.update(nonce + struct.pack(">I", counter)) for counter in blocks)[:length]

    def product(left: int, right: int) -> int:
        result = 0
        for bit in range(127, -1, -1):
            if right >> bit & 1:
                result ^= left
            left = left >> 1 ^ (0xE1 << 120 if left & 1 else 0)
        return result

    def padded(text: bytes) -> bytes:
        return text + bytes(-len(text) % 16)

    ciphertext = bytes(a ^ b for a, b in zip(plaintext, keystream(2, len(plaintext)), strict=True))
    lengths = struct.pack(">QQ", 8 * len(associated_data), 8 * len(ciphertext))
    hashed, text = 0, padded(associated_data) + padded(ciphertext) + lengths
    for at in range(0, len(text), 16):
        hashed = product(hashed ^ int.from_bytes(text[at : at + 16], "big"), subkey)
    return ciphertext + bytes(a ^ b for a, b in zip(hashed.to_bytes(16, "big"), keystream(1, 16), strict=True))


def field(tag: int, content: bytes | None) -> bytes:
    """Tag, presence, length, content."""
    return bytes([tag, 0]) if content is None else bytes([tag, 1]) + struct.pack(">I", len(content)) + content


def pairs(context: dict[str, str] | None) -> bytes | None:
    """Count, then names and values with their lengths, ordered by the names' UTF-8 bytes."""
    if context is None:
        return None
    texts = [text for name in sorted(context, key=str.encode) for text in (name.encode(), context[name].encode())]
    return struct.pack(">I", len(context)) + b"".join(struct.pack(">I", len(text)) + text for text in texts)


def sealed_once(purpose: str, salt: bytes, plaintext: bytes, associated_data: bytes, own_key: str | None = None) -> bytes:
    """Under the key of that salt, which seals nothing else, with the nonce 0."""
    key = hkdf_expand(DATA_KEY, b"counterfoil/" + purpose.encode() + b"/v1" + salt, 32)
    if own_key is not None:
        key = hkdf_expand(hmac.digest(key, bytes.fromhex(own_key), "sha256"), b"counterfoil/strict/v1", 32)
    return gcm_encrypt(key, bytes(12), plaintext, associated_data)


def base64url(raw: bytes) -> str:
    """Without padding."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def passcode_vector(name: str, number: int, own_key: str | None = None, **bound: Any) -> dict[str, Any]:
    """One passcode with everything that goes into it and everything that comes out."""
    salt, otp = sha256(b"salt %d" % number).digest()[:16], sha256(b"otp %d" % number).digest()[:16]
    canonical = bound.get("canonical_transaction")
    digest = None if canonical is None else sha256(canonical.encode()).digest()
    header = KEY_ID + struct.pack(">QH", TIMESTAMP_US, LIFETIME_S) + salt
    client = field(0x02, bound["client_id"].encode())
    contexts = b"".join(
        field(tag, pairs(bound.get(source))) for tag, source in ((3, "context"), (4, "service_context"), (5, "sealed_pairs"))
    )
    transaction = field(0x06, digest)
    associated_data = b"counterfoil/bound/v1" + field(0x01, header) + client + contexts + transaction
    sealed = sealed_once("passcode", salt, otp, associated_data, own_key)
    tag_key = hkdf_expand(DATA_KEY, b"counterfoil/tags/v1", 32)

    def tag(label: bytes, content: bytes) -> str:
        return hmac.digest(tag_key, label + header + client + content, "sha256").hex()

    return {
        "name": name,
        "data_key": DATA_KEY.hex(),
        "key_id": KEY_ID.hex(),
        "timestamp": TIMESTAMP_US,
        "lifetime_s": LIFETIME_S,
        "salt": salt.hex(),
        "otp": otp.hex(),
        "own_key": own_key,
        **bound,
        "transaction_digest": None if digest is None else digest.hex(),
        "associated_data": associated_data.hex(),
        "passcode": "cf1_" + base64url(header + sealed),
        "issuer_id": ISSUER_ID,
        "passcode_tag": tag(b"passcode", field(0x07, ISSUER_ID.encode()) + sealed),
        "contexts_tag": tag(b"contexts", contexts),
        "transaction_tag": tag(b"transaction", transaction),
    }


def sealed_context_vector(name: str, number: int, client_id: str, sealed_pairs: dict[str, str]) -> dict[str, Any]:
    """One sealed context."""
    salt = sha256(b"context salt %d" % number).digest()[:16]
    expires_at = TIMESTAMP_US + 86_400_000_000
    encoded = pairs(sealed_pairs)
    assert encoded is not None
    content = struct.pack(">QI", expires_at, len(client_id.encode())) + client_id.encode() + encoded
    sealed = sealed_once("sealed-context", salt, content, b"counterfoil/sealed-context/v1" + KEY_ID)
    return {
        "name": name,
        "data_key": DATA_KEY.hex(),
        "key_id": KEY_ID.hex(),
        "salt": salt.hex(),
        "client_id": client_id,
        "sealed_pairs": sealed_pairs,
        "expires_at": expires_at,
        "sealed_context": "cfx1_" + base64url(KEY_ID + salt + sealed),
    }


def seed_copy_vector(name: str, number: int, own_key: str | None = None) -> dict[str, Any]:
    """The second copy of an OTP, sealed under a salt of its own and bound to what the passcode is bound to."""
    salt, otp = sha256(b"copy salt %d" % number).digest()[:16], sha256(b"otp %d" % number).digest()[:16]
    header = KEY_ID + struct.pack(">QH", TIMESTAMP_US, LIFETIME_S) + salt
    bound = field(0x01, header) + field(0x02, b"1234") + bytes([3, 0, 4, 0, 5, 0, 6, 0])
    sealed = sealed_once("seed-copy", salt, otp, b"counterfoil/bound/v1" + bound, own_key)
    return {
        "name": name,
        "data_key": DATA_KEY.hex(),
        "key_id": KEY_ID.hex(),
        "timestamp": TIMESTAMP_US,
        "lifetime_s": LIFETIME_S,
        "salt": salt.hex(),
        "otp": otp.hex(),
        "own_key": own_key,
        "client_id": "1234",
        "seed_copy": (KEY_ID + struct.pack(">H", LIFETIME_S) + salt + sealed).hex(),
    }


def key_context_vector(name: str, client_id: str, canonical: str | None = None, **contexts: Any) -> dict[str, Any]:
    """What strict mode tells the managed key about one passcode."""
    key = hkdf_expand(DATA_KEY, b"counterfoil/key-context/v1", 32)
    digest = None if canonical is None else sha256(canonical.encode()).digest()
    sources = ((3, "context"), (4, "service_context"), (5, "sealed_pairs"))
    encoded = b"".join(field(tag, pairs(contexts.get(source))) for tag, source in sources)

    def told(label: bytes, content: bytes) -> str:
        covered = label + struct.pack(">Q", TIMESTAMP_US) + field(0x02, client_id.encode()) + content
        return hmac.digest(key, covered, "sha256").hex()

    return {
        "name": name,
        "data_key": DATA_KEY.hex(),
        "timestamp": TIMESTAMP_US,
        "client_id": client_id,
        **contexts,
        "transaction_digest": None if digest is None else digest.hex(),
        "key_context": {
            "client": told(b"client", b""),
            "contexts": told(b"contexts", encoded),
            "transaction": told(b"transaction", field(0x06, digest)),
            "timestamp": str(TIMESTAMP_US),
        },
    }


def journal_vector(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """A chain: its beginning, its entries with their MACs, and both ends with their seals."""
    journal_key, mac = sha256(b"journal key").digest(), sha256(b"beginning").digest()

    def end(which: str, number: int, mac: bytes) -> dict[str, Any]:
        content = f"counterfoil/journal/v1/{which}/{number}:{mac.hex()}"
        return {"number": number, "mac": mac.hex(), "seal": hmac.digest(journal_key, content.encode(), "sha256").hex()}

    start, told = end("start", 0, mac), []
    for number, entry in enumerate(entries, 1):
        words = [number, entry["at"], entry["timestamp"], entry["event"], entry["reason"]]
        for name in ("client_id", "by"):
            words += [len(entry[name]), entry[name]]
        if entry["redemption_id"] is not None:
            words.append(entry["redemption_id"])
        covered = b"counterfoil/journal/v1/entry" + mac + " ".join(map(str, words)).encode()
        mac = hmac.digest(journal_key, covered, "sha256")
        told.append({**entry, "mac": mac.hex()})
    return {
        "name": "a chain of three",
        "journal_key": journal_key.hex(),
        "start": start,
        "entries": told,
        "head": end("head", len(entries), mac),
    }


def misspelled(passcode: str) -> list[dict[str, str]]:
    """Strings that are nearly a passcode, and why none of them is one."""
    return [
        {"why": "a space behind it", "text": passcode + " "},
        {"why": "a line break before it", "text": "\n" + passcode},
        {"why": "padded as base64 pads", "text": passcode + "="},
        {"why": "a prefix of another case", "text": passcode.replace("cf1_", "CF1_")},
        {"why": "a prefix of another version", "text": passcode.replace("cf1_", "cf2_")},
        {"why": "the last character is gone", "text": passcode[:-1]},
        {"why": "a character more", "text": passcode + "A"},
        {"why": "the spare bits of the last digit are set", "text": passcode[:-1] + chr(ord(passcode[-1]) + 1)},
        {"why": "a digit of the other base64 alphabet", "text": passcode[:10] + "+" + passcode[11:]},
        {"why": "a digit that is not ASCII", "text": passcode[:10] + "\uff21" + passcode[11:]},
        {"why": "a lifetime of 0 s", "text": "cf1_" + base64url(KEY_ID + struct.pack(">QH", TIMESTAMP_US, 0) + bytes(48))},
        {"why": "a lifetime of 601 s", "text": "cf1_" + base64url(KEY_ID + struct.pack(">QH", TIMESTAMP_US, 601) + bytes(48))},
        {"why": "empty", "text": ""},
    ]


def all_vectors() -> dict[str, Any]:
    """What vectors.json holds."""
    payment = '{"amount":"10.00","currency":"EUR","payee":"Anna"}'
    passcodes = [
        passcode_vector("nothing but a client", 0, client_id="1234"),
        passcode_vector("context", 1, client_id="1234", context={"device_id": "d-9", "region": "eu-south"}),
        passcode_vector("empty context", 2, client_id="1234", context={}),
        passcode_vector("the same pair as service context", 3, client_id="1234", service_context={"stage": "prod"}),
        passcode_vector("the same pair as sealed context", 4, client_id="1234", sealed_pairs={"stage": "prod"}),
        passcode_vector("the same pair as plain context", 5, client_id="1234", context={"stage": "prod"}),
        passcode_vector("transaction", 6, client_id="1234", canonical_transaction=payment),
        passcode_vector("transaction null", 7, client_id="1234", canonical_transaction="null"),
        passcode_vector(
            "everything, beyond ASCII",
            8,
            client_id="café ☕ \U0001f600",
            context={"é": "zwölf", "e\u0301": "", "\U0001f600": "astral", "\uffee": "last of the plane"},
            service_context={"stage": "prod"},
            sealed_pairs={"limit": "500"},
            canonical_transaction='{"\U0001f600":1e+21,"\uffee":-0.5,"a":[true,false,null,0,9007199254740991]}',
        ),
    ]
    passcodes.append(
        passcode_vector("strict mode", 9, own_key=sha256(b"own key").hexdigest(), client_id="1234", context={"stage": "strict"})
    )
    return {
        "format": 1,
        "passcodes": passcodes,
        "misspelled_passcodes": misspelled(passcodes[0]["passcode"]),
        "sealed_contexts": [
            sealed_context_vector("one pair", 0, "1234", {"limit": "500"}),
            sealed_context_vector("no pair", 1, "1234", {}),
            sealed_context_vector("beyond ASCII", 2, "café", {"é": "zwölf", "e\u0301": "", "a": "b"}),
        ],
        "seed_copies": [
            seed_copy_vector("the data key's", 0),
            seed_copy_vector("strict mode", 1, own_key="a5" * 32),
        ],
        "key_contexts": [
            key_context_vector("nothing but a client", "1234"),
            key_context_vector("everything", "café", payment, context={"a": "b"}, service_context={}, sealed_pairs={"c": "d"}),
        ],
        "journals": [
            journal_vector(
                [
                    {**_ENTRY, "event": "issued", "by": ISSUER_ID},
                    {**_ENTRY, "event": "refused", "timestamp": None, "reason": "malformed_passcode", "redemption_id": "a"},
                    {**_ENTRY, "event": "accepted", "redemption_id": "b"},
                ]
            )
        ],
        "canonical_json": [
            {"text": text, "canonical": canonical, "sha256": sha256(canonical.encode()).hexdigest()}
            for text, canonical in (
                ('{"b": 2, "a": 1}', '{"a":1,"b":2}'),
                ('{"amount": 10.50}', '{"amount":10.5}'),
                ("1E21", "1e+21"),
                ("100000000000000000000", "100000000000000000000"),
                ("1e-7", "1e-7"),
                ("0.000001", "0.000001"),
                ("-0", "0"),
                ("-0.0", "0"),
                ("10.0", "10"),
                ('"\\u20ac\\/\\u000f"', '"€/\\u000f"'),
                ('{"\\ud83d\\ude00": 1, "\\uffee": 2}', '{"\U0001f600":1,"\uffee":2}'),
                ("[56, {}, [], null]", "[56,{},[],null]"),
            )
        ],
        "refused_json": [
            {"why": "a name twice", "text": '{"a":1,"a":2}'},
            {"why": "a name twice, spelled in two ways", "text": '{"a":1,"\\u0061":2}'},
            {"why": "more digits than a double holds", "text": "0.1000000000000000055511151231257827"},
            {"why": "an integer between two doubles", "text": "9007199254740993"},
            {"why": "beyond the largest double", "text": "1e400"},
            {"why": "nearer to zero than the smallest double", "text": "1e-400"},
            {"why": "not a number", "text": "NaN"},
            {"why": "NUL in a string", "text": '"a\\u0000b"'},
            {"why": "a lone surrogate", "text": '"\\ud83d"'},
            {"why": "a byte order mark", "text": "\ufeff{}"},
            {"why": "33 levels", "text": "[" * 33 + "]" * 33},
            {"why": "text behind the value", "text": "{} {}"},
            {"why": "nothing", "text": ""},
        ],
    }


if __name__ == "__main__":
    print(json.dumps(all_vectors(), indent=1))
