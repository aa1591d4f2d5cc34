"""The operator's pages over the real interface: what they show of what happened, of nothing, and of faults."""

import json
import logging
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from counterfoil.api.http import Response
from counterfoil.console.operating import sampling
from counterfoil.console.operating.passcode import ENTRIES_MAX
from counterfoil.console.operating.shared import FRESH_S, KEPT_MAX, SLOW_S
from counterfoil.console.operating.signs import FEW
from counterfoil.model.passcode import Header, Passcode
from counterfoil.model.principal import Role
from tests.support.canaries import leaks
from tests.support.console import Visitor, header
from tests.support.operating import Operating

PAGES = ("/", "/now", "/refusals", "/passcode", "/keys", "/health")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Operating]:
    house = Operating(tmp_path)
    yield house
    await house.store.close()


@pytest.fixture
async def visitor(house: Operating) -> Visitor:
    return await house.visitor()


async def shown(visitor: Visitor, page: str) -> str:
    assert (await visitor.go(f"/console{page}")).status == 200
    return visitor.text()


def part(visitor: Visitor, id_: str) -> str:
    """The text of one element."""
    found = re.search(rf'(?s)<(\w+)[^>]* id="{id_}"[^>]*>(.*?)</\1>', visitor.page)
    assert found, id_
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", found[2]))).strip()


def columns(visitor: Visitor, chart: str) -> list[list[float | None]]:
    """What a chart is drawn from."""
    found = re.search(rf'id="chart-{chart}"[^>]* data-columns="([^"]*)"', visitor.page)
    assert found
    decoded: list[list[float | None]] = json.loads(unescape(found[1]))
    return decoded


def fault(status: int = 503, code: str = "store_unavailable") -> Response:
    problem = {"title": "The store is unavailable", "detail": "Nothing is known.", "code": code}
    return Response(status, (), json.dumps(problem).encode())


# -- in general --


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_of_a_fresh_service_says_what_will_be_seen(visitor: Visitor, page: str) -> None:
    text = await shown(visitor, page)
    assert "Traceback" not in text
    assert f'href="/console{page}" aria-current="page"' in visitor.page or page == "/"


@pytest.mark.parametrize("page", PAGES)
async def test_what_the_api_cannot_tell_is_said_in_words_and_the_page_stays(
    house: Operating, visitor: Visitor, page: str
) -> None:
    for path in ("/metrics", "/readyz", "/v1/refusals", "/v1/journal", "/v1/keys", "/v1/credentials", "/v1/health"):
        house.api.instead[path] = fault()
    text = await shown(visitor, f"{page}?timestamp=1" if page == "/passcode" else page)
    assert "The store is unavailable. Nothing is known." in text


async def test_a_store_without_a_journal_is_said_to_have_none(tmp_path: Path) -> None:
    visitor = await Operating(tmp_path, keeps_journal=False).visitor()
    for page in ("/refusals", "/passcode?timestamp=1&client_id=shop-1"):
        assert "This service's store keeps no journal that can be read here." in await shown(visitor, page), page
    # What does not need one is told all the same.
    assert "Seals" in await shown(visitor, "/keys")
    assert "there is no journal entry" in visitor.text()


@pytest.mark.parametrize("page", PAGES)
async def test_a_credential_that_is_revoked_ends_the_session_on_every_page(
    house: Operating, visitor: Visitor, page: str
) -> None:
    house.parts.credentials.revoke("the-operator")
    answer = await visitor.get(f"/console{page}")
    assert answer.status == 401
    assert "Your session has ended" in visitor.text()


async def test_a_credential_that_ends_between_two_questions_is_said_to_have_ended(house: Operating, visitor: Visitor) -> None:
    house.api.instead["/v1/keys"] = fault(401, "unauthenticated")
    assert "Your credential has ended meanwhile: log in again." in await shown(visitor, "/keys")


async def test_a_page_that_asks_again_by_itself_keeps_no_session_alive(house: Operating, visitor: Visitor) -> None:
    for _ in range(4):
        house.seconds += 600
        await visitor.get("/console/now", headers={b"counterfoil-live": b"1"})
    assert (await visitor.get("/console/now")).status == 303


