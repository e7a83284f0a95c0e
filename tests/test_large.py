"""TIFF files enlarged band by band: the same bits, bounded memory, what is damaged is said."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from samples import SRGB

import pysrcnn
from pysrcnn.batch import enlarge, large
from pysrcnn.cli import main
from pysrcnn.networks import ESPCN
from pysrcnn.pictures import deep, read_picture_file
from pysrcnn.pictures._mark import is_marked
from pysrcnn.upscaling.scales import Networks

tifffile = pytest.importorskip("tifffile")

RGB = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
KINDS = {
    "grey": RGB[:, :, 0],
    "grey and alpha": RGB[:, :, :2],
    "RGB": RGB,
    "RGBA": np.dstack([RGB, RGB[:, :, :1] * (RGB[:, :, :1] > 99)]),
    "16 bits": RGB.astype(np.uint16) * 257,
    "float": (RGB / 255).astype(np.float32),
}
LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 16},
    "tiles": {"tile": (32, 48)},
    "packed strips": {"rowsperstrip": 7, "compression": "zlib"},
    "packed tiles": {"tile": (16, 16), "compression": "zlib"},
}


def write(path, picture, **layout):
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if channels in (2, 4):
        layout["extrasamples"] = ["UNASSALPHA"]
    photometric = "rgb" if channels > 2 else "minisblack"
    tifffile.imwrite(path, picture, photometric=photometric, planarconfig="contig", **layout)
    return path


@pytest.fixture
def small_bands(monkeypatch):
    monkeypatch.setattr(large, "TILE", 32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_as_in_one_piece(tmp_path, small_bands, kind, layout):
    picture = KINDS[kind]
    source = write(tmp_path / "a.tif", picture, **LAYOUTS[layout])
    height, width, channels, dtype = large.shape_of(source)
    assert (height, width, channels) == (*picture.shape[:2], picture[0, 0].size)
    assert dtype == picture.dtype
    done = []
    networks = Networks("9-1-5")
    assert large.enlarge_tiff(source, tmp_path / "b.tif", networks, 2, progress=done.append) == (
        [],
        [],
    )
    ours = tifffile.imread(tmp_path / "b.tif")
    assert np.array_equal(ours, pysrcnn.upscale(picture, 2, "9-1-5"))
    assert done[-1] == 1 and sorted(done) == done and len(done) > 3


@pytest.mark.parametrize("model, scale", [("9-5-5", 3), ("9-1-5", 2.5), ("9-1-5", 6)])
def test_all_plans(tmp_path, small_bands, model, scale):
    source = write(tmp_path / "a.tif", RGB)
    large.enlarge_tiff(source, tmp_path / "b.tif", Networks(model), scale)
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), pysrcnn.upscale(RGB, scale, model))


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_a_network_for_the_small_picture(tmp_path, small_bands, padding):
    network = ESPCN(3, (5, 3, 3), (8, 4), padding=padding)
    source = write(tmp_path / "a.tif", RGB)
    for scale in (3, 2.5):
        large.enlarge_tiff(source, tmp_path / "b.tif", Networks(network), scale)
        wanted = pysrcnn.upscale(RGB, scale, network)
        assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), wanted)


@pytest.mark.parametrize("description", ["a photograph", None])
def test_texts_stay_and_those_on_the_pixels_do_not(tmp_path, small_bands, description):
    artist = [(315, "s", 0, "somebody", True)]  # without a description, there is one of the shape
    write(tmp_path / "a.tif", RGB, description=description, software="it", extratags=artist)
    large.enlarge_tiff(tmp_path / "a.tif", tmp_path / "b.tif", Networks("9-1-5"), 2)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        texts = [file.pages[0].tags.valueof(tag) for tag in (270, 305, 315)]
    assert texts == [description, "it", "somebody"]


def test_profile_and_resolution_stay(tmp_path, small_bands):
    source = tmp_path / "a.tif"
    write(source, RGB, iccprofile=SRGB, resolution=(120, 60), resolutionunit="CENTIMETER")
    large.enlarge_tiff(source, tmp_path / "b.tif", Networks("9-1-5"), 2)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages[0].tags
        assert tags[34675].value == SRGB and tags[296].value == 2
        assert [a / b for a, b in (tags[282].value, tags[283].value)] == pytest.approx(
            [304.8, 152.4]
        )


def test_a_damaged_profile_is_left_out_and_it_is_said(tmp_path, small_bands):
    source = write(tmp_path / "a.tif", RGB, iccprofile=b"profile")
    _, notes = large.enlarge_tiff(source, tmp_path / "b.tif", Networks("9-1-5"), 2)
    assert notes == ["its colour profile is damaged and left out"]
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert 34675 not in file.pages[0].tags


@pytest.mark.parametrize("layout", [{"tile": (32, 32)}, {"rowsperstrip": 16}])
def test_pieces_that_are_not_stored_hold_zeros(tmp_path, small_bands, layout):
    source, holes = write(tmp_path / "a.tif", RGB, compression="zlib", **layout), (0, 4)
    content = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        tags = file.pages[0].tags
        for tag in [tags[n] for n in (273, 279, 324, 325) if n in tags]:
            size = tag.valuebytecount // tag.count
            for k in holes:
                content[tag.valueoffset + k * size : tag.valueoffset + (k + 1) * size] = bytes(size)
    source.write_bytes(content)
    picture = tifffile.imread(source)
    assert not picture[:16, :32].any()
    assert np.array_equal(pysrcnn.read_picture(source), picture)
    large.enlarge_tiff(source, tmp_path / "b.tif", Networks("9-1-5"), 2)
    made = tifffile.imread(tmp_path / "b.tif")
    assert np.array_equal(made, pysrcnn.upscale(picture, 2, "9-1-5"))


def test_without_the_extra_pieces_that_are_not_stored_are_refused(tmp_path, monkeypatch):
    source = write(tmp_path / "a.tif", RGB[:16, :16], tile=(16, 16))
    content = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        for number in (324, 325):
            place = file.pages[0].tags[number].valueoffset
            content[place : place + 4] = bytes(4)
    source.write_bytes(content)
    monkeypatch.setattr(deep, "available", lambda: False)
    with pytest.raises(ValueError, match="a.tif is a TIFF file of which some strips or tiles are"):
        pysrcnn.read_picture(source)


def test_a_pyramid_is_done_by_its_first_page(tmp_path, small_bands):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for k, step in enumerate((1, 2, 4)):
            pixels = np.ascontiguousarray(RGB[::step, ::step])
            file.write(pixels, photometric="rgb", subfiletype=int(k > 0), metadata=None)
    assert large.shape_of(tmp_path / "a.tif") == (*RGB.shape, RGB.dtype)
    assert read_picture_file(tmp_path / "a.tif").notes == []
    large.enlarge_tiff(tmp_path / "a.tif", tmp_path / "b.tif", Networks("9-1-5"), 2)
    made = tifffile.imread(tmp_path / "b.tif")
    assert np.array_equal(made, pysrcnn.upscale(RGB, 2, "9-1-5"))


@pytest.mark.parametrize("byteorder", "<>")
def test_one_strip_is_read_in_parts(tmp_path, byteorder):
    picture = KINDS["16 bits"]
    source = write(tmp_path / "a.tif", picture, rowsperstrip=70, byteorder=byteorder)
    with tifffile.TiffFile(source) as file:
        stored = large._Stored(file.pages[0])
        stored.high = 8
        assert np.array_equal(stored.part((3, 30), (5, 80)), picture[3:30, 5:80])
        assert {k: len(x) for k, x in stored.kept.items()} == dict.fromkeys(range(4), 8)


@pytest.mark.parametrize("side", [256, 2**16])
def test_the_padding_of_tiles_counts(tmp_path, monkeypatch, side):
    """In a file without the larger offsets, 4 GiB of it would not fit."""
    source, asked = write(tmp_path / "a.tif", RGB[:4, :4, 0]), {}

    def stop(*args, bigtiff, **rest):
        asked["big"] = bigtiff
        raise OSError("stop")

    monkeypatch.setattr(large, "TILE", side)
    monkeypatch.setattr(tifffile, "imwrite", stop)
    with pytest.raises(OSError, match="stop"):
        large.enlarge_tiff(source, tmp_path / "b.tif", Networks("9-1-5"), 2)
    assert asked["big"] == (side == 2**16)


def test_what_is_not_for_bands(tmp_path):
    tifffile.imwrite(tmp_path / "a.png", RGB, photometric="rgb")
    tifffile.imwrite(
        tmp_path / "planar.tif", RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    tifffile.imwrite(
        tmp_path / "turned.tif", RGB, photometric="rgb", extratags=[(274, 3, 1, 6, True)]
    )
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([RGB, RGB]), photometric="rgb")
    for name in ("assocalpha", "unspecified"):
        pixels, layout = KINDS["RGBA"], {"photometric": "rgb", "extrasamples": [name]}
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, **layout)
    three = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "three.tif", RGB, extrasamples=["unspecified"] * 2, **three)
    (tmp_path / "text.tif").write_text("no picture")
    tifffile.imwrite(tmp_path / "pair.tif", RGB, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "pair.tif") as file:
        count = file.pages[0].tags[256].offset + 4
    content = bytearray((tmp_path / "pair.tif").read_bytes())
    content[count] = 2  # widths
    (tmp_path / "pair.tif").write_bytes(content)
    for name in (
        "a.png",
        "assocalpha.tif",
        "unspecified.tif",
        "pair.tif",
        "planar.tif",
        "turned.tif",
        "pages.tif",
        "three.tif",
        "text.tif",
        "missing.tif",
    ):
        assert large.shape_of(tmp_path / name) is None, name


def test_damage_and_wrong_values_leave_what_was_there(tmp_path, small_bands):
    target = tmp_path / "b.tif"
    target.write_text("before")
    source = write(tmp_path / "a.tif", RGB, compression="zlib", rowsperstrip=8)
    content = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        begin = file.pages[0].dataoffsets[5]
    content[begin : begin + 40] = bytes(40)
    source.write_bytes(content)
    with pytest.raises(ValueError, match="cannot enlarge .*a.tif: "):
        large.enlarge_tiff(source, target, Networks("9-1-5"), 2)
    write(source, np.full((9, 9), 7, np.float32))
    with pytest.raises(ValueError, match="values go from 7 to 7"):
        large.enlarge_tiff(source, target, Networks("9-1-5"), 2)
    assert target.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_what_is_left_out_is_named(tmp_path):
    picture, place = KINDS["float"] * np.float32(1.3), [(33550, "d", 3, (10.0, 10.0, 0.0), True)]
    source = write(tmp_path / "a.tif", picture, extratags=place)
    losses, _ = large.enlarge_tiff(source, tmp_path / "b.tif", Networks("9-1-5"), 2)
    assert losses == ["its place on the map", "values outside 0..1"]


def test_what_takes_another_library_to_unpack_is_left_to_other_readers(tmp_path, monkeypatch):
    pytest.importorskip("imagecodecs")
    source = write(tmp_path / "a.tif", RGB, compression="lzw")
    assert large.shape_of(source)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert large.shape_of(source) is None


@pytest.mark.parametrize("tag", [322, 323])
def test_tiles_without_pixels(tmp_path, tag):
    source = write(tmp_path / "a.tif", RGB, tile=(16, 16))
    content = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        place = file.pages[0].tags[tag].valueoffset
    content[place : place + 2] = bytes(2)
    source.write_bytes(content)
    with pytest.raises(ValueError, match="cannot enlarge .*a.tif: "):
        large.enlarge_tiff(source, tmp_path / "b.tif", Networks("9-1-5"), 2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_the_command_takes_this_way_for_large_results(tmp_path, monkeypatch, capsys):
    source = write(tmp_path / "a.tif", RGB)
    assert main(["upscale", str(source), "-o", str(tmp_path / "small.tif")]) == 0
    monkeypatch.setattr(enlarge, "BANDED", 1000)
    monkeypatch.setattr(large, "TILE", 32)
    assert main(["upscale", str(source), "-o", str(tmp_path / "large.tif")]) == 0
    assert is_marked(tmp_path / "large.tif")
    small, banded = (tifffile.imread(tmp_path / f"{n}.tif") for n in ("small", "large"))
    assert np.array_equal(small, banded)
    line = capsys.readouterr().out.splitlines()[-1]
    assert "large.tif: 270 x 210 pixels, from 90 x 70 by edsr-s x3, band by band in" in line


def test_files_that_claim_to_be_huge(tmp_path, capsys):
    """Before anything is made that is as large."""
    source = write(tmp_path / "a.tif", RGB)
    with tifffile.TiffFile(source) as file:
        places = [file.pages[0].tags[tag].valueoffset for tag in (256, 257)]
    content = bytearray(source.read_bytes())
    for place in places:
        content[place - 6 : place + 4] = struct.pack("<HII", 4, 1, 2**32 - 1)
    source.write_bytes(content)
    assert main(["upscale", str(source), "-o", str(tmp_path / "b.tif")]) == 2
    words = "a.tif claims to hold 4,294,967,295 x 4,294,967,295 pixels in"
    assert words in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_picture(tmp_path):
    """144 megapixels of colour, 412 MiB: less than that at the peak."""
    if sys.platform != "linux":
        pytest.skip("reads the peak from /proc")
    source = tmp_path / "a.tif"
    picture = np.random.default_rng(0).integers(0, 256, (4000, 4000, 3), np.uint8)
    write(source, picture, compression="zlib", tile=(256, 256))
    code = f"""
import sys
from pathlib import Path
from pysrcnn import cli
from pysrcnn.batch import enlarge
enlarge.BANDED = 1
code = cli.main(["upscale", {str(source)!r}, "-o", {str(tmp_path / "b.tif")!r}])
peak = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
print(int(peak.split()[1]) // 1024)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < 412
    assert Path(tmp_path / "b.tif").stat().st_size > 400 * 2**20
