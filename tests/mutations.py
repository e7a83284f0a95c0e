"""Damaged files of every kind that is read: good ones, with bytes changed or numbers in headers.

A case is a pure function of a seed and a number. Where a format has checksums, lengths or packed
parts, these are made right again after most changes, so that what is behind them is reached.
"""

import dataclasses
import functools
import gzip
import importlib.util
import io
import json
import random
import re
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import picture_bombs
import samples
from samples import DEEP, FRAMES, GREY, LA, RGB, RGBA, Image, animation, chunk, encoded, png

__all__ = ["KINDS", "PICTURES", "Case", "available", "case_of", "kind_of", "whole_cases"]

PICTURES = ["png", "apng", "jpeg", "webp", "tiff", "deep-tiff", "bmp", "gif"]
_WEIGHTS = samples.WEIGHTS + ["sc-npz"]
KINDS = PICTURES + _WEIGHTS
_ROTA = PICTURES * 2 + _WEIGHTS
_SUFFIXES = {"jpeg": ".jpg", "tiff": ".tif", "deep-tiff": ".tif"}
_NEEDS = {"deep-tiff": "tifffile", "onnx": "onnx", "keras": "h5py"}
_NEEDS |= {"saved-h5": "h5py", "new-h5": "h5py"}
_VALUES = (
    0, 1, 2, 3, 4, 7, 8, 9, 16, 32, 127, 128, 255, 256, 4096, 5000, 10_000, 13_000, 2**15 - 1,
    2**15, 2**16 - 1, 2**16, 2**20, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62,
    2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
_BOMBS = 150  # one in as many files, of those kinds that can be one


@dataclasses.dataclass(frozen=True)
class Case:
    """A file: its kind, what was done to it, a number of its own for choices to come."""

    number: int
    kind: str
    suffix: str
    content: bytes
    changes: tuple[str, ...]
    rng: random.Random


def kind_of(number: int) -> str:
    """Of which kind the file of this number is."""
    return _ROTA[number % len(_ROTA)]


def available(kind: str) -> bool:
    """Whether the libraries that make such files are here."""
    return kind not in _NEEDS or importlib.util.find_spec(_NEEDS[kind]) is not None


def case_of(seed: int, number: int) -> Case:
    """The same file for the same seed and number."""
    kind, rng = kind_of(number), random.Random(f"{seed} {number}")
    suffix = _suffix(kind)
    bombs = _bombs(kind)
    if bombs and rng.random() < 1 / _BOMBS:
        name = rng.choice(bombs)
        return Case(number, kind, suffix, _bomb(kind, name), (f"a bomb, {name}",), rng)
    first = rng.randrange(len(_originals(kind)))
    content, changes = _originals(kind)[first], [f"original {first}"]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        way = rng.random()
        change = rng.choice(_ANYWHERE)
        if way < 0.4 and kind in _FIELDS:
            change = _field
        elif way < 0.7 and kind in _INSIDE:
            change = _INSIDE[kind]
        elif way < 0.55:
            change = _number
        try:
            content, what = change(content, rng, kind)
        except Exception:  # what was to be taken apart is damaged already
            if len(changes) == 1:
                raise
            content, what = _flipped(content, rng, kind)
        changes.append(what)
    return Case(number, kind, suffix, content, tuple(changes), rng)


def whole_cases(kind: str) -> list[Case]:
    """The files of a kind before any change."""
    contents = _originals(kind)
    return [
        Case(k, kind, _suffix(kind), content, (), random.Random(k))
        for k, content in enumerate(contents)
    ]


def _suffix(kind):
    return _SUFFIXES.get(kind, "." + kind.split("-")[-1])


# --------------------------------------------------------------------------------------- originals


@functools.cache
def _originals(kind: str) -> list[bytes]:
    """Good files of a kind."""
    if kind in samples.WEIGHTS:
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for sizes, filters, c in (((3, 1, 3), (2, 2), 1), ((5, 1, 3), (4, 5), 3)):
                parameters = samples.parameters_of(sizes, filters, c)
                found.append(samples.whole_file(Path(folder), kind, parameters).read_bytes())
        return found
    return {
        "png": _png, "apng": _apng, "jpeg": _jpeg, "webp": _webp, "tiff": _tiff, "bmp": _bmp,
        "deep-tiff": _deep_tiff, "gif": _gif, "sc-npz": _dictionaries,
    }[kind]()  # fmt: skip


def _about(orientation=6):
    exif = samples.exif_of(orientation).tobytes()
    return {"icc_profile": samples.SRGB, "exif": exif, "dpi": (300, 200)}


def _palette():
    picture = Image.frombytes("P", (9, 7), np.arange(63, dtype=np.uint8).tobytes())
    picture.putpalette(RGB.tobytes())
    return picture


def _png():
    few, deep = Image.fromarray(GREY // 52 * 52), GREY.astype(np.uint16) * 257
    transparent = chunk(b"tRNS", struct.pack(">H", deep[2, 3]))
    return [
        encoded(Image.fromarray(GREY > 99), "PNG"),
        encoded(few.quantize(4), "PNG", bits=2),
        encoded(few.quantize(8), "PNG", bits=4),
        *(encoded(x, "PNG") for x in (_palette(), GREY, LA, RGB, RGBA, deep)),
        *(encoded(RGB, "PNG", **_about(n)) for n in (1, 6)),
        encoded(_palette(), "PNG", transparency=bytes(range(63))),
        encoded(GREY, "PNG", transparency=int(GREY[2, 3])),
        encoded(RGB, "PNG", transparency=tuple(RGB[2, 3].tolist())),
        png(deep, 16, 0, transparent),
        png(DEEP[..., :3].reshape(7, -1), 16, 2),
        png(DEEP[..., [0, 3]].reshape(7, -1), 16, 4),
        png(DEEP.reshape(7, -1), 16, 6),
        png(RGBA.reshape(7, -1), 8, 6, interlaced=True),
        png(GREY, 8, 0, interlaced=True),
        png(DEEP[..., :3].reshape(7, -1), 16, 2, interlaced=True),
    ]


def _apng():
    clear = [np.dstack([f, np.where(f[..., 0] > 99, 255, 0).astype(np.uint8)]) for f in FRAMES]
    return [
        animation("PNG"),
        animation("PNG", clear, disposal=2, blend=1),
        animation("PNG", [f[..., 0] for f in FRAMES], default_image=True),
    ]


def _smooth():
    rows = np.add.outer(np.arange(24) * 4, np.arange(32) * 3).astype(np.uint8)
    return np.stack([rows, 255 - rows, rows // 2 + 50], 2)


def _jpeg():
    inks = np.concatenate([255 - _smooth(), np.zeros((24, 32, 1), np.uint8)], 2)
    inks = Image.frombytes("CMYK", (32, 24), inks.tobytes())
    return [
        encoded(_smooth()[..., 0], "JPEG"),
        encoded(_smooth(), "JPEG", quality=95, subsampling=0),
        encoded(_smooth(), "JPEG", progressive=True, **_about()),
        encoded(_smooth(), "JPEG", restart_marker_blocks=1, comment=b"a comment"),
        encoded(inks, "JPEG", icc_profile=samples.SRGB[:16] + b"CMYK" + samples.SRGB[20:]),
    ]


def _webp():
    exif = _about()["exif"]
    return [
        encoded(RGB, "WEBP"),
        encoded(_smooth(), "WEBP", icc_profile=samples.SRGB, exif=exif),
        encoded(RGBA, "WEBP"),
        encoded(RGBA, "WEBP", lossless=True, exact=True),
        encoded(GREY, "WEBP", lossless=True),
        animation("WEBP"),
    ]


def _tiff():
    deep, black = GREY.astype(np.uint16) * 257, Image.fromarray(GREY > 99)
    big = Image.frombytes("I;16B", (9, 7), (GREY.astype(">u2") * 257).tobytes())
    pages = {"save_all": True, "append_images": [Image.fromarray(RGB[:5])]}
    packed = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd")
    return [
        *(encoded(x, "TIFF") for x in (black, _palette(), GREY, LA, RGB, RGBA, deep, big)),
        encoded(GREY.astype(np.float32) / 255, "TIFF"),
        *(encoded(black, "TIFF", compression=name) for name in ("group3", "group4")),
        *(encoded(_smooth(), "TIFF", compression=name) for name in packed),
        encoded(_smooth(), "TIFF", compression="jpeg"),
        encoded(RGB, "TIFF", tiffinfo={278: 2}),  # strips of two rows
        encoded(GREY, "TIFF", **pages),
        encoded(RGB, "TIFF", **_about()),
        encoded(RGB, "TIFF", mode="CMYK"),
    ]


def _deep_tiff():
    import tifffile

    smooth, found = _smooth(), []
    deep, floats = DEEP[..., :3], (DEEP[..., :3] / 65535).astype(np.float32)
    for picture, options in [
        (deep, {}),
        (DEEP, {"extrasamples": ["UNASSALPHA"]}),
        (np.moveaxis(deep, 2, 0), {"planarconfig": "separate"}),
        (floats, {}),
        (floats, {"compression": "zlib"}),
        (deep, {"compression": "zlib", "predictor": True}),
        (deep, {"bigtiff": True, "byteorder": ">"}),
        (smooth, {"tile": (16, 16)}),
        (smooth, {"tile": (16, 16), "compression": "zlib", "bigtiff": True}),
        (deep[..., 0], {"rowsperstrip": 2}),
    ]:
        colour = "rgb" if picture.ndim == 3 else "minisblack"
        out = io.BytesIO()
        tifffile.imwrite(out, picture, photometric=colour, metadata=None, **options)
        found.append(out.getvalue())
    return found


def _bmp():
    rows = b"".join(struct.pack("BB", 9, level) + b"\0\0" for level in GREY[:, 0]) + b"\0\1"
    sizes = struct.pack("<IiiHHIIiiII", 40, 9, 7, 1, 8, 1, len(rows), 0, 0, 256, 0)
    levels = b"".join(bytes([k, k, k, 0]) for k in range(256))
    size = 14 + len(sizes + levels)
    packed = b"BM" + struct.pack("<IHHI", size + len(rows), 0, 0, size) + sizes + levels + rows
    pictures = Image.fromarray(GREY > 99), _palette(), GREY, RGB, RGBA
    return [*(encoded(x, "BMP") for x in pictures), packed]


def _gif():
    clear = [np.dstack([f, np.where(f[..., 0] > 99, 255, 0).astype(np.uint8)]) for f in FRAMES]
    return [
        encoded(GREY, "GIF"),
        encoded(_palette(), "GIF", transparency=3, comment=b"a comment"),
        encoded(_palette(), "GIF", interlace=0),
        animation("GIF"),
        animation("GIF", clear, disposal=2, loop=3),
    ]


def _dictionaries():
    found, rng = [], np.random.default_rng(0)
    for f, g, entries, atoms in ((3, 3, 5, 9), (5, 1, 4, 6)):
        shapes = {"P": (entries, 4, f, f), "D_l": (entries, atoms), "D_h": (g * g, atoms)}
        arrays = {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()}
        card, out = {"penalty": 0.2, "steps": 3, "scale": 3}, io.BytesIO()
        np.savez(out, card=np.array(json.dumps(card)), **arrays)
        found.append(out.getvalue())
    return found


# ------------------------------------------------------------------------- changes in any file


def _flipped(content, rng, kind):
    out = bytearray(content or b"\0")
    places = [rng.randrange(len(out)) for _ in range(rng.choice((1, 1, 2, 5, 20)))]
    for place in places:
        out[place] ^= 1 << rng.randrange(8)
    return bytes(out), f"bits flipped at {places}"


def _span(content, rng, most=64):
    begin = rng.randrange(len(content))
    return begin, min(begin + rng.randrange(1, most), len(content))


def _noise(content, rng, kind):
    begin, end = _span(content, rng)
    return content[:begin] + rng.randbytes(end - begin) + content[end:], f"noise at {begin}"


def _filled(content, rng, kind):
    begin, end = _span(content, rng)
    byte = rng.choice((b"\0", b"\xff"))
    return content[:begin] + byte * (end - begin) + content[end:], f"filled at {begin}, {byte}"


def _cut(content, rng, kind):
    end = rng.randrange(len(content))
    return content[:end], f"cut at {end}"


def _doubled(content, rng, kind):
    begin, end = _span(content, rng, 300)
    times = rng.choice((2, 2, 2, 50))
    piece = content[begin:end] * times
    return content[:begin] + piece + content[end:], f"{begin} to {end} {times} times"


def _removed(content, rng, kind):
    begin, end = _span(content, rng)
    return content[:begin] + content[end:], f"{begin} to {end} removed"


def _spliced(content, rng, kind):
    other_kind = kind if rng.random() < 0.5 else rng.choice(KINDS)
    other_kind = other_kind if available(other_kind) else kind
    other = rng.choice(_originals(other_kind))
    end, begin = rng.randrange(len(content)), rng.randrange(len(other))
    return content[:end] + other[begin:], f"{end} bytes, then {other_kind} from {begin} on"


def _put(content, place, size, order, value):
    number = (value & ((1 << 8 * size) - 1)).to_bytes(size, order)
    return content[:place] + number + content[place + size :]


def _number(content, rng, kind):
    """A number that matters to programs, anywhere, and more often at the start."""
    size, order = rng.choice((1, 2, 4, 4, 8, 8)), rng.choice(("little", "little", "big"))
    place = rng.randrange(min(len(content), rng.choice((256, 1 << 30))))
    place -= place % size if rng.random() < 0.5 else 0
    value = rng.choice(_VALUES)
    return _put(content, place, size, order, value), f"{value} in {size} bytes at {place}"


_ANYWHERE = (_flipped, _flipped, _noise, _filled, _cut, _doubled, _removed, _spliced, _number)


# ------------------------------------------------------------------- numbers in headers, by format


def _field(content, rng, kind):
    """Some of the numbers in the headers are others."""
    fields, checked = _FIELDS[kind](content)
    what = []
    for _ in range(rng.choice((1, 1, 2, 2, 4))):
        place, size, order = rng.choice(fields)
        old = int.from_bytes(content[place : place + size], order)
        value = rng.choice((*_VALUES, old + 1, max(old, 1) - 1, old * 2))
        content = _put(content, place, size, order, value)
        what.append(f"{value} in the field of {size} bytes at {place}")
    if rng.random() < 0.9:
        for begin, end in checked:  # as in PNG
            content = _put(content, end, 4, "big", zlib.crc32(content[begin:end]))
    return content, ", ".join(what)


def _run(place, sizes, order):
    """Fields of these sizes, one after the other."""
    found = []
    for size in sizes:
        found.append((place, size, order))
        place += size
    return found


def _png_fields(content):
    fields, checked, place = [], [], 8
    sizes = {
        b"IHDR": (4, 4, 1, 1, 1, 1, 1), b"acTL": (4, 4), b"fcTL": (4, 4, 4, 4, 4, 2, 2, 1, 1),
        b"pHYs": (4, 4, 1), b"tRNS": (2, 2, 2), b"fdAT": (4,), b"PLTE": (1, 1, 1),
    }  # fmt: skip
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        name = content[place + 4 : place + 8]
        fields.append((place, 4, "big"))
        if length:
            fields += _run(place + 8, sizes.get(name, ()), "big") * (4 if name == b"IHDR" else 1)
        checked.append((place + 4, min(place + 8 + length, len(content))))
        place += 12 + length
    return fields, checked


def _jpeg_fields(content):
    fields, place = [], 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        (length,) = struct.unpack_from(">H", content, place + 2)
        fields.append((place + 2, 2, "big"))
        if 0xC0 <= marker <= 0xC2:
            fields += _run(place + 4, (1, 2, 2, 1), "big") * 4
            fields += _run(place + 10, (1, 1, 1) * content[place + 9], "big")
        elif marker == 0xE1:
            inside, _ = _tiff_fields(content[place + 10 :])
            fields += [(place + 10 + at, *rest) for at, *rest in inside]
        elif marker == 0xDA:
            return fields + _run(place + 4, (1,) * (length - 2), "big"), []
        else:
            fields += _run(place + 4, (1,) * min(length - 2, 6), "big")
        place += 2 + length
    return fields, []


def _tiff_fields(content):
    order = "little" if content[:2] == b"II" else "big"
    mark, large = ("<" if order == "little" else ">"), content[2:4] in (b"+\0", b"\0+")
    pointer, head, wide = ("Q", 16, 8) if large else ("I", 8, 4)
    fields = [(head - wide, wide, order)]
    (place,) = struct.unpack_from(mark + pointer, content, head - wide)
    for _ in range(4):  # directories
        count_size = 8 if large else 2
        (count,) = struct.unpack_from(mark + ("Q" if large else "H"), content, place)
        fields.append((place, count_size, order))
        entry = 4 + 2 * wide
        for at in range(place + count_size, place + count_size + min(count, 40) * entry, entry):
            tag, kind = struct.unpack_from(mark + "HH", content, at)
            many, value = struct.unpack_from(mark + 2 * pointer, content, at + 4)
            fields += _run(at, (2, 2, wide), order)
            short = kind == 3 and many == 1
            fields += [(at + 4 + wide, 2 if short else wide, order)] * (5 if tag < 280 else 2)
            if kind in (3, 4, 16) and 1 < many <= 64:  # offsets, sizes
                size = {3: 2, 4: 4, 16: 8}[kind]
                fields += _run(value, (size,) * many, order)
        (place,) = struct.unpack_from(mark + pointer, content, place + count_size + count * entry)
        if not place:
            break
    return [f for f in fields if f[0] + f[1] <= len(content)], []


def _gif_fields(content):
    fields = _run(6, (2, 2, 1, 1, 1), "little") * 3
    place = 13 + (3 << (content[10] & 7) + 1 if content[10] & 128 else 0)
    while place < len(content) and content[place] in b"!,":
        if content[place] == 0x2C:
            fields += _run(place + 1, (2, 2, 2, 2, 1), "little") * 2
            flags = content[place + 9]
            place += 10 + (3 << (flags & 7) + 1 if flags & 128 else 0)
            fields.append((place, 1, "little"))
            place += 1
        else:
            fields += _run(place + 3, (1, 2, 1), "little")
            place += 2
        while content[place]:  # blocks, each behind its length
            fields.append((place, 1, "little"))
            place += 1 + content[place]
        place += 1
    return fields, []


def _webp_fields(content):
    fields, place = [(4, 4, "little")], 12
    sizes = {
        b"VP8X": (1, 3, 3, 3), b"ANIM": (4, 2), b"ANMF": (3, 3, 3, 3, 3, 1), b"VP8L": (1, 4),
        b"VP8 ": (3, 3, 2, 2), b"ALPH": (1,),
    }  # fmt: skip
    while place + 8 <= len(content):
        name, (length,) = content[place : place + 4], struct.unpack_from("<I", content, place + 4)
        fields.append((place + 4, 4, "little"))
        fields += _run(place + 8, sizes.get(name, ()), "little") * 2
        # The frames of an animation have chunks of their own.
        place += 8 + (16 if name == b"ANMF" else length + length % 2)
    return fields, []


def _bmp_fields(content):
    fields = _run(2, (4, 2, 2, 4, 4, 4, 4, 2, 2, 4, 4, 4, 4, 4, 4), "little")
    return fields + _run(18, (4, 4, 2, 2, 4), "little") * 3, []


def _zip_fields(content):
    fields = []
    forms = {
        b"PK\x03\x04": (4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2),
        b"PK\x01\x02": (4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4),
        b"PK\x05\x06": (4, 2, 2, 2, 2, 4, 4, 2),
    }
    for start, sizes in forms.items():
        for found in re.finditer(re.escape(start), content):
            fields += _run(found.start(), sizes, "little")[1:]
    return [f for f in fields if f[0] + f[1] <= len(content)], []


_FIELDS = {
    "png": _png_fields, "apng": _png_fields, "jpeg": _jpeg_fields, "webp": _webp_fields,
    "tiff": _tiff_fields, "deep-tiff": _tiff_fields, "bmp": _bmp_fields, "gif": _gif_fields,
    "npz": _zip_fields, "sc-npz": _zip_fields, "pth": _zip_fields, "keras": _zip_fields,
}  # fmt: skip


# ------------------------------------------------- what is packed, or behind a checksum or a length


def _renumbered(text, rng):
    """Another number in a text, in place of spaces behind it if there are some."""
    found = rng.choice(list(re.finditer(rb"\d+", text)))
    new = b"%d" % rng.choice((*_VALUES, -1, int(found[0]) + 1))
    begin, end = found.span()
    rest, longer = text[end:], len(new) - len(found[0])
    spaces = rest.find(b"    ")
    if spaces >= 0:
        rest = rest[:spaces] + b" " * -longer + rest[spaces + max(longer, 0) :]
    return text[:begin] + new + rest, f"{new.decode()} for {found[0].decode()}"


def _changed(content, rng, kind):
    """A change of a part of a file."""
    if rng.random() < 0.5:
        head = content[:4096] if content[:1] in b"{[" else content[:128]
        if re.search(rb"\d", head):
            text, what = _renumbered(head, rng)
            return text + content[len(head) :], what
    return rng.choice(_ANYWHERE)(content, rng, kind)


def _in_zip(content, rng, kind):
    """One of the files in an archive, whose checksum is right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = rng.choice([name for name, data in parts.items() if data])
    parts[name], what = _changed(parts[name], rng, kind)
    out = io.BytesIO()
    packed = rng.random() < 0.2
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else 0) as archive:
        for part, data in parts.items():
            archive.writestr(zipfile.ZipInfo(part), data, 8 if packed else 0)
    return out.getvalue(), f"in {name}: {what}"


def _in_png(content, rng, kind):
    """The filters and pixels."""
    out, place, packed, what = content[:8], 8, b"", "nothing"
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        name, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        if name == b"IDAT":
            packed += data
        elif name == b"IEND" and packed:
            rows, what = rng.choice(_ANYWHERE)(zlib.decompress(packed), rng, kind)
            out += chunk(b"IDAT", zlib.compress(rows)) + chunk(name, data)
        else:
            out += chunk(name, data)
        place += 12 + length
    return out, f"in the pixels: {what}"


def _in_mat(content, rng, kind):
    """One of the packed variables."""
    places, place = [], 128
    while place + 8 <= len(content):
        (length,) = struct.unpack_from("<I", content, place + 4)
        places.append((place, length))
        place += 8 + length
    place, length = rng.choice(places)
    data = zlib.decompress(content[place + 8 : place + 8 + length])
    data, what = rng.choice((_number, *_ANYWHERE))(data, rng, kind)
    data = zlib.compress(data)
    new = content[:place] + struct.pack("<II", 15, len(data)) + data
    return new + content[place + 8 + length :], f"in the variable at {place}: {what}"


def _in_safetensors(content, rng, kind):
    """The header, whose length is right."""
    (length,) = struct.unpack_from("<Q", content)
    header, what = _renumbered(content[8 : 8 + length], rng)
    if rng.random() < 0.3:
        entries = json.loads(header)
        name, key = rng.choice(list(entries)), rng.choice(("dtype", "shape", "data_offsets"))
        value = rng.choice((None, -1, 2**63, [], {}, "F64", [2**31, 2**31], "\n", 1.5, True))
        entries[name][key] = value
        header, what = json.dumps(entries).encode(), f"{key} {value!r}"
    new = struct.pack("<Q", len(header)) + header
    return new + content[8 + length :], f"in the header: {what}"


def _in_onnx(content, rng, kind):
    """A field of a message, any."""
    import onnx

    model = onnx.load_model_from_string(content)
    message, path = model, []
    while True:
        field, value = rng.choice(message.ListFields())
        path.append(field.name)
        repeated = hasattr(value, "append") or hasattr(value, "add")
        item = rng.choice(value) if repeated else value
        if not hasattr(item, "ListFields"):
            break
        if repeated and rng.random() < 0.1:
            value.append(item)
            return model.SerializeToString(), f"{'.'.join(path)} twice"
        message = item
    if isinstance(item, bytes):
        new, what = rng.choice(_ANYWHERE)(item, rng, kind)
    elif isinstance(item, str):
        new = what = rng.choice(("", "W1", "x\n", "low", "B3", "y" * 500))
    else:
        new = what = rng.choice((*(v for v in _VALUES if v < 2**31), -1, 2**62))
    try:
        if repeated:
            value[rng.randrange(len(value))] = new
        else:
            setattr(message, field.name, new)
    except ValueError:  # more than the field has bits for
        return _flipped(content, rng, kind)
    return model.SerializeToString(), f"{'.'.join(path)}: {what}"


_INSIDE = {
    "npz": _in_zip, "sc-npz": _in_zip, "pth": _in_zip, "keras": _in_zip, "png": _in_png,
    "packed-mat": _in_mat, "safetensors": _in_safetensors, "onnx": _in_onnx,
}  # fmt: skip


# ------------------------------------------------------------------------- little that becomes much


def _packed_zeros(count, head=b""):
    """The zlib stream of `head` and then as many zeros, of which a MiB is packed and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    million = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(count % (1 << 20))) + packer.flush()
    low, high = zlib.adler32(head) & 0xFFFF, zlib.adler32(head) >> 16
    check = (high + count * low) % 65521 << 16 | low  # Adler-32, to which a zero adds its low half
    return b"\x78\xda" + begin + million * (count >> 20) + end + struct.pack(">I", check)


def _bombs(kind):
    return [*picture_bombs.BOMBS.get(kind, ()), *_bombs_of_zeros(kind)]


def _bombs_of_zeros(kind):
    return {
        "png": ["grey 13000", "RGB 13000", "1 bit 13000", "RGB 16 30000", "grey 4500", "RGBA 4000"],
        "tiff": ["grey 13000", "RGB 13000", "1 bit 40000", "RGB 16 13000", "float 13000"],
        "gif": ["screen 13000", "frames of 4000"],
        "npz": ["array of zeros", "array of zeros that is said to be small"],
        "pth": ["gzip", "zip"],
        "keras": ["zip"],
        "packed-mat": ["zeros"],
    }.get(kind, []) + [name for of, name in _BOMBS_OF_WEIGHTS if of == kind]


@functools.cache
def _bomb(kind, name):
    if (kind, name) in _BOMBS_OF_WEIGHTS:
        return _BOMBS_OF_WEIGHTS[kind, name]()
    if name in picture_bombs.BOMBS.get(kind, ()):
        return picture_bombs.bomb(kind, name)
    if kind in ("png", "tiff"):
        colour, side = name.rsplit(" ", 1)
        side = int(side)
        channels = {"RGB": 3, "RGBA": 4}.get(colour.split()[0], 1)
        bits = {"1 bit": 1, "RGB 16": 16, "float": 32}.get(colour, 8)
        row = -(-side * channels * bits // 8)
        packed = _packed_zeros((row + (kind == "png")) * side)
        if kind == "png":
            number = {1: 0, 3: 2, 4: 6}[channels]
            head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, number, 0, 0, 0))
            return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
        tags = [
            (256, 4, side), (257, 4, side), (258, 3, bits), (259, 3, 8),
            (262, 3, 2 if channels == 3 else 1), (273, 4, 8), (277, 3, channels), (278, 4, side),
            (279, 4, len(packed)), (339, 3, 3 if bits == 32 else 1),
        ]  # fmt: skip
        entries = b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
        head = b"II*\0" + struct.pack("<I", 8 + len(packed))
        return head + packed + struct.pack("<H", len(tags)) + entries + bytes(4)
    if kind == "gif":
        side = int(name.split()[-1])
        content = animation("GIF", FRAMES * (1 if side == 13000 else 10), duration=50)
        return _put(_put(content, 6, 2, "little", side), 8, 2, "little", side)
    size = 1 << 27
    if kind == "packed-mat":
        parts = struct.pack("<IIIIII", 14, size + 48, 6, 8, 6, 0)
        parts += struct.pack("<IIii", 5, 8, size // 8, 1) + struct.pack("<HH4s", 1, 1, b"x")
        data = _packed_zeros(size, parts + struct.pack("<II", 9, size))
        return _originals(kind)[0][:128] + struct.pack("<II", 15, len(data)) + data
    if name == "gzip":
        return gzip.compress(bytes(size), 6, mtime=0)
    head, entry = b"", "model.weights.h5" if kind == "keras" else "archive/data.pkl"
    if kind == "npz":
        entry, header = "W1.npy", b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
        header = (header % (size // 8)).ljust(117) + b"\n"
        head = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(entry), head + bytes(size), 8)
    content = out.getvalue()
    if "small" in name:  # in both places where an archive says so
        for start, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            content = _put(content, content.index(start) + place, 4, "little", 1000)
    return content


# Of weights: parts that are larger than they say, and parts of which many are made.


def _small(entry, data, compression):
    """An archive whose entry says that it has 1000 bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(entry), data, compression)
    content = out.getvalue()
    for start, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        content = _put(content, content.index(start) + place, 4, "little", 1000)
    return content


def _archive(**entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name.replace("__", ".")), data, 8)
    return out.getvalue()


def _zeros(shape, kind="<f4"):
    """The head of a .npy file."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", 118) + header.encode()


def _text_that_doubles():
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * 4) for n in ("x", "y")]
    nodes = [helper.make_node("Add", [f"s{k}"] * 2, [f"s{k + 1}"]) for k in range(25)]
    start = helper.make_tensor("s0", TensorProto.STRING, [1], [b"ha" * 512])
    return helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:], [start])
    ).SerializeToString()


