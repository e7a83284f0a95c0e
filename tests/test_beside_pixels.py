"""What a file says beside its pixels: true of the new ones, kept where the format can, or named.

EXIF, XMP, IPTC, resolution, the shape of pixels, how pixels are packed. The files are put together
byte by byte, so that they hold what programs and cameras write and Pillow does not.
"""

import io
import struct
import zlib
from fractions import Fraction
from xml.dom import minidom

import numpy as np
import pytest
from samples import DEEP, FRAMES, RGB, SRGB, animation, chunk, encoded, exif_of, png

from pysrcnn.batch import large
from pysrcnn.pictures import (
    PictureFile,
    _iptc,
    _xmp,
    deep,
    read_picture_file,
    write_picture_file,
)
from pysrcnn.pictures._directories import Tiff
from pysrcnn.upscaling.scales import Networks

Image = pytest.importorskip("PIL.Image")

FORMATS = ("jpg", "png", "tif", "webp")
LARGE = np.random.default_rng(1).integers(0, 256, (21, 27, 3), np.uint8)  # for RGB's 9 x 7, x3


def read(content):
    return read_picture_file("it", content)


def enlarged(file):
    """Other pixels with the same beside them, as after enlarging."""
    depth = file.frames[0].dtype
    file.frames = [LARGE.astype(depth) * (257 if depth == np.uint16 else 1)]
    return file


def ifd(order, at, entries, following=0):
    """A directory at this place: {tag: (kind, bytes)}, and the values that are too long for it."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
    place, head, rest = at + 2 + 12 * len(entries) + 4, b"", b""
    for tag, (kind, data) in sorted(entries.items()):
        head += struct.pack(order + "HHI", tag, kind, len(data) // sizes[kind])
        if len(data) > 4:
            head += struct.pack(order + "I", place + len(rest))
            rest += data + bytes(len(data) % 2)
        else:
            head += data.ljust(4, b"\0")
    return (
        struct.pack(order + "H", len(entries)) + head + struct.pack(order + "I", following) + rest
    )


def camera(order="<", orientation=6, **more):
    """EXIF as a camera writes it: sizes everywhere, a thumbnail, a preview in the maker's note."""

    def short(n):
        return 3, struct.pack(order + "H", n)

    def long(*n):
        return 4, struct.pack(f"{order}{len(n)}I", *n)

    def rational(n):
        return 5, struct.pack(order + "II", n, 1)

    def laid_out(exif_at, gps_at, thumbnail_at):
        first = {
            0x100: long(9), 0x101: long(7), 0x102: (3, struct.pack(order + "3H", 8, 8, 8)),
            0x103: short(6), 0x106: short(6), 0x10F: (2, b"Maker\0"), 0x111: long(4000),
            0x112: short(orientation), 0x115: short(3), 0x116: long(7), 0x117: long(999),
            0x11A: rational(300), 0x11B: rational(200), 0x11C: short(1), 0x128: short(2),
            0x13B: (2, "Ærø\0".encode()), 0x142: long(16), 0x14A: long(8), 0x213: short(2),
            0x8769: long(exif_at), 0x8825: long(gps_at),
        } | more.get("first", {})  # fmt: skip
        inner = {
            0x9003: (2, b"2020:01:02 03:04:05\0"), 0x9102: rational(4),
            0x9214: (3, struct.pack(order + "4H", 4, 3, 2, 2)), 0x927C: (7, b"note" + preview),
            0xA002: short(9), 0xA003: short(7), 0xA20E: rational(5000), 0xA214: long(4 * 65536 + 3),
        }  # fmt: skip
        blocks = [ifd(order, 8, first, thumbnail_at)]
        exif_at = 8 + len(blocks[0])
        blocks.append(ifd(order, exif_at, inner))
        gps_at = exif_at + len(blocks[1])
        blocks.append(ifd(order, gps_at, {1: (2, b"N\0")}))
        thumbnail_at = gps_at + len(blocks[2])
        picture_at = thumbnail_at + 2 + 36 + 4
        third = {0x103: short(6), 0x201: long(picture_at), 0x202: long(len(preview))}
        blocks.append(ifd(order, thumbnail_at, third) + preview)
        return (exif_at, gps_at, thumbnail_at), b"".join(blocks)

    preview = encoded(RGB, "JPEG")
    places, _ = laid_out(0, 0, 0)
    _, body = laid_out(*places)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return b"Exif\0\0" + head + body


def first_tags(path):
    """The tags of the first directory of a TIFF file or of EXIF, as Pillow reads them."""
    with Image.open(path) as picture:
        return dict(picture.getexif())


