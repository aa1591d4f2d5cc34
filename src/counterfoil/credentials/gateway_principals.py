"""Who may call behind a gateway that authenticates: a list from subjects to roles, part of the deployment.

    [{"subject": "jwt:payments-backend", "name": "backend", "role": "validator"},
     {"subject": "iam:arn:aws:sts::123456789012:assumed-role/shop", "name": "shop", "role": "issuer", "clients": ["shop-*"]}]

A token's own claims give no role: whoever can have tokens made could otherwise appoint validators. An entry with
`"revoked": true` lets nobody in; with `"passcodes_revoked": true` what it issued is refused as well. Entries are kept, so
that a passcode's issuer stays known: one that is not in the list vouches for nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from counterfoil.model.identifiers import checked_credential_name
from counterfoil.model.invalid import Invalid
from counterfoil.model.principal import Principal, Role, checked_client_pattern

_FIELD = "principals"
_KNOWN = {"subject", "name", "role", "clients", "revoked", "passcodes_revoked"}
_REQUIRED = {"subject", "name", "role"}


class GatewayPrincipals:
    """The credentials of a deployment, as a list that is read once: changing it is a deployment."""

    def __init__(self, text: str) -> None:
        """Raises Invalid, which names the rule and quotes nothing of the list."""
        self._principals: dict[str, Principal] = {}
        self._passcodes_revoked: dict[str, bool] = {}
        subjects: set[str] = set()
        for entry in _entries(text):
            principal = _principal(entry)
            # Revoked ones count: a second entry must not let back in whom the first keeps out.
            if principal.name in self._passcodes_revoked or entry["subject"] in subjects:
                raise Invalid(_FIELD, "subjects and names must not be there twice")
            subjects.add(entry["subject"])
            self._passcodes_revoked[principal.credential_id] = entry.get("passcodes_revoked", False)
            if not entry.get("revoked", False):
                self._principals[entry["subject"]] = principal

    async def principal(self, presented: str) -> Principal | None:
        return self._principals.get(presented)

    async def passcodes_are_revoked(self, credential_id: str) -> bool:
        return self._passcodes_revoked.get(credential_id, True)


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Invalid(_FIELD, "must be a JSON array of objects")
    return entries


def _principal(entry: Mapping[str, Any]) -> Principal:
    if not entry.keys() >= _REQUIRED or not entry.keys() <= _KNOWN:
        raise Invalid(_FIELD, f"entries have {', '.join(sorted(_REQUIRED))} and at most {', '.join(sorted(_KNOWN))}")
    if not all(isinstance(entry[name], str) for name in _REQUIRED) or not entry["subject"].startswith(("jwt:", "iam:")):
        raise Invalid(_FIELD, "subjects are strings that begin with jwt: or iam:, names and roles are strings")
    if not all(isinstance(entry.get(flag, False), bool) for flag in ("revoked", "passcodes_revoked")):
        raise Invalid(_FIELD, "revoked and passcodes_revoked are true or false")
    clients = entry.get("clients", [])
    if not isinstance(clients, list) or not all(isinstance(pattern, str) for pattern in clients):
        raise Invalid(_FIELD, "clients are an array of patterns")
    try:
        role = Role(entry["role"])
    except ValueError:
        raise Invalid(_FIELD, "roles are issuer, validator and operator") from None
    if (role is Role.ISSUER) != bool(clients):
        raise Invalid(_FIELD, "an issuer has clients (* for every client), and nobody else has")
    name = checked_credential_name(entry["name"])
    return Principal(name, name, role, tuple(checked_client_pattern(pattern) for pattern in clients))
