"""The page that compares two pictures, as a file and in a real browser."""

import base64
import io
import re
import struct
import tracemalloc

import imageio.v3 as imageio
import numpy as np
import pytest
from samples import SRGB

from pysrcnn.batch import compare
from pysrcnn.batch.compare import write_comparison
from pysrcnn.cli import main

Image = pytest.importorskip("PIL.Image")

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


def held_by(page):
    """The kinds and contents of the two pictures in a page."""
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page.read_text(encoding="utf-8"))
    return [(kind, base64.b64decode(data)) for kind, data in found]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_both_have_the_colour_profile(tmp_path, monkeypatch, exact, channels):
    if not exact:
        monkeypatch.setattr(compare, "EXACT", 0)
    profile = SRGB if channels > 1 else SRGB[:16] + b"GRAY" + SRGB[20:]
    picture = np.zeros((8, 9, channels), np.uint8)
    picture = picture if channels > 1 else picture[..., 0]
    page = tmp_path / "a.html"
    write_comparison(page, picture, picture, "a", {}, icc_profile=profile)
    for kind, content in held_by(page):
        assert kind == ("png" if exact else "webp" if channels > 1 else "jpeg")
        with Image.open(io.BytesIO(content)) as held:
            assert held.info["icc_profile"] == profile and held.size == (9, 8)


def test_both_have_the_colours_of_a_png_file_or_a_word(tmp_path, monkeypatch):
    gamma, words = [(b"gAMA", struct.pack(">I", 100000))], "says of its colours"
    for exact in (True, False):
        if not exact:
            monkeypatch.setattr(compare, "EXACT", 0)
        write_comparison(tmp_path / "a.html", BLACK, WHITE, "a", {}, colours=gamma)
        assert all((b"gAMA" in content) == exact for _, content in held_by(tmp_path / "a.html"))
        assert (words in (tmp_path / "a.html").read_text(encoding="utf-8")) != exact


def test_the_command_hands_the_profile_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(BLACK).save("a.jpg", icc_profile=SRGB)
    assert main(["upscale", "a.jpg", "-s", "2", "--compare"]) == 0
    for _, content in held_by(tmp_path / "a_x2.html"):
        assert Image.open(io.BytesIO(content)).info["icc_profile"] == SRGB


def test_a_large_picture_makes_no_large_page(tmp_path):
    """Noise, which packs worst: as PNG, it would be several times as large."""
    noise = np.random.default_rng(0).normal(128, 20, (450, 650)).clip(0, 255)
    smooth = np.asarray(Image.fromarray(noise.astype(np.uint8)).resize((2000, 1400)).convert("RGB"))
    write_comparison(tmp_path / "a.html", smooth, smooth, "a", {})
    assert (tmp_path / "a.html").stat().st_size < 3_000_000
    (kind, content), _ = held_by(tmp_path / "a.html")
    assert kind == "webp"
    error = np.asarray(Image.open(io.BytesIO(content))).astype(int) - smooth
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 38
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "this page has both as WebP of quality 90." in text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_only_the_middle_is_converted_to_8_bits(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(compare, "MOST", 100)
    levels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    most = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    picture = (levels.astype(float) * most).astype(dtype)
    tracemalloc.start()
    write_comparison(tmp_path / "a.html", picture, picture, "a", {})
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for _, held in held_by(tmp_path / "a.html"):
        assert np.array_equal(imageio.imread(held), levels[495:505, 495:505])
    assert taken < 5_000_000  # converted as a whole, it takes 12 MB at least


def test_of_what_browsers_do_not_show_the_middle_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "MOST", 600)
    picture = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    picture = np.stack([picture % 256, picture // 256, picture * 0], 2).astype(np.uint8)
    write_comparison(tmp_path / "a.html", picture, 255 - picture, "a", {})
    (_, before), (_, after) = held_by(tmp_path / "a.html")
    assert np.array_equal(imageio.imread(before), picture[10:30, 15:45])
    assert np.array_equal(imageio.imread(after), 255 - picture[10:30, 15:45])
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Of 60 x 40 pixels, this page has the middle 30 x 20." in text
    rows, columns = compare._middle((2, 40000))
    assert (rows.stop - rows.start, columns.stop - columns.start) <= (2, compare.LONGEST)


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
    for key, width in (("+", 800), ("-", 400), ("-", 200), ("-", 100), ("+", 200)):
        ActionChains(page).send_keys(key).perform()
        assert frame.rect["width"] == pytest.approx(width, abs=1)
    page.find_element("css selector", "[data-zoom='8']").click()
    assert frame.rect["width"] == pytest.approx(800, abs=1)
    pressed = page.find_elements("css selector", "[aria-pressed=true]")
    assert [button.text for button in pressed] == ["8:1"]
    ActionChains(page).send_keys("0").perform()
    assert 400 < frame.rect["width"] < 800


def scrolled(page):
    return page.execute_script("return [stage.scrollLeft, stage.scrollTop]")


def test_an_enlarged_picture_is_dragged_and_a_click_moves_the_line(page):
    from selenium.webdriver import ActionChains

    page.execute_script("show(32)")
    before, stage = scrolled(page), page.find_element("id", "stage")
    chain = ActionChains(page).move_to_element_with_offset(stage, -200, 50)
    chain.click_and_hold().move_by_offset(-60, -30).release().perform()
    assert scrolled(page) == [before[0] + 60, before[1] + 30] and _at(page) == 50
    ActionChains(page).move_to_element_with_offset(stage, -200, 50).click().perform()
    box = page.find_element("id", "frame").rect
    middle = stage.rect["x"] + stage.rect["width"] / 2
    assert _at(page) == pytest.approx((middle - 200 - box["x"]) / box["width"] * 100, abs=0.5)
    line = page.find_element("id", "line")  # which is dragged, too
    ActionChains(page).drag_and_drop_by_offset(line, 160, 0).perform()
    moved = (middle - 40 - box["x"]) / box["width"] * 100
    assert _at(page) == pytest.approx(moved, abs=1)


@pytest.mark.parametrize("x, y", [(-150, -60), (0, 0), (200, 40)])
def test_the_wheel_zooms_where_the_pointer_is(page, x, y):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    page.execute_script("show(16)")
    stage, frame = page.find_element("id", "stage"), page.find_element("id", "frame")

    def pointed_at():
        box, view = frame.rect, stage.rect
        return (
            (view["x"] + view["width"] / 2 + x - box["x"]) / box["width"],
            (view["y"] + view["height"] / 2 + y - box["y"]) / box["height"],
        )

    before, width = pointed_at(), frame.rect["width"]
    origin = ScrollOrigin.from_element(stage, x, y)
    ActionChains(page).scroll_from_origin(origin, 0, -200).perform()
    page.execute_async_script("requestAnimationFrame(arguments[0])")
    assert frame.rect["width"] > 1.3 * width
    assert pointed_at() == pytest.approx(before, abs=0.01)
    for _ in range(8):
        ActionChains(page).scroll_from_origin(origin, 0, 400).perform()
    page.execute_async_script("requestAnimationFrame(arguments[0])")
    assert frame.rect["width"] == pytest.approx(100, abs=1)  # 1:1, as to fit is larger


def test_two_fingers_are_left_to_the_browser(page):
    style = "return getComputedStyle(document.getElementById(arguments[0])).touchAction"
    assert page.execute_script(style, "line") == "pinch-zoom"
    assert page.execute_script(style, "frame") == "auto"


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
