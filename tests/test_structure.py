"""What picture files claim, what is damaged beside their pixels, and who reads them: nothing more.

Files that would take minutes or gigabytes are refused or read in part; the files are in
`picture_bombs.py`.
"""

import io
import os
import struct
import sys
import tempfile
import warnings
import zlib

import numpy as np
import picture_bombs
import pytest
from samples import DEEP, FRAMES, GREY, RGB, RGBA, SRGB, animation, chunk, encoded, exif_of, png

import pysrcnn
from pysrcnn.batch import large
from pysrcnn.cli import main
from pysrcnn.pictures import (
    _structure,
    deep,
    list_pictures,
    read_picture,
    read_picture_file,
    write_picture_file,
)
from pysrcnn.pictures._limits import Refused, Stored
from pysrcnn.pictures.opening import structure_of
from pysrcnn.pictures.reading import is_animated

Image = pytest.importorskip("PIL.Image")


def read(content):
    return read_picture_file("it", content)


def same(frame, wanted):
    return frame.dtype == wanted.dtype and np.array_equal(frame, wanted)


# ------------------------------------------------------------------------------------------ claims

OF_EXIF = "its EXIF is damaged and left out"
OF_COMMENT = "the rest of its comment, of several megabytes, is left out"
WANTED = {  # a note for what is read, or how the sentence goes on
    "png": {
        "chunks": "is damaged .*: it is cut into too many chunks",
        "pieces of pixels": "is damaged .*: it is cut into too many chunks",
        "texts": ["its text a is of several megabytes and left out"],
        "tags of EXIF": [OF_EXIF],
        "padded": r"claims to hold 12,000 x 12,000 pixels in \d\d bytes",
        "frames": "claims to hold 2,147,483,647 times 9 x 7 pixels",
    },
    "jpeg": {
        "scans": "goes over its pixels in 2,0.. scans",
        "segments": "is damaged .*: it is cut into too many segments",
        "fill": "is damaged .*: it begins as a JPEG file and cannot be read as one",
        "parts of EXIF": [OF_EXIF],
        "tags of EXIF": [OF_EXIF],
    },
    "gif": {
        "frames": "claims to hold 100,001 times 1 x 1 pixels",
        "frames of 500": "claims to hold 10,001 times 500 x 500 pixels",
        "comment": [OF_COMMENT],
        "comments": [OF_COMMENT],
        "blocks": "is damaged .*: it is cut into too many blocks",
        "zeros": "is damaged .*: it begins as a GIF file and cannot be read as one",
    },
    "tiff": {
        "pages": ["only the first of its 40000 pages is taken"],
        "tags": "is damaged .*: its tags claim to hold more than the file does",
        "strips": "is damaged .*: its tags claim to hold more than the file does",
        "tiles": "is damaged .*: its pieces claim to hold more than the file does",
        "in a circle": [],
        "JPEG within": "cannot be",
        "scans within": "cannot be",
        "PNG within": "is a TIFF file ",
    },
    "webp": {
        "canvas": "claims to hold 16,383 x 16,383 pixels",
        "frames": "claims to hold 50,000 times 1 x 1 pixels",
        "tags of EXIF": [OF_EXIF],
        "zeros": "is damaged .*: it begins as a WEBP file and cannot be read as one",
    },
    "bmp": {
        "runs": "is a BMP file of long runs, which is not read: save it as PNG",
        "few runs": "is damaged",
    },
    "deep-tiff": {
        "LERC within": "a piece of 8 x 8 x 1 holds a picture of 5000 x 5000 x 1",
        "JPEG 2000 within": "a piece of 8 x 8 x 1 holds a picture of 3000 x 3000 x 1",
        "JPEG XL within": "its pixels are packed in a way .50002. that is not read",
    },
}


@pytest.mark.parametrize(
    "kind, name", [(kind, name) for kind, names in picture_bombs.BOMBS.items() for name in names]
)
def test_what_a_file_claims_is_not_believed(kind, name):
    if kind == "deep-tiff":
        pytest.importorskip("tifffile")
    wanted = WANTED[kind][name]
    if isinstance(wanted, list):
        assert read(picture_bombs.bomb(kind, name)).notes == wanted
    else:
        with pytest.raises(ValueError, match=f"^it .*{wanted}"):
            read(picture_bombs.bomb(kind, name))


