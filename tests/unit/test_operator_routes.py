"""What operators are told, and what they are not: every rule of the questions, every answer, and no secret in any."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from counterfoil.api.app import Api
from counterfoil.api.http import Response
from counterfoil.api.looks import WAITING_MAX, Looks, TooManyLooks
from counterfoil.api.operator_answers import refusals_answer
from counterfoil.api.routes import Route
from counterfoil.core.context_sealing import ContextSealing
from counterfoil.examination import examined
from counterfoil.model.counterfoil import CounterfoilRef
from counterfoil.model.limits import LIFETIME_S_DEFAULT, MICROSECONDS_PER_S
from counterfoil.model.principal import Role
from counterfoil.model.verdict import Reason
from counterfoil.ports.journal_reader import BINS_MAX, RefusalCounts
from counterfoil.settings import Settings
from tests.support.canaries import leaks
from tests.support.clock import START_US
from tests.support.parts import Parts, decoded, made_parts, made_sqlite_parts

DAY_S = 24 * 3600
CANARY = "canary-7f3d"
LOOKS = ("/v1/journal", "/v1/refusals", "/v1/keys", "/v1/credentials", "/v1/health")


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = made_sqlite_parts(tmp_path)
    tmp_path.chmod(0o700)
    yield made
    await made.store.close()


async def _asked(parts: Parts, path: str, query: str = "") -> Response:
    return await parts.ask("GET", path, query=query, role="operator")


async def _told(parts: Parts, path: str, query: str = "") -> Any:
    answer = await _asked(parts, path, query)
    assert answer.status == 200, answer.body
    return decoded(answer)


async def _story(parts: Parts, client_id: str = "1234", **named: Any) -> Any:
    answer = await parts.ask("POST", "/v1/journal/passcode", {"client_id": client_id, **named}, role="operator")
    assert answer.status == 200, answer.body
    return decoded(answer)


# -- the rules of a question --


@pytest.mark.parametrize(
    ("path", "query", "detail"),
    [
        ("/v1/journal", "canary=1", "query: has a parameter that is not known here"),
        ("/v1/journal", "passcode=canary", "query: has a parameter that is not known here"),
        ("/v1/journal", "limit=1&limit=canary", "limit: must be given once"),
        ("/v1/journal", "canary", "query: must be name=value pairs in URL encoding"),
        ("/v1/journal", "client_id=%zzcanary", "query: must be name=value pairs in URL encoding"),
        ("/v1/journal", "client_id=%ffcanary", "query: must be name=value pairs in URL encoding"),
        ("/v1/journal", "client_id=", "client_id: must be 1 to 128 printable characters"),
        ("/v1/journal", "client_id=canary%00", "client_id: must be 1 to 128 printable characters"),
        ("/v1/journal", f"client_id={'c' * 129}", "client_id: must be 1 to 128 printable characters"),
        ("/v1/journal", "timestamp=canary", "timestamp: must be microseconds since the Unix epoch, in digits"),
        ("/v1/journal", "timestamp=-1", "timestamp: must be microseconds since the Unix epoch, in digits"),
        ("/v1/journal", f"timestamp={2**63}", "timestamp: must be microseconds since the Unix epoch, in digits"),
        ("/v1/journal", f"since={'1' * 5000}", "since: must be microseconds since the Unix epoch, in digits"),
        ("/v1/journal", "until=1.5", "until: must be microseconds since the Unix epoch, in digits"),
        ("/v1/journal", "until=%D9%A1", "until: must be microseconds since the Unix epoch, in digits"),
        ("/v1/journal", "event=canary", "event: must be one of issued, accepted, replayed, refused, revoked"),
        ("/v1/journal", "reason=canary", "reason: must be one of malformed_passcode, key_retired,"),
        ("/v1/journal", "order=NEWEST", "order: must be one of newest, oldest"),
        ("/v1/journal", "limit=0", "limit: must be 1 to 500, in digits"),
        ("/v1/journal", "limit=501", "limit: must be 1 to 500, in digits"),
        ("/v1/journal", "limit=+5", "limit: must be 1 to 500, in digits"),
        ("/v1/journal", "cursor=canary", "cursor: must be the `next` of an answer to the same question"),
        ("/v1/refusals", "event=refused", "query: has a parameter that is not known here"),
        ("/v1/refusals", "since=canary", "since: must be microseconds since the Unix epoch, in digits"),
        ("/v1/refusals", "cursor=", "cursor: must be the `next` of an answer to the same question"),
        ("/v1/refusals", "since=5&until=5", "since: must be before until, or before now"),
        ("/v1/refusals", f"since={START_US}", "since: must be before until, or before now"),
        ("/v1/keys", "canary=1", "query: has a parameter that is not known here"),
        ("/v1/credentials", "canary=1", "query: has a parameter that is not known here"),
        ("/v1/health", "canary=1", "query: has a parameter that is not known here"),
    ],
)
async def test_a_question_that_breaks_a_rule_hears_the_rule_and_nothing_it_asked(
    parts: Parts, path: str, query: str, detail: str
) -> None:
    answer = await _asked(parts, path, query)
    assert (answer.status, decoded(answer)["code"]) == (400, "invalid_request")
    assert decoded(answer)["detail"].startswith(detail)
    assert b"canary" not in answer.body


@pytest.mark.parametrize("path", LOOKS)
async def test_a_look_has_no_body(parts: Parts, path: str) -> None:
    answer = await parts.ask("GET", path, raw=b"{}", role="operator")
    assert (answer.status, decoded(answer)["detail"]) == (400, "body: must be empty: this route takes query parameters")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "body: object missing required field `client_id`"),
        ({"client_id": "1234"}, "body: must have exactly one of passcode and timestamp"),
        ({"client_id": "1234", "passcode": "canary", "timestamp": 1}, "body: must have exactly one of"),
        ({"client_id": "1234", "timestamp": "canary"}, "timestamp: expected `int`"),
        ({"client_id": "1234", "timestamp": -1}, "timestamp: expected `int` >= 0"),
        ({"client_id": "", "timestamp": 1}, "client_id: must be 1 to 128"),
        ({"client_id": "1234", "passcode": None}, "passcode: expected `str`"),
        ({"client_id": "1234", "timestamp": 1, "canary": 1}, "body: has a field that is not known here"),
    ],
)
async def test_a_question_for_one_passcode_names_it_in_one_way(parts: Parts, body: dict[str, Any], detail: str) -> None:
    answer = await parts.ask("POST", "/v1/journal/passcode", body, role="operator")
    assert answer.status == 400
    assert decoded(answer)["detail"].startswith(detail)
    assert b"canary" not in answer.body


# -- the journal --


async def test_the_journal_is_told_as_it_is_but_for_its_macs(parts: Parts) -> None:
    issued = await parts.issue()
    parts.clock.advance_s(1)
    await parts.validate(issued["passcode"], key="id-1")
    await parts.validate("cf1_")
    (issuer, *_) = parts.credentials.read()
    malformed, accepted, first = (await _told(parts, "/v1/journal"))["entries"]
    assert first == {
        "seq": 1,
        "at": START_US,
        "event": "issued",
        "client_id": "1234",
        "timestamp": issued["timestamp"],
        "by": issuer.credential_id,
        "reason": None,
        "redemption_id": None,
    }
    assert accepted["redemption_id"] == "id-1"
    assert (accepted["by"], accepted["at"]) == ("the-validator", START_US + MICROSECONDS_PER_S)
    assert (malformed["timestamp"], malformed["reason"]) == (None, "malformed_passcode")


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("", [4, 3, 2, 1]),
        ("order=newest", [4, 3, 2, 1]),
        ("order=oldest", [1, 2, 3, 4]),
        ("client_id=shop%207", [3]),
        ("client_id=shop+7", [3]),
        ("event=issued", [3, 1]),
        ("reason=malformed_passcode", [4]),
        (f"timestamp={START_US}&client_id=1234", [2, 1]),
        (f"since={START_US + MICROSECONDS_PER_S}", [4, 3]),
        (f"until={START_US + MICROSECONDS_PER_S}", [2, 1]),
        ("limit=500", [4, 3, 2, 1]),
        ("limit=1", [4]),
    ],
)
async def test_the_journal_is_asked_by_every_parameter(parts: Parts, query: str, seqs: list[int]) -> None:
    issued = await parts.issue()
    await parts.validate(issued["passcode"])
    parts.clock.advance_s(1)
    await parts.issue(client_id="shop 7")
    await parts.validate("cf1_")
    assert [entry["seq"] for entry in (await _told(parts, "/v1/journal", query))["entries"]] == seqs


async def test_a_cursor_looks_on_and_belongs_to_its_question(parts: Parts) -> None:
    for _ in range(3):
        await parts.issue()
    first = await _told(parts, "/v1/journal", "limit=2")
    cursor = first["next"]
    rest = await _told(parts, "/v1/journal", f"limit=5&cursor={cursor}&order=newest")
    assert [entry["seq"] for entry in (*first["entries"], *rest["entries"])] == [3, 2, 1]
    assert rest["next"] is None
    for path, query in (
        ("/v1/journal", f"order=oldest&cursor={cursor}"),
        ("/v1/journal", f"client_id=1234&cursor={cursor}"),
        ("/v1/journal", f"since=0&cursor={cursor}"),
        ("/v1/journal", f"cursor={cursor[:-1]}"),
        ("/v1/journal", f"cursor={cursor}A"),
        ("/v1/journal", f"cursor=%2B{cursor[1:]}"),
        ("/v1/journal", f"cursor=%2F{cursor[1:]}"),
        ("/v1/journal", f"cursor={'_' * 10}{cursor[10:]}"),
        ("/v1/journal", f"cursor=%C3%A9{cursor[1:]}"),
        ("/v1/journal", f"cursor={'=' * 24}"),
        ("/v1/refusals", f"since=0&cursor={cursor}"),
    ):
        assert (await _asked(parts, path, query)).status == 400, query


async def test_a_cursor_says_nothing_of_the_question(parts: Parts) -> None:
    for _ in range(2):
        await parts.issue(client_id=CANARY)
    cursor = (await _told(parts, "/v1/journal", f"client_id={CANARY}&limit=1"))["next"]
    assert len(cursor) == 24
    assert leaks({"cursor": cursor.encode()}, {"client": CANARY.encode()}) == []


# -- one passcode --


async def test_the_story_of_a_passcode_is_its_entries_and_how_it_stands(parts: Parts) -> None:
    issued = await parts.issue()
    await parts.issue()
    key_id = parts.keyset.read().primary_id.hex()
    story = await _story(parts, passcode=issued["passcode"])
    assert story["counterfoil"] == {
        "state": "issued",
        "attempts": 0,
        "expires_at": issued["expires_at"],
        "key_id": key_id,
    }
    await parts.validate(issued["passcode"], context={"device": "another"})
    await parts.validate(issued["passcode"])
    story = await _story(parts, passcode=issued["passcode"])
    assert (story["client_id"], story["well_formed"], story["timestamp"]) == ("1234", True, issued["timestamp"])
    assert [entry["event"] for entry in story["entries"]] == ["issued", "refused", "accepted"]
    assert (story["counterfoil"]["state"], story["counterfoil"]["attempts"]) == ("redeemed", 1)
    assert await _story(parts, timestamp=issued["timestamp"]) == story


async def test_a_story_tells_every_state(parts: Parts) -> None:
    open_one, revoked, locked = [await parts.issue() for _ in range(3)]
    await parts.ask("POST", "/v1/passcodes/revoke", {"client_id": "1234", "passcode": revoked["passcode"]}, role="validator")
    for _ in range(5):
        await parts.validate(locked["passcode"], context={"device": "another"})
    parts.clock.advance_s(LIFETIME_S_DEFAULT)
    states = [(await _story(parts, timestamp=each["timestamp"]))["counterfoil"] for each in (open_one, revoked, locked)]
    assert [(each["state"], each["attempts"]) for each in states] == [("expired", 0), ("revoked", 0), ("locked", 5)]
    parts.clock.now_us -= 1
    assert (await _story(parts, timestamp=open_one["timestamp"]))["counterfoil"]["state"] == "issued"


async def test_a_story_of_nobody_has_no_counterfoil_and_no_entry(parts: Parts) -> None:
    issued = await parts.issue()
    for story in (
        await _story(parts, client_id="other", passcode=issued["passcode"]),
        await _story(parts, timestamp=issued["timestamp"] - 1),
        await _story(parts, timestamp=2 * START_US),
    ):
        assert (story["counterfoil"], story["entries"], story["next"]) == (None, [], None)
        assert story["well_formed"]


@pytest.mark.parametrize("text", ["", "cf1_", "x" * 10_000, "cf1_" + "A" * 83, "cf1_" + "é" * 83])
async def test_what_is_no_passcode_has_no_story(parts: Parts, text: str) -> None:
    await parts.issue()
    story = await _story(parts, passcode=text)
    assert (story["well_formed"], story["timestamp"], story["counterfoil"], story["entries"]) == (False, None, None, [])


def _forged(passcode: str) -> list[str]:
    """The passcode with each part but its timestamp changed: key id, lifetime, salt, sealed OTP, seal tag."""
    made = []
    for place in (5, 21, 30, 50, 80):
        other = "B" if passcode[place] != "B" else "C"
        made.append(passcode[:place] + other + passcode[place + 1 :])
    return made


async def test_a_story_does_not_tell_a_genuine_passcode_from_a_forged_one(parts: Parts) -> None:
    """It tells of the timestamp: no bit of the rest of what is pasted reaches the answer."""
    issued = await parts.issue()
    genuine = await _story(parts, passcode=issued["passcode"])
    told = [await _story(parts, passcode=each) for each in _forged(issued["passcode"])]
    well_formed = [each for each in told if each["well_formed"]]
    assert len(well_formed) >= 4
    assert all(each == genuine for each in well_formed)


async def test_a_story_redeems_nothing_counts_nothing_and_leaves_no_entry(parts: Parts) -> None:
    issued = await parts.issue()
    for _ in range(6):
        await _story(parts, passcode=issued["passcode"])
        for each in _forged(issued["passcode"]):
            await _story(parts, passcode=each)
    assert len((await _told(parts, "/v1/journal"))["entries"]) == 1
    assert (await parts.validate(issued["passcode"])).status == 200


async def test_a_long_story_goes_on_at_the_journal(parts: Parts) -> None:
    issued = await parts.issue()
    for _ in range(501):
        await parts.validate(issued["passcode"], key="once")
    story = await _story(parts, passcode=issued["passcode"])
    assert len(story["entries"]) == 500
    query = f"client_id=1234&timestamp={issued['timestamp']}&order=oldest&cursor={story['next']}"
    rest = await _told(parts, "/v1/journal", query)
    assert [entry["seq"] for entry in rest["entries"]] == [501, 502]


# -- refusals --


async def test_refusals_are_counted_by_group_and_over_time(parts: Parts) -> None:
    issued = await parts.issue()
    await parts.validate(issued["passcode"], transaction="altered")
    parts.clock.advance_s(3600)
    for _ in range(2):
        await parts.validate("cf1_")
    parts.clock.advance_s(1)
    told = await _told(parts, "/v1/refusals")
    assert [(each["reason"], each["count"], each["by"]) for each in told["groups"]] == [
        ("malformed_passcode", 2, "the-validator"),
        ("transaction_mismatch", 1, "the-validator"),
    ]
    assert (told["since"], told["until"]) == (parts.clock.now_us - DAY_S * MICROSECONDS_PER_S, parts.clock.now_us)
    assert (told["left_off"], told["next"]) == (0, None)
    bins = told["bins"]
    assert len(bins["starts"]) <= BINS_MAX
    for name, counts in bins["counts"].items():
        at_us = {"malformed_passcode": START_US + 3600 * MICROSECONDS_PER_S, "transaction_mismatch": START_US}[name]
        assert len(counts) == len(bins["starts"])
        assert Counter(dict(zip(bins["starts"], counts, strict=True))).most_common(1)[0][0] == at_us - at_us % bins["width_us"]
        assert sum(counts) == {"malformed_passcode": 2, "transaction_mismatch": 1}[name]


async def test_refusals_are_asked_by_client_and_time(parts: Parts) -> None:
    await parts.validate("cf1_")
    parts.clock.advance_s(10)
    await parts.ask("POST", "/v1/passcodes/validate", {"client_id": "other", "passcode": ""}, role="validator")
    parts.clock.advance_s(1)
    for query, clients in (
        ("", ["1234", "other"]),
        ("client_id=1234", ["1234"]),
        (f"since={START_US + 1}", ["other"]),
        (f"until={START_US + 1}", ["1234"]),
        (f"since=0&until={2**63 - 1}", ["1234", "other"]),
        (f"since=0&until={START_US}", []),
    ):
        told = await _told(parts, "/v1/refusals", query)
        assert [group["client_id"] for group in told["groups"]] == clients, query
        assert sum(sum(counts) for counts in told["bins"]["counts"].values()) == len(clients)
        assert 1 <= len(told["bins"]["starts"]) <= BINS_MAX


@pytest.mark.parametrize(
    ("since_us", "until_us", "bin_us", "starts"),
    [
        (10, 30, 10, [10, 20]),
        # Stamped by a clock that was set back, or forward, before the times that the answer is of.
        (10, 30, 0, [10, 20]),
        (10, 30, 90, [10, 20]),
        (30, 30, 20, [20]),
        (0, 10 * (BINS_MAX + 50), 0, [10 * number for number in range(50, BINS_MAX + 50)]),
    ],
)
def test_bins_have_no_gap_and_every_refusal_is_in_one(since_us: int, until_us: int, bin_us: int, starts: list[int]) -> None:
    counts = RefusalCounts(since_us, until_us, None, (), 0, 10, {(Reason.LOCKED, bin_us): 7})
    told = refusals_answer(counts, None)
    assert told.bins.starts == starts
    assert (len(told.bins.counts["locked"]), sum(told.bins.counts["locked"])) == (len(starts), 7)


# -- keys --


async def test_keys_are_told_by_their_state_and_age_and_not_by_their_material(parts: Parts) -> None:
    first = parts.keyset.read().primary_id
    parts.clock.advance_s(1)
    second = parts.keyset.rotate().primary_id
    third = parts.keyset.rotate().primary_id
    parts.keyset.retire(second)
    told = await _told(parts, "/v1/keys")
    assert (told["epoch"], told["whole"], told["rotates_itself"]) == (1, True, False)
    states = {key["key_id"]: (key["state"], key["created_at"]) for key in told["keys"]}
    later_us = START_US + MICROSECONDS_PER_S
    assert states == {
        first.hex(): ("opening", START_US),
        second.hex(): ("retired", later_us),
        third.hex(): ("primary", later_us),
    }


@pytest.mark.parametrize(("age_s", "is_due"), [(90 * DAY_S, False), (90 * DAY_S + 0.000001, True)])
async def test_a_key_is_due_for_rotation_where_doctor_says_so(parts: Parts, age_s: float, is_due: bool) -> None:
    parts.keyset.rotate()
    parts.clock.advance_s(age_s)
    told = await _told(parts, "/v1/keys")
    assert [key["rotation_due"] for key in told["keys"]] == [False, is_due]
    findings = {finding.what: finding.level for finding in examined(Settings(data=parts.folder), parts.clock.now_us)}
    assert findings["keys"] == ("warning" if is_due else "ok")


async def test_how_old_a_key_may_be_is_a_setting(tmp_path: Path) -> None:
    parts = made_parts(tmp_path, key_rotation_s=60)
    parts.clock.advance_s(61)
    assert [key["rotation_due"] for key in (await _told(parts, "/v1/keys"))["keys"]] == [True]


# -- credentials --


async def test_credentials_are_told_with_their_last_use_and_without_their_secrets(parts: Parts) -> None:
    parts.credentials.exchange("the-validator", expires_at_us=START_US + 1)
    parts.credentials.create("old", Role.ISSUER, ("shop-*",), expires_at_us=START_US)
    parts.credentials.revoke("old", with_passcodes=True)
    parts.credentials.create("expiring", Role.OPERATOR, expires_at_us=START_US + 5)
    issued = await parts.issue()
    parts.clock.advance_s(1)
    await parts.validate(issued["passcode"])
    told = await _told(parts, "/v1/credentials")
    assert told["looked_back_to"] == START_US
    shown = {each["name"]: each for each in told["credentials"]}
    ids = {record.name: record.credential_id for record in parts.credentials.read()}
    assert {name: each["id"] for name, each in shown.items()} == ids
    assert shown["old"] == {
        "id": ids["old"],
        "name": "old",
        "role": "issuer",
        "client_patterns": ["shop-*"],
        "created_at": START_US,
        "secret_created_at": None,
        "live_secrets": 0,
        "expires_at": None,
        "revoked_at": START_US,
        "passcodes_revoked": True,
        "last_used_at": None,
    }
    # Its first secret never expires; the second one is over.
    assert (shown["the-validator"]["live_secrets"], shown["the-validator"]["expires_at"]) == (1, None)
    assert (shown["expiring"]["live_secrets"], shown["expiring"]["expires_at"]) == (0, START_US + 5)
    assert shown["the-issuer"]["last_used_at"] == START_US
    assert shown["the-validator"]["last_used_at"] == START_US + MICROSECONDS_PER_S
    assert shown["the-operator"]["last_used_at"] is None
    digests = [secret.digest.hex() for record in parts.credentials.read() for secret in record.secrets]
    text = (await _asked(parts, "/v1/credentials")).body
    assert leaks({"answer": text}, {digest: bytes.fromhex(digest) for digest in digests}) == []


async def test_without_a_journal_credentials_are_told_without_their_last_use(tmp_path: Path) -> None:
    parts = made_parts(tmp_path)
    await parts.issue()
    told = await _told(parts, "/v1/credentials")
    assert told["looked_back_to"] is None
    assert {each["last_used_at"] for each in told["credentials"]} == {None}


# -- health --


async def _health(parts: Parts) -> dict[str, Any]:
    return {check["name"]: check for check in (await _told(parts, "/v1/health"))["checks"]}


async def test_health_is_what_doctor_says_and_whether_it_serves(parts: Parts) -> None:
    checks = await _health(parts)
    assert next(iter(checks)) == "service"
    assert set(checks) == {"service", "settings", "folder", "keys", "credentials", "store", "journal", "durability", "clock"}
    assert all(check["ok"] and check["level"] == "ok" and not check["mend"] for check in checks.values())
    found = {finding.what: finding for finding in examined(Settings(data=parts.folder), parts.clock.now_us)}
    assert {name: found[name].says for name in set(checks) - {"service", "store"}} == {
        name: checks[name]["says"] for name in set(checks) - {"service", "store"}
    }


async def test_health_reads_a_store_in_service_neither_page_by_page_nor_row_by_row(parts: Parts) -> None:
    await parts.issue()
    assert "not read through" in (await _health(parts))["store"]["says"]
    (doctors,) = [each for each in examined(Settings(data=parts.folder), parts.clock.now_us) if each.what == "store"]
    assert doctors.says == "schema 2, 1 counterfoils, sound"


@pytest.mark.parametrize(
    ("spoil", "what", "level", "says"),
    [
        (lambda parts: parts.folder.chmod(0o755), "folder", "problem", "open to other users"),
        (lambda parts: parts.keyset.path.chmod(0o644), "keys", "problem", "must be a file of mode 0600"),
        (lambda parts: (parts.folder / "counterfoil.db").unlink(), "store", "problem", "is gone"),
        (lambda parts: parts.clock.advance_s(91 * DAY_S), "keys", "warning", "the primary key is 91 days old"),
    ],
)
async def test_health_says_what_is_wrong_and_what_mends_it(
    parts: Parts, spoil: Callable[[Parts], object], what: str, level: str, says: str
) -> None:
    await parts.issue()
    spoil(parts)
    check = (await _health(parts))[what]
    assert (check["ok"], check["level"]) == (False, level)
    assert says in check["says"]
    assert check["mend"]


async def test_health_says_that_the_service_has_no_keys_or_takes_no_writes(parts: Parts) -> None:
    aside = parts.keyset.path.rename(parts.folder / "aside.json")
    assert "does not exist" in (await _health(parts))["service"]["says"]
    aside.rename(parts.keyset.path)
    await parts.store.close()
    assert (await _health(parts))["service"]["says"] == "the store is closed"


async def test_health_of_a_machine_that_does_not_answer_is_a_finding(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Path) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("shutil.disk_usage", gone)
    check = (await _health(parts))["folder"]
    assert (check["level"], check["says"]) == ("problem", "cannot be looked at: Input/output error")


# -- what is not told here --


@pytest.mark.parametrize("path", ["/v1/journal", "/v1/refusals", "/v1/journal/passcode"])
async def test_a_store_without_a_readable_journal_says_so_and_shows_no_empty_list(tmp_path: Path, path: str) -> None:
    parts = made_parts(tmp_path)
    body = {"client_id": "1234", "timestamp": 1} if path.endswith("passcode") else None
    answer = await parts.ask("GET" if body is None else "POST", path, body, role="operator")
    assert (answer.status, decoded(answer)["code"]) == (501, "not_told_here")
    assert "keeps no journal" in decoded(answer)["detail"]
    assert "entries" not in decoded(answer)


def _with(parts: Parts, **replaced: Any) -> Parts:
    """The service with other parts behind its operators' routes."""
    routes: list[Route] = []
    for route in parts.service.api.routes:
        handlers = getattr(route.handler, "__self__", None)
        if route.path in (*LOOKS, "/v1/journal/passcode"):
            handler = getattr(replace(handlers, **replaced), route.handler.__name__)  # type: ignore[type-var]
            route = replace(route, handler=handler)
        routes.append(route)
    api = Api(routes, parts.service.api._authenticate, parts.service.api._observer)
    return replace(parts, service=replace(parts.service, api=api, front=api))


