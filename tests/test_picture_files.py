"""Files of every kind that a person has, read, written and read again: what survives, what is said.

The files are made with Pillow, and looked at with Pillow; sizes, modes, depth, profile, EXIF, DPI
and timing are compared with what was put in.
"""

import contextlib
import errno
import gc
import io
import os
import struct
import sys
import tracemalloc
import types
import zlib

import numpy as np
import pytest
from samples import (
    DEEP,
    FRAMES,
    GREY,
    HIGH,
    LA,
    MAKER,
    RGB,
    RGBA,
    SRGB,
    TAKEN,
    TIMES,
    WIDE,
    animation,
    chunk,
    encoded,
    exif_of,
    png,
)

from pysrcnn.batch import large
from pysrcnn.pictures import (
    PictureFile,
    _chunks,
    _exif,
    _tiff,
    deep,
    read_picture,
    read_picture_file,
    write_picture,
    write_picture_file,
)
from pysrcnn.pictures._directories import Tiff
from pysrcnn.pictures._formats import kind_of
from pysrcnn.pictures.reading import pixels_of

Image = pytest.importorskip("PIL.Image")
PngInfo = pytest.importorskip("PIL.PngImagePlugin").PngInfo

PROFILES = {space: SRGB[:16] + space + SRGB[20:] for space in (b"RGB ", b"GRAY", b"CMYK")}


def read(content):
    return read_picture_file("it", content)


def tags_of(exif):
    tags = Image.Exif()
    tags.load(exif)
    return dict(tags)


def same(frame, wanted):
    assert frame.dtype == wanted.dtype and frame.shape == wanted.shape
    return np.array_equal(frame, wanted)


# ------------------------------------------------------------------------------------------ pixels

