"""Takes the pictures of the documentation: `python -m tests.browser.pictures`. It needs pngquant, which makes them small."""

import subprocess
import tempfile
from pathlib import Path

from tests.browser.conftest import browsing, developing, emulate, log_in, submit

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH_PX = 1240
TRICKS = {"walkthrough-accepted": "honest", "walkthrough-refused": "amount"}


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
            path.write_bytes(driver.find_element("css selector", ".stage").screenshot_as_png)
            subprocess.run(["pngquant", "--force", "--skip-if-larger", "--output", path, "64", path], check=True)
            print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
