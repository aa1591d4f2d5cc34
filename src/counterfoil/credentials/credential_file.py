"""Credentials in a private file: who may issue, validate or operate. A secret is kept as its SHA-256 alone.

A plain digest is enough for 256 random bits (OWASP ASVS 5.0, 6.5.2: from 112 bits on). The file stays outside the
store, so that restoring the store cannot bring back a revoked credential. Records are never removed: a passcode names
the credential that issued it.
"""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from counterfoil.model.identifiers import checked_credential_name
from counterfoil.model.invalid import Invalid
from counterfoil.model.principal import Principal, Role, checked_client_pattern
from counterfoil.ports.ambient import NowUs, TokenBytes
from counterfoil.ports.credentials import CredentialsUnavailable, ListedCredential
from counterfoil.private_file import (
    PrivateFileProblem,
    Watched,
    exclusive,
    read_private_json,
    replace_private_json,
)

SECRET_BYTES = 32
LIVE_SECRETS_MAX = 2
PREFIXES = {Role.ISSUER: "cfi_", Role.VALIDATOR: "cfv_", Role.OPERATOR: "cfo_"}
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """One secret of a credential, as its digest."""

    digest: bytes = field(repr=False)
    created_at_us: int
    expires_at_us: int | None
    """The first microsecond at which it is no longer taken; None for never."""

    def is_live(self, now_us: int) -> bool:
        """Whether it is taken now."""
        return self.expires_at_us is None or now_us < self.expires_at_us


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """One credential: a name, a role, for issuers the clients that they cover, and one or two secrets."""

    credential_id: str
    name: str
    role: Role
    client_patterns: tuple[str, ...]
    created_at_us: int
    revoked_at_us: int | None
    passcodes_revoked: bool
    secrets: tuple[SecretRecord, ...] = field(repr=False)

    def principal(self) -> Principal:
        """Who calls with this credential."""
        return Principal(self.name, self.credential_id, self.role, self.client_patterns)

    def listed(self, now_us: int) -> ListedCredential:
        """What may be told of it."""
        ends_us = [secret.expires_at_us for secret in self.secrets if secret.expires_at_us is not None]
        return ListedCredential(
            credential_id=self.credential_id,
            name=self.name,
            role=self.role,
            client_patterns=self.client_patterns,
            created_at_us=self.created_at_us,
            secret_created_at_us=max((secret.created_at_us for secret in self.secrets), default=None),
            live_secrets=sum(secret.is_live(now_us) for secret in self.secrets),
            expires_at_us=max(ends_us, default=None) if len(ends_us) == len(self.secrets) else None,
            revoked_at_us=self.revoked_at_us,
            are_passcodes_revoked=self.passcodes_revoked,
        )


class _Index:
    """The file's content, ready to be asked: one digest and one look-up a call."""

    def __init__(self, records: tuple[CredentialRecord, ...]) -> None:
        self.records = records
        self.callers = {
            secret.digest: (record.principal(), secret)
            for record in records
            if record.revoked_at_us is None
            for secret in record.secrets
        }
        self.passcodes_revoked = {record.credential_id: record.passcodes_revoked for record in records}


class CredentialFile:
    """The credentials of a file, as it is at every call; with `shares_looks` as a server looks (`private_file.Watched`)."""

    def __init__(self, path: Path, now_us: NowUs, *, shares_looks: bool = False) -> None:
        self._watched = Watched(path, lambda content: _Index(_records(content)), shares_looks=shares_looks)
        self._now_us = now_us

    def records(self) -> tuple[CredentialRecord, ...]:
        """All of them, the revoked ones too. Raises CredentialsUnavailable."""
        return self._index().records

    def listed(self) -> tuple[ListedCredential, ...]:
        now_us = self._now_us()
        return tuple(record.listed(now_us) for record in self.records())

    async def principal(self, presented: str) -> Principal | None:
        caller = self._index().callers.get(sha256(presented.encode()).digest())
        if caller is None or not caller[1].is_live(self._now_us()):
            return None
        return caller[0]

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        # A credential that the file does not know cannot vouch for what it issued: the file was replaced.
        return self._index().passcodes_revoked.get(credential_id, True)

    def _index(self) -> _Index:
        try:
            return self._watched.value()
        except PrivateFileProblem as cause:
            raise CredentialsUnavailable(str(cause)) from cause