# ------------------------------------------------------------------------ EXIF of the old pixels


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_in_exif_contradicts_the_pixels(tmp_path, suffix, order):
    content = encoded(RGB, "JPEG", exif=camera(order), quality=95)
    file = read(content)
    assert file.frames[0].shape == (9, 7, 3) and file.dpi == (200, 300)  # turned
    assert write_picture_file(tmp_path / f"a.{suffix}", enlarged(file)) == []
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        assert picture.size == (27, 21)
        if suffix in ("png", "tif"):
            assert np.array_equal(picture, LARGE)
        exif = picture.getexif()
        assert exif.get(0x112, 1) == 1 and exif[0x10F] == "Maker"
        assert exif[0x13B].encode("latin-1").decode() == "Ærø"
        wrong = {0x103, 0x106, 0x111, 0x115, 0x117, 0x142, 0x14A, 0x100, 0x101, 0x102}
        assert suffix == "tif" or wrong.isdisjoint(exif)
        assert (exif[0x11A], exif[0x11B]) == (200, 300)
        inner = exif.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (27, 21) and inner[0x9003].startswith("2020")
        assert {0x9102, 0x9214, 0xA20E, 0xA214}.isdisjoint(inner)
        assert inner[0x927C].startswith(b"note") and exif.get_ifd(0x8825) == {1: "N"}
        assert not exif.get_ifd(1)  # the directory of the thumbnail
    for k in range(len(whole)):  # no picture of the old size in any corner
        if whole.startswith(b"\xff\xd8\xff", k) and not (k == 0 and suffix == "jpg"):
            with pytest.raises(Image.UnidentifiedImageError):
                Image.open(io.BytesIO(whole[k:]))


@pytest.mark.parametrize("tags", [
    {0x100: 60, 0x101: 40}, {0x100: 4000, 0x101: 3000}, {0x101: 20}, {0x116: 3, 0x111: 8},
    {0x142: 16, 0x143: 16, 0x144: 8}, {0x152: 2}, {0x140: 9}, {0x201: 8, 0x202: 9}, {0x11C: 2},
    {0x10A: 2}, {0x13D: 2}, {0x102: 1, 0x106: 0}, {0x153: 3}, {0x80E5: 5}, {0x22F: 4}, {0x14A: 8},
])  # fmt: skip
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tags_of_exif_do_not_become_the_structure_of_a_tiff_file(tmp_path, tags, depth):
    if depth == np.uint16:
        pytest.importorskip("tifffile")
    exif = Image.Exif()
    exif.update(tags)
    file = enlarged(PictureFile([RGB.astype(depth)], exif=exif.tobytes()))
    for compression in (1, 5) if deep.available() else (1,):
        file.compression = compression
        assert write_picture_file(tmp_path / "a.tif", file) == []
        assert np.array_equal(read_picture_file(tmp_path / "a.tif").frames[0], file.frames[0])


@pytest.mark.filterwarnings("ignore")
def test_damaged_exif_never_costs_the_picture(tmp_path):
    rng, whole = np.random.default_rng(0), camera()
    for k in range(40):
        exif = bytearray(whole[: rng.integers(14, len(whole))] if k % 5 == 0 else whole)
        for at in rng.integers(6, min(len(exif), 420), rng.integers(1, 9)):
            exif[at] = rng.choice([0, 1, 255, rng.integers(256)])
        file = PictureFile([RGB], exif=bytes(exif))
        for suffix in ("tif", "png"):
            write_picture_file(tmp_path / f"a.{suffix}", file)
            with Image.open(tmp_path / f"a.{suffix}") as picture:
                assert np.array_equal(picture, RGB), (k, suffix)
                assert picture.getexif().get(0x112, 1) == 1, (k, suffix)


def test_what_a_library_stumbles_over_is_left_out_and_named(tmp_path, monkeypatch):
    from pysrcnn.pictures import encoding

    encoded = encoding.encoded

    def strict(frames, suffix, options):
        if "exif" in options:
            raise ValueError("it does not like the EXIF")
        return encoded(frames, suffix, options)

    monkeypatch.setattr(encoding, "encoded", strict)
    file = PictureFile([RGB], exif=camera(), icc_profile=SRGB)
    assert write_picture_file(tmp_path / "a.webp", file) == ["the colour profile", "EXIF"]
    assert np.array_equal(read_picture_file(tmp_path / "a.webp").frames[0], RGB)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", "<>")
