"""The walkthrough: what each trick makes the backend hear, by real calls, and what the page shows and does not show of it."""

import re
from html import unescape
from pathlib import Path

import pytest

from counterfoil.console.walkthrough import scripts
from counterfoil.console.walkthrough.deeds import TRICKS
from counterfoil.console.walkthrough.story import TRIES_KEPT, By, Call
from counterfoil.console.walkthrough.words import _MEANINGS
from counterfoil.model.principal import Role
from counterfoil.model.verdict import Reason
from tests.support.canaries import leaks
from tests.support.console import HOST, Development, Visitor, header

HERE = "/console/walkthrough"
PAYMENT = {
    "amount": "49.90",
    "currency": "EUR",
    "payee": "Libreria Aurora",
    "reference": "invoice 2291",
    "client_id": "shop-1",
    "device_id": "d-9",
}


@pytest.fixture
def development(tmp_path: Path) -> Development:
    return Development(tmp_path)


@pytest.fixture
async def visitor(development: Development) -> Visitor:
    visitor = await development.visitor()
    await visitor.go(HERE)
    return visitor


async def _issue(visitor: Visitor, **changed: str) -> str:
    """A slip on its way; its passcode."""
    await visitor.go(f"{HERE}/issue", {**PAYMENT, **changed})
    found = re.search(r"<code>(cf1_[A-Za-z0-9_-]{83})</code>", visitor.page)
    assert found
    return found[1]


async def _deliver(visitor: Visitor, trick: str, **fields: str) -> str:
    """What the backend hears."""
    assert (await visitor.go(f"{HERE}/deliver", {"trick": trick, **fields})).status == 200
    found = re.search(r'class="verdict-code"><code>\d+</code> <code>(\w+)</code>', visitor.page)
    assert found, visitor.text()
    return found[1]


def _rows(visitor: Visitor) -> dict[str, tuple[str, str, str]]:
    """The ticket: by label what was bound, what arrived, and whether they fit."""
    found = {}
    for line in re.findall(r'(?s)<div class="line[^"]*" role="row">(.*?)</div>', visitor.page):
        values = [unescape(each) for each in re.findall(r'class="value">([^<]*)<', line)]
        if values:
            label, joins = re.findall(r'class="name">([^<]*)<', line), re.findall(r'class="visually-hidden">([^<]*)<', line)
            found[label[0]] = (values[0], values[1], joins[0])
    return found


@pytest.mark.parametrize(
    ("trick", "heard", "misfit"),
    [
        ("honest", "accepted", []),
        ("replay", "already_redeemed", ["Use"]),
        ("amount", "transaction_mismatch", ["Amount"]),
        ("payee", "transaction_mismatch", ["Payee"]),
        ("delay", "expired", ["Time"]),
        ("steal", "unauthenticated", ["For"]),
        ("lose", "replayed", []),
    ],
)
async def test_each_trick_is_heard_for_what_it_is(visitor: Visitor, trick: str, heard: str, misfit: list[str]) -> None:
    await _issue(visitor)
    assert await _deliver(visitor, trick) == heard
    rows = _rows(visitor)
    assert len(rows) == 9
    assert [label for label, (_, _, join) in rows.items() if join == "does not fit"] == misfit


async def test_a_changed_amount_shows_both_values_at_the_tear(visitor: Visitor) -> None:
    await _issue(visitor)
    await _deliver(visitor, "amount")
    assert _rows(visitor)["Amount"] == ("49.90", "949.90", "does not fit")
    assert "You changed the amount to 949.90." in visitor.text()


