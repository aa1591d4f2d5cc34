"""The operator's pages in a real browser: live under traffic, an attack seen for what it is, a stolen passcode's story."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import (
    AXE,
    Development,
    browsing,
    complaints,
    emulate,
    enter,
    log_in,
    press,
    requested,
    seen,
    submit,
)
from tests.browser.ends import PATIENCE_S, Ends
from tests.contract.engines import unless_missing

pytestmark = pytest.mark.slow
PAGES = ("", "now", "refusals", "passcode", "keys", "health")
WIDTHS_PX = (320, 390, 768, 1280, 1920)
# Notes each text that stands on a canvas, with its ends.
WRITTEN = """
window.written = [];
const canvases = [];
const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
const PARTS_LEFT = { center: 0.5, right: 1, end: 1 };
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
  if (!canvases.includes(this.canvas)) canvases.push(this.canvas);
  const at = this.getTransform().transformPoint(new DOMPoint(x, y));
  const wide = this.measureText(text).width;
  const left = at.x - wide * (PARTS_LEFT[this.textAlign] ?? 0);
  window.written.push([canvases.indexOf(this.canvas), at.y, left, left + wide, String(text)]);
  return fillText.call(this, text, x, y, ...rest);
};
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  window.written = window.written.filter(([canvas]) => canvases[canvas] !== this.canvas);
  return clearRect.apply(this, box);
};
"""
LOOKED_FOR = """
for (const chart of document.querySelectorAll(".chart")) {
  const columns = JSON.parse(chart.dataset.columns);
  const last = columns[0].at(-1) ?? 1.8e9;
  const times = arguments[0] ? [last - arguments[0], last] : [last];
  if (arguments[0]) chart.dataset.spanS = arguments[0];
  chart.dataset.columns = JSON.stringify(columns.map((_, at) => (at ? times.map(() => 1) : times)));
  chart.dispatchEvent(new Event("fresh"));
}
"""


@pytest.fixture
def ends(service: Development) -> Ends:
    return Ends(service)


@pytest.fixture
def operator(browser: Chrome, service: Development) -> Chrome:
    """A browser whose visitor has logged in."""
    log_in(browser, service)
    return browser


def open_page(driver: Chrome, service: Development, page: str) -> None:
    driver.get(f"{service.url}/console/{page}")


def wait_for(driver: Chrome, selector: str, said: str) -> None:
    """Until the element says it, without anything being loaded again."""
    WebDriverWait(driver, PATIENCE_S).until(lambda _: said in seen(driver, selector), f"{selector} never says {said!r}")


def test_now_moves_by_itself_while_passcodes_are_issued(operator: Chrome, service: Development, ends: Ends) -> None:
    open_page(operator, service, "now")
    operator.execute_script("window.stayed = true")
    assert operator.execute_script("return document.querySelectorAll('.chart canvas').length") == 4
    before = seen(operator, "#as-of")
    for _ in range(3):
        ends.pay()
        ends.pay(changed=True)
    wait_for(operator, "#reasons-rows", "transaction_mismatch")
    WebDriverWait(operator, PATIENCE_S).until(lambda _: seen(operator, "#as-of") != before)
    assert "a second" in seen(operator, "#tile-issued")
    drawn = "return JSON.parse(document.querySelector('#chart-rates').dataset.columns)[0].length"
    WebDriverWait(operator, PATIENCE_S).until(lambda _: operator.execute_script(drawn) >= 2)
    assert "Live" in seen(operator, ".live")
    # It was the same page all the time, and a pause is a pause.
    assert operator.execute_script("return window.stayed") is True
    press(operator, ".live button")
    assert "Paused" in seen(operator, ".live")
    wait_for(operator, ".live button", "Go on")
    press(operator, ".live button")
    wait_for(operator, ".live", "Live")


@pytest.mark.parametrize("width_px", [390, 1280, 1600])
def test_no_label_of_a_chart_runs_into_the_next(operator: Chrome, service: Development, ends: Ends, width_px: int) -> None:
    ends.pay()
    for page, span_s in (("now", 45), ("now", 130), ("now", 600), ("refusals?within=60", 0), ("refusals?within=10080", 0)):
        emulate(operator, width_px=width_px)
        operator.execute_cdp_cmd("Page.enable", {})
        made = operator.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WRITTEN})
        open_page(operator, service, page)
        WebDriverWait(operator, PATIENCE_S).until(lambda _: operator.execute_script("return written.length"))
        if span_s:
            # As after so long a look: two moments, the earliest and the latest that are kept.
            operator.execute_script(LOOKED_FOR, span_s)
        operator.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)
        lines: dict[tuple[int, int], list[tuple[float, float, str]]] = {}
        for canvas, y, left, right, text in operator.execute_script("return written"):
            lines.setdefault((canvas, round(y)), []).append((left, right, text))
        times = [sorted(line) for line in lines.values() if sum(":" in text or "-" in text for *_, text in line) > 1]
        assert times
        close = [(one[2], other[2]) for line in times for one, other in pairwise(line) if other[0] - one[1] < 6]
        assert close == [], (page, span_s)


def test_a_chart_of_a_single_moment_has_the_times_of_its_span(operator: Chrome, service: Development, ends: Ends) -> None:
    ends.pay()
    operator.execute_cdp_cmd("Page.enable", {})
    operator.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WRITTEN})
    open_page(operator, service, "now")
    WebDriverWait(operator, PATIENCE_S).until(lambda _: operator.execute_script("return written.length"))
    operator.execute_script(LOOKED_FOR, 0)
    written = {text for *_, text in operator.execute_script("return written")}
    assert len([text for text in written if re.fullmatch(r"\d\d:\d\d:\d\d", text)]) > 2, written
    assert [text for text in written if "-" in text] == []


@pytest.mark.parametrize("width_px", [320, 390, 768, 1000])
def test_no_column_of_a_table_is_beyond_the_edge_of_a_screen(
    operator: Chrome, service: Development, ends: Ends, width_px: int
) -> None:
    client_id = "DE02120300000000202051" * 4
    ends.pay(changed=True, copies=1, client_id=client_id)
    emulate(operator, width_px=width_px)
    for page in (f"refusals?client_id={client_id}", "keys"):
        open_page(operator, service, page)
        operator.find_element("css selector", "#latest-rows a" if page.startswith("refusals") else ".stacking .sign")
        cut = operator.execute_script(
            "return [...document.querySelectorAll('section .scrolling')].filter(each => each.scrollWidth > each.clientWidth)"
            ".map(each => each.getAttribute('aria-labelledby'))"
        )
        assert cut == [], page
        lapping = operator.execute_script(
            "return [...document.querySelectorAll('section .scrolling tbody > tr > * *')].filter(each => "
            "each.getBoundingClientRect().right > each.closest('td, th').getBoundingClientRect().right + 1)"
            ".map(each => each.textContent)"
        )
        assert lapping == [], page
    if width_px < 992:
        # The head is not in sight there, so each cell says what it is.
        unsaid = operator.execute_script(
            "return [...document.querySelectorAll('.stacking tbody > tr > *')].filter("
            "each => each.colSpan === 1 && getComputedStyle(each, '::before').content === 'none').length"
        )
        assert unsaid == 0


def test_a_session_that_ends_is_said_to_have_ended(browser: Chrome, service: Development) -> None:
    log_in(browser, service)
    open_page(browser, service, "now")
    browser.delete_all_cookies()
    wait_for(browser, ".live", "Your session has ended.")
    submit(browser, ".live a")
    assert seen(browser, "h1") == "Log in"


def test_an_attack_is_seen_and_leads_to_the_story_of_what_was_stolen(
    operator: Chrome, service: Development, ends: Ends
) -> None:
    for _ in range(5):
        ends.pay(changed=True, client_id="kiosk-7")
    open_page(operator, service, "")
    wait_for(operator, "h1", "Something is wrong")
    assert "transaction_mismatch" in seen(operator, "#questions")
    assert "alters payments" in seen(operator, "#questions")
    open_page(operator, service, "refusals?client_id=kiosk-7")
    wait_for(operator, "#signs", "Unusual")
    assert "All for client kiosk-7, asked by dev-validator" in seen(operator, "#signs")
    assert operator.execute_script("return document.querySelectorAll('.chart canvas').length") == 1
    submit(operator, "#latest-rows a")
    assert "Altered" in seen(operator, ".ending")
    assert "Never redeemed; refused once" in seen(operator, ".ending")


def test_a_stolen_and_replayed_passcode_tells_its_story(operator: Chrome, service: Development, ends: Ends) -> None:
    issued = ends.pay(copies=2)
    open_page(operator, service, "passcode")
    requested(operator)
    operator.find_element("id", "passcode").send_keys(issued["passcode"])
    submit(operator, ".finder button")
    assert "Copied" in seen(operator, ".ending")
    words = [each.text for each in operator.find_elements("css selector", ".timeline .word")]
    assert words == ["Issued", "Accepted", "Refused", "Refused"]
    assert "already_redeemed" in seen(operator, ".timeline li:last-child")
    # What was pasted is in no address and on no page.
    assert [url for url in requested(operator) if issued["passcode"][4:] in url] == []
    assert issued["passcode"][4:] not in operator.page_source
    assert f"timestamp={issued['timestamp']}" in operator.current_url


def test_the_walkthrough_leads_to_the_story(operator: Chrome, service: Development) -> None:
    open_page(operator, service, "walkthrough")
    submit(operator, ".client button")
    submit(operator, "button[value=amount]")
    submit(operator, "button[value=replay]")
    submit(operator, ".told a")
    words = [each.text for each in operator.find_elements("css selector", ".timeline .word")]
    assert words == ["Issued", "Refused", "Accepted", "Refused"]


def test_keys_credentials_and_health_are_told(operator: Chrome, service: Development, ends: Ends) -> None:
    ends.pay()
    open_page(operator, service, "keys")
    said = seen(operator, "main")
    assert "Seals" in said
    assert "dev-issuer" in said
    open_page(operator, service, "health")
    checks = [each.text for each in operator.find_elements("css selector", ".checks strong")]
    assert {"service", "settings", "keys", "credentials", "store", "journal", "clock"} <= set(checks)


@pytest.mark.parametrize("tone", ["light", "dark"])
def test_no_page_of_the_operator_has_a_violation_of_accessibility(
    operator: Chrome, service: Development, ends: Ends, tone: str
) -> None:
    if not AXE.exists():
        unless_missing("axe", "axe-core is not installed: run `make engines`")
    found = {}
    for page in _every_page(operator, service, ends):
        for width_px in (360, 1280):
            emulate(operator, tone=tone, width_px=width_px)
            operator.execute_script(AXE.read_text())
            result = operator.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
            for violation in result["violations"]:
                nodes = [node["html"][:160] for node in violation["nodes"]]
                found[page, width_px, violation["id"], violation["impact"]] = nodes
    assert found == {}


def test_no_page_of_the_operator_complains_asks_elsewhere_or_scrolls_sideways(
    operator: Chrome, service: Development, ends: Ends
) -> None:
    requested(operator)
    complaints(operator)
    overflowing = []
    for page in _every_page(operator, service, ends):
        for width_px in WIDTHS_PX:
            emulate(operator, width_px=width_px)
            wide, wide_body, shown = operator.execute_script(
                "return [document.documentElement.scrollWidth, document.body.scrollWidth, window.innerWidth]"
            )
            if max(wide, wide_body) > shown or shown != width_px:
                overflowing.append((page, width_px, wide, wide_body, shown))
    assert overflowing == []
    asked = requested(operator)
    assert any("uplot" in url for url in asked)
    assert [url for url in asked if not url.startswith((service.url, "data:"))] == []
    assert [each for each in complaints(operator) if "Transition was aborted" not in each] == []


def test_they_work_without_a_script(tmp_path: Path, service: Development, ends: Ends) -> None:
    issued = ends.pay(changed=True)
    with browsing(tmp_path / "profile", scripts=False) as driver:
        log_in(driver, service)
        for page in PAGES:
            open_page(driver, service, page)
            assert driver.find_elements("css selector", "canvas") == []
        open_page(driver, service, "now")
        enter(driver, ".live-again")
        driver.find_element("css selector", "details summary").click()
        assert "%" in seen(driver, "#interval-rows") or "–" in seen(driver, "#interval-rows")
        open_page(driver, service, "passcode")
        driver.find_element("id", "timestamp").send_keys(str(issued["timestamp"]))
        enter(driver, ".finder button")
        assert "Never redeemed" in seen(driver, ".ending")


def test_the_keyboard_leads_from_the_first_page_to_a_story(operator: Chrome, service: Development, ends: Ends) -> None:
    ends.pay(changed=True)
    open_page(operator, service, "")
    _tab_to(operator, ".question a[href$=refusals]")
    enter(operator)
    wait_for(operator, "h1", "Refusals")
    _tab_to(operator, "#latest-rows a")
    outline = operator.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    enter(operator)
    assert seen(operator, ".timeline .word") == "Issued"


def _every_page(driver: Chrome, service: Development, ends: Ends) -> Iterator[str]:
    """Shows each page with something on it, and names it."""
    ends.pay()
    issued = ends.pay(changed=True, copies=2, client_id="DE02120300000000202051" * 4)
    for page in PAGES:
        open_page(driver, service, page)
        for summary in driver.find_elements("css selector", "summary"):
            summary.click()
        yield page or "first page"
    for page in (f"passcode?timestamp={issued['timestamp']}", "passcode?timestamp=1", "refusals?client_id=nobody"):
        open_page(driver, service, page)
        yield page.partition("?")[0] + " found or not"
    open_page(driver, service, "passcode")
    driver.find_element("id", "passcode").send_keys("cf1_cut")
    submit(driver, ".finder button")
    driver.find_element("css selector", "[role=alert]")
    yield "no passcode"


def _tab_to(driver: Chrome, selector: str, *, stops_max: int = 60) -> None:
    """Presses Tab until the element has the focus."""
    for _ in range(stops_max):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
    raise AssertionError(f"{selector} is not reached")