def test_exif_goes_into_tiff_and_comes_back(tmp_path, order, depth):
    if depth == np.uint16:
        pytest.importorskip("tifffile")
    own = {0xC6FF: (4, struct.pack(order + "I", 5)), 0xEA1C: (7, bytes(99))}  # somebody's; room
    file = enlarged(PictureFile([RGB.astype(depth)], exif=camera(order, first=own)))
    assert write_picture_file(tmp_path / "a.tif", file) == ["the tags 50943 of EXIF"]
    again = read_picture_file(tmp_path / "a.tif")
    assert again.notes == [] and again.exif.count(b"note") == 1
    assert write_picture_file(tmp_path / "b.jpg", again) == (
        ["its full depth (16 bits became 8, as JPEG holds no more)"] if depth == np.uint16 else []
    )
    with Image.open(tmp_path / "b.jpg") as picture:
        exif = picture.getexif()
        assert exif[0x10F] == "Maker" and exif.get_ifd(0x8825) == {1: "N"}
        assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


def test_tags_of_a_tiff_file_that_nobody_knows_are_named(tmp_path):
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "TIFF", tiffinfo={50838: (12, 9), 50839: b"IJIJ", 315: "me"})
    file = read(out.getvalue())
    assert file.notes == ["its tags 50838, 50839, which may be of its pixels, are left out"]
    write_picture_file(tmp_path / "a.tif", enlarged(file))
    assert {315} == first_tags(tmp_path / "a.tif").keys() & {315, 50838, 50839}


def test_band_by_band_the_same_is_beside_the_pixels(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    exif = PictureFile([RGB], exif=camera(orientation=1), xmp=xmp(), iptc=IPTC, dpi=(300.0, 200.0))
    exif.compression, exif.predictor, exif.icc_profile = 8, True, SRGB
    write_picture_file(tmp_path / "a.tif", exif)
    assert large.shape_of(tmp_path / "a.tif")
    losses = large.enlarge_tiff(tmp_path / "a.tif", tmp_path / "b.tif", Networks("9-1-5"), 3)
    assert losses == ([], [])
    file = read_picture_file(tmp_path / "b.tif")
    assert file.notes == [] and b"Maker" in file.exif and file.dpi == (300, 200)
    assert file.icc_profile == SRGB and file.iptc == IPTC
    assert b'="27"' in file.xmp and b"Title" in file.xmp
    with tifffile.TiffFile(tmp_path / "b.tif") as written:
        assert (written.pages[0].compression, written.pages[0].predictor) == (8, 2)
        assert written.pages[0].shape == (21, 27, 3)


# ---------------------------------------------------------------------------------- XMP and IPTC

IPTC = b"\x1c\x02\x19\0\x05beach\x1c\x02\x78\0\x03sea"
OLD = b"\x1c\x03\x14\0\x02\0\x09" + b"\x1c\x02\xca\0\x04\xff\xd8\xff\xdb"  # width; a preview
SPACES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "d": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "hdr": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "cam": "http://ns.google.com/photos/1.0/camera/",
}


def xmp(more="", attributes=""):
    spaces = " ".join(f'xmlns:{name}="{space}"' for name, space in SPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<r:Description r:about="" {spaces} tiff:Artist="Ærø" tiff:Orientation="1"'
        f' exif:PixelXDimension="9" dc:Title="a title" {attributes}>'
        "<tiff:ImageWidth>9</tiff:ImageWidth><exif:PixelYDimension>7</exif:PixelYDimension>"
        '<xmp:Thumbnails><r:Alt><r:li xmp:image="/9j/"/></r:Alt></xmp:Thumbnails>'
        '<rs:Regions><rs:AppliedToDimensions d:w="9" d:unit="pixel"><d:h>7</d:h>'
        f"</rs:AppliedToDimensions><rs:Name>Ann</rs:Name></rs:Regions>{more}"
        '</r:Description></r:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def jpeg_with(*segments, **options):
    content = encoded(RGB, "JPEG", **options)
    more = (struct.pack(">BBH", 255, kind, len(data) + 2) + data for kind, data in segments)
    return content[:2] + b"".join(more) + content[2:]


def raw(name, data, called=None):
    """A text of PNG as ImageMagick writes it."""
    text = f"\n{called or name}\n{len(data):8}\n{data.hex()}\n".encode()
    return chunk(b"zTXt", b"Raw profile type " + name.encode() + b"\0\0" + zlib.compress(text))


def resources(*pairs):
    return b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in pairs
    )


HEAD, PHOTOSHOP = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"


