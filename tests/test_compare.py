"""The page that compares two pictures, as a file and in a real browser."""

import base64
import re

import imageio.v3 as imageio
import numpy as np
import pytest

from pysrcnn.batch.compare import write_comparison

BLACK, WHITE = (np.full((60, 100, 3), level, np.uint8) for level in (0, 255))


def test_the_page_holds_both_pictures_and_asks_for_nothing(tmp_path):
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, 20, 30, 4), np.uint8)
    page = tmp_path / "a.html"
    write_comparison(page, before, after, "a <b> & c", {"size": "30 x 20 <pixels>"})
    text = page.read_text(encoding="utf-8")
    held = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    for data, picture in zip(held, (before, after), strict=True):
        assert np.array_equal(imageio.imread(base64.b64decode(data)), picture)
    assert "a &lt;b&gt; &amp; c" in text and "30 x 20 &lt;pixels&gt;" in text
    assert "<b>" not in text and "$" not in text
    assert not re.search(r"https?:|//[a-z]", text)


def test_pictures_of_two_sizes_and_other_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"100 x 60 and 60 x 100 pixels: give two of the same"):
        write_comparison(tmp_path / "a.html", BLACK, BLACK.transpose(1, 0, 2), "a", {})
    with pytest.raises(ValueError, match=r"does not end in \.html"):
        write_comparison(tmp_path / "a.png", BLACK, WHITE, "a", {})
    assert not list(tmp_path.iterdir())


def test_a_page_of_others_stays(tmp_path):
    """The name of a page follows from that of a picture, and nobody chose it to be replaced."""
    page = tmp_path / "index.html"
    page.write_text("<!doctype html><title>My pictures</title>" + "<p>...</p>" * 200)
    before = page.read_bytes()
    with pytest.raises(ValueError, match=r"index.html is a page that --compare did not write: "):
        write_comparison(page, BLACK, WHITE, "a", {})
    assert page.read_bytes() == before
    page.write_text("")
    for title in ("first", "second"):  # but one of ours is replaced
        write_comparison(page, BLACK, WHITE, title, {})
        assert f"<title>{title}</title>" in page.read_text(encoding="utf-8")


# -------------------------------------------------------------------------------- in a real browser


@pytest.fixture
def page(browser, tmp_path):
    write_comparison(tmp_path / "a.html", BLACK, WHITE, "black and white", {"size": "100 x 60"})
    browser.get((tmp_path / "a.html").as_uri())
    return browser


def _at(page):
    """Where the line is, in percent."""
    return float(page.execute_script("return document.getElementById('at').value"))


def _dark(page, tmp_path):
    """The part of a row across the frame that shows the first picture, which is black."""
    box = page.find_element("id", "frame").rect
    page.save_screenshot(str(tmp_path / "screen.png"))
    screen = imageio.imread(tmp_path / "screen.png")
    scale = screen.shape[1] / page.execute_script("return innerWidth")
    y = int((box["y"] + box["height"] / 2) * scale)
    row = screen[y, int(box["x"] * scale) : int((box["x"] + box["width"]) * scale), :3]
    return np.mean(row.max(axis=1) < 40)


def test_the_first_picture_is_left_of_the_line(page, tmp_path):
    assert _at(page) == 50 and abs(_dark(page, tmp_path) - 0.5) < 0.02
    page.execute_script("split(80)")
    assert abs(_dark(page, tmp_path) - 0.8) < 0.02
    assert page.get_log("browser") == []


def test_mouse(page, tmp_path):
    from selenium.webdriver import ActionChains

    frame = page.find_element("id", "frame")
    quarter = int(frame.rect["width"] / 4)
    ActionChains(page).move_to_element_with_offset(frame, -quarter, 9).click().perform()
    assert abs(_at(page) - 25) < 1
    ActionChains(page).click_and_hold().move_by_offset(2 * quarter, 0).release().perform()
    assert abs(_at(page) - 75) < 1
    ActionChains(page).move_by_offset(-quarter, 0).perform()  # not held any more
    assert abs(_at(page) - 75) < 1


def test_touch(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    finger = PointerInput("touch", "finger")
    chain = ActionChains(page, devices=[finger])
    line = page.find_element("id", "line")
    quarter = int(page.find_element("id", "frame").rect["width"] / 4)
    pointer = chain.w3c_actions.pointer_action
    pointer.move_to(line).pointer_down().move_by(-quarter, 0).pointer_up()
    chain.perform()
    assert abs(_at(page) - 25) < 1


def test_keyboard(page):
    from selenium.webdriver import ActionChains, Keys

    def press(*keys):
        ActionChains(page).send_keys(*keys).perform()

    press("d", "d", "a")
    assert _at(page) == 52
    press("b")
    assert _at(page) == 100
    press("s")
    assert _at(page) == 0
    press(Keys.TAB, Keys.ARROW_RIGHT)  # the slider is the first thing Tab comes to
    assert _at(page) == 2
    press(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_DOWN)
    assert _at(page) == 4


def test_zoom(page):
    from selenium.webdriver import ActionChains

    frame = page.find_element("id", "frame")
    assert frame.rect["width"] > 400  # fits the window
    ActionChains(page).send_keys("+").perform()
    assert frame.rect["width"] == pytest.approx(100, abs=1)
    page.find_element("css selector", "[data-zoom='8']").click()
    assert frame.rect["width"] == pytest.approx(800, abs=1)
    pressed = page.find_elements("css selector", "[aria-pressed=true]")
    assert [button.text for button in pressed] == ["8:1"]
    ActionChains(page).send_keys("0").perform()
    assert 400 < frame.rect["width"] < 800


def test_a_long_strip_is_seen(browser, tmp_path):
    strip = np.zeros((2, 5000, 3), np.uint8)
    write_comparison(tmp_path / "a.html", strip, strip, "a strip", {})
    browser.get((tmp_path / "a.html").as_uri())
    frame = browser.find_element("id", "frame")
    assert (frame.rect["width"], frame.rect["height"]) == (20000, 8)


@pytest.mark.parametrize("size", [(360, 640), (1600, 900)])
def test_narrow_and_wide_windows_have_nothing_beside_them(page, size):
    page.set_window_size(*size)
    wide, high = page.execute_script(
        "let e = document.documentElement;"
        "return [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]"
    )
    assert (wide, high) == (0, 0)
