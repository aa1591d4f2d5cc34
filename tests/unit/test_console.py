"""The console's frame: who gets in and for how long, whose forms are taken, what a browser is held to, what is escaped."""

import logging
import re
import sys
import tomllib
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest

from counterfoil.api.http import Interface, Request, Response
from counterfoil.console import assets as assets_module
from counterfoil.console import failed_logins, sessions
from counterfoil.console.app import Console
from counterfoil.console.assets import Assets
from counterfoil.console.cookies import cookie
from counterfoil.console.forms import FIELDS_MAX, FORM_BYTES_MAX, FormRefused, FormTokens, read_form
from counterfoil.console.pages import Page, Visit
from counterfoil.model.invalid import Invalid
from counterfoil.settings import Settings
from tests.support.canaries import leaks
from tests.support.console import Visitor, header
from tests.support.parts import Parts, made_parts

FORM = {b"content-type": b"application/x-www-form-urlencoded"}


class Seconds:
    """Time since whenever, turned by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class House:
    """A console with one page of its own, over a real service."""

    def __init__(self, folder: Path, *, over_tls: bool = False) -> None:
        self.parts: Parts = made_parts(folder)
        self.seconds = Seconds()
        self.console = Console(self.parts.service.api, over_tls=over_tls, monotonic_s=self.seconds)
        self.seen: list[Visit] = []

        async def shown(visit: Visit) -> Response:
            self.seen.append(visit)
            return visit.page("home.html", title="A page")

        async def broken(visit: Visit) -> Response:
            raise RuntimeError(visit.session.credential)

        self.console.add(Page("/page", "A page", "About it.", shown, {"act": shown, "broken": broken}))

    def visitor(self) -> Visitor:
        return Visitor(self.console)

    async def operator(self) -> Visitor:
        """Somebody who has logged in."""
        visitor = self.visitor()
        assert (await visitor.log_in(self.parts.secrets["operator"])).status == 200
        return visitor


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


# -- where it is --


async def test_it_is_off_unless_it_is_switched_on(tmp_path: Path) -> None:
    assert Settings().console is False
    parts = made_parts(tmp_path)
    assert parts.service.front is parts.service.api
    assert (await parts.ask("GET", "/console/login")).status == 404


async def test_switched_on_it_stands_in_front_of_the_api(tmp_path: Path) -> None:
    visitor = Visitor(made_parts(tmp_path, console=True).service.front)
    assert (await visitor.go("/console")).status == 200
    assert "Operator's credential" in visitor.text()
    health = await visitor.get("/healthz")
    assert health.body == b'{"status":"ok"}'
    assert (await visitor.get("/consoles")).status == 404


def test_without_its_library_the_setting_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "counterfoil.console.app", None)
    with pytest.raises(Invalid, match=re.escape("console: needs Jinja2: pip install 'counterfoil[console]'")):
        made_parts(tmp_path, console=True)


# -- the way in --


async def test_an_operator_logs_in_with_a_credential_and_it_is_never_sent_back(house: House) -> None:
    visitor = await house.operator()
    assert "the-operator" in visitor.text()
    await visitor.go("/console/page")
    assert house.parts.secrets["operator"] not in visitor.page
    assert house.seen[0].caller.role == "operator"


@pytest.mark.parametrize("role", ["issuer", "validator"])
async def test_another_role_is_not_let_in(house: House, role: str) -> None:
    visitor = house.visitor()
    assert (await visitor.log_in(house.parts.secrets[role])).status == 401
    assert "another role" in visitor.text()
    assert (await visitor.get("/console/")).status == 303


@pytest.mark.parametrize("credential", ["", "cfo_" + "0" * 43, "é", "a\nb", "x" * 300])
async def test_what_is_no_credential_is_refused_and_logged_without_its_value(
    house: House, credential: str, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = house.visitor()
    with caplog.at_level(logging.DEBUG):
        assert (await visitor.log_in(credential)).status == 401
    assert "refused" in caplog.text
    assert not credential or credential not in caplog.text + visitor.page


async def test_failed_logins_wait_after_a_few_and_open_sessions_do_not_notice(house: House) -> None:
    inside, stranger = await house.operator(), house.visitor()
    statuses = [(await stranger.log_in("wrong")).status for _ in range(failed_logins.BURST)]
    assert set(statuses) == {401}
    refused = await stranger.log_in("wrong")
    assert (refused.status, header(refused, "retry-after")) == (429, "3")
    assert (await inside.go("/console/page")).status == 200
    house.seconds.now_s += failed_logins.EVERY_S
    assert (await stranger.log_in("wrong")).status == 401


async def test_links_that_are_made_up_wait_as_well_and_spend_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    token = house.console.admit_once(house.parts.secrets["operator"])
    stranger = house.visitor()
    await stranger.go("/console/login")
    statuses = [(await stranger.go("/console/login/once", {"once": f"guess-{at}"})).status for at in range(50)]
    assert statuses == [401] * failed_logins.BURST + [429] * (50 - failed_logins.BURST)
    assert caplog.text.count("a login link of the console was refused") == failed_logins.BURST
    assert (await stranger.log_in("wrong")).status == 429
    await stranger.go(f"/console/login?once={token}")
    assert (await stranger.go("/console/login/once", {"once": token})).status == 429
    house.seconds.now_s += failed_logins.EVERY_S
    await stranger.go(f"/console/login?once={token}")
    assert (await stranger.go("/console/login/once", {"once": token})).status == 200


async def test_a_login_has_a_session_id_of_its_own_every_time(house: House) -> None:
    visitor = house.visitor()
    visitor.cookies["counterfoil_console"] = "planted"
    await visitor.log_in(house.parts.secrets["operator"])
    first = visitor.cookies["counterfoil_console"]
    assert first != "planted"
    await visitor.log_in(house.parts.secrets["operator"])
    assert visitor.cookies["counterfoil_console"] != first
    assert len(first) == 43


async def test_who_logs_in_again_leaves_no_session_behind(house: House) -> None:
    visitor, holder = await house.operator(), house.visitor()
    holder.cookies.update(visitor.cookies)
    assert (await holder.get("/console/")).status == 200
    await visitor.log_in(house.parts.secrets["operator"])
    assert (await visitor.get("/console/")).status == 200
    assert (await holder.get("/console/")).status == 303


async def test_cookies_are_for_this_path_this_site_and_no_script(house: House, tmp_path: Path) -> None:
    visitor = house.visitor()
    await visitor.get("/console/login")
    response = await visitor.post("/console/login", {"credential": house.parts.secrets["operator"]})
    set_cookie = header(response, "set-cookie")
    assert set_cookie is not None
    assert set_cookie.endswith("; Path=/console; HttpOnly; SameSite=Strict")
    safe = House(tmp_path / "tls", over_tls=True)
    response = await safe.visitor().get("/console/login")
    assert (header(response, "set-cookie") or "").endswith("; SameSite=Strict; Secure")


@pytest.mark.parametrize("setting", [{"tls_terminated_upstream": True}, {"tls_cert": "cert.pem", "tls_key": "key.pem"}])
async def test_the_settings_say_whether_cookies_need_tls(tmp_path: Path, setting: dict[str, Any]) -> None:
    response = await Visitor(made_parts(tmp_path, console=True, **setting).service.front).get("/console/login")
    assert (header(response, "set-cookie") or "").endswith("; Secure")


async def test_a_planted_login_cookie_is_not_repeated(house: House) -> None:
    visitor = house.visitor()
    visitor.cookies["counterfoil_login"] = "x, y"
    response = await visitor.get("/console/login")
    assert "x, y" not in (header(response, "set-cookie") or "")


# -- links that work once --


async def test_a_link_lets_in_once(house: House) -> None:
    token = house.console.admit_once(house.parts.secrets["operator"])
    first, second = house.visitor(), house.visitor()
    # A preview looks at it; that spends nothing.
    for looked in ("GET", "HEAD"):
        assert (await second.get(f"/console/login?once={token}", looked)).status == 200
    await first.go(f"/console/login?once={token}")
    assert (await first.go("/console/login/once", {"once": token})).status == 200
    assert "the-operator" in first.text()
    assert (await second.go("/console/login/once", {"once": token})).status == 401
    assert "spent" in second.text()


async def test_a_link_ends_after_a_quarter_of_an_hour(house: House) -> None:
    token = house.console.admit_once(house.parts.secrets["operator"])
    visitor = house.visitor()
    await visitor.go(f"/console/login?once={token}")
    house.seconds.now_s += sessions.ONCE_S
    assert (await visitor.go("/console/login/once", {"once": token})).status == 401


async def test_a_link_is_spent_by_no_get_and_by_no_form_from_elsewhere(house: House) -> None:
    token = house.console.admit_once(house.parts.secrets["operator"])
    visitor = house.visitor()
    assert (await visitor.get(f"/console/login/once?once={token}")).status == 405
    await visitor.get("/console/login")
    assert (await visitor.post("/console/login/once", {"once": token}, token="0" * 64)).status == 400
    await visitor.get("/console/login")
    assert (await visitor.go("/console/login/once", {"once": token})).status == 200


async def test_the_oldest_link_makes_room(house: House) -> None:
    tokens = [house.console.admit_once(house.parts.secrets["operator"]) for _ in range(sessions.ONCE_MAX + 1)]
    visitor = house.visitor()
    await visitor.get("/console/login")
    assert (await visitor.go("/console/login/once", {"once": tokens[0]})).status == 401
    assert (await visitor.go("/console/login/once", {"once": tokens[1]})).status == 200


# -- sessions --


async def test_a_session_ends_with_its_credential(house: House) -> None:
    visitor = await house.operator()
    house.parts.credentials.revoke("the-operator")
    assert (await visitor.go("/console/page")).status == 401
    assert "revoked" in visitor.text()
    assert house.seen == []
    assert (await visitor.get("/console/page")).status == 303


async def test_while_nobody_can_say_whose_it_is_a_session_waits(house: House) -> None:
    visitor = await house.operator()
    house.parts.credentials.path.chmod(0o644)
    assert (await visitor.go("/console/page")).status == 503
    assert (await house.visitor().log_in(house.parts.secrets["operator"])).status == 503
    house.parts.credentials.path.chmod(0o600)
    assert (await visitor.go("/console/page")).status == 200


async def test_a_session_that_is_left_alone_ends(house: House) -> None:
    visitor = await house.operator()
    for _ in range(3):
        house.seconds.now_s += sessions.IDLE_S - 1
        assert (await visitor.get("/console/page")).status == 200
    house.seconds.now_s += sessions.IDLE_S
    assert (await visitor.get("/console/page")).status == 303


async def test_a_session_ends_after_half_a_day_whatever_happens(house: House) -> None:
    visitor = await house.operator()
    step_s = sessions.IDLE_S / 2
    for _ in range(int(sessions.ABSOLUTE_S / step_s) - 1):
        house.seconds.now_s += step_s
        assert (await visitor.get("/console/page")).status == 200
    house.seconds.now_s += step_s
    assert (await visitor.get("/console/page")).status == 303


async def test_logging_out_ends_the_session_and_not_only_the_cookie(house: House) -> None:
    visitor = await house.operator()
    kept = dict(visitor.cookies)
    await visitor.go("/console/logout", {})
    assert "counterfoil_console" not in visitor.cookies
    visitor.cookies = kept
    assert (await visitor.get("/console/page")).status == 303


def test_sessions_are_bounded_and_the_one_left_alone_longest_makes_room() -> None:
    seconds = Seconds()
    kept = sessions.Sessions(seconds, token_bytes)
    ids = []
    for _ in range(sessions.SESSIONS_MAX):
        seconds.now_s += 1
        ids.append(kept.begin("credential"))
    assert kept.find(ids[0]) is not None
    seconds.now_s += 1
    newest = kept.begin("credential")
    assert kept.find(ids[1]) is None
    assert None not in [kept.find(each) for each in (ids[0], *ids[2:], newest)]


def test_no_repr_shows_a_credential_and_no_session_id_is_kept() -> None:
    kept = sessions.Sessions(Seconds(), token_bytes)
    session_id = kept.begin("cfo_canary")
    assert "canary" not in repr(kept.find(session_id))
    assert leaks({"kept": repr(kept._sessions).encode()}, {"id": session_id.encode()}) == []
    assert "canary" not in repr(FormTokens(b"canary"))


# -- forms --


@pytest.mark.parametrize("path", ["/console/page/act", "/console/logout"])
@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_form_without_the_visitors_own_token_does_nothing(house: House, path: str, token: str) -> None:
    visitor, other = await house.operator(), await house.operator()
    await other.go("/console/page")
    house.seen.clear()
    for wrong in (token or "-", other.token()):
        answer = await visitor.post(path, {}, token=wrong)
        assert answer.status == 400
    assert house.seen == []
    assert (await visitor.get("/console/page")).status == 200


async def test_a_form_with_its_token_acts(house: House) -> None:
    visitor = await house.operator()
    assert (await visitor.go("/console/page/act", {"what": "this"})).status == 200
    assert house.seen[-1].form["what"] == "this"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({b"content-type": b"application/json"}, b"{}"),
        ({}, b"a=1"),
        (FORM, b"a=\xff"),
        (FORM, b"a=%ff"),
        (FORM, b"a=1&a=2"),
        (FORM, b"&".join(b"a%d=1" % number for number in range(FIELDS_MAX + 1))),
    ],
)
def test_what_is_no_form_is_refused(headers: dict[bytes, bytes], body: bytes) -> None:
    with pytest.raises(FormRefused):
        read_form(Request("POST", "/console/page", b"", headers, body, "req_test"))


def test_a_form_has_as_many_bytes_as_ours_can_have_and_no_more() -> None:
    """65,536 percent signs took 18 ms to decode, in which nobody else was answered."""
    for more, is_taken in ((-1, True), (0, True), (1, False)):
        request = Request("POST", "/console/login", b"", FORM, b"a=" + b"%" * (FORM_BYTES_MAX - 2 + more), "req_test")
        with nullcontext() if is_taken else pytest.raises(FormRefused, match="at most 8192 bytes"):
            read_form(request)


async def test_a_login_link_longer_than_any_of_ours_is_none(house: House) -> None:
    visitor = house.visitor()
    for chars, is_taken in ((251, True), (252, False), (30_000, False)):
        await visitor.get(f"/console/login?once={'x' * chars}")
        assert ("lets you in once" in visitor.text()) == is_taken


def test_a_form_is_read_as_it_was_typed() -> None:
    body = b"payee=M%C3%BCller+%26+S%C3%B6hne&empty="
    headers = {b"content-type": b"Application/X-WWW-Form-Urlencoded; charset=utf-8"}
    assert read_form(Request("POST", "/", b"", headers, body, "")) == {"payee": "Müller & Söhne", "empty": ""}


@pytest.mark.parametrize("sent", [b"a=1; a=2", b"ab=1", b""])
def test_a_cookie_given_twice_or_not_at_all_is_none(sent: bytes) -> None:
    assert cookie(Request("GET", "/", b"", {b"cookie": sent}, b"", ""), "a") is None


# -- what a browser is held to --


async def _all_answers(house: House) -> dict[str, Response]:
    visitor = await house.operator()
    stranger = house.visitor()
    return {
        "page": await visitor.get("/console/page"),
        "home": await visitor.get("/console/"),
        "redirection": await visitor.get("/console"),
        "login": await stranger.get("/console/login"),
        "no session": await stranger.get("/console/page"),
        "no such page": await visitor.get("/console/nowhere"),
        "no such asset": await visitor.get("/console/assets/console.css"),
        "wrong method": await visitor.get("/console/page", "DELETE"),
        "no form": await visitor.post("/console/page/act", {}, token="x"),
        "unforeseen": await (await house.operator()).post("/console/page/broken", {}),
        "asset": await stranger.get(Assets().path("console.css")),
        "script": await stranger.get(Assets().path("console.js"), "HEAD"),
    }


async def test_every_answer_forbids_scripts_frames_and_hosts_that_are_not_ours(house: House) -> None:
    for name, answer in (await _all_answers(house)).items():
        policy = header(answer, "content-security-policy") or ""
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), name
        assert "unsafe" not in policy, name
        assert "frame-ancestors 'none'; base-uri 'none'" in policy, name
        assert header(answer, "referrer-policy") == "no-referrer", name
        assert header(answer, "x-content-type-options") == "nosniff", name
        assert header(answer, "cross-origin-opener-policy") == "same-origin", name
        kept = "public, max-age=31536000, immutable" if name in ("asset", "script") else "no-store"
        assert header(answer, "cache-control") == kept, name


async def test_no_page_has_a_style_or_a_script_in_it_or_names_another_host(house: House) -> None:
    for name, answer in (await _all_answers(house)).items():
        text = answer.body.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)|javascript:", text.replace("<style>.stub", "")), name
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), name


async def test_statuses_say_what_happened(house: House) -> None:
    answers = await _all_answers(house)
    assert {name: answer.status for name, answer in answers.items()} == {
        "page": 200,
        "home": 200,
        "redirection": 303,
        "login": 200,
        "no session": 303,
        "no such page": 404,
        "no such asset": 404,
        "wrong method": 405,
        "no form": 400,
        "unforeseen": 500,
        "asset": 200,
        "script": 200,
    }
    assert header(answers["wrong method"], "allow") == "GET"


async def test_an_unforeseen_error_is_logged_and_its_words_are_not_shown(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = await house.operator()
    answer = await visitor.post("/console/page/broken", {})
    assert house.parts.secrets["operator"] not in answer.body.decode()
    assert "req_test" in visitor.text()
    assert "unforeseen" in caplog.text


def test_an_asset_changes_its_name_with_its_content() -> None:
    assets = Assets()
    path = assets.path("console.css")
    assert re.fullmatch(r"/console/assets/console\.[0-9a-f]{16}\.css", path)
    response = assets.response(path)
    assert response is not None
    # A style sheet names its pictures as they are served.
    assert assets.path("tear-left.svg").encode() in response.body
    assert b"url(tear" not in response.body
    assert assets.response("/console/assets/console.css") is None


def test_what_was_not_written_here_is_recorded_with_its_source_digest_and_licence() -> None:
    folder = Path(assets_module.__file__).parent / "assets"
    vendored = tomllib.loads((folder / "vendored.toml").read_text())
    for name, record in vendored.items():
        assert set(record) == {"from", "version", "sha256", "licence"}, name
        assert sha256((folder / name).read_bytes()).hexdigest() == record["sha256"], name
    pictures = {"mark.svg", "tear-left.svg", "tear-right.svg"}
    ours = {"console.css", "operating.css", "console.js", "live.js", "charts.js", "vendored.toml", *pictures}
    assert {each.name for each in folder.iterdir()} == {*ours, *vendored}


# -- what is shown --


class Named:
    """The api, answering with a caller whose name is markup."""

    def __init__(self, api: Interface, name: str) -> None:
        self._api, self._name = api, name

    async def handle(self, request: Request) -> Response:
        response = await self._api.handle(request)
        body = response.body.replace(b"the-operator", self._name.encode())
        return Response(response.status, response.headers, body)


async def test_what_the_api_says_is_shown_as_text(house: House) -> None:
    console = Console(Named(house.parts.service.api, "<script>alert(1)</script>"), over_tls=False)
    visitor = Visitor(console)
    await visitor.log_in(house.parts.secrets["operator"])
    assert "<script>alert" not in visitor.page
    assert "&lt;script&gt;alert(1)" in visitor.page


async def test_what_stands_in_a_link_is_shown_as_text(house: House) -> None:
    visitor = house.visitor()
    await visitor.get("/console/login?once=%22%3E%3Cscript%3E")
    assert "<script>" not in visitor.page.replace("<script src", "")
    assert "&#34;&gt;&lt;script&gt;" in visitor.page