@pytest.mark.parametrize(
    ("fields", "heard", "misfit"),
    [
        ({}, "accepted", []),
        ({"changes_amount": "yes", "forged_amount": "0.01"}, "transaction_mismatch", ["Amount"]),
        ({"forged_amount": "0.01"}, "accepted", []),
        ({"changes_client_id": "yes"}, "unknown_passcode", ["Client"]),
        ({"changes_device_id": "yes", "changes_payee": "yes"}, "context_mismatch", ["Payee", "Device"]),
        ({"late": "yes", "changes_amount": "yes"}, "expired", ["Amount", "Time"]),
        ({"by": "client"}, "forbidden", ["For"]),
        ({"by": "nobody", "changes_amount": "yes"}, "unauthenticated", ["Amount", "For"]),
        ({"twice": "yes", "changes_amount": "yes"}, "already_redeemed", ["Amount", "Use"]),
        ({"lose": "yes", "late": "yes"}, "expired", ["Time"]),
    ],
)
async def test_tricks_combine(visitor: Visitor, fields: dict[str, str], heard: str, misfit: list[str]) -> None:
    await _issue(visitor)
    assert await _deliver(visitor, "combined", **fields) == heard
    assert [label for label, (_, _, join) in _rows(visitor).items() if join == "does not fit"] == misfit


async def test_what_was_stolen_in_vain_is_still_good(visitor: Visitor) -> None:
    await _issue(visitor)
    for trick in ("steal", "amount", "payee"):
        assert await _deliver(visitor, trick, fresh="yes") != "accepted"
    assert await _deliver(visitor, "honest", fresh="yes") == "accepted"
    assert "Slip no. 1" in visitor.text()


async def test_five_changes_lock_it(visitor: Visitor) -> None:
    await _issue(visitor)
    for _ in range(5):
        assert await _deliver(visitor, "amount") == "transaction_mismatch"
    assert await _deliver(visitor, "honest") == "locked"


async def test_a_spent_slip_is_followed_by_a_fresh_one_only_where_that_is_ticked(visitor: Visitor) -> None:
    await _issue(visitor)
    assert await _deliver(visitor, "honest", fresh="yes") == "accepted"
    assert await _deliver(visitor, "replay", fresh="yes") == "already_redeemed"
    assert await _deliver(visitor, "amount") == "already_redeemed"
    assert await _deliver(visitor, "amount", fresh="yes") == "transaction_mismatch"
    assert "Slip no. 2: changed the amount to 949.90" in visitor.text()


async def test_tricks_are_remembered_and_tries_told_latest_first(visitor: Visitor) -> None:
    await _issue(visitor)
    for _ in range(TRIES_KEPT):
        await _deliver(visitor, "steal")
    await _deliver(visitor, "amount")
    assert len(re.findall("<li value=", visitor.page)) == TRIES_KEPT
    assert visitor.page.index(f'<li value="{TRIES_KEPT + 1}"') < visitor.page.index(f'<li value="{TRIES_KEPT}"')
    assert len(re.findall('class="tried"', visitor.page)) == 2
    await visitor.go(f"{HERE}/again", {})
    assert "Waiting for a payment." in visitor.text()


async def test_the_clock_that_a_delay_turns_is_the_whole_services(development: Development, visitor: Visitor) -> None:
    issued = await development.parts.issue(lifetime_s=30)
    await _issue(visitor)
    await _deliver(visitor, "delay")
    assert "Test clock 60 s ahead" in visitor.text()
    response = await development.parts.validate(issued["passcode"])
    assert b'"reason":"expired"' in response.body


async def test_two_visitors_do_not_see_each_other(development: Development, visitor: Visitor) -> None:
    await _issue(visitor, payee="Somebody")
    other = Visitor(development.service.front)
    await other.log_in(development.parts.secrets["operator"])
    await other.go(HERE)
    assert "Somebody" not in other.page
    assert (await other.go(f"{HERE}/deliver", {"trick": "honest"})).status == 200
    assert "Waiting for a payment." in other.text()


# -- what cannot be taken --


async def test_what_the_api_refuses_to_issue_is_told_and_keeps_what_was_typed(visitor: Visitor) -> None:
    await visitor.go(f"{HERE}/issue", {**PAYMENT, "client_id": "", "payee": "kept"})
    assert "invalid_request" in visitor.text()
    assert "client_id: must be 1 to 128 printable characters" in visitor.text()
    assert 'value="kept"' in visitor.page
    assert "Nothing is on its way yet" in visitor.text()