class _Opaque:
    """Keys, or credentials, that tell nothing of themselves."""


@pytest.mark.parametrize(("path", "part"), [("/v1/keys", "keys"), ("/v1/credentials", "credentials")])
async def test_what_does_not_list_itself_says_so(parts: Parts, path: str, part: str) -> None:
    answer = await _asked(_with(parts, **{part: _Opaque()}), path)
    assert (answer.status, decoded(answer)["code"]) == (501, "not_told_here")


# -- faults --


@pytest.mark.parametrize(
    "spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"canary" * 5000)], ids=["gone", "broken"]
)
async def test_a_file_that_is_gone_or_broken_is_a_fault_and_no_defect(parts: Parts, spoil: Callable[[Path], object]) -> None:
    await parts.issue()
    path = parts.folder / "counterfoil.db"
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink()
    spoil(path)
    for looked_at in ("/v1/journal", "/v1/refusals", "/v1/credentials"):
        answer = await _asked(parts, looked_at)
        assert (answer.status, decoded(answer)["code"]) == (503, "store_unavailable")
        assert dict(answer.headers)[b"retry-after"] == b"1"
        assert b"canary" not in answer.body
    assert (await _asked(parts, "/v1/health")).status == 200


async def test_missing_keys_or_credentials_are_faults_here_too(parts: Parts) -> None:
    aside = parts.keyset.path.rename(parts.folder / "aside.json")
    assert decoded(await _asked(parts, "/v1/keys"))["code"] == "keys_unavailable"
    aside.rename(parts.keyset.path)
    parts.credentials.path.chmod(0o644)
    assert decoded(await _asked(parts, "/v1/credentials"))["code"] == "credentials_unavailable"