FIVE = Image.fromarray(GREY // 52 * 52)  # few enough greys for 4 bits

KINDS = {
    "PNG 1": (encoded(Image.fromarray(GREY > 99), "PNG"), np.where(GREY > 99, 255, 0)),
    "TIFF 1": (encoded(Image.fromarray(GREY > 99), "TIFF"), np.where(GREY > 99, 255, 0)),
    "PNG grey palette 4": (encoded(FIVE.quantize(8), "PNG", bits=4), GREY // 52 * 52),
    "BMP palette": (encoded(FIVE.convert("P"), "BMP"), GREY // 52 * 52),
    "PNG L": (encoded(GREY, "PNG"), GREY),
    "PNG LA": (encoded(LA, "PNG"), LA),
    "TIFF LA": (encoded(LA, "TIFF"), LA),
    "PNG RGB": (encoded(RGB, "PNG"), RGB),
    "PNG RGBA": (encoded(RGBA, "PNG"), RGBA),
    "BMP RGB": (encoded(RGB, "BMP"), RGB),
    "TIFF RGBA": (encoded(RGBA, "TIFF"), RGBA),
    "WebP RGBA": (encoded(RGBA, "WEBP", lossless=True, exact=True), RGBA),
    "PNG I;16": (encoded(GREY.astype(np.uint16) * 257, "PNG"), GREY.astype(np.uint16) * 257),
    "TIFF I;16": (encoded(GREY.astype(np.uint16) * 257, "TIFF"), GREY.astype(np.uint16) * 257),
    "TIFF F": (encoded(GREY.astype(np.float32) / 255, "TIFF"), GREY.astype(np.float32) / 255),
    "GIF grey": (encoded(GREY, "GIF"), GREY),
    "grey that is stored as RGB": (
        encoded(np.stack([GREY] * 3, 2), "PNG"),
        np.stack([GREY] * 3, 2),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_read_as_what_it_is(name):
    content, wanted = KINDS[name]
    file = read(content)
    wanted = wanted.astype(np.uint8) if wanted.dtype == np.int64 else wanted
    assert same(file.frames[0], wanted)
    assert (len(file.frames), file.durations, file.notes) == (1, None, [])


def test_palettes_of_colours():
    picture = Image.frombytes("P", (9, 7), np.arange(63, dtype=np.uint8).tobytes())
    picture.putpalette(RGB.tobytes())
    assert same(read(encoded(picture, "PNG")).frames[0], RGB)
    alpha = bytes(range(63))
    wanted = np.concatenate([RGB, np.arange(63, dtype=np.uint8).reshape(7, 9, 1)], 2)
    assert same(read(encoded(picture, "PNG", transparency=alpha)).frames[0], wanted)
    picture.putpalette(np.repeat(GREY.reshape(-1, 1), 3, 1).tobytes())  # of greys, with alpha
    grey = read(encoded(picture, "PNG", transparency=alpha)).frames[0]
    assert same(grey, np.stack([GREY, wanted[..., 3]], 2))
    # With a profile for RGB it has to stay RGB.
    assert read(encoded(picture, "PNG", icc_profile=SRGB)).frames[0].shape == (7, 9, 3)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_transparent_colour_becomes_alpha(mode):
    array = {"1": np.where(GREY > 99, 255, 0).astype(np.uint8), "L": GREY, "RGB": RGB}[mode]
    picture = Image.fromarray(GREY > 99) if mode == "1" else Image.fromarray(array)
    key = array[2, 3].tolist()
    key = tuple(key) if mode == "RGB" else key
    frame = read(encoded(picture, "PNG", transparency=key)).frames[0]
    assert frame.shape == (7, 9, 2 if mode != "RGB" else 4)
    flat = array.reshape(7, 9, -1)
    assert np.array_equal(frame[:, :, :-1], flat)
    assert np.array_equal(frame[:, :, -1] == 0, (flat == flat[2, 3]).all(axis=2))


@pytest.mark.parametrize("bits", [2, 4])
def test_a_transparent_grey_of_few_bits_becomes_alpha(bits):
    """Pillow scales the pixels, but not the transparent level."""
    levels = np.array([[0, 1, 2, 3]])
    row = bytes([0, 0b00011011] if bits == 2 else [0, 0x01, 0x23])
    head = struct.pack(">IIBBBBB", 4, 1, bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    content += chunk(b"tRNS", struct.pack(">H", 2))
    content += chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    grey, alpha = np.moveaxis(read(content).frames[0], -1, 0)
    assert np.array_equal(grey, levels * (255 // (2**bits - 1)))
    assert alpha.tolist() == [[255, 255, 0, 255]]


def test_16_bit_grey_with_a_transparent_level():
    grey = GREY.astype(np.uint16) * 257
    content = png(grey, 16, 0, chunk(b"tRNS", struct.pack(">H", grey[2, 3])))
    frame = read(content).frames[0]
    assert frame.dtype == np.uint16
    assert np.array_equal(frame[..., 0], grey)
    assert np.array_equal(frame[..., 1], np.where(grey == grey[2, 3], 0, 65535))


def test_big_endian_grey_of_16_bits():
    big = Image.frombytes("I;16B", (9, 7), (GREY.astype(">u2") * 257).tobytes())
    assert same(read(encoded(big, "TIFF")).frames[0], GREY.astype(np.uint16) * 257)


def test_inks_become_rgb_without_their_profile():
    smooth = np.add.outer(np.arange(24) * 4, np.arange(32) * 3).astype(np.uint8)
    rgb = np.stack([smooth, 255 - smooth, smooth // 2 + 50], 2)
    inks = np.concatenate([255 - rgb, np.zeros((24, 32, 1), np.uint8)], 2)
    picture = Image.frombytes("CMYK", (32, 24), inks.tobytes())
    options = {"quality": 98, "subsampling": 0, "icc_profile": PROFILES[b"CMYK"]}
    file = read(encoded(picture, "JPEG", **options))
    assert np.abs(file.frames[0].astype(int) - rgb).max() <= 6
    assert file.icc_profile is None
    assert file.notes == [
        "its CMYK colours became RGB without their profile and may look different"
    ]
    assert read(encoded(picture, "TIFF")).notes == [
        "its CMYK colours became RGB and may look different"
    ]


def test_pages_of_a_tiff_are_no_animation():
    pages = [Image.fromarray(GREY), Image.fromarray(RGB[:5])]
    file = read(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert same(file.frames[0], GREY) and file.durations is None
    assert file.notes == ["only the first of its 2 pages is taken"]


def test_the_first_of_several_pictures_of_a_jpeg_file():
    more = {"save_all": True, "append_images": [Image.fromarray(GREY)]}
    file = read(encoded(Image.fromarray(RGB), "MPO", **more))
    assert file.frames[0].shape == RGB.shape and file.kind == "jpeg"
    assert file.notes == ["only the first of its 2 pictures is taken"]


def test_formats_are_known_by_their_first_bytes():
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        assert kind_of(encoded(RGB, form)) == form.lower()
    assert kind_of(b"text") == kind_of(b"") == ""


# ----------------------------------------------------------------------------- orientation, EXIF

TURNED = {
    1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1), 6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1), 8: lambda x: x.swapaxes(0, 1)[::-1],
}  # fmt: skip


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "palette"])
def test_pictures_are_upright_and_say_so(tmp_path, form, orientation):
    picture = Image.fromarray(RGB)
    if form == "palette":
        picture = picture.quantize(16)
    options = {"lossless": True} if form == "WEBP" else {}
    exif = exif_of(orientation).tobytes()
    content = encoded(picture, "PNG" if form == "palette" else form, exif=exif, **options)
    wanted = TURNED[orientation](np.asarray(picture.convert("RGB")))
    file = read(content)
    assert same(file.frames[0], np.ascontiguousarray(wanted))
    assert write_picture_file(tmp_path / "a.png", file) == []
    with Image.open(tmp_path / "a.png") as again:
        exif = again.getexif()
        assert exif.get(0x0112, 1) == 1
        assert exif[MAKER] == "Maker"
        more = exif.get_ifd(0x8769)
        assert more[TAKEN] == "2020:01:02 03:04:05"
        assert (more[WIDE], more[HIGH]) == again.size == wanted.shape[1::-1]
    assert same(read_picture_file(tmp_path / "a.png").frames[0], np.ascontiguousarray(wanted))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("order", [">", "<"])
def test_exif_is_changed_in_place_and_damage_left_alone(order):
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)
    block = (b"MM" if order == ">" else b"II") + struct.pack(order + "HI", 42, 8)
    block += struct.pack(order + "H", 1) + entry + bytes(4) + b"maker's notes"
    for start in (b"", b"Exif\0\0"):
        changed = _exif.after_enlarging(start + block, 5, 5)
        assert changed == start + block.replace(entry, entry[:8] + struct.pack(order + "HH", 1, 0))
        for length in range(len(block)):  # truncated anywhere
            assert len(_exif.after_enlarging(start + block[:length], 5, 5)) == length + len(start)
    # What readers take for an orientation, though it is of another type or damage follows it.
    upright = entry[:8] + struct.pack(order + "HH", 1, 0)
    for other in ((4, 1, 6), (3, 2, 6), (3, 2**31, 6), (6, 1, 6)):
        odd = struct.pack(order + "HHII", 0x0112, *other)
        changed = _exif.after_enlarging(block.replace(entry, odd), 5, 5)
        assert changed == block.replace(entry, upright)
    long = block[:8] + struct.pack(order + "H", 65535) + block[10:]
    assert _exif.after_enlarging(long, 5, 5) == long.replace(entry, upright)
    assert _exif.after_enlarging(b"nonsense", 5, 5) == b"nonsense"
    assert _exif.of_tiff(Tiff(b"II*\0\xff\xff\xff\xff")) == (None, set())


# -------------------------------------------------------------------------------------- round trips

ALL = {"icc_profile": SRGB, "dpi": (300.0, 200.0), "exif": exif_of().tobytes()}
CARRIED = [
    ("png", []),
    ("jpg", []),
    ("tif", []),
    ("webp", ["the resolution in DPI"]),
    ("bmp", ["the colour profile", "EXIF"]),
    ("gif", ["the colour profile", "EXIF", "the resolution in DPI", "colours beyond 256 a frame"]),
]


@pytest.mark.parametrize("suffix, losses", CARRIED)
@pytest.mark.parametrize("source", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_profile_exif_and_dpi_survive_where_they_can(tmp_path, source, suffix, losses):
    if source == "WEBP" or (source, suffix) == ("TIFF", "webp"):  # whose EXIF has it
        losses = [x for x in losses if "DPI" not in x]
    file = read(encoded(RGB, source, **ALL))
    assert write_picture_file(tmp_path / f"a.{suffix}", file) == losses
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        assert picture.size == (9, 7)
        assert (picture.info.get("icc_profile") == SRGB) == ("the colour profile" not in losses)
        assert (picture.getexif().get(MAKER) == "Maker") == ("EXIF" not in losses)
        if "EXIF" not in losses:
            assert picture.getexif().get_ifd(0x8769)[TAKEN] == "2020:01:02 03:04:05"
        if suffix not in ("webp", "gif") and source != "WEBP":
            assert picture.info["dpi"] == pytest.approx((300, 200), abs=0.02)


def chunks_of(path):
    """{kind: content} of what a PNG file has before its pixels."""
    content, at, found = path.read_bytes(), 8, {}
    while (kind := content[at + 4 : at + 8]) != b"IDAT":
        (length,) = struct.unpack_from(">I", content, at)
        found.setdefault(kind, content[at + 8 : at + 8 + length])
        at += 12 + length
    return found


LINEAR = (b"gAMA", struct.pack(">I", 100000))
WIDE_GAMUT = (b"cHRM", struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600))
HDR, USUAL = (b"cICP", bytes((9, 16, 0, 1))), (b"gAMA", struct.pack(">I", 45455))
SPACE = ["what it says its colours are (in chunks of PNG)"]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("said, losses", [
    ([LINEAR, WIDE_GAMUT], SPACE), ([HDR], SPACE), ([(b"sRGB", b"\0"), USUAL], []), ([USUAL], []),
])  # fmt: skip
def test_what_a_png_file_says_its_colours_are(tmp_path, said, losses, bits):
    pixels = DEEP[..., :3] >> (16 - bits)
    file = read(png(pixels.reshape(7, -1), bits, 2, *(chunk(*pair) for pair in said)))
    assert write_picture_file(tmp_path / "a.png", file) == []
    assert said == [pair for pair in chunks_of(tmp_path / "a.png").items() if pair in said]
    assert write_picture_file(tmp_path / "a.bmp", file) == losses + (
        ["its full depth (16 bits became 8, as BMP holds no more)"]
        if file.frames[0].dtype == np.uint16
        else []
    )
    file.icc_profile = SRGB  # which comes before all but cICP
    write_picture_file(tmp_path / "a.png", file)
    assert b"sRGB" not in chunks_of(tmp_path / "a.png")
    assert (SPACE[0] in write_picture_file(tmp_path / "a.tif", file)) == (HDR in said)


def test_texts_of_png(tmp_path):
    info = PngInfo()
    info.add_text("Title", "a picture")
    info.add_text("parameters", "steps: 20 " * 50, zip=True)
    info.add_itxt("Author", "Ærøskøbing")
    # Which would turn the result again.
    orientation = '<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"/>'
    info.add_itxt("XML:com.adobe.xmp", orientation)
    for content in (
        encoded(RGB, "PNG", pnginfo=info),
        animation("PNG", pnginfo=info),
        png(DEEP.reshape(7, -1), 16, 6, *(chunk(*pair[:2]) for pair in info.chunks)),
    ):
        assert write_picture_file(tmp_path / "a.png", read(content)) == []
        with Image.open(tmp_path / "a.png") as picture:
            assert picture.info["Title"] == "a picture" and len(picture.info["parameters"]) == 500
            assert picture.info["Author"] == "Ærøskøbing" and not picture.getexif()
        file = read(content)
        assert "the texts Title, parameters, Author" in write_picture_file(tmp_path / "a.gif", file)
    file.texts = [(b"tEXt", b"%d\0" % k) for k in range(9)]
    assert "the texts 0, 1, 2 and 6 more" in write_picture_file(tmp_path / "a.gif", file)
    endless = chunk(b"tEXt", b"Title\0" + bytes([65]) * 2**22)
    file = read(png(RGB.reshape(7, -1), 8, 2, endless))
    assert file.texts == [] and file.notes == ["its texts, of several megabytes, are left out"]


def test_texts_are_not_taken_for_what_they_are_called():
    texts = [(b"tEXt", name + b"\0many") for name in (b"dpi", b"icc_profile", b"mode", b"loop")]
    file = read(png(RGB.reshape(7, -1), 8, 2, *(chunk(*text) for text in texts)))
    assert (file.dpi, file.icc_profile, file.texts) == (None, None, texts)


@pytest.mark.parametrize("comment, text", [
    (b"a photograph", "a photograph"), ("Ærø".encode(), "Ærø"), (b"\xc6r\xf8\0", "Ærø"),
])  # fmt: skip
def test_the_comment_of_jpeg_and_gif(tmp_path, comment, text):
    for content in (
        encoded(RGB, "JPEG", comment=comment),
        encoded(RGB, "GIF", comment=comment),
        animation("GIF", comment=comment),
    ):
        file = read(content)
        for suffix in ("jpg", "gif", "png"):
            assert "the comment" not in write_picture_file(tmp_path / f"a.{suffix}", file)
            with Image.open(tmp_path / f"a.{suffix}") as picture:
                got = picture.info["Comment" if suffix == "png" else "comment"]
            assert got == (text if suffix == "png" else comment)
        assert "the comment" in write_picture_file(tmp_path / "a.webp", file)
    file.comment = bytes(65534)
    assert "the comment" in write_picture_file(tmp_path / "a.jpg", file)


def test_nothing_is_made_up(tmp_path):
    for source in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"):
        file = read(encoded(RGB, source))
        assert (file.icc_profile, file.exif) == (None, None), source
        if source != "BMP":
            assert file.dpi is None, source


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("name", ["PNG L", "PNG LA", "PNG RGB", "PNG RGBA"])
def test_modes_survive(tmp_path, suffix, name):
    content, wanted = KINDS[name]
    assert write_picture_file(tmp_path / f"a.{suffix}", read(content)) == []
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        mode = name.split()[1]
        if suffix == "webp":  # which has no grey
            mode = {"L": "RGB", "LA": "RGBA"}.get(mode, mode)
        assert picture.mode == mode
    if suffix != "webp":
        assert same(read_picture_file(tmp_path / f"a.{suffix}").frames[0], wanted)


@pytest.mark.parametrize("name, suffix, losses", [
    ("PNG I;16", "png", []),
    ("TIFF I;16", "tif", []),
    ("PNG I;16", "jpg", ["its full depth (16 bits became 8, as JPEG holds no more)"]),
    ("PNG I;16", "webp", ["its full depth (16 bits became 8, as WEBP holds no more)"]),
    ("TIFF F", "tif", []),
    ("TIFF F", "png",
     ["its full depth (32 bits of floating point became 16, as PNG holds no more)"]),
    ("TIFF F", "bmp",
     ["its full depth (32 bits of floating point became 8, as BMP holds no more)"]),
])  # fmt: skip
def test_depth_survives_or_is_said_not_to(tmp_path, name, suffix, losses):
    content, wanted = KINDS[name]
    assert write_picture_file(tmp_path / f"a.{suffix}", read(content)) == losses
    again = read_picture_file(tmp_path / f"a.{suffix}").frames[0]
    if not losses:
        assert same(again, wanted)
    elif suffix != "webp":
        peak = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}[again.dtype]
        full = 1 if wanted.dtype.kind == "f" else 65535
        error = np.abs(again / peak - wanted / full).max()
        assert error <= (0.1 if suffix == "jpg" else 0.51 / peak)


def test_exif_without_its_head_is_left_out_and_it_is_said(tmp_path):
    """Pillow reads such a JPEG file if it is not JFIF; one that is, as we write, it does not."""
    content = encoded(RGB, "JPEG", exif=exif_of().tobytes()).replace(b"JFIF", b"none")
    assert read(content).exif and read(content).notes == []
    place = content.index(b"Exif\0\0") + 6
    file = read(content[:place] + bytes(2) + content[place + 2 :])
    assert file.exif is None and file.notes == ["its EXIF is damaged and left out"]
    write_picture_file(tmp_path / "a.jpg", file)
    assert read_picture_file(tmp_path / "a.jpg").frames[0].shape == RGB.shape


def test_a_profile_of_grey_does_not_go_to_rgb(tmp_path):
    file = read(encoded(GREY, "PNG", icc_profile=PROFILES[b"GRAY"]))
    assert file.icc_profile == PROFILES[b"GRAY"]
    assert write_picture_file(tmp_path / "a.png", file) == []
    assert write_picture_file(tmp_path / "a.webp", file) == ["the colour profile"]


def test_exif_too_long_for_jpeg(tmp_path):
    file = PictureFile([RGB], exif=exif_of().tobytes() + bytes(70000))
    assert write_picture_file(tmp_path / "a.jpg", file) == ["EXIF"]
    assert write_picture_file(tmp_path / "a.png", file) == []


@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
@pytest.mark.parametrize("frame", [LA, RGBA, RGBA.astype(np.uint16)])
def test_transparency_is_refused_not_lost(tmp_path, suffix, frame):
    with pytest.raises(ValueError, match=r"has no transparency; choose \.png"):
        write_picture_file(tmp_path / f"a.{suffix}", PictureFile([frame]))
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------------- animations


def timing(path):
    with Image.open(path) as picture:
        times = []
        for k in range(picture.n_frames):
            picture.seek(k)
            picture.load()
            times.append(picture.info["duration"])
        return times, picture.info.get("loop")


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_animations_keep_frames_and_timing(tmp_path, form, suffix):
    file = read(animation(form))
    assert file.durations == TIMES and file.plays == 0
    assert all(same(a, b) for a, b in zip(file.frames, FRAMES, strict=True))
    lost = write_picture_file(tmp_path / f"a.{suffix}", file)
    assert lost == (["colours beyond 256 a frame"] if suffix == "gif" != form.lower() else [])
    assert timing(tmp_path / f"a.{suffix}") == (TIMES, 0)
    if suffix != "webp":  # written with loss
        again = read_picture_file(tmp_path / f"a.{suffix}")
        assert all(same(a, b) for a, b in zip(again.frames, FRAMES, strict=True))


@pytest.mark.parametrize("form, loop, plays", [
    ("GIF", None, 1), ("GIF", 0, 0), ("GIF", 2, 3), ("PNG", 1, 1), ("PNG", 3, 3), ("WEBP", 3, 3),
])  # fmt: skip
def test_animations_are_played_as_often(tmp_path, form, loop, plays):
    file = read(animation(form, loop=loop))
    assert file.plays == plays
    for suffix in ("gif", "png", "webp"):
        write_picture_file(tmp_path / f"a.{suffix}", file)
        assert read_picture_file(tmp_path / f"a.{suffix}").plays == plays


def test_times_of_a_gif_are_hundredths_that_add_up(tmp_path):
    file = PictureFile(FRAMES * 3, "png", durations=[33.4] * 12)
    write_picture_file(tmp_path / "a.gif", file)
    times, _ = timing(tmp_path / "a.gif")
    assert set(times) == {30, 40} and sum(times) == 400


def test_transparent_frames_do_not_show_the_one_before(tmp_path):
    frames = []
    for k in range(3):
        frame = np.zeros((8, 8, 4), np.uint8)
        frame[:, 2 * k : 2 * k + 2] = 200, 100, 50, 255
        frame[3, 2 * k] = 0  # libwebp forgets the transparency around frames without any in them
        frames.append(frame)
    for suffix in ("gif", "png", "webp"):
        file = PictureFile(frames, durations=[50, 60, 70])
        write_picture_file(tmp_path / f"a.{suffix}", file)
        again = read_picture_file(tmp_path / f"a.{suffix}")
        for got, wanted in zip(again.frames, frames, strict=True):
            assert np.array_equal(got[..., 3], wanted[..., 3]), suffix
            seen = wanted[..., 3] > 0
            error = np.abs(got[seen].astype(int) - wanted[seen]).max()
            assert error <= (12 if suffix == "webp" else 0), suffix


@pytest.mark.parametrize("count", [2, 3])
def test_a_default_picture_is_no_frame(count):
    rest = [Image.fromarray(frame) for frame in FRAMES[:count]]
    options = {"save_all": True, "append_images": rest, "default_image": True, "duration": 50}
    file = read(encoded(RGB, "PNG", **options))
    assert all(same(a, b) for a, b in zip(file.frames, FRAMES[:count], strict=True))


@pytest.mark.parametrize("colour, channels", [(0, 1), (2, 3), (6, 4)])
def test_an_animation_of_16_bits_is_said_to_be_read_as_8(colour, channels):
    frames = [np.array([[1000, 33000, 65535, 0]], np.uint16).repeat(channels, 1) // (1 + k)
              for k in range(2)]  # fmt: skip
    pixels = [np.insert(frame.astype(">u2").view(np.uint8), 0, 0).tobytes() for frame in frames]
    head = struct.pack(">IIBBBBB", 4, 1, 16, colour, 0, 0, 0)
    fctl = [chunk(b"fcTL", struct.pack(">5I2H2B", k, 4, 1, 0, 0, 1, 10, 0, 0)) for k in (0, 1)]
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    content += chunk(b"acTL", struct.pack(">II", 2, 0))
    if colour != 6:
        content += chunk(b"tRNS", struct.pack(">H", 33000) * channels)
    content += fctl[0] + chunk(b"IDAT", zlib.compress(pixels[0])) + fctl[1]
    content += chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(pixels[1])) + chunk(b"IEND", b"")
    file = read(content)
    assert file.notes == ["its 16 bits a channel are read as 8"]
    for frame, wanted in zip(file.frames, frames, strict=True):
        wanted = wanted.reshape(1, 4, channels)
        assert np.abs(frame[..., 0] * 257.0 - wanted[..., 0]).max() <= 257
        alpha = wanted[..., 3] // 256 if colour == 6 else np.where(wanted[..., 0] == 33000, 0, 255)
        assert np.abs(frame[..., -1] - alpha.astype(float)).max() <= 1


@pytest.mark.parametrize("disposal", [1, 2])
def test_frames_are_as_composed(disposal):
    """A GIF whose second frame changes a corner: it is read as a whole picture."""
    first, second = (Image.new("P", (6, 6)) for _ in range(2))
    for picture in (first, second):
        picture.putpalette([255, 0, 0, 0, 0, 255])
    second.paste(1, (0, 0, 2, 2))
    options = {"save_all": True, "append_images": [second], "duration": 50, "disposal": disposal}
    file = read(encoded(first, "GIF", **options))
    assert file.frames[1].shape[:2] == (6, 6)
    assert tuple(file.frames[1][0, 0, :3]) == (0, 0, 255)
    assert tuple(file.frames[1][5, 5, :3]) == (255, 0, 0)


def test_a_grey_animation_stays_grey(tmp_path):
    file = read(animation("GIF", [f[..., 0] for f in FRAMES]))
    assert [f.shape for f in file.frames] == [(7, 9)] * 4


def test_frames_that_leave_their_animation():
    content = animation("GIF")
    place = content.rindex(struct.pack("<cHHHH", b",", 0, 0, 9, 7))
    for left, width, height in ((5, 9, 7), (0, 12000, 5000)):
        moved = struct.pack("<cHHHH", b",", left, 0, width, height)
        tracemalloc.start()
        with pytest.raises(ValueError, match="it is damaged or .*: its frames differ in size"):
            read(content[:place] + moved + content[place + 9 :])
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # its pixels were not made
        tracemalloc.stop()


def test_animations_that_claim_to_be_huge():
    content = animation("GIF")
    with pytest.raises(
        ValueError, match=r"it claims to hold 4 times 3,000 x 3,000 pixels in .*one"
    ):
        read(content[:6] + struct.pack("<HH", 3000, 3000) + content[10:])


@pytest.mark.parametrize("suffix, most", [("gif", 65535), ("jpg", 65500), ("webp", 16383)])
def test_formats_that_are_too_small_for_a_picture(tmp_path, suffix, most):
    write_picture_file(tmp_path / f"a.{suffix}", PictureFile([np.zeros((1, most), np.uint8)]))
    with pytest.raises(ValueError, match=f"more than the {most} a side that fit .* choose .png"):
        write_picture_file(tmp_path / f"b.{suffix}", PictureFile([np.zeros((most + 1, 1), "u1")]))
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_an_animation_that_cannot_be_written_is_given_up(tmp_path, monkeypatch):
    """Also by imageio, which would try again when its writer goes, and print a traceback."""
    later = []
    monkeypatch.setattr(sys, "unraisablehook", later.append)
    with pytest.raises(ValueError, match=r"cannot write .*a.webp: "):
        write_picture_file(tmp_path / "a.webp", PictureFile([RGB, RGB[1:], RGB[1:]]))
    gc.collect()
    assert not later and not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif"])
def test_a_still_format_takes_the_first_frame_and_it_is_said(tmp_path, suffix):
    lost = write_picture_file(tmp_path / f"a.{suffix}", read(animation("GIF")))
    assert lost == ["all of its 4 frames but the first"]
    again = read_picture_file(tmp_path / f"a.{suffix}").frames[0]
    if suffix != "jpg":
        assert same(again, FRAMES[0])


def test_a_gif_says_what_it_cannot_hold(tmp_path):
    assert write_picture_file(tmp_path / "a.gif", PictureFile([LA])) == [
        "colours beyond 256 a frame",
        "partial transparency",
    ]
    again = read_picture_file(tmp_path / "a.gif").frames[0]
    assert np.array_equal(again[..., -1], np.where(LA[..., 1] > 127, 255, 0))
    seen = LA[..., 1] > 127
    assert np.abs(again[seen][:, 0].astype(int) - LA[seen][:, 0]).mean() < 8


def test_a_gif_says_what_is_true(tmp_path):
    assert write_picture_file(tmp_path / "a.gif", PictureFile([GREY])) == []
    lost = write_picture_file(tmp_path / "a.gif", PictureFile([DEEP]))
    assert lost[-1] == "partial transparency"


def test_exif_on_the_storage_of_other_pixels_changes_none():
    exif = exif_of(3)
    exif[258], exif[262], exif[284] = 12, 0, 2  # bits, white is 0, planar
    grey = GREY.astype(np.uint16) * 257
    content = encoded(grey, "PNG", exif=exif)
    assert same(read(content).frames[0], grey[::-1, ::-1])
    assert same(pixels_of(Image.open(io.BytesIO(content))), grey)
    exif[258] = (16, 16, 16)
    assert same(read(encoded(RGB, "PNG", exif=exif)).frames[0], RGB[::-1, ::-1])


# ------------------------------------------------------------------------------------- deep colour

CHANNELS = {2: (DEEP[..., :3], 2), 4: (DEEP[..., [0, 3]], 4), 6: (DEEP, 6)}


@pytest.mark.parametrize("colour", CHANNELS)
def test_16_bits_a_channel_of_png(tmp_path, colour):
    pixels, _ = CHANNELS[colour]
    content = png(
        pixels.reshape(7, -1), 16, colour, chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))
    )
    file = read(content)
    assert same(file.frames[0], pixels) and file.notes == []
    file.icc_profile, file.exif = SRGB, exif_of(6).tobytes()
    assert write_picture_file(tmp_path / "a.png", file) == []
    again = read_picture_file(tmp_path / "a.png")
    assert again.dpi == pytest.approx((300, 300), abs=0.02)
    assert same(again.frames[0], pixels)
    assert again.icc_profile == SRGB and b"Maker" in again.exif
    with Image.open(tmp_path / "a.png") as picture:  # of which it reads the higher bytes
        assert np.array_equal(np.asarray(picture)[..., [0, -1]], pixels[..., [0, -1]] >> 8) or (
            pixels.shape[2] == 3 and np.array_equal(picture, pixels >> 8)
        )


@pytest.mark.parametrize("colour", CHANNELS)
def test_16_bits_a_channel_in_other_forms_of_png(colour):
    pixels, _ = CHANNELS[colour]
    large = np.tile(pixels, (40, 30, 1))  # of several bands, where these are small
    for interlaced in (False, True):
        file = read(png(large.reshape(len(large), -1), 16, colour, interlaced=interlaced))
        assert same(file.frames[0], large) and file.notes == []


def test_16_bits_a_channel_are_packed_band_by_band(tmp_path, monkeypatch):
    pixels = np.tile(DEEP, (40, 30, 1))
    monkeypatch.setattr(_chunks, "_BAND", 1000)
    write_picture(tmp_path / "a.png", pixels)
    content = (tmp_path / "a.png").read_bytes()
    assert content.count(b"IDAT") == len(pixels) // (1000 // pixels.shape[1]) + 1
    assert same(read(content).frames[0], pixels)
    cv2 = pytest.importorskip("cv2")  # which has blue first
    other = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(other[..., [2, 1, 0, 3]], pixels)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bits_a_channel_of_tiff(tmp_path, channels):
    tifffile = pytest.importorskip("tifffile")
    pixels = DEEP[..., :channels]
    file = PictureFile([pixels], "tiff", SRGB, dpi=(300.0, 300.0), exif=exif_of().tobytes())
    assert write_picture_file(tmp_path / "a.tif", file) == []
    again = read_picture_file(tmp_path / "a.tif")
    assert same(again.frames[0], pixels) and again.notes == []
    assert b"Maker" in again.exif
    if channels > 2:
        assert again.icc_profile == SRGB and again.dpi == (300, 300)
    floats = (pixels / 65535).astype(np.float32)
    tifffile.imwrite(tmp_path / "f.tif", floats, photometric="rgb" if channels > 2 else None)
    if channels == 3:
        file = read_picture_file(tmp_path / "f.tif")
        assert same(file.frames[0], floats)
        assert write_picture_file(tmp_path / "g.tif", file) == []
        assert same(read_picture_file(tmp_path / "g.tif").frames[0], floats)


def test_floating_point_beyond_white_is_refused_by_name():
    with pytest.raises(ValueError, match="^it's values go from 0 to 255: a floating point picture"):
        read(encoded(np.array([[0, 255]], np.float32), "TIFF"))


def test_float_colour_that_claims_to_be_huge(monkeypatch):
    """Which Pillow cannot read, and tifffile would."""
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    tifffile.imwrite(out, (DEEP[..., :3] / 65535).astype(np.float32), photometric="rgb")
    content = out.getvalue()
    assert read(content).frames[0].dtype == np.float32
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        width, height = (file.pages[0].tags[tag].valueoffset for tag in (256, 257))
    large = bytearray(content)
    for place in (width, height):
        large[place : place + 2] = struct.pack("<H", 4000)
    assert deep.read(bytes(large)) is None
    with pytest.raises(ValueError, match="it claims to hold 4,000 x 4,000 pixels in "):
        read(bytes(large))


def test_tiles_that_claim_to_be_huge():
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    picture = np.zeros((24, 32, 3), np.uint16)
    tifffile.imwrite(out, picture, photometric="rgb", tile=(16, 16), compression="zlib")
    content = bytearray(out.getvalue())
    assert same(deep.read(bytes(content)), picture)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        place = file.pages[0].tags["TileLength"].valueoffset
    content[place - 6 : place - 4] = struct.pack("<H", 4)  # four bytes, whatever it was
    content[place : place + 4] = b"\xff" * 4
    assert deep.read(bytes(content)) is None
    with pytest.raises(ValueError, match="it claims to hold 16 x 4,294,967,295 pixels in "):
        read(bytes(content))


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)])
def test_a_tiff_file_of_float64_is_read(shape):
    tifffile = pytest.importorskip("tifffile")
    pixels, out = np.random.default_rng(0).random(shape), io.BytesIO()
    tifffile.imwrite(out, pixels, photometric="rgb" if len(shape) == 3 else "minisblack")
    assert same(read(out.getvalue()).frames[0], pixels)


