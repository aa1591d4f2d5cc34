"""An identity provider on loopback: signs tokens, and publishes the key that they are checked with. For emulation alone."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

AUDIENCE = "counterfoil"
_KEY_ID = "loopback"
_LIFETIME_S = 3600


@dataclass(frozen=True)
class IdentityProvider:
    """Signs tokens in the name of `issuer`, which is its URL."""

    issuer: str
    _key: rsa.RSAPrivateKey = field(repr=False)

    def token(self, subject: str, **claims: Any) -> str:
        """A token (RS256) for an hour; `claims` replace its own, None leaves one out."""
        now_s = int(time.time())
        own = {"iss": self.issuer, "aud": AUDIENCE, "sub": subject, "iat": now_s, "exp": now_s + _LIFETIME_S}
        content = {name: value for name, value in {**own, **claims}.items() if value is not None}
        signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': _KEY_ID})}.{_encoded(content)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256())
        return f"{signed}.{_base64url(signature)}"


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    """A provider with a key of its own, until the block ends."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents.get(self.path)
            self.send_response(404 if document is None else 200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document or {}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = f"http://127.0.0.1:{server.server_address[1]}"
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _KEY_ID, "n": _number(numbers.n), "e": _number(numbers.e)}
    documents["/.well-known/openid-configuration"] = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
    documents["/keys"] = {"keys": [jwk]}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield IdentityProvider(issuer, key)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _encoded(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