HOLES = {
    "a.gif": b"GIF89a\x08\0\x08\0\0\0\0",
    "a.png": b"\x89PNG\r\n\x1a\n",
    "b.png": png(GREY, 8, 0)[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT",
    "a.jpg": b"\xff\xd8\xff\xe0",
    "a.tif": b"II*\0\x08\0\0\0",
    "b.tif": picture_bombs.tiff_of([(256, 4, 1, 8), (257, 4, 1, 8), (279, 4, 1, 2**30)]),
    "a.webp": b"RIFF\xf0\xff\xff\x7fWEBPVP8 \xe0\xff\xff\x7f",
    "a.txt": b"no picture",
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files have no holes, and take room")
@pytest.mark.parametrize("name", HOLES)
def test_of_a_file_of_gigabytes_little_is_read_before_it_is_known(tmp_path, monkeypatch, name):
    path, done = tmp_path / name, []
    path.write_bytes(HOLES[name])
    os.truncate(path, 2**31)
    part_of = Stored.__getitem__

    def counted(self, part):
        found = part_of(self, part)
        done.append(len(found))
        return found

    monkeypatch.setattr(Stored, "__getitem__", counted)
    with pytest.raises(ValueError, match=f"{name} (is damaged|has 2,147,483,648 bytes)"):
        read_picture_file(path)
    assert sum(done) < 10**6 and not is_animated(path) and large.shape_of(path) is None


def test_what_comes_after_a_picture_is_not_read(tmp_path):
    """Of a large file: what a picture of its size takes, and no more."""
    content = encoded(RGB, "BMP")
    (tmp_path / "a.bmp").write_bytes(content)
    os.truncate(tmp_path / "a.bmp", 2**27)
    assert same(read_picture_file(tmp_path / "a.bmp").frames[0], RGB)
    assert len(structure_of(tmp_path / "a.bmp").content) < len(content) + 10
    for form in ("PNG", "GIF", "JPEG"):
        content = encoded(RGB, form)
        assert structure_of("it", content + bytes(100)).content == content


def test_large_files_are_read_as_small_ones_are(tmp_path, monkeypatch):
    """Part by part, whatever the format."""
    pytest.importorskip("tifffile")
    about = {"icc_profile": SRGB, "exif": exif_of().tobytes()}
    contents = [encoded(RGB, form, **about) for form in ("PNG", "JPEG", "TIFF", "WEBP")]
    contents += [animation(form) for form in ("PNG", "GIF", "WEBP")] + [encoded(RGBA, "BMP")]
    contents += [encoded(np.tile(RGB, (30, 30, 1)), "GIF", comment=b"x" * 70_000)]
    contents += [encoded(np.tile(RGB, (30, 30, 1)), "JPEG", progressive=True, quality=99)]
    whole = [read(content) for content in contents]
    monkeypatch.setattr("pysrcnn.pictures.opening.WHOLE", 0)
    monkeypatch.setattr(_structure, "_BLOCK", 256)
    for content, wanted in zip(contents, whole, strict=True):
        (tmp_path / "a").write_bytes(content)
        file = read_picture_file(tmp_path / "a")
        assert all(map(same, file.frames, wanted.frames))
        assert (file.icc_profile, file.exif, file.comment, file.durations, file.notes) == (
            wanted.icc_profile, wanted.exif, wanted.comment, wanted.durations, wanted.notes
        )  # fmt: skip


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_pillows_limit_of_pixels_is_not_ours(monkeypatch, form):
    content = encoded(RGB, form)
    wanted = read(content).frames[0]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    if form == "WEBP":  # in which Pillow has it built in, and there are no more than 268 million
        with pytest.raises(Refused, match="it has more pixels than are read of WEBP files"):
            read(content)
    else:
        assert same(read(content).frames[0], wanted)
    assert Image.MAX_IMAGE_PIXELS == 10


# ------------------------------------------------------------------------ damage beside the pixels


def bad(kind, data):
    """A chunk whose checksum is wrong."""
    return chunk(kind, data)[:-1] + bytes([chunk(kind, data)[-1] ^ 1])


def profile_of(size):
    return SRGB + bytes(size - len(SRGB))


NOTES = [
    (chunk(b"zTXt", b"flow\0\0" + zlib.compress(b"a" * 2_000_000)),
     "its text flow is of more than a megabyte and left out"),
    (chunk(b"iTXt", b"flow\0\1\0\0\0" + zlib.compress(b"a" * 2_000_000)),
     "its text flow is of more than a megabyte and left out"),
    (chunk(b"zTXt", b"flow\0\0no deflate"), "its text flow is damaged and left out"),
    (chunk(b"zTXt", b"flow\0\7" + zlib.compress(b"a")), "its text flow is damaged and left out"),
    (chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_500_000))),
     "its colour profile is damaged and left out"),
    (chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(20_000_000))),
     "its colour profile is of several megabytes and left out"),
    (chunk(b"iCCP", b"x\0\0no deflate"), "its colour profile is damaged and left out"),
    (bad(b"tEXt", b"Title\0hello"), "its text Title is damaged and left out"),
    (bad(b"iCCP", b"x\0\0" + zlib.compress(SRGB)), "its colour profile is damaged and left out"),
    (bad(b"pHYs", bytes(9)), "its resolution is damaged and left out"),
    (chunk(b"pHYs", bytes(3)), "its resolution is damaged and left out"),
    (chunk(b"gAMA", bytes(3)), "its word on its colours is damaged and left out"),
    (chunk(b"cHRM", bytes(31)), "its word on its colours is damaged and left out"),
    (bad(b"eXIf", exif_of().tobytes()[6:]), "its EXIF is damaged and left out"),
    (chunk(b"eXIf", b"no EXIF"), "its EXIF is damaged and left out"),
    (bad(b"tRNS", bytes(6)), "its transparent colour is damaged and left out"),
]  # fmt: skip