def sources():
    packet, block = xmp(), resources((0x0404, IPTC + OLD), (0x03ED, bytes(16)))
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet))
    pixels = RGB.reshape(7, -1)
    gif = encoded(RGB, "GIF")
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return {
        "JPEG": jpeg_with((0xED, PHOTOSHOP + block[:20]), (0xED, PHOTOSHOP + block[20:]),
                          (0xE1, HEAD + packet)),
        "PNG": png(pixels, 8, 2, text, raw("iptc", block, "IPTC profile")),
        "PNG, raw": png(pixels, 8, 2, raw("APP1", HEAD + packet), raw("8bim", PHOTOSHOP + block)),
        "PNG, bare": png(pixels, 8, 2, raw("xmp", packet), raw("iptc", IPTC + OLD)),
        "TIFF": encoded(RGB, "TIFF", tiffinfo={700: packet, 33723: IPTC + OLD}),
        "TIFF of Photoshop": encoded(RGB, "TIFF", tiffinfo={700: packet, 34377: block}),
        "WebP": encoded(RGB, "WEBP", xmp=packet),
        "animated WebP": animation("WEBP", xmp=packet),
        "GIF": gif[:-1] + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + gif[-1:],
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [*FORMATS, "gif"])
@pytest.mark.parametrize("source", sources())
def test_xmp_and_iptc_go_along_or_are_named(tmp_path, source, suffix):
    file = read(sources()[source])
    assert file.notes == []
    has_iptc = file.iptc is not None
    assert has_iptc == (source not in ("WebP", "animated WebP", "GIF"))
    target = tmp_path / f"a.{suffix}"
    lost = write_picture_file(target, enlarged(file))
    assert ("XMP" in lost) == (suffix == "gif")
    assert ("IPTC" in lost) == (has_iptc and suffix in ("webp", "gif"))
    again = read_picture_file(target)
    if suffix != "gif":
        assert "Ærø".encode() in again.xmp and b'dc:Title="a title"' in again.xmp
        assert b"ImageWidth" not in again.xmp and b"Dimension=" not in again.xmp
        assert b"Thumbnails" not in again.xmp and b"Orientation" not in again.xmp
        assert b'd:w="27"' in again.xmp and b"<d:h>21</d:h>" in again.xmp and b"Ann" in again.xmp
    if has_iptc and suffix not in ("webp", "gif"):
        assert again.iptc == IPTC
        if suffix == "jpg":
            with Image.open(target) as picture:
                assert picture.info["photoshop"] == {0x0404: IPTC}


def test_deep_colour_has_xmp_and_iptc_too(tmp_path):
    pytest.importorskip("tifffile")
    content = png(DEEP[..., :3].reshape(7, -1), 16, 2, raw("xmp", xmp()), raw("iptc", IPTC))
    for suffix in ("png", "tif"):
        assert write_picture_file(tmp_path / f"a.{suffix}", enlarged(read(content))) == []
        again = read_picture_file(tmp_path / f"a.{suffix}")
        assert b"a title" in again.xmp and again.iptc == IPTC and again.frames[0].dtype == "u2"


@pytest.mark.parametrize("way", ["EXIF", "XMP"])
def test_regions_of_a_picture_that_was_turned_are_left_out_and_named(tmp_path, way):
    packet = xmp() if way == "EXIF" else xmp().replace(b'Orientation="1"', b'Orientation="6"')
    exif = exif_of(6).tobytes() if way == "EXIF" else b""
    file = read(jpeg_with((0xE1, HEAD + packet), exif=exif))
    lost = write_picture_file(tmp_path / "a.jpg", file)
    assert lost == ["the regions (faces) in XMP"]
    again = read_picture_file(tmp_path / "a.jpg")
    assert b"Ann" not in again.xmp and b"a title" in again.xmp


@pytest.mark.parametrize("more, attributes", [
    ("<hdr:Version>1.0</hdr:Version>", ""), ("", 'cam:MotionPhoto="1"'), ("", 'hdr:Version="1.0"'),
])  # fmt: skip
def test_what_xmp_says_of_other_pictures_in_the_file_is_named(tmp_path, more, attributes):
    file = PictureFile([RGB], xmp=xmp(more, attributes))
    lost = write_picture_file(tmp_path / "a.jpg", file)
    assert lost == ["what XMP says of other pictures, sound or video in the file"]
    again = read_picture_file(tmp_path / "a.jpg").xmp
    assert b"Version" not in again and b"MotionPhoto" not in again


