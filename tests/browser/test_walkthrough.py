"""A newcomer's path in a real browser: from the link that is printed to having stolen, altered and replayed a payment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import (
    AXE,
    Development,
    browsing,
    complaints,
    developing,
    emulate,
    enter,
    log_in,
    press,
    requested,
    seen,
    submit,
)
from tests.browser.ends import PATIENCE_S
from tests.contract.engines import unless_missing

pytestmark = pytest.mark.slow
VERDICT = ".verdict-code"
# What the browser remarks on and is as it should be: the status of pages that are there to say no, and a transition between
# pages that it gives up where the next one's style sheet, which asks for it, is not at hand at once.
REMARKS = ("status of 40", "Transition was aborted because of invalid state")
WIDTHS_PX = (320, 390, 600, 768, 991, 992, 1280, 1920)


def test_a_newcomer_steals_alters_and_replays_a_payment(browser: Chrome) -> None:
    with developing() as service:
        browser.get(service.console)
        submit(browser, ".login button")
        assert seen(browser, "h1") == "Be the intermediary"
        submit(browser, ".client button")
        assert "49.90 EUR to Libreria Aurora" in seen(browser, ".in-hand")
        assert "cf1_" in seen(browser, ".passcode")
        heard = {}
        for trick in ("honest", "replay", "amount", "payee", "steal", "delay", "lose"):
            submit(browser, f"button[value={trick}]")
            heard[trick] = seen(browser, VERDICT)
            if trick == "amount":
                assert seen(browser, ".is-misfit .join") == "does not fit"
                assert [each.text for each in browser.find_elements("css selector", ".is-misfit .value")] == ["49.90", "949.90"]
        assert heard == {
            "honest": "200 accepted",
            "replay": "409 already_redeemed",
            "amount": "409 transaction_mismatch",
            "payee": "409 transaction_mismatch",
            "steal": "401 unauthenticated",
            "delay": "409 expired",
            "lose": "200 replayed",
        }
        assert len(browser.find_elements("css selector", ".history li")) == 7
        assert "60 s ahead" in seen(browser, ".clock")
        # The link is spent, and nobody comes in by it again.
        browser.get(f"{service.url}/console/login")
        browser.get(service.console)
        submit(browser, ".login button")
        assert "spent" in seen(browser, "[role=alert]")


def test_tricks_are_combined_with_values_of_ones_own(browser: Chrome, service: Development) -> None:
    log_in(browser, service)
    browser.get(f"{service.url}/console/walkthrough")
    for name, value in (("amount", "12.00"), ("payee", "<b>Anna</b> & 'Söhne'")):
        browser.find_element("id", f"payment-{name}").clear()
        browser.find_element("id", f"payment-{name}").send_keys(value)
    submit(browser, ".client button")
    press(browser, ".combine summary")
    press(browser, "#changes-amount")
    amount = browser.find_element("name", "forged_amount")
    amount.clear()
    amount.send_keys("12000.00")
    press(browser, "#twice")
    submit(browser, "button[value=combined]")
    assert seen(browser, VERDICT) == "409 already_redeemed"
    assert "12000.00" in seen(browser, ".is-misfit")
    assert "<b>Anna</b> & 'Söhne'" in seen(browser, ".ticket")


def test_the_calls_can_be_copied(browser: Chrome, service: Development) -> None:
    log_in(browser, service)
    browser.get(f"{service.url}/console/walkthrough")
    submit(browser, ".client button")
    press(browser, ".script .copy")
    # The clipboard answers when it likes.
    said = ("Copied", "Selected: copy it")
    WebDriverWait(browser, PATIENCE_S).until(lambda _: seen(browser, ".script .copy") in said, "nothing says that it is copied")


@pytest.mark.parametrize("tone", ["light", "dark"])
def test_no_page_has_a_serious_violation_of_accessibility(browser: Chrome, service: Development, tone: str) -> None:
    if not AXE.exists():
        unless_missing("axe", "axe-core is not installed: run `make engines`")
    emulate(browser, tone=tone)
    found = {}
    for page in _every_page(browser, service):
        for width_px in (360, 1280):
            emulate(browser, tone=tone, width_px=width_px)
            browser.execute_script(AXE.read_text())
            result = browser.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
            for violation in result["violations"]:
                nodes = [node["html"][:160] for node in violation["nodes"]]
                found[page, width_px, violation["id"], violation["impact"]] = nodes
    assert {key: nodes for key, nodes in found.items() if key[3] in ("serious", "critical")} == {}
    assert found == {}


def test_nothing_complains_and_no_request_leaves_the_host(browser: Chrome, service: Development) -> None:
    pages = list(_every_page(browser, service))
    asked = requested(browser)
    assert len(asked) > 2 * len(pages)
    assert [url for url in asked if not url.startswith((service.url, "data:"))] == []
    assert [each for each in complaints(browser) if not any(remark in each for remark in REMARKS)] == []


def test_control_a_violation_of_the_policy_is_seen(browser: Chrome, service: Development) -> None:
    browser.get(f"{service.url}/console/login")
    script = "const each = document.createElement('img'); each.src = 'http://127.0.0.2:9/'; document.body.append(each)"
    browser.execute_script(script)
    assert any("Content Security Policy" in each for each in complaints(browser))


def test_no_page_scrolls_sideways(browser: Chrome, service: Development) -> None:
    overflowing = []
    for page in _every_page(browser, service):
        for width_px in WIDTHS_PX:
            emulate(browser, width_px=width_px)
            wide, shown = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
            assert shown == width_px
            if wide > shown:
                overflowing.append((page, width_px, wide))
    assert overflowing == []


def test_it_works_without_a_script(tmp_path: Path, service: Development) -> None:
    with browsing(tmp_path / "profile", scripts=False) as driver:
        log_in(driver, service)
        driver.get(f"{service.url}/console/walkthrough")
        enter(driver, ".client button")
        assert driver.find_elements("css selector", ".copy") == []
        for trick, heard in (("amount", "409 transaction_mismatch"), ("honest", "200 accepted")):
            enter(driver, f"button[value={trick}]")
            assert seen(driver, VERDICT) == heard
        enter(driver, ".caller button")
        assert seen(driver, "h1") == "Log in"


def test_the_keyboard_is_enough(browser: Chrome, service: Development) -> None:
    browser.get(f"{service.url}/console/login")
    _tab_to(browser, "#credential")
    browser.switch_to.active_element.send_keys(service.operator, Keys.ENTER)
    browser.find_element("css selector", ".cards")
    _tab_to(browser, ".skip")
    assert browser.switch_to.active_element.is_displayed()
    _tab_to(browser, ".card[href$=walkthrough]")
    enter(browser)
    browser.find_element("id", "payment-amount")
    _tab_to(browser, ".client button")
    enter(browser)
    browser.find_element("id", "slip")
    # What was done is where the reading goes on: the very next stop is what to do with the slip.
    _tab_to(browser, "button[value=honest]", stops_max=1)
    _tab_to(browser, ".combine summary")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    _tab_to(browser, "#changes-payee")
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    _tab_to(browser, "button[value=combined]")
    enter(browser)
    assert seen(browser, VERDICT) == "409 transaction_mismatch"
    _tab_to(browser, ".answer summary", stops_max=1)


def test_where_the_keyboard_is_can_be_seen(browser: Chrome, service: Development) -> None:
    log_in(browser, service)
    browser.get(f"{service.url}/console/walkthrough")
    submit(browser, ".client button")
    for _ in range(25):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", browser.switch_to.active_element.get_attribute("outerHTML")


def _every_page(driver: Chrome, service: Development) -> Iterator[str]:
    """Shows each page in each of its states, and names it."""
    for path in ("login", "login?once=x", "nowhere"):
        driver.get(f"{service.url}/console/{path}")
        yield path
    driver.get(f"{service.url}/console/login")
    driver.find_element("id", "credential").send_keys("wrong")
    submit(driver, ".login button")
    driver.find_element("css selector", "[role=alert]")
    yield "login refused"
    log_in(driver, service)
    yield "home"
    driver.get(f"{service.url}/console/nowhere")
    yield "no such page"
    driver.get(f"{service.url}/console/walkthrough")
    yield "walkthrough"
    payee = driver.find_element("id", "payment-payee")
    payee.clear()
    payee.send_keys("DE02120300000000202051" * 4)
    submit(driver, ".client button")
    yield "issued"
    for trick in ("honest", "steal", "amount", "delay"):
        submit(driver, f"button[value={trick}]")
        press(driver, ".combine summary")
        press(driver, ".answer summary")
        yield trick
    submit(driver, ".history button")
    driver.find_element("id", "payment-client").clear()
    submit(driver, ".client button")
    driver.find_element("css selector", "[role=alert]")
    yield "not issued"


def _tab_to(driver: Chrome, selector: str, *, stops_max: int = 60) -> None:
    """Presses Tab until the element has the focus."""
    target = driver.find_element("css selector", selector)
    for _ in range(stops_max):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        if driver.switch_to.active_element == target:
            return
    raise AssertionError(f"{selector} is not reached")