@pytest.mark.parametrize("more, note", NOTES)
def test_damage_beside_the_pixels_costs_no_pixels(tmp_path, more, note):
    for content, pixels in (
        (png(RGB.reshape(7, -1), 8, 2, more), RGB),
        (png(DEEP[..., :3].reshape(7, -1), 16, 2, more), DEEP[..., :3]),
    ):
        file = read(content)
        assert same(file.frames[0], pixels) and file.notes == [note]
        assert (file.icc_profile, file.exif, file.texts, file.colours) == (None, None, [], [])
        (tmp_path / "a.png").write_bytes(content)
        assert same(read_picture(tmp_path / "a.png"), pixels)


def test_what_others_may_not_unpack_is_kept(tmp_path):
    """A profile larger than Pillow takes, which is one."""
    profile = profile_of(1_500_000)
    file = read(png(RGB.reshape(7, -1), 8, 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))))
    assert file.icc_profile == profile and file.notes == []
    write_picture_file(tmp_path / "a.png", file)
    assert read_picture_file(tmp_path / "a.png").icc_profile == profile


def test_rows_that_are_not_there_are_not_made_up():
    content = png(GREY, 8, 0)
    head = b"IHDR" + struct.pack(">II", 9, 100_000) + content[24:29]
    content = content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:]
    with pytest.raises(ValueError, match="it is damaged .*: its pixels end too early"):
        read(content)


def test_a_wrong_checksum_of_pixels_is_damage():
    content = bytearray(encoded(RGB, "PNG"))
    content[content.index(b"IDAT") + 60] ^= 1
    with pytest.raises(ValueError, match="it is damaged"):
        read(bytes(content))


