"""Takes the pictures of the documentation: `python -m tests.browser.pictures`. It needs pngquant, which makes them small."""

import subprocess
import tempfile
import time
from base64 import b64decode
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.conftest import Development, browsing, developing, emulate, log_in, submit
from tests.browser.ends import Ends

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH_PX = 1440
PAGE_WIDTH_PX = 1200
MARGIN_PX = 24
# Less, so that nothing of the navigation shows.
ABOVE_PX = 16
TRICKS = {"walkthrough-accepted": "honest", "walkthrough-refused": "amount"}
TRAFFIC_S = 40


def _take(driver: Chrome, name: str, selector: str, height_max: float = 1e9) -> None:
    """A part of the page with a margin, whether or not the window is large enough for it."""
    place = driver.find_element("css selector", selector).rect
    clip = {
        "x": max(0, place["x"] - MARGIN_PX),
        "y": place["y"] - ABOVE_PX,
        "width": min(place["width"] + 2 * MARGIN_PX, driver.execute_script("return window.innerWidth")),
        "height": min(place["height"], height_max) + ABOVE_PX + MARGIN_PX,
        "scale": 1,
    }
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path = FOLDER / f"{name}.png"
    path.write_bytes(b64decode(shot["data"]))
    subprocess.run(["pngquant", "--force", "--skip-if-larger", "--output", path, "64", path], check=True)
    print(path.name, path.stat().st_size, "bytes")


def _walkthrough(driver: Chrome, service: Development) -> None:
    """The stage, once accepted and once refused; the README shows the latter in the reader's own tone."""
    driver.get(f"{service.url}/console/walkthrough")
    submit(driver, ".client button")
    for name, trick in TRICKS.items():
        submit(driver, f"button[value={trick}]")
        # Shown again, the passcode is hidden.
        driver.refresh()
        _take(driver, name, ".stage")
    emulate(driver, tone="dark", width_px=WIDTH_PX)
    _take(driver, "walkthrough-refused-dark", ".stage")


def _operating(driver: Chrome, service: Development) -> None:
    """The operator's pages, with some traffic and an attack on one client."""
    emulate(driver, width_px=PAGE_WIDTH_PX)
    ends = Ends(service)
    driver.get(f"{service.url}/console/now")
    until_s = time.monotonic() + TRAFFIC_S
    made = 0
    while time.monotonic() < until_s:
        made += 1
        is_late = until_s - time.monotonic() < TRAFFIC_S / 4
        ends.pay(client_id=f"shop-{1 + made % 3}", changed=is_late and made % 4 == 0, copies=int(made % 41 == 0))
    _take(driver, "console-now", "main", 620)
    stolen = ends.pay(client_id="shop-1", copies=2)
    time.sleep(10)
    for name, page in (("home", ""), ("refusals", "refusals"), ("story", f"passcode?timestamp={stolen['timestamp']}")):
        driver.get(f"{service.url}/console/{page}")
        time.sleep(1)
        _take(driver, f"console-{name}", "#story" if name == "story" else "main", 560 if name == "home" else 760)


def main() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    with developing() as service, tempfile.TemporaryDirectory() as profile, browsing(Path(profile)) as driver:
        emulate(driver, width_px=WIDTH_PX)
        log_in(driver, service)
        _walkthrough(driver, service)
        _operating(driver, service)


if __name__ == "__main__":
    main()