@pytest.mark.parametrize("unit, per_inch", [("INCH", 1), ("CENTIMETER", 2.54)])
@pytest.mark.parametrize("dtype, shape", [("f8", (7, 9)), ("f4", (7, 9, 3))])
def test_what_is_beside_floating_point_is_read(dtype, shape, unit, per_inch):
    """Of TIFF files that Pillow does not read."""
    tifffile = pytest.importorskip("tifffile")
    pixels, out = np.random.default_rng(0).random(shape).astype(dtype), io.BytesIO()
    tifffile.imwrite(
        out, pixels, photometric="rgb" if len(shape) == 3 else "minisblack", metadata=None,
        resolution=(100, 200), resolutionunit=unit, iccprofile=SRGB,
        extratags=[(274, "H", 1, 6, True), (315, "s", 0, "somebody", True)],
    )  # fmt: skip
    file = read(out.getvalue())
    assert same(file.frames[0], pixels.swapaxes(0, 1)[:, ::-1])
    assert file.icc_profile == SRGB and tags_of(file.exif)[315] == "somebody"
    assert file.dpi == pytest.approx((200 * per_inch, 100 * per_inch))  # turned, too


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "float16"])
def test_what_a_tiff_file_holds_is_named(tmp_path, monkeypatch, dtype, order):
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(deep, "available", lambda: False)
    pixels = np.linspace(-90, 90000, 63).reshape(7, 9)
    pixels = pixels / 90000 if dtype == "float16" else pixels.astype(np.int64)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels.astype(dtype), byteorder=order)
    for reader in (read_picture_file, read_picture):
        with pytest.raises((TypeError, ValueError), match=f"a.tif (holds|is .* of) {dtype}[, ]"):
            reader(path)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