async def test_what_breaks_a_rule_on_the_way_is_told(visitor: Visitor) -> None:
    await _issue(visitor)
    assert await _deliver(visitor, "combined", changes_client_id="yes", forged_client_id="") == "invalid_request"


@pytest.mark.parametrize(
    "fields", [{"trick": "other"}, {}, {"trick": "combined", "by": "operator"}, {"trick": "combined", "by": "x"}]
)
async def test_a_trick_that_the_page_does_not_know_is_refused(visitor: Visitor, fields: dict[str, str]) -> None:
    await _issue(visitor)
    assert (await visitor.post(f"{HERE}/deliver", fields)).status == 400


async def test_a_forced_fault_is_neither_yes_nor_no(visitor: Visitor) -> None:
    await _issue(visitor, client_id="refuse-store_unavailable")
    assert await _deliver(visitor, "honest") == "store_unavailable"
    assert "Ask again with the same redemption id" in visitor.text()
    assert "Unknown" in visitor.text()


async def test_an_issue_that_reaches_a_limit_is_told_and_leaves_the_slip(visitor: Visitor) -> None:
    await _issue(visitor)
    await visitor.go(f"{HERE}/issue", {**PAYMENT, "client_id": "refuse-limit_reached"})
    assert "429 limit_reached" in visitor.text()
    assert "Slip no. 1" in visitor.text()


def test_every_refusal_is_explained() -> None:
    assert {reason.value for reason in Reason} <= _MEANINGS.keys()


# -- what is shown --


async def test_the_passcode_is_shown_once_as_it_travels(visitor: Visitor) -> None:
    passcode = await _issue(visitor)
    await visitor.go(HERE)
    assert passcode not in visitor.page
    assert passcode[:8] in visitor.page
    await _deliver(visitor, "lose")
    assert passcode not in visitor.page


async def test_no_page_has_a_credential_in_it(development: Development, visitor: Visitor) -> None:
    hidden = {role.value: development.parts.secrets[role.value].encode() for role in Role}
    pages = {}
    await _issue(visitor)
    for trick in TRICKS:
        await _deliver(visitor, trick.name, fresh="yes")
        pages[trick.name] = visitor.page.encode()
    assert leaks(pages, hidden) == []


@pytest.mark.parametrize("name", PAYMENT)
async def test_what_a_visitor_types_is_shown_as_text(visitor: Visitor, name: str) -> None:
    markup = "\"'><script>alert(1)</script>{{ 7 * 7 }}"
    await _issue(visitor, **{name: markup})
    await _deliver(visitor, "combined", **{f"changes_{name}": "yes", f"forged_{name}": markup + "x"})
    assert "<script>alert" not in visitor.page
    assert "{{ 7 * 7 }}" in visitor.page
    assert markup in unescape(visitor.page)


# -- scripts to paste --


async def test_the_scripts_call_the_service_where_the_visitor_reached_it(visitor: Visitor) -> None:
    await _issue(visitor)
    assert f"http://{HOST}/v1/passcodes" in visitor.page
    visitor.host = "<script>"
    await visitor.go(HERE)
    assert "http://127.0.0.1:8080/v1/passcodes" in visitor.page


def test_a_value_with_quotes_stays_one_word_of_the_shell() -> None:
    body = {"client_id": "it's; rm -rf $HOME `x`", "context": {}, "transaction": {"payee": '"$PASSCODE"\\'}}
    line = scripts.curl("http://127.0.0.1:1", [Call(By.BACKEND, scripts.VALIDATE, body, 200, "id")])
    assert "it'\"'\"'s; rm -rf $HOME `x`" in line


async def test_a_page_that_nobody_is_logged_in_for_is_not_shown(development: Development) -> None:
    answer = await Visitor(development.service.front).get(HERE)
    assert (answer.status, header(answer, "location")) == (303, "/console/login")