@pytest.mark.parametrize("packet", [
    b"<x", b"\xff\xfe\0", b'<x tiff:Orientation="6"/>', b"<a>" * 90000 + b"</a>" * 90000,
    b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', b"<x>" + b" " * _xmp.MOST + b"</x>",
])  # fmt: skip
def test_damaged_xmp_is_left_out_and_named(tmp_path, packet):
    assert write_picture_file(tmp_path / "a.png", PictureFile([RGB], xmp=packet)) == ["XMP"]


def test_photoshops_own_settings_are_named():
    block = resources((0x0404, IPTC), (0x0408, bytes(9)))
    file = read(jpeg_with((0xED, PHOTOSHOP + block)))
    assert file.iptc == IPTC
    assert file.notes == ["its settings of Photoshop (paths, guides, ...) are left out"]
    for length in range(len(block)):  # cut anywhere
        assert _iptc.of_resources(block[:length])[0] in (None, IPTC[: max(0, length - 12)])
    for length in range(len(IPTC)):
        assert IPTC.startswith(_iptc.after_enlarging(IPTC[:length]))


def test_xmp_in_pieces_is_said_to_be_left_out():
    more = b"http://ns.adobe.com/xmp/extension/\0" + bytes(50)
    file = read(jpeg_with((0xE1, HEAD + xmp()), (0xE1, more)))
    assert file.notes == ["the part of its XMP that is in pieces of its own is left out"]


# ---------------------------------------------------------------- EXIF in other forms, other chunks


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_in_the_form_of_a_text(tmp_path, name):
    content = png(RGB.reshape(7, -1), 8, 2, raw(name, exif_of(6).tobytes()))
    file = read(content)
    assert file.frames[0].shape == (9, 7, 3) and file.texts == [] and file.notes == []
    assert write_picture_file(tmp_path / "a.png", file) == []
    tags = first_tags(tmp_path / "a.png")
    assert (tags[0x112], tags[0x10F]) == (1, "Maker")
    assert b"Raw profile" not in (tmp_path / "a.png").read_bytes()


def test_damaged_and_other_profiles_in_the_form_of_a_text_are_named():
    damaged = chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(b"\niptc\n 4\nzz"))
    file = read(png(RGB.reshape(7, -1), 8, 2, damaged, raw("icm", b"profile")))
    assert file.notes == [
        "its iptc, in the form of a text, is damaged and left out",
        "its profile icm, in the form of a text, is left out",
    ]


@pytest.mark.parametrize("bits", [8, 16])
def test_chunks_that_are_not_carried_are_named(bits):
    more = [
        chunk(b"oFFs", struct.pack(">iiB", 5, 5, 0)), chunk(b"sTER", b"\0"),
        chunk(b"tIME", bytes(7)), chunk(b"sBIT", bytes([5, 6, 5])), chunk(b"oFFs", bytes(9)),
    ]  # fmt: skip
    pixels = DEEP[..., :3].reshape(7, -1) >> (16 - bits)
    notes = read(png(pixels, bits, 2, *more)).notes
    assert "what its chunks oFFs, sTER say is left out" in notes
    notes = read(png(pixels, bits, 2, more[1])).notes
    assert "what its chunk sTER says is left out" in notes


def test_exif_twice_in_a_png_file_is_named(tmp_path):
    pieces = [chunk(b"eXIf", exif_of(k).tobytes()[6:]) for k in (6, 1)]
    file = read(png(RGB.reshape(7, -1), 8, 2, *pieces))
    assert file.notes == ["only one of its several pieces of EXIF is taken"]
    assert write_picture_file(tmp_path / "a.png", file) == []
    assert first_tags(tmp_path / "a.png")[0x112] == 1


@pytest.mark.parametrize("bits", [8, 16])
def test_texts_named_for_a_property_of_the_old_pixels_do_not_go_along(bits):
    names = [b"exif:ExifImageWidth", b"exif:Orientation", b"Thumb::Image::Height", b"exif:Make"]
    more = [chunk(b"tEXt", name + b"\0006") for name in [*names, b"Title"]]
    pixels = DEEP[..., :3].reshape(7, -1) >> (16 - bits)
    texts = read(png(pixels, bits, 2, *more)).texts
    assert [text for _, text in texts] == [b"exif:Make\0006", b"Title\0006"]


def test_signatures_of_the_old_pixels_are_named():
    webp = encoded(RGB, "WEBP", xmp=xmp())
    webp += b"C2PA" + struct.pack("<I", 4) + b"jumb"
    webp = webp[:4] + struct.pack("<I", len(webp) - 8) + webp[8:]
    for content in (jpeg_with((0xEB, b"JP\0\1" + bytes(20))), webp):
        notes = read(content).notes
        assert notes == ["its content credentials (C2PA), which sign the old pixels, are left out"]