def test_integers_whose_white_is_unknown_are_not_taken_for_others(tmp_path, dtype):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.arange(63).reshape(7, 9).astype(dtype))
    for reader in (read_picture_file, read_picture):
        words = f"a.tif holds {dtype}, wanted uint8, .*: save it with 8 or 16 bits a channel"
        with pytest.raises(TypeError, match=words):
            reader(tmp_path / "a.tif")


def test_no_memory_for_16_bits_is_said_and_not_read_as_8(monkeypatch):
    tifffile = pytest.importorskip("tifffile")

    def too_large(content):
        raise MemoryError

    monkeypatch.setattr(deep, "_read_tiff", too_large)
    out = io.BytesIO()
    tifffile.imwrite(out, DEEP[..., :3], photometric="rgb")
    with pytest.raises(MemoryError, match="it takes more memory than there is"):
        read(out.getvalue())


def test_without_the_extra_it_is_said(tmp_path, monkeypatch):
    pytest.importorskip("tifffile")
    content = tiff(DEEP[..., :3])
    without_the_extra(monkeypatch)
    file = read(content)
    assert "are read as 8" in file.notes[0] and '".[deep]"' in file.notes[0]
    assert file.frames[0].dtype == np.uint8
    lost = write_picture_file(tmp_path / "a.tif", PictureFile([DEEP]))
    assert lost == ["its full depth (16 bits became 8)"]
    again = read_picture_file(tmp_path / "a.tif").frames[0]
    assert np.abs(again - DEEP / 257).max() <= 0.51