@pytest.mark.parametrize("place, value, words", [
    (0, 12, "of 12 bits a channel"), (None, 0xC3, "without loss, or in layers"),
])  # fmt: skip
def test_kinds_of_jpeg_that_are_not_read(place, value, words):
    content = bytearray(encoded(RGB, "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 1 if place is None else frame + 4] = value
    with pytest.raises(Refused, match=f"^it is a JPEG file {words}, which is not read: save it as"):
        read(bytes(content))


def test_kinds_of_bmp_and_tiff_that_are_not_read():
    head = struct.pack("<IiiHHIIiiII", 108, 16, 16, 1, 16, 3, 512, 2835, 2835, 0, 0)
    head += struct.pack("<4I", 0xF00, 0xF0, 0xF, 0xF000) + b"BGRs" + bytes(48)
    size = 14 + len(head)
    content = b"BM" + struct.pack("<IHHI", size + 512, 0, 0, size) + head + bytes(512)
    with pytest.raises(
        ValueError, match=r"^it is a BMP file of a kind that is not read \(.*layout"
    ):
        read(content)
    tifffile = pytest.importorskip("tifffile")
    for colours, channels, words in (
        ("cielab", 3, "CIELAB colours in 3 channels of 16 bits"),
        ("separated", 5, "inks .CMYK. in 5 channels of 16 bits"),
    ):
        out = io.BytesIO()
        pixels = np.full((16, 16, channels), 30000, "u2")
        tifffile.imwrite(out, pixels, photometric=colours, planarconfig="contig")
        with pytest.raises(
            ValueError, match=f"^it is a TIFF file of {words}, which are not read: "
        ):
            read(out.getvalue())
    out = io.BytesIO()
    tifffile.imwrite(out, GREY, photometric="cfa", extratags=[(33421, "H", 2, (2, 2), True)])
    with pytest.raises(Refused, match="^it is a camera's RAW file, which is not read: develop it"):
        read(out.getvalue())


def tiff_without(content, tag):
    """A TIFF file, little-endian, without one of its tags."""
    (place,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, place)
    entries = [content[place + 2 + 12 * k :][:12] for k in range(count)]
    kept = [entry for entry in entries if entry[:2] != struct.pack("<H", tag)]
    assert len(kept) == count - 1
    block = struct.pack("<H", len(kept)) + b"".join(kept) + bytes(4)
    return (
        content[:place] + block.ljust(2 + 12 * count + 4, b"\0") + content[place + 6 + 12 * count :]
    )


@pytest.mark.parametrize("tag", [259, 278, 284, 296])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tags_of_tiff_that_are_not_there_have_their_defaults(tag, dtype, channels):
    tifffile = pytest.importorskip("tifffile")
    pixels = (DEEP[..., :3] >> 8).astype("u1") if dtype == "u1" else DEEP[..., :3]
    pixels = (pixels / 65535).astype("f4") if dtype == "f4" else pixels
    pixels, out = pixels if channels == 3 else pixels[..., 0], io.BytesIO()
    tifffile.imwrite(
        out, pixels, photometric="rgb" if channels == 3 else "minisblack", metadata=None,
        **({"planarconfig": "contig"} if channels == 3 else {}),
        extratags=[(339, "H", channels, (3 if dtype == "f4" else 1,) * channels, True)],
    )  # fmt: skip
    if tag == 284 and channels == 1:
        pytest.skip("not there anyway")
    file = read(tiff_without(out.getvalue(), tag))
    assert same(file.frames[0], pixels) and file.notes == []


# ------------------------------------------------------------------------------- the better reader


def test_16_bits_need_no_temporary_folder(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    file = read(png(DEEP[..., :3].reshape(7, -1), 16, 2))
    assert same(file.frames[0], DEEP[..., :3]) and file.notes == []


@pytest.mark.parametrize("error", [ImportError("libGL.so.1: no such file"), OSError("too many")])
def test_that_the_better_reader_failed_is_said(tmp_path, monkeypatch, error):
    def fails(content):
        raise error

    tifffile, out = pytest.importorskip("tifffile"), io.BytesIO()
    tifffile.imwrite(out, DEEP[..., :3], photometric="rgb")
    content = out.getvalue()
    monkeypatch.setattr(deep, "_read_tiff", fails)
    file = read(content)
    assert file.frames[0].dtype == np.uint8
    assert file.notes == [f"its 16 bits a channel are read as 8, as tifffile failed, {error}"]
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.warns(UserWarning, match="a.tif: its 16 bits a channel are read as 8, as tif"):
        read_picture(tmp_path / "a.tif")


def test_what_is_wrong_with_a_file_that_only_tifffile_reads(monkeypatch):
    tifffile, out = pytest.importorskip("tifffile"), io.BytesIO()
    tifffile.imwrite(out, (DEEP[..., :3] / 65535).astype("f4"), photometric="rgb")

    def fails(content):
        raise RuntimeError("no such codec")

    monkeypatch.setattr(deep, "_read_tiff", fails)
    words = "^it is a TIFF file that cannot be read: tifffile failed, no such codec$"
    with pytest.raises(ValueError, match=words):
        read(out.getvalue())


@pytest.mark.parametrize("packing, dtype", [
    ("webp", "u1"), ("png", "u2"), ("jpeg2000", "u2"), ("lerc", "u2"), ("lerc", "f4"),
])  # fmt: skip
def test_pictures_within_tiff_files_are_read_where_their_size_is_theirs(packing, dtype):
    pytest.importorskip("imagecodecs")
    tifffile, out = pytest.importorskip("tifffile"), io.BytesIO()
    pixels = np.tile(DEEP[..., :3], (5, 5, 1))
    pixels = pixels >> 8 if dtype == "u1" else pixels / 65535 if dtype == "f4" else pixels
    pixels = pixels.astype(dtype)
    tifffile.imwrite(out, pixels, photometric="rgb", compression=packing, tile=(32, 32))
    file = read(out.getvalue())
    assert same(file.frames[0], pixels) and file.notes == []


# ------------------------------------------------------------------------------------ one for all


def test_one_reader_for_all(tmp_path):
    """The array is what the command enlarges, but for grey with alpha, palettes and frames."""
    black, key = Image.fromarray(GREY > 99), chunk(b"tRNS", struct.pack(">3H", *DEEP[2, 3, :3]))
    files = [
        encoded(black, "PNG", transparency=0),
        encoded(GREY, "PNG", transparency=7),
        png(GREY.astype("u2"), 16, 0, chunk(b"tRNS", struct.pack(">H", GREY[2, 3]))),
        png(DEEP[..., :3].reshape(7, -1), 16, 2, key),
        png(DEEP.reshape(7, -1), 16, 6),
        encoded(RGB, "PNG", exif=exif_of(6)),
        encoded(GREY.astype(np.float32) / 255, "TIFF"),
    ]
    for content in files:
        (tmp_path / "a").write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where there is no extra
            array = read_picture(tmp_path / "a")
        frame = read(content).frames[0]
        frame = frame[..., [0, 0, 0, 1]] if frame.shape[2:] == (2,) else frame
        assert same(array, frame)
    (tmp_path / "a").write_bytes(animation("GIF"))
    assert same(pysrcnn.read_picture(tmp_path / "a"), FRAMES[0])
    (tmp_path / "a").write_bytes(encoded(Image.fromarray(GREY).convert("P"), "PNG"))
    assert read_picture(tmp_path / "a").shape == (7, 9, 3)


def test_pictures_of_pillow_are_taken_by_their_mode():
    whole, clear = Image.fromarray(RGB), Image.fromarray(RGBA)
    palette = whole.quantize(16)
    key = palette.copy()
    key.info["transparency"] = 3
    for picture, wanted in [
        (whole, RGB),
        (clear, RGBA),
        (Image.fromarray(GREY), GREY),
        (Image.fromarray(GREY > 99), np.where(GREY > 99, 255, 0).astype("u1")),
        (palette, np.asarray(palette.convert("RGB"))),
        (key, np.asarray(key.convert("RGBA"))),
        (clear.convert("LA"), np.asarray(clear.convert("LA"))),
        (Image.fromarray(GREY.astype("u2") * 257), GREY.astype("u2") * 257),
        (Image.fromarray(GREY.astype("f4") / 255), GREY.astype("f4") / 255),
    ]:
        assert same(pysrcnn.upscale(picture, 2, "9-1-5"), pysrcnn.upscale(wanted, 2, "9-1-5"))
    for mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        picture = whole.convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (9, 7))
        with pytest.raises(ValueError, match=f"the picture has {mode} colours: convert it to RGB"):
            pysrcnn.upscale(picture, 2)


def test_the_masked_is_refused_in_any_chunk():
    da = pytest.importorskip("dask.array")
    mask = np.zeros((20, 30), bool)
    plain = np.ma.MaskedArray(np.full((20, 30), 99, "u1"), mask.copy())
    lazy = pysrcnn.upscale(da.from_array(plain, 10), 2)
    assert type(lazy.compute()) is np.ndarray and same(lazy.compute(), pysrcnn.upscale(plain, 2))
    mask[15, 25] = True
    lazy = pysrcnn.upscale(da.from_array(np.ma.MaskedArray(plain.data, mask), 10), 2)
    with pytest.raises(ValueError, match="is a masked array, and a mask cannot be enlarged: fill"):
        lazy.compute()


# ------------------------------------------------------------------------------------------- names

LONG = "x" * 300
COMMANDS = [
    ["upscale", "{}"], ["upscale", "a.png", "{}"], ["show", "crops", "{}", "-o", "o.png"],
    ["evaluate", "{}"], ["train", "{}", "-s", "2", "-o", "o.npz"],
]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has other limits")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "name, words",
    [(f"{LONG}.png", "is too long: check it"), ("loop.png", "loop"), ("a.png/b", "a")],
)
def test_names_that_the_system_does_not_take(tmp_path, monkeypatch, capsys, command, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(RGB, "PNG"))
    os.symlink("loop.png", "loop.png")
    assert main([part.format(name) for part in command]) == 2
    error = capsys.readouterr().err
    assert "Errno" not in error and words in error
    assert error.startswith("pysrcnn: ") or "1 failed" in error


def test_names_that_only_python_takes(tmp_path):
    with pytest.raises(ValueError, match=r"the name 'a\\x00.png' holds a NUL: check it"):
        read_picture("a\0.png")
    if os.name != "nt":
        os.symlink("loop.png", tmp_path / "loop.png")
        with pytest.raises(ValueError, match="loop.png is a link that leads to itself: give the"):
            read_picture(tmp_path / "loop.png")
        with pytest.raises(ValueError, match="is too long: check it, or give the file a shorter"):
            read_picture(tmp_path / LONG)
    with pytest.raises(FileNotFoundError):
        list_pictures(tmp_path / "none")
