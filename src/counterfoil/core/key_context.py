"""Strict mode's context of a passcode's own key: what the managed key is told, and writes into its audit log. Digests alone.

Client ids, amounts and device ids are easily guessed, so the digests are keyed, with a key of the shared data key's; they
cover the timestamp, so that equal payments have unlike digests.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from counterfoil.model.canonical import Binding

_PURPOSE = b"counterfoil/key-context/v1"


def key_context(material: bytes, timestamp_us: int, binding: Binding) -> dict[str, str]:
    """The pairs: `client`, `contexts` and `transaction` in 64 hexadecimal digits, `timestamp` in microseconds."""
    key = HKDFExpand(SHA256(), 32, _PURPOSE).derive(material)

    def digest(label: bytes, content: bytes) -> str:
        mac = HMAC(key, SHA256())
        mac.update(label + timestamp_us.to_bytes(8, "big") + binding.encoded_client_id + content)
        return mac.finalize().hex()

    return {
        "client": digest(b"client", b""),
        "contexts": digest(b"contexts", binding.encoded_contexts),
        "transaction": digest(b"transaction", binding.encoded_transaction),
        "timestamp": str(timestamp_us),
    }
