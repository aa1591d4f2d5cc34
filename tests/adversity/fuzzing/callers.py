"""Fuzzed: what is presented as a credential."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from counterfoil.api.callers import by_bearer_credential
from counterfoil.api.http import Request
from counterfoil.credentials.credential_file import CredentialEditor, CredentialFile
from counterfoil.model.principal import Role
from tests.adversity.fuzzing.target import Check, Target, hold
from tests.adversity.seeded_service import at_once
from tests.support.clock import Clock


def _credentials(trimmed: Callable[[bytes], bytes] = lambda value: value) -> Check:
    """What stands in the Authorization header, against a real credential file."""
    path, clock, secret = _credential_file()
    authenticate = by_bearer_credential(CredentialFile(path, clock))

    def check(data: bytes) -> str:
        caller = at_once(authenticate(Request("GET", "/", b"", {b"authorization": trimmed(data)}, b"", "req_test")))
        scheme, _, presented = data.partition(b" ")
        genuine = scheme.lower() == b"bearer" and presented.lstrip(b" ") == secret.encode()
        hold((caller is not None) == genuine, "a caller is let in by the secret, in its one spelling, and by nothing else")
        return "accepted" if caller else "refused"

    return check


def _credential_file() -> tuple[Path, Clock, str]:
    path, clock = Path(mkdtemp()) / "credentials.json", Clock()
    return path, clock, CredentialEditor(path, clock, Random(1).randbytes).create("the-validator", Role.VALIDATOR)


_BEARER = b"Bearer " + _credential_file()[2].encode()

TARGETS = (
    Target(
        "credential",
        "presented credentials",
        _credentials,
        seeds=(_BEARER, _BEARER + b" ", b" " + _BEARER, b"bearer  cfv_"),
        tokens=(b"Bearer ", b"bearer ", b"cfv_"),
        length_max=200,
        broken={"white space is trimmed": lambda: _credentials(bytes.strip)},
    ),
)