@dataclass(frozen=True, slots=True)
class CredentialEditor:
    """Changes a credential file: what the `credential` commands do. Raises PrivateFileProblem, Invalid."""

    path: Path
    now_us: NowUs
    token_bytes: TokenBytes

    def create(self, name: str, role: Role, client_patterns: tuple[str, ...] = (), expires_at_us: int | None = None) -> str:
        """A new credential's secret, shown this once. Names are never used twice: a redemption names its principal."""
        checked_credential_name(name)
        patterns = tuple(checked_client_pattern(pattern) for pattern in client_patterns)
        if (role is Role.ISSUER) != bool(patterns):
            raise Invalid("client", "patterns are for issuers, and an issuer needs at least one (* for every client)")
        with exclusive(self.path, makes_folder=True):
            records = self.read()
            if any(record.name == name for record in records):
                raise Invalid("name", "is taken, perhaps by a revoked credential; names are not used twice")
            secret, kept = self._fresh_secret(role, expires_at_us)
            record = CredentialRecord(
                credential_id=self.token_bytes(8).hex(),
                name=name,
                role=role,
                client_patterns=patterns,
                created_at_us=self.now_us(),
                revoked_at_us=None,
                passcodes_revoked=False,
                secrets=(kept,),
            )
            self._write((*records, record))
            return secret

    def exchange(self, name: str, expires_at_us: int | None = None) -> str:
        """A second secret under the same name; the first one lives on until `finish_exchange`."""
        with exclusive(self.path):
            record = self._live_record(name)
            live = tuple(secret for secret in record.secrets if secret.is_live(self.now_us()))
            if len(live) >= LIVE_SECRETS_MAX:
                raise Invalid("name", "has two live secrets already; finish that exchange first")
            secret, kept = self._fresh_secret(record.role, expires_at_us)
            self._replace(replace(record, secrets=(*live, kept)))
            return secret

    def finish_exchange(self, name: str) -> None:
        """Forgets all secrets of the name but the newest."""
        with exclusive(self.path):
            record = self._live_record(name)
            self._replace(replace(record, secrets=record.secrets[-1:]))

    def revoke(self, name: str, *, with_passcodes: bool = False) -> None:
        """Refuses the credential from now on, and with it, if so told, every passcode that it issued. Repeatable."""
        with exclusive(self.path):
            record = self._record(name)
            revoked_at_us = self.now_us() if record.revoked_at_us is None else record.revoked_at_us
            passcodes_revoked = record.passcodes_revoked or with_passcodes
            self._replace(replace(record, revoked_at_us=revoked_at_us, passcodes_revoked=passcodes_revoked, secrets=()))

    def read(self) -> tuple[CredentialRecord, ...]:
        """All records; none where there is no file yet."""
        return _records(read_private_json(self.path)) if self.path.exists() else ()

    def _live_record(self, name: str) -> CredentialRecord:
        record = self._record(name)
        if record.revoked_at_us is not None:
            raise Invalid("name", "is a revoked credential's")
        return record

    def _record(self, name: str) -> CredentialRecord:
        for record in self.read():
            if record.name == name:
                return record
        raise Invalid("name", "is no credential's")

    def _replace(self, changed: CredentialRecord) -> None:
        self._write(tuple(changed if record.name == changed.name else record for record in self.read()))

    def _write(self, records: tuple[CredentialRecord, ...]) -> None:
        replace_private_json(self.path, {"format": _FORMAT, "credentials": [_as_json(record) for record in records]})

    def _fresh_secret(self, role: Role, expires_at_us: int | None) -> tuple[str, SecretRecord]:
        random = urlsafe_b64encode(self.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
        secret = PREFIXES[role] + random
        return secret, SecretRecord(sha256(secret.encode()).digest(), self.now_us(), expires_at_us)


def _records(content: Any) -> tuple[CredentialRecord, ...]:
    """The records in a file's content; raises PrivateFileProblem with a message that quotes nothing of it."""
    try:
        if content["format"] != _FORMAT:
            raise PrivateFileProblem("the credential file has a format that this version does not know")
        entries = content["credentials"]
        records = tuple(_from_json(entry) for entry in entries)
        # One spelling, as for passcodes: a text for a list of patterns would be as many patterns as it has characters.
        # As texts, since 1, 1.0 and true are equal as values.
        if _text([_as_json(record) for record in records]) != _text(entries) or not _are_distinct(records):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise PrivateFileProblem("the credential file is not valid") from None
    return records


def _text(content: Any) -> str:
    return json.dumps(content, sort_keys=True)


def _from_json(entry: Any) -> CredentialRecord:
    record = CredentialRecord(
        credential_id=str(entry["id"]),
        name=checked_credential_name(entry["name"]),
        role=Role(entry["role"]),
        client_patterns=tuple(checked_client_pattern(pattern) for pattern in entry["clients"]),
        created_at_us=int(entry["created_at_us"]),
        revoked_at_us=_optional_int(entry["revoked_at_us"]),
        passcodes_revoked=bool(entry["passcodes_revoked"]),
        secrets=tuple(
            SecretRecord(bytes.fromhex(secret["sha256"]), int(secret["created_at_us"]), _optional_int(secret["expires_at_us"]))
            for secret in entry["secrets"]
        ),
    )
    # An id that has no UTF-8 cannot stand in a tag.
    record.credential_id.encode()
    if any(len(secret.digest) != sha256().digest_size for secret in record.secrets):
        raise ValueError
    return record


def _are_distinct(records: tuple[CredentialRecord, ...]) -> bool:
    """Whether each name, id and secret is one record's: a second one could let back in whom the first keeps out."""
    names = {record.name for record in records}
    ids = {record.credential_id for record in records}
    digests = [secret.digest for record in records for secret in record.secrets]
    return len(names) == len(ids) == len(records) and len(set(digests)) == len(digests)


def _as_json(record: CredentialRecord) -> dict[str, Any]:
    return {
        "id": record.credential_id,
        "name": record.name,
        "role": record.role.value,
        "clients": list(record.client_patterns),
        "created_at_us": record.created_at_us,
        "revoked_at_us": record.revoked_at_us,
        "passcodes_revoked": record.passcodes_revoked,
        "secrets": [
            {
                "sha256": secret.digest.hex(),
                "created_at_us": secret.created_at_us,
                "expires_at_us": secret.expires_at_us,
            }
            for secret in record.secrets
        ],
    }


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)
