"""Fuzzed: the files that a deployment is made of, as they are read at every start: keyset and credentials."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from counterfoil.credentials import credential_file
from counterfoil.credentials.credential_file import CredentialEditor, CredentialRecord
from counterfoil.keys import keyset_file
from counterfoil.keys.keyset_file import KeyRecord, Keyset, KeysetEditor
from counterfoil.model.limits import DATA_KEY_BYTES, KEY_ID_BYTES
from counterfoil.model.principal import Role
from counterfoil.private_file import PrivateFileProblem, read_private_json
from tests.adversity.fuzzing.target import Check, Target, hold, hold_silent
from tests.support.clock import Clock
from tests.support.journal import JOURNAL_KEY


class RewrittenFile:
    """A private file of this process, to be written again and again. Never emptied: file systems wait for the disk then."""

    def __init__(self, name: str) -> None:
        self.path = Path(mkdtemp()) / name
        self.path.touch(0o600)
        self._file = self.path.open("r+b", buffering=0)

    def write(self, content: bytes) -> None:
        """Puts the content in the place of what was there."""
        self._file.seek(0)
        self._file.write(content)
        self._file.truncate()

    def unnamed(self, error: Exception) -> str:
        """What an error says, less the file's name, which the operator knows and an input may have by chance."""
        return str(error).replace(str(self.path), "it")


def _keysets(read: Callable[[Path], Keyset] | None = None) -> Check:
    file = RewrittenFile("keyset.json")
    editor = KeysetEditor(file.path, Clock(), Random(1).randbytes)

    def check(data: bytes) -> str:
        file.write(data)
        try:
            keyset = editor.read() if read is None else read(file.path)
        except PrivateFileProblem as error:
            hold_silent(file.unnamed(error), data)
            return "refused"
        for key_id, key in keyset.usable.items():
            hold((len(key_id), len(key.material)) == (KEY_ID_BYTES, DATA_KEY_BYTES), "a usable key is a whole key")
        hold(keyset.primary.key_id == keyset.primary_id, "the primary key is usable")
        hold(1 <= keyset.epoch < 2**63, "an epoch fits into every store")
        hold(keyset_file._keyset(keyset_file._as_json(keyset)) == keyset, "nothing is lost in writing it back")
        return "accepted"

    return check


def _credentials(read: Callable[[Path], tuple[CredentialRecord, ...]] | None = None) -> Check:
    file = RewrittenFile("credentials.json")
    editor = CredentialEditor(file.path, Clock(), Random(1).randbytes)

    def check(data: bytes) -> str:
        file.write(data)
        try:
            records = editor.read() if read is None else read(file.path)
        except PrivateFileProblem as error:
            hold_silent(file.unnamed(error), data)
            return "refused"
        written = json.loads(data)["credentials"]
        for record, entry in zip(records, written, strict=True):
            hold(list(record.client_patterns) == entry["clients"], "an issuer covers the clients that stand there")
            hold(record.passcodes_revoked == entry["passcodes_revoked"], "passcodes are revoked or not as it stands there")
            hold(all(len(secret.digest) == 32 for secret in record.secrets), "a secret's digest is whole")
            record.credential_id.encode()
        hold(len({record.name for record in records}) == len(records), "a name is one credential's")
        return "accepted"

    return check


def _keyset_unmeasured(path: Path) -> Keyset:
    """Broken: whatever is base64 is a key."""
    content: Any = read_private_json(path)
    try:
        records = tuple(
            KeyRecord(bytes.fromhex(entry["id"]), entry["epoch"], entry["created_at_us"], b64decode(entry["material"]))
            for entry in content["keys"]
        )
        keyset = Keyset(content["epoch"], bytes.fromhex(content["primary"]), records, JOURNAL_KEY)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise PrivateFileProblem("the keyset file is not a valid keyset") from None
    if keyset.primary_id not in keyset.usable:
        raise PrivateFileProblem("the keyset file is not a valid keyset")
    return keyset


def _credentials_by_their_file(path: Path) -> tuple[CredentialRecord, ...]:
    """Broken: a file of another format is met by an exception."""
    content: Any = read_private_json(path)
    readers = {1: credential_file._records}
    return readers[content["format"]](content) if isinstance(content, dict) else ()


def _written_keysets() -> tuple[bytes, ...]:
    editor = KeysetEditor(Path(mkdtemp()) / "keyset.json", Clock(), Random(1).randbytes)
    editor.new()
    first = editor.path.read_bytes()
    editor.bump_epoch()
    return first, editor.path.read_bytes()


def _written_credentials() -> tuple[bytes, ...]:
    editor = CredentialEditor(Path(mkdtemp()) / "credentials.json", Clock(), Random(1).randbytes)
    editor.create("the-issuer", Role.ISSUER, ("shop-*",))
    first = editor.path.read_bytes()
    editor.revoke("the-issuer", with_passcodes=True)
    editor.create("the-validator", Role.VALIDATOR)
    return first, editor.path.read_bytes()


_RECORD = (
    "id",
    "name",
    "role",
    "clients",
    "created_at_us",
    "revoked_at_us",
    "passcodes_revoked",
    "secrets",
    "sha256",
    "expires_at_us",
)
TARGETS = (
    Target(
        "keyset",
        "keyset files",
        _keysets,
        seeds=(*_written_keysets(), b"[" * 2500),
        tokens=tuple(
            f'"{name}":'.encode() for name in ("format", "epoch", "primary", "keys", "id", "created_at_us", "material")
        ),
        length_max=3000,
        broken={"keys are not measured": lambda: _keysets(_keyset_unmeasured)},
    ),
    Target(
        "credentials",
        "credential files",
        _credentials,
        seeds=(*_written_credentials(), b"[" * 2500),
        tokens=tuple(f'"{name}":'.encode() for name in _RECORD),
        length_max=3000,
        broken={"another format is met by an exception": lambda: _credentials(_credentials_by_their_file)},
    ),
)
