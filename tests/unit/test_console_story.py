"""One passcode's story, and what is due: what the operator's pages make of journal entries, keys and credentials."""

from typing import Any

import pytest

from counterfoil.console.operating.due import ENDING_US, UNUSED_US, checks, credential_sign, due, key_sign
from counterfoil.console.operating.story import clients_of, story_of

ISSUED_US = 1_795_410_340_123_456
NOW_US = 1_800_000_000_000_000
DAY_US = 86_400_000_000


def entries(*events: str, client_id: str = "shop-1") -> list[dict[str, Any]]:
    """One a second from the issue on. What is no event is the reason of a refusal."""
    return [
        {
            "seq": at + 1,
            "at": ISSUED_US + at * 1_000_000,
            "event": event if event in ("issued", "accepted", "replayed", "revoked") else "refused",
            "client_id": client_id,
            "timestamp": ISSUED_US,
            "by": "c-1" if event == "issued" else "backend",
            "reason": None if event in ("issued", "accepted", "replayed", "revoked") else event,
            "redemption_id": "r-1" if event in ("accepted", "replayed") else None,
        }
        for at, event in enumerate(events)
    ]


def ending(*events: str, state: str = "") -> tuple[str, str, str, str]:
    counterfoil = {"state": state} if state else None
    sign = story_of(entries(*events), "shop-1", ISSUED_US, {}, counterfoil).ending
    return sign.level, sign.word, sign.title, sign.says


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (("issued", "accepted"), ("ok", "Redeemed", "Redeemed once, 1.000 s after it was issued", "")),
        (("issued", "accepted", "replayed"), ("ok", "Redeemed", "Redeemed once, 1.000 s after it was issued", "")),
        (
            ("issued", "accepted", "already_redeemed", "already_redeemed"),
            (
                "problem",
                "Copied",
                "Redeemed once, 1.000 s after it was issued",
                "It was delivered again 2 times for another redemption, and refused.",
            ),
        ),
        (
            ("issued", "transaction_mismatch", "accepted"),
            (
                "warning",
                "Altered",
                "Redeemed once, 2.000 s after it was issued",
                "It did not fit once: `transaction_mismatch` once.",
            ),
        ),
        (
            ("issued", "transaction_mismatch", "context_mismatch", "transaction_mismatch"),
            (
                "problem",
                "Altered",
                "Never redeemed; refused 3 times",
                "It did not fit 3 times: `transaction_mismatch` 2 times, `context_mismatch` once.",
            ),
        ),
        (("issued", "expired"), ("warning", "Refused", "Never redeemed; refused once", "`expired` once.")),
        (("issued", "revoked", "revoked"), ("warning", "Withdrawn", "Withdrawn before it was redeemed", "")),
        (("issued",), ("unknown", "Open", "Not redeemed", "Nobody has asked for it since it was issued.")),
        ((), ("unknown", "Not known", "The journal has nothing of it", "")),
    ],
)
def test_a_story_ends_as_its_entries_say(events: tuple[str, ...], expected: tuple[str, str, str, str]) -> None:
    assert ending(*events) == expected


def test_the_store_says_what_no_entry_does() -> None:
    assert ending("issued", "transaction_mismatch", "revoked") == (
        "warning",
        "Withdrawn",
        "Withdrawn before it was redeemed",
        "It did not fit once: `transaction_mismatch` once.",
    )
    assert ending("issued", state="expired")[:3] == ("ok", "Expired", "Not redeemed in time")
    assert ending("issued", *["context_mismatch"] * 5, state="locked")[1] == "Locked"


def test_what_happened_is_told_in_order_with_names_and_never_a_secret() -> None:
    told = story_of(list(reversed(entries("issued", "accepted", "already_redeemed"))), "shop-1", ISSUED_US, {"c-1": "web-shop"})
    assert [(moment.after, moment.word, moment.by, moment.reason) for moment in told.moments] == [
        ("+0.000 s", "Issued", "web-shop", ""),
        ("+1.000 s", "Accepted", "backend", ""),
        ("+2.000 s", "Refused", "backend", "already_redeemed"),
    ]
    assert told.moments[1].redemption_id == "r-1"
    assert "accepted once already" in told.moments[2].says