def without_the_extra(monkeypatch):
    for library in ("tifffile", "imagecodecs"):
        monkeypatch.setitem(sys.modules, library, None)


def test_a_transparent_colour_of_16_bits_becomes_alpha():
    pixels = DEEP[..., :3].copy()
    pixels[0, 0] = pixels[2, 3] ^ 1  # which is the same in 8 bits
    key = chunk(b"tRNS", struct.pack(">3H", *pixels[2, 3]))
    frame = read(png(pixels.reshape(7, -1), 16, 2, key)).frames[0]
    assert same(frame[..., :3].copy(), pixels)
    assert np.argwhere(frame[..., 3] == 0).tolist() == [[2, 3]]


def test_a_library_is_there_while_another_thread_imports_it(monkeypatch):
    # Its __spec__ is None yet.
    monkeypatch.setitem(sys.modules, "tifffile", types.ModuleType("tifffile"))
    assert deep.available()


# ------------------------------------------------------------------------------- kinds of TIFF file


def tiff(pixels, colour="rgb", extra=None, **options):
    """The bytes of a TIFF file; `extra` says what the channels beside colour are."""
    tifffile = pytest.importorskip("tifffile")
    options = {"metadata": None, "software": False} | options
    if pixels.ndim == 3:
        options = {"planarconfig": "contig"} | options
    options |= {"extrasamples": extra} if extra else {}
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, photometric=colour, **options)
    return out.getvalue()


