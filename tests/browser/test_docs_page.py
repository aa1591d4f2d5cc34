"""The documentation page of the interface in a real browser: it is tried out, under a policy that allows nothing inline."""

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.conftest import Development, complaints, press, requested, seen
from tests.browser.ends import PATIENCE_S

pytestmark = pytest.mark.slow


def test_the_interface_is_tried_out_with_nothing_inline_and_no_other_host(browser: Chrome, service: Development) -> None:
    browser.get(f"{service.url}/docs")
    policy = browser.execute_async_script(
        "fetch(location.href).then(answer => arguments[0](answer.headers.get('Content-Security-Policy')))"
    )
    assert "unsafe" not in policy
    press(browser, ".btn.authorize")
    browser.find_element("css selector", ".auth-container input").send_keys(service.issuer)
    press(browser, ".auth-btn-wrapper .authorize")
    press(browser, ".auth-btn-wrapper .btn-done")
    press(browser, "[id^=operations-passcodes] .opblock-summary-control")
    press(browser, ".opblock .execute")
    WebDriverWait(browser, PATIENCE_S).until(lambda _: browser.find_element("css selector", ".live-responses-table .response"))
    # As it stands, without a word changed.
    assert "201" in seen(browser, ".live-responses-table .response")
    assert [url for url in requested(browser) if not url.startswith((service.url, "data:"))] == []
    assert complaints(browser) == []