def test_a_presentation_for_another_client_belongs_to_the_story() -> None:
    elsewhere = entries("issued", "unknown_passcode", client_id="shop-2")[1:]
    told = story_of([*entries("issued"), *elsewhere], "shop-1", ISSUED_US, {})
    assert told.moments[-1].other_client == "shop-2"
    assert "presented for another client once" in told.ending.says
    assert clients_of([*entries("issued"), *elsewhere]) == ["shop-1"]
    assert clients_of(elsewhere) == ["shop-2"]


# -- what is due --


def credential(**changed: Any) -> dict[str, Any]:
    return {
        "id": "c-1",
        "name": "web-shop",
        "role": "issuer",
        "client_patterns": ["shop-*"],
        "created_at": NOW_US - 2 * UNUSED_US,
        "secret_created_at": NOW_US - 2 * UNUSED_US,
        "live_secrets": 1,
        "expires_at": None,
        "revoked_at": None,
        "passcodes_revoked": False,
        "last_used_at": NOW_US - DAY_US,
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "level", "word"),
    [
        ({}, "ok", "Live"),
        ({"revoked_at": NOW_US - 1}, "idle", "Revoked"),
        ({"expires_at": NOW_US}, "idle", "Expired"),
        ({"expires_at": NOW_US + ENDING_US - 1}, "warning", "Ends in 6 days"),
        ({"expires_at": NOW_US + ENDING_US}, "ok", "Live"),
        ({"live_secrets": 2}, "warning", "Being exchanged"),
        ({"last_used_at": NOW_US - UNUSED_US}, "ok", "Live"),
        ({"last_used_at": NOW_US - UNUSED_US - 1}, "warning", "Not used"),
        ({"last_used_at": None}, "warning", "Not used"),
        ({"last_used_at": None, "created_at": NOW_US - UNUSED_US + 1}, "ok", "Live"),
        ({"last_used_at": None, "role": "operator"}, "ok", "Live"),
    ],
)
def test_a_credential_stands(changed: dict[str, Any], level: str, word: str) -> None:
    sign = credential_sign(credential(**changed), NOW_US, NOW_US - 3 * UNUSED_US)
    assert (sign.level, sign.word) == (level, word)


@pytest.mark.parametrize("looked_back_to", [None, NOW_US - UNUSED_US])
def test_where_the_journal_does_not_go_back_so_far_nothing_is_called_unused(looked_back_to: int | None) -> None:
    assert credential_sign(credential(last_used_at=None), NOW_US, looked_back_to).level == "ok"


@pytest.mark.parametrize(
    ("state", "is_due", "level", "word"),
    [
        ("primary", False, "ok", "Seals"),
        ("primary", True, "warning", "Rotation due"),
        ("opening", False, "idle", "Opens"),
        ("retired", False, "idle", "Retired"),
    ],
)
def test_a_key_stands(state: str, is_due: bool, level: str, word: str) -> None:
    sign = key_sign({"key_id": "aecbc8ed", "state": state, "created_at": 1, "rotation_due": is_due})
    assert (sign.level, sign.word) == (level, word)


def test_what_is_due_names_the_command_that_mends_it() -> None:
    keys = {"keys": [{"key_id": "aecbc8ed", "state": "primary", "created_at": 1, "rotation_due": True}]}
    credentials = {"credentials": [credential(), credential(live_secrets=2)], "looked_back_to": None}
    assert [sign.says for sign in due(keys, credentials, NOW_US)] == [
        "counterfoil keyset rotate",
        "counterfoil credential finish-exchange web-shop",
    ]
    assert due(None, None, NOW_US) == []


def test_the_worst_check_comes_first() -> None:
    levels = ["ok", "problem", "warning", "ok"]
    told = {"checks": [{"name": str(at), "level": level} for at, level in enumerate(levels)]}
    assert [check["name"] for check in checks(told)] == ["1", "2", "0", "3"]