async def test_a_page_without_a_script_has_a_link_to_load_it_again(visitor: Visitor) -> None:
    for page in PAGES:
        if page != "/passcode":
            await shown(visitor, page)
            assert re.search(r'<a[^>]* href="">Load again</a>', visitor.page), page


@pytest.mark.parametrize(
    "query", ["client_id=%FF", "&".join(f"a{at}=1" for at in range(99)), "within=1000000", "timestamp=x", "=&&"]
)
async def test_an_address_that_is_made_up_does_no_harm(visitor: Visitor, query: str) -> None:
    for page in ("/refusals", "/passcode"):
        await shown(visitor, f"{page}?{query}")


# -- now --


async def test_now_shows_rates_between_two_looks(house: Operating, visitor: Visitor) -> None:
    await house.pay()
    await shown(visitor, "/now")
    assert part(visitor, "tile-issued") == "Issued – a second"
    for _ in range(4):
        await house.pay()
    assert (await house.pay(transaction={"amount": "99.00"}))[0] == 409
    house.pass_s(2)
    text = await shown(visitor, "/now")
    assert part(visitor, "tile-issued") == "Issued 2.5 a second"
    assert part(visitor, "tile-validated") == "Validated 2.5 a second"
    assert part(visitor, "tile-share") == "Accepted 80.0 % of validations"
    assert part(visitor, "tile-refused") == "Refused 0.5 a second"
    assert "In all, 6 issued, 5 accepted, 1 refused, 0 faults." in text
    assert part(visitor, "reasons-rows") == "transaction_mismatch 1 0.5"
    assert [column[-1] for column in columns(visitor, "rates")[1:]] == [2.5, 2.0, 0.5]
    assert [column[-1] for column in columns(visitor, "reasons")[1:]] == [0.5]
    assert columns(visitor, "share")[1][-1] == 80.0
    assert "transaction_mismatch 0.5/s" in part(visitor, "interval-rows")
    # The time is the service's own.
    assert columns(visitor, "rates")[0][-1] == pytest.approx(house.clock.now_us / 1e6, abs=0.001)


async def test_now_shows_faults_as_bad(house: Operating, visitor: Visitor) -> None:
    await shown(visitor, "/now")
    house.pass_s(2)
    await house.store.close()
    await house.parts.ask("GET", "/readyz")
    await shown(visitor, "/now")
    assert 'class="tile is-bad" id="tile-faults"' in visitor.page
    assert part(visitor, "tile-faults").startswith("Faults 0.5")


async def test_one_sample_is_shared_by_all_and_none_is_taken_while_nobody_looks(house: Operating, visitor: Visitor) -> None:
    second = await house.visitor()
    house.seconds += 60
    house.api.asked.clear()
    for each in (visitor, second, visitor, second):
        await shown(each, "/now")
    assert house.api.asked.count("GET /metrics") == 1
    house.seconds += sampling.FRESH_S
    await shown(second, "/now")
    assert house.api.asked.count("GET /metrics") == 2
    house.seconds += 3600
    await shown(second, "/keys")
    assert house.api.asked.count("GET /metrics") == 2


async def test_samples_are_bounded_and_after_a_gap_nothing_is_said_of_the_time_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "SAMPLES_MAX", 10)
    house = Operating(tmp_path)
    visitor = await house.visitor()
    for _ in range(sampling.SAMPLES_MAX + 5):
        house.seconds += sampling.EVERY_S
        await shown(visitor, "/now")
    assert len(columns(visitor, "rates")[0]) == sampling.SAMPLES_MAX
    house.seconds += sampling.GAP_S + 1
    await shown(visitor, "/now")
    assert columns(visitor, "rates")[1][-2:] == [0.0, None]
    assert part(visitor, "tile-issued") == "Issued – a second"
    house.seconds += sampling.EVERY_S
    await shown(visitor, "/now")
    assert part(visitor, "tile-issued") == "Issued 0.0 a second"