# -- one look at a time --


async def test_looks_are_made_one_at_a_time_and_too_many_are_sent_away(parts: Parts) -> None:
    goes_on, under_way, most = threading.Event(), [], []

    def look() -> list[Any]:
        under_way.append(1)
        most.append(len(under_way))
        assert goes_on.wait(60)
        under_way.pop()
        return []

    held = _with(parts, examination=look, looks=Looks())
    asked = [asyncio.create_task(_asked(held, "/v1/health")) for _ in range(WAITING_MAX + 3)]
    try:
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        issued = await parts.issue()
        assert (await parts.validate(issued["passcode"])).status == 200
    finally:
        goes_on.set()
    answers = await asyncio.gather(*asked)
    assert Counter(each.status for each in answers) == {200: WAITING_MAX + 1, 429: 2}
    sent_away = [each.result() for each in done]
    assert {decoded(each)["code"] for each in sent_away} == {"limit_reached"}
    assert {dict(each.headers)[b"retry-after"] for each in sent_away} == {b"1"}
    assert set(most) == {1}
    assert (await _asked(held, "/v1/health")).status == 200


async def test_a_look_whose_caller_goes_away_makes_room_for_the_next() -> None:
    looks, goes_on = Looks(), threading.Event()
    asked = [asyncio.create_task(looks.run(goes_on.wait)) for _ in range(WAITING_MAX + 1)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLooks):
        await looks.run(lambda: None)
    asked[-1].cancel()
    await asyncio.sleep(0)
    asked.append(asyncio.create_task(looks.run(goes_on.wait)))
    await asyncio.sleep(0)
    goes_on.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [each for each in results if each is True] == [True] * (WAITING_MAX + 1)