def _messages(field, size):
    """A model of ONNX whose graph has nothing but empty parts, of two bytes each."""
    body, length = bytes([field, 0]) * (size // 2), b""
    count = len(body)
    while count > 127:
        length, count = length + bytes([count & 127 | 128]), count >> 7
    return b"\x08\x08\x3a" + length + bytes([count]) + body


def _matlab(values):
    """One byte a value in the file, 16 in memory."""
    head = struct.pack("<IIII", 6, 8, 0x0806, 0) + struct.pack("<IIii", 5, 8, values, 1)
    body = head + struct.pack("<HH4s", 1, 1, b"x") + struct.pack("<II", 2, values) + bytes(values)
    data = zlib.compress(struct.pack("<II", 14, len(body)) + body)
    matrix = struct.pack("<II", 15, len(data)) + data
    return _originals("packed-mat")[0][:128] + matrix * 3


def _pickle(one, times):
    """A list of as many of the same, each of which is made anew."""
    return samples.zipped(b"](" + one * times + b"e")


_JSON = b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"
_BOMBS_OF_WEIGHTS = {
    ("npz", "bzip2"): lambda: _small("W1.npy", _zeros("(218,)") + bytes(1 << 26), 12),
    ("npz", "LZMA"): lambda: _small("W1.npy", _zeros("(218,)") + bytes(1 << 24), 14),
    ("npz", "a shape"): lambda: _archive(W1__npy=_zeros("(10**9,)") + bytes(99)),
    ("npz", "a card"): lambda: _archive(
        card__npy=_zeros("()", "<U9000000") + "[],".encode("utf-32-le") * 3_000_000
    ),
    ("keras", "said to be small"): lambda: _small("config.json", b"[" + bytes(1 << 27), 8),
    ("keras", "JSON"): lambda: _archive(
        config__json=_JSON, model__weights__h5=_originals("new-h5")[0]
    ),
    ("safetensors", "JSON"): lambda: struct.pack("<Q", len(_JSON)) + _JSON,
    ("onnx", "text that doubles"): _text_that_doubles,
    ("onnx", "operators"): lambda: _messages(0x0A, 60 << 20),
    ("onnx", "fewer operators"): lambda: _messages(0x0A, 4_000_000),
    ("onnx", "fewer tensors"): lambda: _messages(0x2A, 4_000_000),
    ("packed-mat", "bytes for numbers"): lambda: _matlab(15_000_000),
    ("pth", "dicts"): lambda: _pickle(samples.call("collections", "OrderedDict"), 900_000),
    ("pth", "numbers"): lambda: _pickle(b"K\x01", 60 << 19),
    ("pth", "long names"): lambda: _pickle(samples.text("x" * 1000), 50_000),
    ("legacy-pth", "objects"): lambda: b"\x80\x02" + b"N0" * 499_000 + b"N.",
}
