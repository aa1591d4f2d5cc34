"""The cryptography: keys used once, the seal over an OTP, the keyed tags that a counterfoil keeps. No I/O, no clock.

Every passcode has keys of its own: HKDF-Expand (RFC 5869, SHA-256) over the data key, which is uniform already
(§3.3), with the purpose and the passcode's random salt as `info`. So a nonce is never used twice with one key, and the
2^32 ceiling on random AES-GCM nonces (NIST SP 800-38D, 8.3) does not apply. AES-GCM does not commit to its key; the
HMAC tag over the whole passcode does.
"""

from dataclasses import dataclass, field
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from counterfoil.model.canonical import Binding, issuer_field
from counterfoil.model.passcode import Header, Passcode

_SHA256 = SHA256()
_SEALING_KEY = slice(0, 32)
_NONCE = slice(32, 44)
_TAG_KEY = slice(44, 76)
_STRICT = b"counterfoil/strict/v1"


class Purpose(bytes, Enum):
    """What keys are derived for. One purpose's keys open nothing of another."""

    PASSCODE = b"counterfoil/passcode/v1"
    SEED_COPY = b"counterfoil/seed-copy/v1"
    SEALED_CONTEXT = b"counterfoil/sealed-context/v1"


@dataclass(frozen=True, slots=True)
class Tags:
    """What a counterfoil keeps of a passcode and of what it is bound to: HMAC-SHA-256, 32 bytes each."""

    passcode: bytes = field(repr=False)
    contexts: bytes = field(repr=False)
    transaction: bytes = field(repr=False)


class OneUseKeys:
    """The keys of one salt: a seal and its nonce, and a key for tags."""

    __slots__ = ("_nonce", "_seal", "_tagging")

    def __init__(self, material: bytes, purpose: Purpose, salt: bytes, own_key: bytes | None = None) -> None:
        derived = HKDFExpand(_SHA256, 76, purpose + salt).derive(material)
        self._tagging = HMAC(derived[_TAG_KEY], _SHA256)
        if own_key is not None:
            # Strict mode: the seal needs both keys, the tags only the shared one; a stranger costs no managed call.
            derived = HKDF(_SHA256, 44, salt=derived[_SEALING_KEY], info=_STRICT).derive(own_key)
        self._seal = AESGCM(derived[_SEALING_KEY])
        self._nonce = derived[_NONCE]

    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """Ciphertext and 16-byte tag. To be called once in the life of a salt."""
        return self._seal.encrypt(self._nonce, plaintext, associated_data)

    def unseal(self, sealed: bytes, associated_data: bytes) -> bytes | None:
        """The plaintext, or None when key, ciphertext or associated data is not what it was."""
        try:
            return self._seal.decrypt(self._nonce, sealed, associated_data)
        except InvalidTag:
            return None

    def passcode_tag(self, passcode: Passcode, binding: Binding, issuer_id: str) -> bytes:
        """Says which passcode a counterfoil belongs to, and who issued it. It covers client id, timestamp and lifetime too."""
        return self._tag(b"passcode", passcode.header, binding, issuer_field(issuer_id) + passcode.sealed_otp)

    def contexts_tag(self, header: Header, binding: Binding) -> bytes:
        """Says whether the three contexts are the same, once the seal has said that something is not."""
        return self._tag(b"contexts", header, binding, binding.encoded_contexts)

    def transaction_tag(self, header: Header, binding: Binding) -> bytes:
        """Says whether the transaction is the same, once the seal has said that something is not."""
        return self._tag(b"transaction", header, binding, binding.encoded_transaction)

    def tags(self, passcode: Passcode, binding: Binding, issuer_id: str) -> Tags:
        """All three, for a new counterfoil."""
        return Tags(
            self.passcode_tag(passcode, binding, issuer_id),
            self.contexts_tag(passcode.header, binding),
            self.transaction_tag(passcode.header, binding),
        )

    def _tag(self, label: bytes, header: Header, binding: Binding, content: bytes) -> bytes:
        tag = self._tagging.copy()
        tag.update(label + header.encoded() + binding.encoded_client_id + content)
        return tag.finalize()


def equal_tags(left: bytes, right: bytes) -> bool:
    """Compares in constant time."""
    return bytes_eq(left, right)