# -- no secret --


async def test_no_answer_to_an_operator_has_a_secret_or_a_context(tmp_path: Path) -> None:
    parts = made_sqlite_parts(tmp_path, service_context='{"stage": "canary-stage"}')
    sealing: ContextSealing = parts.service.handlers.context_sealing
    sealed = await sealing.sealed("1234", {"limit": "canary-sealed"}, None)
    bound: dict[str, Any] = {"context": {"device": "canary-context"}, "transaction": {"payee": "canary-payee"}}
    issued = await parts.issue(sealed_context=sealed.sealed_context, **bound)
    await parts.validate(issued["passcode"], context={"device": "canary-other"})
    await parts.validate(issued["passcode"], sealed_pairs={"limit": "canary-sealed"}, **bound)
    seen = {path: (await _asked(parts, path)).body for path in LOOKS}
    body = {"client_id": "1234", "passcode": issued["passcode"]}
    seen["story"] = (await parts.ask("POST", "/v1/journal/passcode", body, role="operator")).body
    keyset = parts.keyset.read()
    hidden = {
        "context": b"canary",
        "passcode": issued["passcode"][4:].encode(),
        "sealed context": sealed.sealed_context[5:].encode(),
        "data key": keyset.primary.material,
        "journal key": keyset.journal_key.reveal(),
        **{role: secret.encode() for role, secret in parts.secrets.items()},
    }
    counterfoil = await parts.store.find(CounterfoilRef("1234", issued["timestamp"]))
    assert counterfoil is not None
    hidden |= {"passcode tag": counterfoil.passcode_tag, "transaction tag": counterfoil.transaction_tag}
    assert leaks(seen, hidden) == []
    assert leaks({"control": issued["passcode"].encode()}, hidden) != []
    await parts.store.close()