async def test_a_service_that_counts_nothing_is_said_to(tmp_path: Path) -> None:
    visitor = await Operating(tmp_path, counts=False).visitor()
    assert "This service counts nothing" in await shown(visitor, "/now")


async def test_a_fresh_service_says_how_to_make_the_first_passcode(house: Operating, visitor: Visitor) -> None:
    assert "Nothing to see yet" in await shown(visitor, "/now")
    assert "/v1/passcodes" in visitor.page
    await house.pay()
    house.seconds += 2
    assert "Nothing to see yet" not in await shown(visitor, "/now")


# -- refusals --


async def test_refusals_show_an_attack_for_what_it_is(house: Operating, visitor: Visitor) -> None:
    for _ in range(FEW):
        assert (await house.pay(transaction={"amount": "9910.00"}))[0] == 409
        house.pass_s(1)
    text = await shown(visitor, "/refusals")
    assert "Unusual transaction_mismatch : 5 within the last" in text
    assert "an intermediary looks like that alters payments" in text
    assert "All for client shop-1, asked by the-validator" in text
    assert part(visitor, "groups") == "transaction_mismatch shop-1 the-validator 5 5 seconds ago 1 second ago"
    assert columns(visitor, "refusals")[1][-1] == 5
    assert "5 transaction_mismatch" in part(visitor, "bins")
    assert len(re.findall(r'href="/console/passcode\?client_id=shop-1&amp;timestamp=\d+#story"', visitor.page)) == 5


async def test_refusals_can_be_of_one_client_and_of_another_time(house: Operating, visitor: Visitor) -> None:
    await house.pay("shop-1", transaction={"amount": "9.00"})
    await house.pay("shop 2/ä&", transaction={"amount": "9.00"})
    house.clock.advance_s(3601)
    assert "Nobody." in await shown(visitor, "/refusals")
    await shown(visitor, "/refusals?within=1440")
    assert "shop-1" in part(visitor, "groups")
    link = re.search(r'href="(/console/refusals\?client_id=shop%202[^"]*)"', visitor.page)
    assert link
    await shown(visitor, unescape(link[1]).removeprefix("/console"))
    assert part(visitor, "groups").startswith("transaction_mismatch shop 2/ä& the-validator 1")
    assert "shop-1" not in part(visitor, "groups")
    assert '<option value="1440" selected>' in visitor.page
    assert "Nobody for this client." in await shown(visitor, "/refusals?client_id=nobody")


async def test_a_client_id_that_breaks_a_rule_is_told_the_rule(visitor: Visitor) -> None:
    assert "client_id" in await shown(visitor, f"/refusals?client_id={'x' * 129}")
    assert "The log knows it as" in visitor.text()


async def test_what_was_not_looked_at_is_said(house: Operating, visitor: Visitor) -> None:
    group = {"client_id": "c", "by": "b", "reason": "expired", "count": 1, "first_at": 1, "last_at": 2}
    until = house.clock.now_us
    told: dict[str, Any] = {
        "since": until - 300_000_000,
        "until": until,
        "groups": [group] * 120,
        "left_off": 7,
        "bins": {"width_us": 60_000_000, "starts": [until - 60_000_000], "counts": {"expired": [127]}},
    }
    house.api.instead["/v1/refusals"] = Response(200, (), json.dumps(told).encode())
    text = await shown(visitor, "/refusals")
    assert "There is much to look through: shown is what happened since" in text
    assert "And 27 more" in text


async def test_the_same_question_is_asked_once_in_a_while(house: Operating, visitor: Visitor) -> None:
    await house.pay(transaction={"amount": "9.00"})
    house.api.asked.clear()
    for _ in range(3):
        await shown(visitor, "/refusals")
        await shown(visitor, "/")
    assert house.api.asked.count("GET /v1/refusals") == 1
    house.seconds += FRESH_S
    await shown(visitor, "/refusals")
    assert house.api.asked.count("GET /v1/refusals") == 2
    for at in range(KEPT_MAX + 1):
        await shown(visitor, f"/refusals?client_id=c{at}")
    await shown(visitor, "/refusals?client_id=c0")
    assert house.api.asked.count("GET /v1/refusals") == 2 + KEPT_MAX + 2