def of_type(pixels, dtype):
    """Levels of 16 bits as others."""
    peak = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    return (pixels / 65535 * peak).astype(dtype)


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_white_may_be_0(tmp_path, monkeypatch, dtype, available):
    grey = of_type(DEEP[..., 0], dtype)
    negative = (255 if dtype == "u1" else 65535 if dtype == "u2" else 1) - grey
    (tmp_path / "a.tif").write_bytes(tiff(negative, "miniswhite"))
    if not available:
        without_the_extra(monkeypatch)
    for picture in (
        read_picture_file(tmp_path / "a.tif").frames[0],
        read_picture(tmp_path / "a.tif"),
    ):
        assert picture.dtype == dtype and picture == pytest.approx(grey, abs=1e-6)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f8"])
def test_white_may_be_0_beside_alpha(dtype):
    pixels = of_type(DEEP[..., [0, 3]], dtype)
    negative = pixels.copy()
    negative[..., 0] = (255 if dtype == "u1" else 65535 if dtype == "u2" else 1) - pixels[..., 0]
    file = read(tiff(negative, "miniswhite", ["unassalpha"]))
    assert file.frames[0].dtype == dtype and file.frames[0] == pytest.approx(pixels)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_colour_is_divided_by_the_alpha_that_it_was_multiplied_by(dtype, channels, order):
    levels = np.linspace(0, 1, 63).reshape(7, 9)
    colour, alpha = np.stack([levels, levels / 2, levels / 5][: channels - 1], 2), 0.5
    peak = {"u1": 255, "u2": 65535, "f4": 1}[dtype]
    stored = np.dstack([colour * alpha, np.full((7, 9), alpha)]) * peak
    name = "rgb" if channels == 4 else "minisblack"
    file = read(tiff(stored.astype(dtype), name, ["assocalpha"], byteorder=order))
    assert file.frames[0].dtype == dtype and file.notes == []
    assert np.abs(file.frames[0][..., :-1] / peak - colour).max() < 3 / {"f4": 1e6}.get(dtype, peak)


