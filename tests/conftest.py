"""What the tests share: Ctrl-C, a browser, and data that are not part of the project."""

import os
import shutil
import signal
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder():
    """``data_folder(name)``: the path of a data set, or a skipped test where it is not there.

    Looks in the folder of the environment variable ``PYSRCNN_DATA``, else in ``../shared/data``
    beside the repository.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("PYSRCNN_DATA") or beside)

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"no {name} in {root}; set PYSRCNN_DATA to the folder that holds it")
        return root / name

    return find


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Ctrl-C as in a terminal: a shell has what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, or a skipped test; keeps what its console and network say."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in ("headless=new", "no-sandbox", "window-size=800,600", "touch-events=enabled"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()