async def test_nothing_on_the_page_is_later_than_it_says_to_be(house: Operating, visitor: Visitor) -> None:
    assert (await house.pay(transaction={"amount": "99.00"}))[0] == 409
    house.pass_s(61)
    # The first page has asked for the same counts, and Refusals shows them for a moment more.
    await shown(visitor, "/")
    as_of = part(visitor, "as-of")
    house.pass_s(FRESH_S / 2)
    assert (await house.pay(transaction={"amount": "99.00"}))[0] == 409
    await shown(visitor, "/refusals")
    assert part(visitor, "as-of") == as_of
    assert part(visitor, "latest-rows").count("transaction_mismatch") == 1
    house.pass_s(FRESH_S / 2)
    await shown(visitor, "/refusals")
    assert part(visitor, "latest-rows").count("transaction_mismatch") == 2


async def test_what_changes_by_the_day_is_asked_less_often_but_by_its_own_page(house: Operating, visitor: Visitor) -> None:
    house.api.asked.clear()
    for _ in range(3):
        await shown(visitor, "/")
        house.seconds += SLOW_S / 4
    assert house.api.asked.count("GET /v1/credentials") == 1
    await shown(visitor, "/keys")
    assert house.api.asked.count("GET /v1/credentials") == 2


async def test_a_fault_is_not_kept_for_later(house: Operating, visitor: Visitor) -> None:
    house.api.instead["/v1/refusals"] = fault()
    await shown(visitor, "/refusals")
    house.api.instead.clear()
    assert "The store is unavailable" not in await shown(visitor, "/refusals")


# -- one passcode --


