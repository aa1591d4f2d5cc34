"""Takes the pictures of the documentation: `python -m tests.browser.pictures`. It needs pngquant, which makes them small."""

import subprocess
import tempfile
from base64 import b64decode
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.conftest import browsing, developing, emulate, log_in, submit

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH_PX = 1440
MARGIN_PX = 24
TRICKS = {"walkthrough-accepted": "honest", "walkthrough-refused": "amount"}


def _picture(driver: Chrome, place: dict[str, float]) -> bytes:
    """A part of the page with a margin, whether or not the window is large enough for it."""
    clip = {
        "x": place["x"] - MARGIN_PX,
        "y": place["y"] - MARGIN_PX,
        "width": place["width"] + 2 * MARGIN_PX,
        "height": place["height"] + 2 * MARGIN_PX,
        "scale": 1,
    }
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return b64decode(shot["data"])


def main() -> None:
    """The stage of the walkthrough, once accepted and once refused."""
    FOLDER.mkdir(exist_ok=True)
    with developing() as service, tempfile.TemporaryDirectory() as profile, browsing(Path(profile)) as driver:
        emulate(driver, width_px=WIDTH_PX)
        log_in(driver, service)
        driver.get(f"{service.url}/console/walkthrough")
        submit(driver, ".client button")
        for name, trick in TRICKS.items():
            submit(driver, f"button[value={trick}]")
            path = FOLDER / f"{name}.png"
            # Shown again, the passcode is hidden.
            driver.refresh()
            path.write_bytes(_picture(driver, driver.find_element("css selector", ".stage").rect))
            subprocess.run(["pngquant", "--force", "--skip-if-larger", "--output", path, "64", path], check=True)
            print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
