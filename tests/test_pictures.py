"""Picture files of every kind that a user may have, good and bad, made on the spot with Pillow."""

import os
import struct
import zlib

import numpy as np
import pytest
from samples import chunk

from pysrcnn.batch import large
from pysrcnn.checks import check_picture
from pysrcnn.pictures import _chunks, deep, list_pictures, read_picture, write_picture
from pysrcnn.pictures._limits import Refused, check_claim
from pysrcnn.pictures.reading import is_animated

Image = pytest.importorskip("PIL.Image")

GREY = np.random.default_rng(0).integers(0, 256, (7, 9), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (7, 9, 3), dtype=np.uint8)
RGBA = np.random.default_rng(2).integers(0, 256, (7, 9, 4), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(24) * 4, np.arange(32) * 3).astype(np.uint8)  # kind to JPEG
SMOOTH_RGB = np.stack([SMOOTH, 255 - SMOOTH, SMOOTH // 2 + 50], axis=2)


def saved(path, picture, mode=None, **options):
    """A file with these pixels; `picture` is an array or a picture of Pillow's."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture) if mode is None else _of_mode(picture, mode)
    picture.save(path, **options)
    return path


def _of_mode(array, mode):
    """The bytes of `array` as Pillow's picture of this mode."""
    return Image.frombytes(mode, array.shape[1::-1], np.ascontiguousarray(array).tobytes())


def exactly(picture, wanted):
    """Whether two arrays are equal in dtype, shape and values."""
    assert picture.dtype == wanted.dtype, f"{picture.dtype} instead of {wanted.dtype}"
    assert picture.shape == wanted.shape, f"{picture.shape} instead of {wanted.shape}"
    return np.array_equal(picture, wanted)


def test_comparator_sees_dtype_shape_and_one_level():
    assert exactly(RGB, RGB.copy())
    one = RGB.copy()
    one[3, 4, 1] ^= 1
    assert not exactly(one, RGB)
    with pytest.raises(AssertionError):
        exactly(GREY.astype(np.uint16), GREY)
    with pytest.raises(AssertionError):
        exactly(GREY.T, GREY)


# ---------------------------------------------------------------------------------------- lossless


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
@pytest.mark.parametrize("picture", [GREY, RGB], ids=["grey", "RGB"])
def test_grey_and_rgb(tmp_path, picture, suffix):
    assert exactly(read_picture(saved(tmp_path / f"a.{suffix}", picture)), picture)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_transparency(tmp_path, suffix):
    assert exactly(read_picture(saved(tmp_path / f"a.{suffix}", RGBA)), RGBA)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_one_bit(tmp_path, suffix):
    picture = read_picture(saved(tmp_path / f"a.{suffix}", GREY > 127))
    assert exactly(picture, np.where(GREY > 127, 255, 0).astype(np.uint8))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_of_16_bits(tmp_path, suffix):
    wide = 257 * GREY.astype(np.uint16) + 3
    assert exactly(read_picture(saved(tmp_path / f"a.{suffix}", wide)), wide)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_with_transparency_becomes_rgba(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", RGBA[:, :, [0, 3]], "LA")
    assert exactly(read_picture(path), RGBA[:, :, [0, 0, 0, 3]])


def palette():
    """A picture of Pillow's with 63 colours, one a pixel, and the colours (63, 3)."""
    colours = np.random.default_rng(3).permutation(63 * 3).reshape(63, 3).astype(np.uint8)
    picture = _of_mode(np.arange(63, dtype=np.uint8).reshape(7, 9), "P")
    picture.putpalette(colours.tobytes())
    return picture, colours


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_a_palette_becomes_rgb(tmp_path, suffix):
    picture, colours = palette()
    wanted = colours.reshape(7, 9, 3)
    assert exactly(read_picture(saved(tmp_path / f"a.{suffix}", picture)), wanted)


def test_a_palette_with_transparency_becomes_rgba(tmp_path):
    picture, colours = palette()
    alpha = np.random.default_rng(4).integers(0, 256, 63, dtype=np.uint8)
    wanted = np.concatenate([colours, alpha[:, None]], axis=1).reshape(7, 9, 4)
    path = saved(tmp_path / "a.png", picture, transparency=alpha.tobytes())
    assert exactly(read_picture(path), wanted)
    # One colour of it that is not there at all.
    wanted[..., 3] = 255
    wanted[1, 2, 3] = 0
    assert exactly(read_picture(saved(tmp_path / "b.png", picture, transparency=11)), wanted)


def test_floating_point(tmp_path):
    picture = (GREY / 255).astype(np.float32)
    assert exactly(read_picture(saved(tmp_path / "a.tif", picture)), picture)


@pytest.mark.parametrize("picture", [RGB, RGBA], ids=["RGB", "RGBA"])
def test_webp(tmp_path, picture):
    path = saved(tmp_path / "a.webp", picture, lossless=True, exact=True)
    assert exactly(read_picture(path), picture)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_of_several_pictures_the_first_is_taken(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"a.{suffix}"
    saved(path, RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)], **options)
    assert exactly(read_picture(path), RGB)


@pytest.mark.parametrize("picture", [GREY, RGB], ids=["grey", "RGB"])
def test_a_transparent_colour_is_transparency(tmp_path, picture):
    key = tuple(picture[0, 0].tolist()) if picture.ndim == 3 else int(picture[0, 0])
    got = read_picture(saved(tmp_path / "a.png", picture, transparency=key))
    assert got.shape == (*picture.shape[:2], 4)
    assert got[0, 0, 3] == 0 and (got[:, :, 3] == 255).any()


def test_a_picture_of_other_colours_becomes_rgb(tmp_path):
    Image.fromarray(SMOOTH_RGB).convert("YCbCr").save(tmp_path / "a.tif")
    got = read_picture(tmp_path / "a.tif").astype(int)
    assert np.abs(got - SMOOTH_RGB).max() <= 3


@pytest.mark.parametrize(
    "width, height, words",
    [
        (50000, 50000, "a.png claims to hold 50,000 x 50,000 pixels in [0-9]+ bytes, which only"),
        (8000, 5000, "a.png claims to hold 8,000 x 5,000 pixels in [0-9]+ bytes, which only dam"),
    ],
)
def test_a_picture_that_claims_to_be_huge(tmp_path, width, height, words):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_picture(tmp_path / "a.png")


def test_what_a_file_may_claim():
    """Half a thousand times its size; all that a screen holds; animations more."""
    shape, size = (10_000, 10_000, 3), 600_000
    check_claim(shape, np.uint8, size, "it")
    check_claim((2160, 3840, 4), np.uint8, 100, "it")
    check_claim((8_000, 8_000), bool, 100, "it")
    check_claim((100, 1000, 3), np.uint8, 60_000, "it", frames=400)
    for claim in [
        (shape, np.uint8, size - 1, "it"),
        (shape, np.uint16, size, "it"),
        ((2160, 3840, 5), np.uint8, 100, "it"),
        ((9_000, 9_000), bool, 100, "it"),
        ((2**20, 1), np.uint8, 100, "it"),  # few pixels in rows that take time
        ((100, 1000, 3), np.uint8, 59_999, "it", 400),
    ]:
        with pytest.raises(Refused, match=r"^it claims to hold .* x [0-9,]+ pixels in [0-9,]+ byt"):
            check_claim(*claim)


def test_the_content_says_the_format_not_the_name(tmp_path):
    saved(tmp_path / "a.png", RGB)
    assert exactly(read_picture((tmp_path / "a.png").rename(tmp_path / "a.jpg")), RGB)
    assert exactly(read_picture((tmp_path / "a.jpg").rename(tmp_path / "a")), RGB)


def test_the_path_may_be_a_string_with_anything_in_it(tmp_path):
    path = saved(tmp_path / "größer 100% [1] #2 {x}.png", RGB)
    assert exactly(read_picture(str(path)), RGB)


# -------------------------------------------------------------------------------------------- JPEG


@pytest.mark.parametrize("suffix", ["jpg", "JPEG"])
@pytest.mark.parametrize("picture", [SMOOTH, SMOOTH_RGB], ids=["grey", "RGB"])
def test_jpeg(tmp_path, picture, suffix):
    got = read_picture(saved(tmp_path / f"a.{suffix}", picture, quality=98, subsampling=0))
    assert got.dtype == np.uint8
    assert got.shape == picture.shape
    assert np.abs(got.astype(int) - picture).max() <= 6  # what JPEG costs


def test_jpeg_of_inks_becomes_rgb(tmp_path):
    inks = np.concatenate([255 - SMOOTH_RGB, np.zeros_like(SMOOTH_RGB[..., :1])], axis=2)  # no K
    got = read_picture(saved(tmp_path / "a.jpg", inks, "CMYK", quality=98, subsampling=0))
    assert got.shape == SMOOTH_RGB.shape
    assert np.abs(got.astype(int) - SMOOTH_RGB).max() <= 6


# How a viewer must turn the stored picture, by EXIF's table of orientations.
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("picture", [SMOOTH, SMOOTH_RGB], ids=["grey", "RGB"])
def test_photographs_are_read_upright(tmp_path, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = read_picture(saved(tmp_path / "a.jpg", picture, exif=exif, quality=98, subsampling=0))
    wanted = UPRIGHT[orientation](picture)
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).max() <= 6
    got = read_picture(saved(tmp_path / "a.png", picture, exif=exif))
    assert exactly(got, wanted)


# --------------------------------------------------------------------------------------- bad files


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*none.png: check the name"):
        read_picture(tmp_path / "none.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="other systems have no such files")
@pytest.mark.parametrize("suffix", [".png", ".gif", ".tif"])
def test_a_pipe_is_not_waited_for(tmp_path, suffix):
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a file: give a picture file, or - for standard"):
        read_picture(path)
    assert large.shape_of(path) is None and not is_animated(path)


def test_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: give a picture file"):
        read_picture(tmp_path)


def test_an_empty_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="a.png is empty: give a picture file"):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_a_truncated_file(tmp_path, suffix):
    picture = np.random.default_rng(5).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    path = saved(tmp_path / f"a.{suffix}", picture)
    content = path.read_bytes()
    for length in (1, 10, 30, len(content) // 3, len(content) // 2, len(content) * 9 // 10):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is damaged") as caught:
            read_picture(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


CONVERT = "which is not read: convert it to PNG or JPEG first"
FOREIGN = [
    ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1", f"is a HEIC picture, {CONVERT}"),
    ("a.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0heic", f"is a HEIC picture, {CONVERT}"),
    ("a.jxl", b"\xff\x0a\xfa\x7f", f"is a JPEG XL picture, {CONVERT}"),
    ("a.png", b"\0\0\0\x20ftypavif\0\0\0\0avif", f"is an AVIF picture, {CONVERT}"),
    (
        "a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isom",
        "is a video, which is not read: take its frames out as PNG files first",
    ),
    (
        "a.pdf", b"%PDF-1.7\n",
        "is a PDF document, which is not read: export the page as PNG first",
    ),
    (
        "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "is an SVG drawing, which is not read: export it as PNG first",
    ),
    (
        "a.svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn by hand -->\n<svg/>",
        "is an SVG drawing, which is not read: export it as PNG first",
    ),
    (
        "a.jpg", b"<!DOCTYPE html>\n<html><svg/></html>",
        "is a web page, which is not read: download the picture that it shows",
    ),
    (
        "A.NEF", b"MM\0*",
        "is a camera's RAW file, which is not read: develop it to TIFF, PNG or JPEG first",
    ),
]  # fmt: skip


SAVE, CAMERA = "save it as PNG, JPEG or TIFF first", "a camera's RAW file"
DEVELOP = "develop it to TIFF, PNG or JPEG first"
MORE = [  # what it is, and what to do
    ("a.psd", b"8BPS\0\1", "a Photoshop document", "export it as PNG or TIFF first"),
    (
        "a.exr",
        b"\x76\x2f\x31\x01",
        "an OpenEXR picture",
        "save it as TIFF of floating point in 0..1 first",
    ),
    (
        "a.png",
        bytes(128).replace(b"\0", b"x") + b"DICM",
        "a DICOM file",
        "export its picture as PNG or TIFF first",
    ),
    ("a.ppm", b"P6\n1 1\n255\n", "a PNM picture (PBM, PGM, PPM, PAM or PFM)", SAVE),
    ("a.jp2", b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 picture", SAVE),
    ("a.tga", b"\0\0\2\0", "a TGA picture", SAVE),
    ("a.jpg", b"FUJIFILMCCD-RAW ", CAMERA, DEVELOP),
    ("a.tif", b"II*\0\x10\0\0\0CR\2\0", CAMERA, DEVELOP),
    ("a.eps", b"%!PS-Adobe-3.0 EPSF", "a PostScript drawing (EPS)", "export it as PNG first"),
    (
        "a.png",
        b"\x93NUMPY\1\0",
        "an array of NumPy",
        "save it as PNG or TIFF, or enlarge it in Python",
    ),
    ("a.png", b"SIMPLE  =    T", "a FITS file", "save its array as TIFF, or enlarge it in Python"),
    ("a.png", b"\x59\xa6\x6a\x95", "a file of the format SUN", SAVE),
]  # fmt: skip
FOREIGN += [
    (name, content, f"is {kind}, which is not read: {advice}")
    for name, content, kind, advice in MORE
]


@pytest.mark.parametrize("name, content, words", FOREIGN)
def test_files_that_people_take_for_pictures(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content.ljust(100, b"\0"))
    with pytest.raises(ValueError) as caught:
        read_picture(path)
    assert str(caught.value) == f"{path} {words}"


def test_a_damaged_file(tmp_path):
    path = saved(tmp_path / "a.png", RGB)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF  # a wrong byte in the compressed pixels
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or not a picture: "):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "txt"])
def test_text_is_not_a_picture(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text("This is text, whatever its name says.\n")
    with pytest.raises(ValueError, match="damaged or not a picture: its format was not recognised"):
        read_picture(path)


def test_pixels_that_are_not_finite(tmp_path):
    picture = (GREY / 255).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        picture[2, 3] = value
        path = saved(tmp_path / "a.tif", picture)
        with pytest.raises(ValueError, match="a.tif has NaN or infinite pixels"):
            read_picture(path)


def test_integers_beyond_16_bits(tmp_path):
    path = saved(tmp_path / "a.tif", GREY.astype(np.int32) * 1000)
    with pytest.raises(TypeError, match="a.tif holds int32, wanted uint8"):
        read_picture(path)


# ---------------------------------------------------------------------------------- check_picture


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (5, 4, 3), (5, 4, 4), (5, 4, 2), (3, 3), (4, 4)])
def test_check_picture_lets_pictures_pass(shape, dtype):
    assert check_picture(np.zeros(shape, dtype)) is None


@pytest.mark.parametrize(
    "picture, error, words",
    [
        ([[1, 2]], TypeError, "the picture is a list, wanted a NumPy array"),
        (None, TypeError, "the picture is a NoneType, wanted a NumPy array"),
        (np.zeros((4, 5), bool), TypeError, "holds bool, wanted uint8, uint16"),
        (np.zeros((4, 5), np.int8), TypeError, "holds int8, wanted"),
        (np.zeros((4, 5), np.int64), TypeError, "holds int64, wanted"),
        (np.zeros((4, 5), complex), TypeError, "holds complex128, wanted"),
        (np.zeros((4, 5), object), TypeError, "holds object, wanted"),
        (np.zeros((4, 5), "U1"), TypeError, "wanted uint8, uint16"),
        (np.uint8(7) * np.ones((), np.uint8), TypeError, "wanted a NumPy array"),
        (np.zeros((), np.uint8), ValueError, r"has the shape \(\), wanted \(H, W\)"),
        (np.zeros(5, np.uint8), ValueError, r"has the shape \(5,\), wanted \(H, W\)"),
        (np.zeros((4, 5, 1), np.uint8), ValueError, r"the shape \(4, 5, 1\), wanted \(H, W\)"),
        (np.zeros((4, 5, 6), np.uint8), ValueError, r"the shape \(4, 5, 6\), wanted \(H, W\)"),
        (np.zeros((4, 5, 5), np.uint8), ValueError, r"the shape \(4, 5, 5\), wanted \(H, W\)"),
        (np.zeros((1, 3, 4, 5), np.uint8), ValueError, r"\(H, W\), \(H, W, 2\), \(H, W, 3\) or"),
        (np.zeros((0, 5), np.uint8), ValueError, r"has no pixels: its shape is \(0, 5\)"),
        (np.zeros((4, 0, 3), np.float32), ValueError, "has no pixels"),
        (np.full((4, 5), np.nan), ValueError, "has NaN or infinite pixels: replace them first"),
        (np.full((4, 5, 3), np.inf, np.float32), ValueError, "has NaN or infinite pixels"),
    ],
)
def test_check_picture_says_what_is_wrong(picture, error, words):
    with pytest.raises(error, match=words):
        check_picture(picture)


def test_check_picture_calls_it_by_name():
    with pytest.raises(TypeError, match="^photo.png holds int64"):
        check_picture(np.zeros((4, 5), np.int64), "photo.png")


# ------------------------------------------------------------------------------------------ write


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "tif", "tiff"])
@pytest.mark.parametrize("picture", [GREY, RGB], ids=["grey", "RGB"])
def test_round_trip(tmp_path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    write_picture(path, picture)
    assert exactly(read_picture(path), picture)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("picture", [RGBA, 257 * GREY.astype(np.uint16)], ids=["RGBA", "16-bit"])
def test_round_trip_of_transparency_and_16_bits(tmp_path, picture, suffix):
    write_picture(tmp_path / f"a.{suffix}", picture)
    assert exactly(read_picture(tmp_path / f"a.{suffix}"), picture)


@pytest.mark.parametrize(
    "suffix, picture",
    [
        ("jpg", 257 * GREY.astype(np.uint16)),
        ("bmp", 257 * GREY.astype(np.uint16)),
        ("webp", 257 * GREY.astype(np.uint16)),
        ("bmp", RGBA),
        ("png", GREY / 255),
        ("jpg", GREY / 255),
        ("webp", GREY / 255),
        ("tif", RGB / 255),
    ],
)
def test_what_a_format_cannot_hold_is_refused_not_lost(tmp_path, suffix, picture):
    path = tmp_path / f"a.{suffix}"
    try:
        write_picture(path, picture)
    except (ValueError, TypeError) as error:
        assert str(path) in str(error)
        assert not list(tmp_path.iterdir())
    else:
        assert exactly(read_picture(path), picture)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_round_trip_with_loss(tmp_path, suffix):
    write_picture(tmp_path / f"a.{suffix}", SMOOTH_RGB)
    got = read_picture(tmp_path / f"a.{suffix}")
    assert got.shape == SMOOTH_RGB.shape
    assert np.abs(got.astype(float) - SMOOTH_RGB).mean() < 4


def test_views_are_written_as_they_look(tmp_path):
    view = np.tile(RGB, (2, 2, 1))[::2, ::-2]
    write_picture(tmp_path / "a.png", view)
    assert exactly(read_picture(tmp_path / "a.png"), view)


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.npy", "a.psd", "a.png.bak"])
def test_an_unknown_suffix(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name}: the name must end in one of \.apng, \.bmp"):
        write_picture(tmp_path / name, RGB)
    assert not list(tmp_path.iterdir())


def test_jpeg_has_no_transparency(tmp_path):
    for name in ("a.jpg", "a.JPEG"):
        with pytest.raises(ValueError, match="JPEG has no transparency; choose .png"):
            write_picture(tmp_path / name, RGBA)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_colour_of_16_bits_in_tiff_takes_the_extra(tmp_path, monkeypatch, dtype):
    picture = (RGB.astype("u2") * 257 + 3) if dtype == "u2" else (RGB / 255).astype(dtype)
    if deep.available():
        write_picture(tmp_path / "a.tif", picture)
        assert exactly(read_picture(tmp_path / "a.tif"), picture)
    monkeypatch.setattr(deep, "available", lambda: False)
    with pytest.raises(ValueError, match=f"takes no colour of {picture.dtype}: convert it to ui"):
        write_picture(tmp_path / "b.tif", picture)
    assert not (tmp_path / "b.tif").exists()
    if dtype == "u2":
        write_picture(tmp_path / "a.png", picture)
        assert exactly(read_picture(tmp_path / "a.png"), picture)


def test_an_empty_name():
    with pytest.raises(FileNotFoundError, match="the name of the picture is empty: give a file"):
        read_picture("")


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="none does not exist: create it first"):
        write_picture(tmp_path / "none" / "a.png", RGB)


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder: give the name of a file to write"):
        write_picture(tmp_path / "a.png", RGB)


@pytest.mark.parametrize("failure", [OSError("encoder error -2"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [None, b"what was there before"])
def test_nothing_is_half_written(tmp_path, monkeypatch, before, failure):
    path = tmp_path / "a.png"
    if before:
        path.write_bytes(before)

    def half(target, *arguments):
        target.write(b"half of a pict")
        raise failure

    monkeypatch.setattr(_chunks, "write", half)
    wanted = ValueError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(wanted) as caught:
        write_picture(path, RGB)
    if wanted is ValueError:
        assert str(caught.value) == f"cannot write {path}: encoder error -2"
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([before] if before else [])


def test_an_old_file_is_replaced(tmp_path):
    write_picture(tmp_path / "a.png", RGB)
    write_picture(tmp_path / "a.png", GREY)
    assert exactly(read_picture(tmp_path / "a.png"), GREY)


# ------------------------------------------------------------------------------------------- list


def test_pictures_are_listed_by_name(tmp_path):
    for name in ("b.png", "a.JPG", "c.tiff", "d.webp", "e.bmp", "notes.txt", "x.npz", "png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "f.png").write_bytes(b"")
    names = [path.name for path in list_pictures(tmp_path)]
    assert names == ["a.JPG", "b.png", "c.tiff", "d.webp", "e.bmp"]
    assert list_pictures(str(tmp_path))[0] == tmp_path / "a.JPG"


def test_there_is_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*none: check the name"):
        list_pictures(tmp_path / "none")


def test_the_folder_is_a_file(tmp_path):
    with pytest.raises(NotADirectoryError, match="a.png is a file: give a folder of pictures"):
        list_pictures(saved(tmp_path / "a.png", RGB))


def test_the_folder_has_no_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("none here")
    with pytest.raises(ValueError, match=r"no pictures in .*: looked for \.apng, \.bmp, \.gif"):
        list_pictures(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp", "gif", "bmp"])
@pytest.mark.parametrize(
    "picture, error",
    [
        (np.zeros((4, 4, 5), np.uint8), "has the shape"),
        (np.zeros((3, 4, 5, 3), np.uint8), "one picture at a time"),
        (np.zeros((4, 5, 1), np.uint8), "take its one channel"),
        (np.zeros((0, 5), np.uint8), "has no pixels"),
        (np.ma.masked_array(np.zeros((4, 5), np.uint8), np.eye(4, 5)), "is a masked array"),
        (None, "is a NoneType, wanted a NumPy array"),
    ],
)
def test_what_is_no_picture_is_not_written(tmp_path, suffix, picture, error):
    with pytest.raises((ValueError, TypeError), match=error):
        write_picture(tmp_path / f"a.{suffix}", picture)
    assert not list(tmp_path.iterdir())
