"""A real browser against a real development service. Without Chromium tests are skipped, and say how to install it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from tests.contract.engines import unless_missing
from tests.support.service import developing as service_of_dev

AXE = Path(__file__).parents[2] / ".engines" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@dataclass
class Development:
    """A `counterfoil dev` in a process of its own."""

    url: str
    operator: str = field(repr=False)
    issuer: str = field(repr=False)
    validator: str = field(repr=False)
    console: str = field(repr=False)
    """The link that lets in once."""


@contextmanager
def developing() -> Iterator[Development]:
    """One, on a free port; it ends with the block."""
    with service_of_dev(Path.cwd()) as made:
        yield Development(made["url"], made["operator"], made["issuer"], made["validator"], made["console"])


@pytest.fixture(scope="module")
def service() -> Iterator[Development]:
    with developing() as running:
        yield running


@contextmanager
def browsing(profile: Path, *, scripts: bool = True) -> Iterator[Chrome]:
    """A browser with a profile of its own, which logs every request and every complaint."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        unless_missing("browser", "Chromium is not installed: run `apt-get install chromium chromium-driver`")
    options = ChromeOptions()
    options.binary_location = chromium or ""
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = Chrome(options=options, service=ChromeService(chromedriver))
    try:
        driver.implicitly_wait(10)
        # It begins with a page of its own, which asks and complains too, for as long as it is left there.
        driver.get("about:blank")
        requested(driver)
        complaints(driver)
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    with browsing(tmp_path / "profile") as driver:
        yield driver


def log_in(driver: Chrome, service: Development) -> None:
    """With the operator's credential, by the form."""
    driver.get(f"{service.url}/console/login")
    driver.find_element("id", "credential").send_keys(service.operator)
    driver.find_element("css selector", ".login button").click()
    driver.find_element("css selector", ".caller")


def press(driver: Chrome, selector: str) -> None:
    """A click on the one element, wherever on the page it is."""
    element = driver.find_element("css selector", selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def submit(driver: Chrome, selector: str) -> None:
    """A click that leads to another page, which is then there."""
    with _moving_on(driver):
        press(driver, selector)


def enter(driver: Chrome, selector: str | None = None) -> None:
    """The same by the Enter key, on an element or on what has the focus."""
    with _moving_on(driver):
        element = driver.switch_to.active_element if selector is None else driver.find_element("css selector", selector)
        element.send_keys(Keys.ENTER)


@contextmanager
def _moving_on(driver: Chrome) -> Iterator[None]:
    left = driver.find_element("css selector", "html")
    yield
    WebDriverWait(driver, 30).until(lambda _: _is_gone(driver, left))


def _is_gone(driver: Chrome, element: WebElement) -> bool:
    try:
        return bool(staleness_of(element)(driver))
    except WebDriverException as midway:
        # Asked at the moment at which one page takes another's place, the driver knows no name for what it sees.
        if "does not belong to the document" not in str(midway.msg):
            raise
        return False


def seen(driver: Chrome, selector: str) -> str:
    """What the one element says."""
    text: str = driver.find_element("css selector", selector).text
    return text


def emulate(driver: Chrome, *, tone: str = "light", width_px: int = 1280) -> None:
    """Another screen."""
    features = [{"name": "prefers-color-scheme", "value": tone}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    screen = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def complaints(driver: Chrome) -> list[str]:
    """What the console of the browser said since the last time: errors, warnings, violations of the policy."""
    return [entry["message"] for entry in driver.get_log("browser")]  # type: ignore[no-untyped-call]


def requested(driver: Chrome) -> list[str]:
    """Every address that was asked since the last time."""
    entries = driver.get_log("performance")  # type: ignore[no-untyped-call]
    events: list[dict[str, Any]] = [json.loads(entry["message"])["message"] for entry in entries]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