def test_several_comments_of_a_jpeg_file_are_kept(tmp_path):
    file = read(jpeg_with((0xFE, b"one"), (0xFE, b"two")))
    assert file.comment == b"one\ntwo"


# ------------------------------------------------------------------- resolution, shape of pixels


def test_no_resolution_is_made_up(tmp_path):
    for source in (
        encoded(RGB, "JPEG", exif=exif_of().tobytes()), encoded(RGB, "TIFF"), encoded(RGB, "WEBP"),
        encoded(RGB, "BMP", dpi=(0, 0)), png(RGB.reshape(7, -1), 8, 2),
    ):  # fmt: skip
        file = read(source)
        assert (file.dpi, file.ratio) == (None, None)
        for suffix in ("jpg", "png", "tif", "bmp"):
            write_picture_file(tmp_path / f"a.{suffix}", file)
            again = read_picture_file(tmp_path / f"a.{suffix}")
            assert (again.dpi, again.ratio) == (None, None), suffix


RATIOS = {
    "PNG": png(RGB.reshape(7, -1), 8, 2, chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0))),
    "JPEG": encoded(RGB, "JPEG").replace(b"\0\0\x01\0\x01\0\0", b"\0\0\x02\0\x01\0\0", 1),
    "TIFF": encoded(RGB, "TIFF", resolution_unit=1, x_resolution=2, y_resolution=1),
    "GIF": encoded(RGB, "GIF")[:12] + bytes([17]) + encoded(RGB, "GIF")[13:],
}