async def test_a_pasted_passcode_tells_the_story_of_its_theft_and_goes_nowhere(
    house: Operating, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    status, issued = await house.pay()
    assert status == 200
    house.pass_s(2)
    again = await house.parts.validate(issued["passcode"], client_id="shop-1", transaction={"amount": "10.00"})
    assert again.status == 409
    await visitor.go("/console/passcode")
    answer = await visitor.post("/console/passcode/find", {"passcode": f" {issued['passcode']}\n"})
    location = header(answer, "location") or ""
    assert (answer.status, location) == (303, f"/console/passcode?timestamp={issued['timestamp']}#story")
    text = await shown(visitor, location.removeprefix("/console").partition("#")[0])
    assert "Copied Redeemed once, 0.000 s after it was issued" in text
    assert "delivered again once" in text
    assert re.search(r"\+0.000 s .* Issued by the-issuer .* Accepted by the-validator .* \+2.000 s .* already_redeemed", text)
    assert "Counterfoil redeemed, key" in text
    # Neither the passcode nor any part of it that is a secret is in what was sent back, nor in the log.
    places = {"page": visitor.page.encode(), "answer": answer.body, "address": location.encode(), "log": caplog.text.encode()}
    assert leaks(places, {"passcode": issued["passcode"].encode()}) == []


async def test_an_altered_payment_shows_what_was_spent(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay(transaction={"amount": "99.00"})
    text = await shown(visitor, f"/passcode?timestamp={issued['timestamp']}&client_id=shop-1")
    assert "Altered Never redeemed; refused once" in text
    assert "Counterfoil issued, 1 of 5 attempts spent" in text
    house.pass_s(61)
    assert "Counterfoil expired, 1 of 5" in await shown(visitor, f"/passcode?timestamp={issued['timestamp']}")


async def test_what_is_no_passcode_is_not_repeated(visitor: Visitor) -> None:
    for pasted in ("cf1_" + "A" * 82, "secret-of-somebody", "é" * 87):
        await visitor.go("/console/passcode")
        assert (await visitor.go("/console/passcode/find", {"passcode": pasted, "client_id": "shop-1"})).status == 200
        assert "not spelled like a passcode" in visitor.text()
        assert pasted not in visitor.page
        assert 'value="shop-1"' in visitor.page


async def test_a_passcode_in_the_wrong_field_goes_nowhere_either(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay()
    passcode = issued["passcode"]
    for others in ({"timestamp": "1"}, {"passcode": passcode}, {"passcode": "x"}, {}):
        await visitor.go("/console/passcode")
        answer = await visitor.post("/console/passcode/find", {"client_id": passcode, **others})
        assert (answer.status, passcode in visitor.page) == (200, False)
        assert "Paste it into its own" in visitor.text()
    await visitor.post("/console/passcode/find", {"timestamp": passcode})
    assert passcode not in visitor.page


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1" * 20, str(2**63), "１", "1.5"])
async def test_what_is_no_timestamp_is_told_the_rule(visitor: Visitor, timestamp: str) -> None:
    await visitor.go("/console/passcode")
    await visitor.go("/console/passcode/find", {"timestamp": timestamp})
    assert "digits alone" in visitor.text()


async def test_a_timestamp_and_a_client_find_it_too(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay()
    await visitor.go("/console/passcode")
    fields = {"timestamp": str(issued["timestamp"]), "client_id": "shop-1"}
    assert (await visitor.go("/console/passcode/find", fields)).status == 200
    assert "Redeemed once" in visitor.text()


async def test_two_clients_with_one_timestamp_are_told_apart(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay("shop-1")
    _, other = await house.pay("shop-2")
    assert issued["timestamp"] == other["timestamp"]
    text = await shown(visitor, f"/passcode?timestamp={issued['timestamp']}")
    assert "Which client?" in text
    assert "shop-1" in text
    assert "shop-2" in text


async def test_a_passcode_presented_for_another_client_is_part_of_its_story(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay("shop-1")
    await house.parts.validate(issued["passcode"], client_id="shop-9")
    text = await shown(visitor, f"/passcode?timestamp={issued['timestamp']}")
    assert "It was presented for client shop-9" in text
    assert "presented for another client once" in text


@pytest.mark.parametrize("timestamp_us", [253_402_300_799_999_999, 253_402_300_800_000_000, 10**18 - 1, 2**63 - 600_000_001])
async def test_a_forgery_of_a_time_beyond_all_calendars_is_told_as_one(
    house: Operating, visitor: Visitor, timestamp_us: int
) -> None:
    forged = Passcode(Header.of(b"none", timestamp_us, 60, bytes(16)), bytes(32)).reveal()
    assert (await house.parts.validate(forged, client_id="shop-1")).status == 409
    await shown(visitor, "/refusals")
    (link,) = re.findall(r'href="/console(/passcode\?[^"#]*)', visitor.page)
    text = await shown(visitor, unescape(link))
    assert "That time has not come yet" in text
    assert "9999-12-31 23:59:59.999999 UTC" in text
    assert ("after 9999" in text) == (timestamp_us > 253_402_300_799_999_999)
    await visitor.go("/console/passcode/find", {"passcode": forged, "client_id": "shop-1"})
    assert "That time has not come yet" in visitor.text()


async def test_what_the_journal_does_not_have_is_said(visitor: Visitor) -> None:
    assert "The journal has nothing of it" in await shown(visitor, "/passcode?timestamp=1")
    assert "The journal has nothing of it" in await shown(visitor, "/passcode?timestamp=1&client_id=shop-1")


async def test_a_long_story_goes_on_elsewhere(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay()
    for _ in range(ENTRIES_MAX):
        await house.parts.validate(issued["passcode"], client_id="shop-1")
    await shown(visitor, f"/passcode?timestamp={issued['timestamp']}")
    assert visitor.page.count('<p class="when">') == ENTRIES_MAX
    onward = re.search(r'<a href="([^"]*cursor=[^"]*)">Look on', visitor.page)
    assert onward
    await shown(visitor, unescape(onward[1]).removeprefix("/console").partition("#")[0])
    assert visitor.page.count('<p class="when">') == 2


async def test_without_names_ids_are_shown(house: Operating, visitor: Visitor) -> None:
    _, issued = await house.pay()
    house.api.instead["/v1/credentials"] = fault()
    assert "Issued by" in await shown(visitor, f"/passcode?timestamp={issued['timestamp']}")


# -- keys, credentials, health --


async def test_keys_and_credentials_are_shown_with_what_is_due(house: Operating, visitor: Visitor) -> None:
    await house.pay()
    house.parts.credentials.create("old", Role.ISSUER, ("shop-*", "kiosk-1"))
    house.parts.credentials.revoke("old")
    house.parts.keyset.rotate()
    text = await shown(visitor, "/keys")
    assert re.search(r"Seals [0-9a-f]{8} just now Seals new passcodes", text)
    assert re.search(r"Opens [0-9a-f]{8} just now", text)
    assert "Live the-issuer issuer * just now just now just now never" in text
    assert "Live the-operator operator – just now just now not told never" in text
    assert "Revoked old issuer shop-*, kiosk-1 just now" in text
    house.clock.advance_s(91 * 86_400)
    text = await shown(visitor, "/keys")
    assert "Rotation due" in text
    assert "counterfoil keyset rotate" in text
    assert "Not used counterfoil credential revoke the-issuer the-issuer" in text


async def test_no_key_material_and_no_secret_is_on_the_page(house: Operating, visitor: Visitor) -> None:
    await shown(visitor, "/keys")
    kept = json.loads(house.parts.keyset.path.read_text())
    secrets = {name: secret.encode() for name, secret in house.parts.secrets.items()}
    assert leaks({"page": visitor.page.encode()}, secrets) == []
    for text in re.findall(r'"([A-Za-z0-9+/=_-]{32,})"', json.dumps(kept)):
        assert text not in visitor.page


async def test_health_is_what_doctor_says_the_worst_first(house: Operating, visitor: Visitor) -> None:
    house.parts.folder.chmod(0o755)
    text = await shown(visitor, "/health")
    assert "Mend folder" in text
    assert "chmod 700" in text
    assert text.index("Mend folder") < text.index("Good service")
    assert "to mend" in text


# -- the first page --


async def test_at_night_the_first_page_answers_at_once(house: Operating, visitor: Visitor) -> None:
    house.parts.folder.chmod(0o700)
    text = await shown(visitor, "/")
    for question in ("Is it serving?", "Are refusals unusual?", "What is due?"):
        assert question in text
    assert "Yes Store and keys would serve now" in text
    assert "As usual No reason stands out" in text


async def test_the_first_page_shows_an_attack_and_what_is_due(house: Operating, visitor: Visitor) -> None:
    for _ in range(FEW):
        await house.pay(transaction={"amount": "9910.00"})
    house.parts.credentials.exchange("the-validator")
    text = await shown(visitor, "/")
    assert "Something is wrong" in text
    assert "Unusual transaction_mismatch : 5 within" in text
    assert "Being exchanged the-validator" in text


async def test_the_first_page_says_when_it_does_not_serve(house: Operating, visitor: Visitor) -> None:
    await house.store.close()
    text = await shown(visitor, "/")
    assert "Is it serving? No The store is unavailable" in text
    assert "Something is wrong" in text


async def test_the_first_page_says_what_nobody_knows(tmp_path: Path) -> None:
    house = Operating(tmp_path, keeps_journal=False)
    tmp_path.chmod(0o700)
    house.api.instead["/v1/health"] = Response(200, (), b'{"checks": []}')
    text = await shown(await house.visitor(), "/")
    assert "Are refusals unusual? Not known This deployment does not tell that" in text
    assert "Not everything is known" in text
    assert "What is due? Nothing" in text


async def test_the_first_page_tells_the_rates_once_it_has_looked_twice(house: Operating, visitor: Visitor) -> None:
    await shown(visitor, "/")
    await house.pay()
    house.pass_s(10)
    assert "0.1 issued and 0.1 accepted a second." in await shown(visitor, "/")
    await house.store.close()
    await house.parts.ask("GET", "/readyz")
    house.api.instead["/readyz"] = Response(200, (), b"{}")
    house.pass_s(10)
    assert "0.1 faults." in await shown(visitor, "/")
