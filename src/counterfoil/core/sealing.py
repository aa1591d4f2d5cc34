"""The cryptography: keys used once, the seal over an OTP, the keyed tags that a counterfoil keeps. No I/O, no clock.

Every salt has a sealing key of its own: one block of HKDF-Expand (RFC 5869, SHA-256) over the data key, which is uniform
already (§3.3), with the purpose and the random salt as `info`. It seals one message, so its nonce is 0, and the 2^32 ceiling
on random AES-GCM nonces (NIST SP 800-38D, 8.3) does not apply.

All tags of a data key are HMACs under one tag key, whose `info` begins like no purpose. What a tag covers begins with a label
and the passcode's header: no label is the beginning of another, and of what follows each part has a fixed length or says its
own, so no two things have the same tag. The header holds the salt, 128 random bits that no store keeps: a tag tells nothing to
who has store and keys and not the passcode. AES-GCM does not commit to its key; the HMAC over the whole passcode does.
"""

from enum import Enum
from weakref import WeakKeyDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from counterfoil.model.canonical import Binding, issuer_field
from counterfoil.model.discreet import Discreet
from counterfoil.model.passcode import Header, Passcode
from counterfoil.ports.keys import DataKey

_SHA256 = SHA256()
_KEY_BYTES = 32
# A key that seals one message needs no nonce to tell messages apart; AES-GCM takes 96 bits (NIST SP 800-38D, 8.2).
_NONCE = bytes(12)
_TAGS = b"counterfoil/tags/v1"
_STRICT = b"counterfoil/strict/v1"
_PASSCODE = b"passcode"
_CONTEXTS = b"contexts"
_TRANSACTION = b"transaction"


class Purpose(bytes, Enum):
    """What keys are derived for. One purpose's keys open nothing of another."""

    PASSCODE = b"counterfoil/passcode/v1"
    SEED_COPY = b"counterfoil/seed-copy/v1"
    SEALED_CONTEXT = b"counterfoil/sealed-context/v1"


class Tags(Discreet, frozen=True, gc=False):
    """What a counterfoil keeps of a passcode and of what it is bound to: HMAC-SHA-256, 32 bytes each."""

    passcode: bytes
    contexts: bytes
    transaction: bytes


class Sealing:
    """What one data key seals and tags. Set up once for a key: see `sealing_under`."""

    __slots__ = ("_expansion", "_tagging")

    def __init__(self, material: bytes) -> None:
        self._expansion = HMAC(material, _SHA256)
        self._tagging = HMAC(self._expanded(_TAGS), _SHA256)

    def seal(
        self, purpose: Purpose, salt: bytes, plaintext: bytes, associated_data: bytes, own_key: bytes | None = None
    ) -> bytes:
        """Ciphertext and 16-byte tag. To be called once in the life of a salt."""
        return self._one_use(purpose, salt, own_key).encrypt(_NONCE, plaintext, associated_data)

    def unseal(
        self, purpose: Purpose, salt: bytes, sealed: bytes, associated_data: bytes, own_key: bytes | None = None
    ) -> bytes | None:
        """The plaintext, or None when key, ciphertext or associated data is not what it was."""
        try:
            return self._one_use(purpose, salt, own_key).decrypt(_NONCE, sealed, associated_data)
        except InvalidTag:
            return None

    def passcode_tag(self, passcode: Passcode, binding: Binding, issuer_id: str) -> bytes:
        """Says which passcode a counterfoil belongs to, and who issued it. It covers client id, timestamp and lifetime too."""
        return self._tag(_PASSCODE, passcode.header, binding, issuer_field(issuer_id) + passcode.sealed_otp)

    def contexts_tag(self, header: Header, binding: Binding) -> bytes:
        """Says whether the three contexts are the same, once the seal has said that something is not."""
        return self._tag(_CONTEXTS, header, binding, binding.encoded_contexts)

    def transaction_tag(self, header: Header, binding: Binding) -> bytes:
        """Says whether the transaction is the same, once the seal has said that something is not."""
        return self._tag(_TRANSACTION, header, binding, binding.encoded_transaction)

    def tags(self, passcode: Passcode, binding: Binding, issuer_id: str) -> Tags:
        """All three, for a new counterfoil."""
        return Tags(
            self.passcode_tag(passcode, binding, issuer_id),
            self.contexts_tag(passcode.header, binding),
            self.transaction_tag(passcode.header, binding),
        )

    def _one_use(self, purpose: Purpose, salt: bytes, own_key: bytes | None) -> AESGCM:
        key = self._expanded(purpose + salt)
        if own_key is not None:
            # Strict mode: the seal needs both keys, the tags only the shared one; a stranger costs no managed call.
            key = HKDF(_SHA256, _KEY_BYTES, salt=key, info=_STRICT).derive(own_key)
        return AESGCM(key)

    def _expanded(self, info: bytes) -> bytes:
        """HKDF-Expand's first block, which is all that a key of 32 bytes takes; a copy of an HMAC costs half a new one."""
        block = self._expansion.copy()
        block.update(info + b"\x01")
        return block.finalize()

    def _tag(self, label: bytes, header: Header, binding: Binding, content: bytes) -> bytes:
        tag = self._tagging.copy()
        tag.update(label + header.encoded + binding.encoded_client_id + content)
        return tag.finalize()


_SET_UP: WeakKeyDictionary[DataKey, Sealing] = WeakKeyDictionary()


def sealing_under(key: DataKey) -> Sealing:
    """What the key seals and tags. It is set up once and goes when its provider lets go of the key."""
    sealing = _SET_UP.get(key)
    if sealing is None:
        sealing = _SET_UP[key] = Sealing(key.material)
    return sealing


def equal_tags(left: bytes, right: bytes) -> bool:
    """Compares in constant time."""
    return bytes_eq(left, right)
