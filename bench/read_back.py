"""Proves on a running service that roles, limits, journal and durability are on, and how long a passcode is."""

from dataclasses import replace
from pathlib import Path

import apsw

from bench.peers.counterfoil import counterfoil
from bench.service import Call, Service, Unfair


def proofs(folder: Path) -> tuple[dict[str, object], int]:
    """What was read back, and the length of a passcode in characters. Raises Unfair when something is off."""
    with counterfoil(folder) as service:
        # proved() has issued one, redeemed it, and asked twice what is refused.
        found = {
            **service.says,
            "roles": _roles(service),
            **_rows(folder / "counterfoil.db"),
        }
        return found, service.secret_chars


def _roles(service: Service) -> str:
    """The issuer's credential does not validate, the validator's does not issue, and nobody's does neither."""
    issuing, validating = service.issue, service.redeem
    swapped = [_with_credential_of(issuing, validating), _with_credential_of(validating, issuing)]
    statuses = [service.ask(call)[0] for call in swapped]
    statuses += [
        service.ask(replace(call, headers={**call.headers, "Authorization": "Bearer cfi_nobody"}))[0]
        for call in (issuing, validating)
    ]
    if statuses != [403, 403, 401, 401]:
        raise Unfair(f"roles are not on: {statuses}")
    return "the other role's credential hears 403, nobody's 401"


def _with_credential_of(call: Call, other: Call) -> Call:
    return replace(call, headers={**call.headers, "Authorization": other.headers["Authorization"]})


def _rows(path: Path) -> dict[str, object]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        entries = dict(connection.execute("SELECT event, count(*) FROM journal GROUP BY event"))
        accounts = connection.execute("SELECT count(*) FROM client_usage").get
        mode = connection.pragma("journal_mode")
    finally:
        connection.close()
    if entries != {"issued": 1, "accepted": 1, "refused": 2} or not accounts or mode != "wal":
        raise Unfair(f"journal or limits are not on: {entries}, {accounts} accounts, {mode}")
    return {
        "journal entries of one issue, one acceptance and two refusals": sum(entries.values()),
        "journal_mode of the file": mode,
    }