@pytest.mark.parametrize("source", RATIOS)
def test_the_shape_of_pixels_goes_along_or_is_named(tmp_path, source):
    file = read(RATIOS[source])
    assert (file.dpi, file.ratio) == (None, 2)
    for suffix in ("png", "jpg", "tif", "webp", "bmp", "gif"):
        lost = write_picture_file(tmp_path / f"a.{suffix}", file)
        kept = suffix in ("png", "jpg", "tif")
        assert ("the shape of its pixels, which are not square" in lost) != kept
        again = read_picture_file(tmp_path / f"a.{suffix}")
        assert (again.dpi, again.ratio) == (None, 2 if kept else None)
    file = PictureFile([DEEP], ratio=Fraction(4, 3))
    assert write_picture_file(tmp_path / "a.png", file) == []
    assert read_picture_file(tmp_path / "a.png").ratio == Fraction(4, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_resolution_and_shape_are_turned_with_the_picture(tmp_path, form):
    exif = exif_of(8).tobytes()
    assert read(encoded(RGB, form, dpi=(300, 200), exif=exif)).dpi == pytest.approx(
        (200, 300), 1e-3
    )
    head = struct.pack(">IIB", 2, 1, 0)
    turned = png(RGB.reshape(7, -1), 8, 2, chunk(b"pHYs", head), chunk(b"eXIf", exif[6:]))
    assert read(turned).ratio == Fraction(1, 2)


DENSE = [
    ("jpg", 65535.4, True), ("jpg", 65536, False), ("jpg", 0.6, True), ("jpg", 0.3, False),
    ("png", 54e6, True), ("png", 55e6, False), ("bmp", 54e6, True), ("bmp", 55e6, False),
    ("png", 0.001, False), ("tif", 2**32 - 1, True), ("tif", 2**32, False), ("tif", 0.001, True),
]  # fmt: skip
DENSE += [
    (suffix, dpi, False)
    for suffix in ("jpg", "png", "tif", "bmp", "webp")
    for dpi in (float("nan"), float("inf"), -72.0, 0.0, 1e300)
]


@pytest.mark.parametrize("suffix, dpi, fits", DENSE)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_resolution_that_does_not_fit_is_left_out_and_named(tmp_path, suffix, dpi, fits, depth):
    file = PictureFile([RGB.astype(depth)], dpi=(dpi, 72.0))
    lost = write_picture_file(tmp_path / f"a.{suffix}", file)
    assert ("the resolution in DPI" in lost) != fits
    again = read_picture_file(tmp_path / f"a.{suffix}").dpi
    if fits:
        assert again == pytest.approx((dpi, 72), rel=1e-3, abs=0.5 if suffix == "jpg" else 1e-3)
    else:
        assert again is None


@pytest.mark.parametrize("unit", [1, 2, 3])
@pytest.mark.parametrize("x", [(0, 0), (1, 0), (0, 1), (2**32 - 1, 1)])
def test_odd_resolutions_in_tiff_and_exif(tmp_path, x, unit):
    entries = {
        282: (5, struct.pack("<II", *x)), 283: (5, struct.pack("<II", 72, 1)),
        296: (3, struct.pack("<H", unit)), 315: (2, b"somebody\0"),
    }  # fmt: skip
    file = read(encoded(RGB, "JPEG", exif=b"Exif\0\0II*\0\b\0\0\0" + ifd("<", 8, entries)))
    assert (file.dpi is None) == (x[0] < 2 or unit == 1)
    for suffix in FORMATS:
        lost = write_picture_file(tmp_path / f"a.{suffix}", file)
        assert set(lost) <= {
            "the resolution in DPI",
            "the shape of its pixels, which are not square",
        }


def test_what_is_too_long_for_jpeg_is_named(tmp_path):
    long = b" " * 65534
    iptc = IPTC + 2 * (b"\x1c\x02\x78\x7f\xff" + bytes(32767))
    profile = SRGB + bytes(255 * 65519)
    file = PictureFile([RGB], xmp=xmp(long.decode()), iptc=iptc, icc_profile=profile)
    lost = ["the colour profile", "XMP", "IPTC"]
    assert write_picture_file(tmp_path / "a.jpg", file) == lost
    assert write_picture_file(tmp_path / "a.tif", file) == []
    again = read_picture_file(tmp_path / "a.tif")
    assert again.iptc == iptc and len(again.xmp) > 65534


LIMITS = [
    ("gif", 655_350, 65_536), ("png", 65_535_000, 2**31 - 1), ("webp", 2**24 - 1, 65_535),
]  # fmt: skip


@pytest.mark.parametrize("suffix, longest, most", LIMITS)
def test_times_that_a_format_cannot_hold_are_cut_and_named(tmp_path, suffix, longest, most):
    def written(duration, plays):
        file = PictureFile(FRAMES, "gif", durations=[duration, 50.0, 50.0, 50.0], plays=plays)
        lost = write_picture_file(tmp_path / f"a.{suffix}", file)
        again = read_picture_file(tmp_path / f"a.{suffix}")
        return lost, again.durations[0], again.plays

    assert written(float(longest), most) == ([], longest, most)
    times = f"times of frames that are not from 0 to {longest / 1000:g} s"
    often = f"that it is played {most + 1} times (it is played without end)"
    assert written(longest + 10.0, most + 1) == ([times, often], longest, 0)
    assert written(float("nan"), 1)[:2] == ([times], 0)


# -------------------------------------------------------------------------- how pixels are packed

ART = np.zeros((32, 32, 3), np.uint8)
ART[::2, ::2], ART[1::2, 1::2] = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_what_has_no_loss_gets_none_in_webp(tmp_path, form):
    options = {"lossless": True} if form == "WEBP" else {}
    file = read(encoded(ART, form, **options))
    write_picture_file(tmp_path / "a.webp", file)
    assert np.array_equal(read_picture_file(tmp_path / "a.webp").frames[0], ART)
    write_picture_file(tmp_path / "b.webp", file, 90)  # asked for
    assert not np.array_equal(read_picture_file(tmp_path / "b.webp").frames[0], ART)


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP"])
def test_animations_without_loss_get_none_in_webp(tmp_path, form):
    write_picture_file(tmp_path / "a.webp", read(animation(form)))
    again = read_picture_file(tmp_path / "a.webp")
    assert all(np.array_equal(a, b) for a, b in zip(again.frames, FRAMES, strict=True))


def test_what_has_loss_is_known(tmp_path):
    lossy = [encoded(ART, "JPEG"), encoded(ART, "WEBP"), animation("WEBP", lossless=False)]
    lossy.append(encoded(ART, "TIFF", compression="jpeg"))
    for content in lossy:
        assert read(content).lossy
        write_picture_file(tmp_path / "a.webp", read(content))
        assert b"VP8L" not in (tmp_path / "a.webp").read_bytes()


def test_quality(tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
    for suffix in ("jpg", "webp"):
        sizes = []
        for quality in (20, 60, 100):
            file = PictureFile([picture], lossy=True)
            write_picture_file(tmp_path / f"a.{suffix}", file, quality)
            sizes.append((tmp_path / f"a.{suffix}").stat().st_size)
        assert sizes[0] * 1.2 < sizes[1] < sizes[2] / 1.2


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("packing, number", [
    ("lzw", 5), ("zlib", 8), ("deflate", 8), ("packbits", 32773), ("zstd", 50000), ("lzma", 8),
    ("jpeg", 8),
])  # fmt: skip
def test_tiff_stays_packed(tmp_path, packing, number, dtype, grey):
    tifffile, _ = pytest.importorskip("tifffile"), pytest.importorskip("imagecodecs")
    if packing == "jpeg" and dtype != "u1":
        pytest.skip("JPEG holds 8 bits")
    peak = {"u1": 255, "u2": 65535, "f4": 1}[dtype]
    pixels = (DEEP[..., :3] / 65535 * peak).astype(dtype)
    pixels = pixels[..., 0] if grey else pixels
    predictor = dtype != "f4" and packing in ("lzw", "deflate")
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="minisblack" if grey else "rgb", metadata=None,
        compression=packing, **({"predictor": True} if predictor else {}),
    )  # fmt: skip
    file = read_picture_file(tmp_path / "a.tif")
    assert file.lossy == (packing == "jpeg")
    write_picture_file(tmp_path / "b.tif", file)
    with tifffile.TiffFile(tmp_path / "b.tif") as written:
        page = written.pages[0]
        assert (page.compression, page.predictor) == (number, 2 if predictor else 1)
        assert np.array_equal(page.asarray(), file.frames[0])


def test_numbers_of_damaged_directories():
    assert Tiff(b"").number(274) == Tiff(b"II*\0").number(274) == Tiff(b"II*\0").real(282) == 0
    block = b"II*\0\b\0\0\0" + ifd("<", 8, {274: (3, b""), 282: (5, struct.pack("<II", 5, 2))})
    assert (Tiff(block).number(274, 7), Tiff(block).real(282)) == (7, 2.5)


@pytest.mark.parametrize(
    "space, name, search",
    [
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion", "toxml"),
        (
            "http://www.metadataworkinggroup.com/schemas/regions/",
            "AppliedToDimensions",
            "getElementsByTagNameNS",
        ),
    ],
)
def test_regions_within_regions_are_searched_once(monkeypatch, space, name, search):
    """Of a megabyte with hundreds of them around it, each search takes a second."""
    done, usual = [], getattr(minidom.Element, search)
    monkeypatch.setattr(minidom.Element, search, lambda *given: done.append(0) or usual(*given))
    inner = f"<i:{name}>" * 100 + "<a/>" + f"</i:{name}>" * 100
    text, lost = _xmp.after_enlarging(f'<x xmlns:i="{space}">{inner}</x>'.encode(), 6, 4)
    assert text.count(b"</i:") == 100 and not lost
    assert 0 < len(done) <= 2


DAMAGED = "its colour profile is damaged and left out"
PROFILE = bytes(16) + b"RGB " + bytes(16) + b"acsp" + bytes(88)


def jpeg_of(piece):
    return jpeg_with((0xE2, b"ICC_PROFILE\0" + piece))


@pytest.mark.parametrize(
    "content, note",
    [
        (jpeg_of(b"\1\1" + PROFILE), None),
        (jpeg_of(b"\1\2" + PROFILE), DAMAGED),
        (jpeg_of(b"\1\1" + bytes(200)), DAMAGED),
        (
            encoded(RGB, "WEBP", icc_profile=b"x" * 200),
            DAMAGED,
        ),
        (
            jpeg_of(b"\1\1" + PROFILE.replace(b"RGB ", b"GRAY")),
            "its colour profile is not one of RGB, and left out",
        ),
        (
            png(RGB.reshape(7, -1), 8, 2, chunk(b"tRNS", b"\0\1")),
            "its transparent colour is damaged and left out",
        ),
    ],
)
def test_a_profile_or_a_transparent_colour_that_is_damaged_is_named(content, note):
    file = read_picture_file("a picture", content)
    assert file.notes == ([note] if note else [])
    assert (file.icc_profile is None) == (note is not None)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_comment_in_utf_16_has_the_order_of_bytes_of_its_file(tmp_path, order):
    """TIFF files are written in that of this machine, whatever EXIF's was."""
    encoding = {"<": "utf-16-le", ">": "utf-16-be"}
    held = b"UNICODE\0" + "grüße".encode(encoding[order])
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 1)
    exif = head + struct.pack(order + "HHII4x", 0x8769, 4, 1, 26)
    exif += struct.pack(order + "HHHII4x", 1, 0x9286, 7, len(held), 44) + held
    write_picture_file(tmp_path / "a.tif", PictureFile([RGB], exif=b"Exif\0\0" + exif, iptc=IPTC))
    content = (tmp_path / "a.tif").read_bytes()
    own = "<" if content.startswith(b"II") else ">"
    assert b"UNICODE\0" + "grüße".encode(encoding[own]) in content
    assert struct.pack(own + "HH", 33723, 7) in content  # IPTC, undefined: never swapped