def test_transparent_and_shining_pixels_are_divided_by_alpha_too():
    stored = np.zeros((7, 9, 4), "f4")
    stored[0, 0] = 0.5, 0.25, 0.1, 0.125  # brighter than white
    file = read(tiff(stored, "rgb", ["assocalpha"]))
    assert file.frames[0][0, 0].tolist() == pytest.approx([1.5, 1.5, 0.8, 0.125])
    assert not file.frames[0][1:].any()
    assert file.notes == ["its values outside 0..1 are clipped"]
    stored = np.full((7, 9, 4), 65535, "u2")
    stored[0, 0] = 7, 0, 65535, 0
    pixels = read(tiff(stored, "rgb", ["assocalpha"])).frames[0]
    assert pixels[0, 0, 3] == 0 and (pixels[1:] == 65535).all()


def test_premultiplied_grey_as_an_array(tmp_path):
    stored = np.stack([np.full((7, 9), 60, "u1"), np.full((7, 9), 120, "u1")], 2)
    (tmp_path / "a.tif").write_bytes(tiff(stored, "minisblack", ["assocalpha"]))
    assert read_picture(tmp_path / "a.tif")[0, 0].tolist() == [127, 127, 127, 120]


def test_channels_apart_are_read_or_refused(tmp_path, monkeypatch):
    content = tiff(np.moveaxis(DEEP[..., :3], 2, 0), "rgb", planarconfig="separate")
    assert same(read(content).frames[0], DEEP[..., :3])
    (tmp_path / "a.tif").write_bytes(content)
    without_the_extra(monkeypatch)
    words = (
        r"holds 16 bits a channel with each channel apart \(planar\), which is not read: save it "
        r"with the channels together"
    )
    with pytest.raises(ValueError, match=rf'^it {words}, or pip install ".\[deep\]" in the clone'):
        read(content)
    with pytest.raises(ValueError, match=f"a.tif {words}, or pip install"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_other_channels_are_left_out_and_it_is_said(dtype, extra):
    for colour, count in (("rgb", 3), ("minisblack", 1)):
        pixels = of_type(DEEP[..., [0, 1, 2, 3, 0]][..., : count + extra], dtype)
        pixels = pixels if pixels.shape[2] > 1 else pixels[..., 0]
        file = read(tiff(pixels, colour, ["unspecified"] * extra))
        wanted = pixels[..., :count] if count > 1 else pixels.reshape(7, 9, -1)[..., 0]
        assert same(file.frames[0], wanted)
        others = f"its channels beside colour and alpha are left out: {extra} of {count + extra}"
        assert file.notes == ([others] if extra else [])


def test_alpha_before_other_channels_is_read():
    file = read(tiff(DEEP[..., [0, 1, 2, 3, 0]], "rgb", ["unassalpha", "unspecified"]))
    assert same(file.frames[0], DEEP)
    assert file.notes == ["its channels beside colour and alpha are left out: 1 of 5"]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_smaller_copy_before_the_picture_is_passed_over(tmp_path, dtype, order, big):
    tifffile = pytest.importorskip("tifffile")
    path, pixels = tmp_path / "a.tif", of_type(DEEP[..., :3], dtype)
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as file:
        for small in (4, 2):
            file.write(pixels[::small, ::small], photometric="rgb", subfiletype=1)
        file.write(pixels, photometric="rgb", extratags=[(315, "s", 0, "somebody", True)])
    file = read_picture_file(path)
    assert same(file.frames[0], pixels) and file.notes == []
    if not (big and order == ">"):  # which Pillow reads no tags of
        assert tags_of(file.exif)[315] == "somebody"
    if dtype == "u1" and not (big and order == ">"):
        assert same(read_picture(path), pixels)


def test_damaged_and_small_pages_are_left_as_they_are():
    small = tiff(RGB, subfiletype=1)
    for length in range(len(small) + 1):
        with contextlib.suppress(ValueError, struct.error):
            assert _tiff.examine(small[:length], "a.tif").parts == [slice(0, length)]
    place = small.index(struct.pack("<HHII", 254, 4, 1, 1))
    end = place + 12 * struct.unpack_from("<H", small, place - 2)[0]
    endless = small[:end] + small[4:8] + small[end + 4 :]  # the next page is the first one
    assert _tiff.examine(endless, "a.tif").parts == [slice(0, len(endless))]
    assert same(read(small).frames[0], RGB)


@pytest.mark.parametrize("suffix", ["tif", "png"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_the_place_on_the_map_is_left_out_and_it_is_said(tmp_path, dtype, suffix):
    place = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (34735, "H", 4, (1, 1, 0, 0), True)]
    place.append((315, "s", 0, "somebody", True))
    file = read(tiff(of_type(DEEP[..., :3], dtype), extratags=place))
    assert file.notes == ["its place on the map, true of the old pixels, is left out"]
    assert set(tags_of(file.exif)) == {282, 283, 296, 315}  # resolution, and somebody
    write_picture_file(tmp_path / f"a.{suffix}", file)
    again = read_picture_file(tmp_path / f"a.{suffix}")
    assert 33550 not in tags_of(again.exif) and again.notes == []


def test_white_of_12_bits_is_white_of_16(tmp_path):
    pytest.importorskip("imagecodecs")  # which packs them
    grey = DEEP[..., 0] >> 4
    (tmp_path / "a.tif").write_bytes(tiff(grey, "minisblack", bitspersample=12))
    for picture in (
        read_picture_file(tmp_path / "a.tif").frames[0],
        read_picture(tmp_path / "a.tif"),
    ):
        assert same(picture, np.round(grey / 4095 * 65535).astype("u2"))
    assert large.shape_of(tmp_path / "a.tif") is None


def test_half_precision_is_read():
    pixels = of_type(DEEP[..., :3], "f2")
    assert same(read(tiff(pixels)).frames[0], pixels.astype("f4"))
    assert same(read(tiff(pixels[..., 0], "minisblack")).frames[0], pixels[..., 0].astype("f4"))


@pytest.mark.parametrize(
    "low, high, said", [(0, 1, 0), (-1e-7, 1 + 2e-7, 0), (0, 1.5, 1), (-0.3, 1, 1)]
)
def test_values_outside_are_said_to_be_clipped(low, high, said):
    pixels = np.linspace(low, high, 63, dtype="f4").reshape(7, 9)
    assert read(tiff(pixels, "minisblack")).notes == ["its values outside 0..1 are clipped"][:said]


def test_double_precision_is_said_to_become_single(tmp_path):
    file = read(tiff(DEEP[..., :3] / 65535))
    assert write_picture_file(tmp_path / "a.tif", file) == [
        "its full depth (64 bits became 32, as TIFF holds no more)"
    ]


@pytest.mark.parametrize("packing", ["lzw", "zstd", "packbits"])
def test_packed_pixels_of_16_bits(packing):
    pytest.importorskip("imagecodecs")
    assert same(read(tiff(DEEP[..., :3], compression=packing)).frames[0], DEEP[..., :3])


@pytest.mark.parametrize("pixels, held", [
    (DEEP[..., :3].astype("f4") / 65535, "float32"),
    (DEEP[..., 0] / 65535, "float64"),
    (DEEP[..., [0, 3]], "uint16"),
])  # fmt: skip
def test_what_the_extra_reads_is_said_without_it(monkeypatch, pixels, held):
    colour = "rgb" if pixels.shape[2:] == (3,) else "minisblack"
    content = tiff(pixels, colour, ["unassalpha"] if pixels.shape[2:] == (2,) else None)
    without_the_extra(monkeypatch)
    with pytest.raises(ValueError) as error:
        read(content)
    assert str(error.value) == (
        f"it is a TIFF file of {held} in a form that is not read: save it with 8 or 16 bits a "
        f'channel, or pip install ".[deep]" in the clone of pysrcnn, which reads more'
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path, capfd, suffix, count):
    resource = pytest.importorskip("resource")  # limits that Windows does not have
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    target = tmp_path / f"a.{suffix}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(OSError) as error:
            write_picture_file(target, PictureFile([noise, 255 - noise][:count]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    gc.collect()  # objects that would go on writing
    reason = os.strerror(errno.EFBIG)
    wanted = f"cannot write {target} ({reason}): make room on the disk or choose another folder"
    assert str(error.value) == wanted
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")


def test_texts_of_a_tiff_file_go_along_and_those_on_its_pixels_do_not(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    deep_rgb = RGB.astype(np.uint16) * 257
    for k, (description, kept) in enumerate([("a photograph", True), (None, False)]):
        path = tmp_path / f"{k}.tif"  # without a description, tifffile writes one of the shape
        tifffile.imwrite(
            path, deep_rgb, photometric="rgb", description=description, software="a scanner",
            extratags=[(315, "s", 0, "somebody", True)],
        )  # fmt: skip
        for available in (True, False):
            if not available:
                monkeypatch.setattr(deep, "available", lambda: False)
            assert write_picture_file(tmp_path / "out.tif", read_picture_file(path)) == []
            with tifffile.TiffFile(tmp_path / "out.tif") as file:
                tags = file.pages[0].tags
                assert tags.valueof(270) == ("a photograph" if kept else None)
                assert (tags.valueof(305), tags.valueof(315)) == ("a scanner", "somebody")
        monkeypatch.undo()
