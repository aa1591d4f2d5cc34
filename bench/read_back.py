"""Proves on running services that roles, limits, journal and durability are on, and in the variants without one, off."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import apsw

from bench.peers.counterfoil import counterfoil
from bench.service import Call, Service, Unfair
from bench.side_by_side import PARTS

_NOBODY = "Bearer cfi_nobody"
# What proved() has left behind: one issue, one acceptance, and two refusals of what must be refused.
_ENTRIES = {"issued": 1, "accepted": 1, "refused": 2}


class _Kept(NamedTuple):
    """What a store's file says of what was written to it."""

    journal: dict[str, int]
    accounts: int
    journal_mode: str


def proofs(folder: Path) -> tuple[dict[str, object], int]:
    """What was read back of the production settings, and the length of a passcode in characters. Raises Unfair."""
    with counterfoil(folder) as service:
        statuses = _role_statuses(service)
        if statuses != [403, 403, 401, 401]:
            raise Unfair(f"roles are not on: {statuses}")
        kept = _kept(folder / "counterfoil.db")
        if kept.journal != _ENTRIES or not kept.accounts or kept.journal_mode != "wal":
            raise Unfair(f"journal, limits or durability are not on: {kept}")
        return {
            **service.says,
            "roles": "the other role's credential hears 403, nobody's 401",
            "journal entries of one issue, one acceptance and two refusals": sum(kept.journal.values()),
            "journal_mode of the file": kept.journal_mode,
        }, service.secret_chars


def prove_switched_off(folder: Path) -> None:
    """Raises Unfair when a variant still has the part that it is to be without: its row would show no cost."""
    for part in PARTS:
        with counterfoil(folder / part, f"without {part}") as service:
            kept = _kept(folder / part / "counterfoil.db")
            is_off = {
                "journal": not kept.journal,
                "limits": not kept.accounts,
                "roles": service.ask(_with_credential(service.issue, _NOBODY))[0] == 201,
            }
            if [name for name in PARTS if is_off[name]] != [part]:
                raise Unfair(f"without {part}, these are off: {is_off}")


def _role_statuses(service: Service) -> list[int]:
    """Of each verb with the other role's credential, and of each with nobody's."""
    issue, redeem = service.issue, service.redeem
    swapped = (
        _with_credential(issue, redeem.headers["Authorization"]),
        _with_credential(redeem, issue.headers["Authorization"]),
    )
    nobodys = (_with_credential(issue, _NOBODY), _with_credential(redeem, _NOBODY))
    return [service.ask(call)[0] for call in (*swapped, *nobodys)]


def _with_credential(call: Call, authorization: str) -> Call:
    return replace(call, headers={**call.headers, "Authorization": authorization})


def _kept(path: Path) -> _Kept:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        entries = {
            str(event): int(count) for event, count in connection.execute("SELECT event, count(*) FROM journal GROUP BY event")
        }
        accounts = connection.execute("SELECT count(*) FROM client_usage").get
        return _Kept(entries, int(str(accounts)), str(connection.pragma("journal_mode")))
    finally:
        connection.close()
