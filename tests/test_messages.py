"""What is printed for the mistakes that people make most often, word by word."""

import errno
import io
import json
import os
import pickle
import struct
import sys
import zlib
from pathlib import Path

import numba
import numpy as np
import pytest

import pysrcnn
import pysrcnn.model
from pysrcnn import SRCNN
from pysrcnn.cli import main
from pysrcnn.pictures import write_picture

RNG = np.random.default_rng(0)
SUFFIXES = ".apng, .bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp"
MORE = "pysrcnn upscale --help says more"
SCALE = "argument -s/--scale: {} is no number above 1 and up to 16; " + MORE
OTHERS = ".pt, .pth, .ckpt, .safetensors, .h5, .hdf5, .keras or .onnx"
KINDS = (
    "networks of another kind than SRCNN, such as ESPCN, VDSR, EDSR and Real-ESRGAN, are not read"
)
TENSORS = "only tensors are read: save them alone, torch.save(model.state_dict(), ...)"
TRAIN = "train pictures -s 2 -o a.npz"


def noise(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def chunk(kind, content):
    """A piece of a PNG file."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


class Code:
    """What a pickle of it does when it is loaded the usual way."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def tensors_of(shapes, path):
    """A file of weights of zeros, by the names and shapes of a PyTorch module."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of files that people may have, and beside it one of weights that are shipped."""
    root = tmp_path_factory.mktemp("messages")
    (root / "weights").mkdir()
    (root / "here").mkdir()
    before = Path.cwd()
    os.chdir(root / "here")
    try:
        network = SRCNN(3, 9, 1, 8, 3, init="identity")
        network.save("unknown.npz")
        for scale in (2, 3):
            network.scale = scale
            network.save(root / "weights" / f"9-1-5_x{scale}.npz")
        network.save(root / "weights" / "9-5-5_x3.npz")
        network.scale = 2
        network.save("x2.npz")

        write_picture("good.png", noise(10, 12, 3))
        write_picture("alpha.png", noise(10, 12, 4))
        write_picture("photo.jpg", noise(60, 60, 3))
        Path("half.jpg").write_bytes(Path("photo.jpg").read_bytes()[:2000])
        Path("empty.png").touch()
        Path("text.png").write_text("This is not a picture.")
        Path("iphone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1".ljust(99, b"\0"))
        Path("camera.NEF").write_bytes(b"MM\0*".ljust(99, b"\0"))
        Path("logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        Path("paper.pdf").write_bytes(b"%PDF-1.7\n")
        header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
        bomb = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)

        for name in ("pictures", "small", "empty", "above/below"):
            Path(name).mkdir(parents=True)
        write_picture("pictures/1.png", noise(60, 60))
        write_picture("pictures/2.png", noise(60, 60))
        write_picture("small/tiny.png", noise(12, 12))
        write_picture("above/below/1.png", noise(60, 60))

        Path("code.pth").write_bytes(pickle.dumps({"conv1.weight": Code()}))
        Path("list.pth").write_bytes(pickle.dumps([1, 2, 3]))
        Path("text.npz").write_text("These are not weights.")
        first = {"conv1.weight": (64, 1, 5, 5), "conv2.weight": (32, 64, 3, 3)}
        tensors_of(first | {"conv3.weight": (9, 32, 3, 3)}, "espcn.safetensors")
        blocks = {f"residual_layer.{k}.conv.weight": (8, 8, 3, 3) for k in range(3)}
        ends = {"input.weight": (8, 1, 3, 3)}, {"output.weight": (1, 8, 3, 3)}
        tensors_of(ends[0] | blocks | ends[1], "vdsr.safetensors")
        first = {"head.0.weight": (8, 3, 3, 3), "body.0.weight": (8, 8, 3, 3)}
        last = {"tail.0.weight": (32, 8, 3, 3), "tail.1.weight": (3, 8, 3, 3)}
        tensors_of(first | last, "edsr.safetensors")
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def here(made, monkeypatch):
    monkeypatch.setattr(pysrcnn.model, "_WEIGHTS", made / "weights")
    monkeypatch.chdir(made / "here")
    return made / "here"


COMMANDS = [
    # what to enlarge
    ("upscale", f"the following arguments are required: IN; {MORE}"),
    ("upscale none.png", "no file none.png: check the name"),
    ("upscale good.png -o ", "the name after -o is empty: give a file or a folder"),
    ("upscale ", "the name of a picture is empty: give a file or a folder"),
    (
        "upscale https://example.org/a.png",
        f"no file {Path('https://example.org/a.png')}: download it first",
    ),
    (
        "upscale empty",
        f"no pictures in empty: looked for {SUFFIXES}",
    ),
    (
        "upscale above",
        f"no pictures in above: looked for {SUFFIXES}; there are some in folders below it",
    ),
    ("upscale *.gif", "no file matches *.gif: check the pattern"),
    ("upscale empty.png", "empty.png is empty: give a picture file"),
    (
        "upscale text.png",
        "text.png is damaged or not a picture: its format was not recognised; give a PNG, JPEG, "
        "WebP, TIFF, BMP or GIF file",
    ),
    (
        "upscale half.jpg",
        "half.jpg is damaged: it ends too early, so copy or download it again",
    ),
    (
        "upscale iphone.heic",
        "iphone.heic is a HEIC picture, which is not read: convert it to PNG or JPEG first",
    ),
    (
        "upscale camera.NEF",
        "camera.NEF is a camera's RAW file, which is not read: develop it to TIFF, PNG or JPEG "
        "first",
    ),
    (
        "upscale logo.svg",
        "logo.svg is an SVG drawing, which is not read: export it as PNG first",
    ),
    (
        "upscale paper.pdf",
        "paper.pdf is a PDF document, which is not read: export the page as PNG first",
    ),
    (
        "upscale bomb.png",
        "bomb.png claims to hold 30,000 x 30,000 pixels in 20 bytes, which only damaged or empty "
        "pictures do: if it is as it should be, save it without compression",
    ),
    # how much
    ("upscale good.png -s 0", SCALE.format(0)),
    ("upscale good.png -s 1", SCALE.format(1)),
    ("upscale good.png -s -2", SCALE.format(-2)),
    ("upscale good.png -s 100", SCALE.format(100)),
    ("upscale good.png -s foo", SCALE.format("foo")),
    (
        "upscale good.png --width 1e3",
        f"argument --width: 1e3 is not a number of pixels, 1 or more; {MORE}",
    ),
    (
        "upscale good.png --width 6",
        "good.png: 6 x 5 pixels are no more than the picture has, 12 x 10: give a larger size",
    ),
    (
        "upscale good.png --width 1200",
        "good.png: 1200 x 1000 pixels are more than 16 times the picture's 12 x 10: ask for 192 x "
        "160 at most, and enlarge the result again if need be",
    ),
    (
        "upscale good.png -s 2 --width 24",
        "--scale with --width or --height: give one or the other",
    ),
    # where to
    (
        "upscale pictures/1.png above/below/1.png -o new",
        f"{Path('pictures/1.png')} and {Path('above/below/1.png')} would become "
        f"{Path('new/1_x3.png')}: enlarge them one at a time, or give the folder that they "
        "are in with -r, which keeps its folders apart",
    ),
    (
        "upscale good.png -o good.psd",
        f"cannot write good.psd: the name must end in one of {SUFFIXES}",
    ),
    ("upscale good.png -o none/a.png", "the folder none does not exist: create it first"),
    (
        "upscale good.png -o good.png",
        "good.png is one of the pictures: give the result another name",
    ),
    ("upscale alpha.png -o a.jpg", "cannot write a.jpg: JPEG has no transparency; choose .png"),
    (
        "upscale good.png alpha.png -o a.png",
        "several pictures need a folder to go to; a.png is not one",
    ),
    (
        "upscale good.png alpha.png -o -",
        "standard output takes one picture: give several a folder to go to",
    ),
    (
        "upscale good.png --compare -o -",
        "--compare writes a page beside the result: give -o a file, not -",
    ),
    # by what
    (
        "upscale good.png -m 9-1-6",
        "9-1-6 is neither a file nor the name of shipped weights (9-1-5, 9-5-5)",
    ),
    (
        "upscale good.png -m 9.1.5",
        "9.1.5 is neither a file nor the name of shipped weights (9-1-5, 9-5-5)",
    ),
    (
        "upscale good.png -m none.npz",
        "no file none.npz: give a file of weights (.npz or .mat), or one of another kind: "
        f"{OTHERS}",
    ),
    ("upscale good.png -s 2 -m 9-5-5", "no 9-5-5 weights for scale 2, only for 3"),
    ("evaluate pictures -s 4", "no 9-1-5 weights for scale 4, only for 2 and 3"),
    (
        "upscale good.png -s 3 -m x2.npz",
        "x2.npz was trained for scale 2, not 3, and weights are of use only at their own: enlarge "
        "by that, or take other weights",
    ),
    (
        "upscale good.png -m unknown.npz",
        "unknown.npz does not say what scale it was trained for: say it, 2, 3 or 4",
    ),
    (
        "upscale good.png -s 2.5 -m unknown.npz",
        "unknown.npz does not say what scale it was trained for, and so cannot enlarge by 2.5: "
        "enlarge by that scale, 2, 3 or 4, or convert it to a file that says it (pysrcnn convert)",
    ),
    (
        "upscale good.png -m good.png",
        f"good.png is neither .npz nor .mat, nor {OTHERS}: these are the weights we can read",
    ),
    ("upscale good.png -m text.npz", "text.npz is damaged or not an .npz file of weights"),
    (
        "upscale good.png -m code.pth",
        f"code.pth holds {os.mkdir.__module__}.mkdir, and {TENSORS}",
    ),
    (
        "upscale good.png -m list.pth",
        f"list.pth is a pickle without any tensors of PyTorch: {TENSORS}",
    ),
    (
        "convert espcn.safetensors a.npz",
        "espcn.safetensors: channels into and out of the network are 1 and 9, wanted 1 and 1 "
        f"(luminance) or 3 and 3 (RGB): {KINDS}",
    ),
    (
        "convert vdsr.safetensors a.npz",
        f"vdsr.safetensors has residual layers, such as residual_layer.0.conv: {KINDS}",
    ),
    (
        "convert edsr.safetensors a.npz",
        f"edsr.safetensors: W4 takes 8 channels, the layer before gives 32: {KINDS}",
    ),
    (
        "convert x2.npz a.pth",
        "a.pth does not end in .npz, .mat, .safetensors or .onnx: weights are written as these",
    ),
    (
        f"upscale good.png --threads {numba.config.NUMBA_NUM_THREADS + 1}",
        f"--threads is {numba.config.NUMBA_NUM_THREADS + 1}, wanted 1 to "
        f"{numba.config.NUMBA_NUM_THREADS}",
    ),
    # the other commands
    (
        "upscale good.png -m pictures",
        "pictures is a folder: give a file of weights (.npz or .mat), or one of another kind: "
        f"{OTHERS}",
    ),
    ("evaluate good.png", "good.png is a file: give a folder of pictures"),
    (
        "evaluate small",
        f"{Path('small/tiny.png')} is 12 x 12 pixels; to compare at scale 3 it takes at least 17 x "
        "17: leave it out",
    ),
    (
        "evaluate pictures -s 5",
        "argument -s/--scale: 5 is not 2, 3 or 4; pysrcnn evaluate --help says more",
    ),
    (
        "train small -s 2 -o a.npz",
        f"{Path('small/tiny.png')} is 12 x 12 pixels, wanted at least 48 x 48 at scale 2: leave it "
        "out or use smaller sub-images",
    ),
    (f"{TRAIN} --resume", "no checkpoint a.checkpoint: start without resuming"),
    (
        f"{TRAIN} --network 9x1x5",
        "argument --network: 9x1x5 is not whole numbers with - between, as 9-1-5 is; pysrcnn train "
        "--help says more",
    ),
    ("show maps -o a.png", "show maps takes 1 picture, got 0 files"),
]  # fmt: skip


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def said(capfd):
    """What was printed as an error, without the note that kernels are compiled."""
    out, err = capfd.readouterr()
    assert out == ""
    return [line for line in err.splitlines() if not line.startswith("compiling for this proc")]


@pytest.mark.parametrize("command, message", COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_command(here, capfd, command, message):
    before = names(here)
    try:
        code = main(command.split(" "))
    except SystemExit as stop:  # of the parser
        code = stop.code
    assert said(capfd) == [f"pysrcnn: {message}"]
    assert code == 2
    assert names(here) == before


def test_the_table_is_long_enough():
    assert len({message for _, message in COMMANDS}) > 40


def test_a_terminal_is_not_written_to(here, capfd, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["upscale", "good.png", "-o", "-"]) == 2
    message = "standard output is a terminal: send it to a file or a program"
    assert said(capfd) == [f"pysrcnn: {message}"]


def test_nothing_comes_in(here, capfd, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert main(["upscale", "-", "-o", "a.png"]) == 2
    assert said(capfd) == ["pysrcnn: standard input is empty: send a picture file"]


def test_no_right_to_write(here, capfd, monkeypatch):
    def refuse(path, flags, *rest, usual=os.open, **options):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return usual(path, flags, *rest, **options)

    before = names(here)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert main(["upscale", "good.png", "-s", "2", "-o", "a.png"]) == 1
    message = "cannot write a.png (Permission denied): choose another folder or change its rights"
    assert said(capfd) == [f"pysrcnn: {message}"]
    assert names(here) == before


@pytest.mark.parametrize("command, name", [
    ("upscale good.png -s 2 -o a.png", "a.png"), ("convert x2.npz a.npz", "a.npz"),
])  # fmt: skip
def test_no_room_on_the_disk(here, capfd, command, name):
    resource = pytest.importorskip("resource")  # limits that Windows does not have
    before, (soft, hard) = names(here), resource.getrlimit(resource.RLIMIT_FSIZE)
    pysrcnn.upscale(noise(10, 12, 3), 2)  # compiled code that is not on disk yet goes there
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        code = main(command.split())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason = os.strerror(errno.EFBIG)
    message = f"cannot write {name} ({reason}): make room on the disk or choose another folder"
    assert said(capfd) == [f"pysrcnn: {message}"]
    assert code == 1 and names(here) == before


@pytest.mark.parametrize("command, module, message", [
    (
        "show filters -o a.png", "matplotlib.figure",
        'plots need matplotlib: pip install ".[plot]" in the clone of pysrcnn',
    ),
    (
        "convert x2.npz a.onnx", "onnx",
        'ONNX files need the package onnx: pip install ".[convert]" in the clone of pysrcnn',
    ),
])  # fmt: skip
def test_an_extra_is_missing(here, capfd, monkeypatch, command, module, message):
    before = names(here)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(command.split()) == 1
    assert said(capfd) == [f"pysrcnn: {message}"]
    assert names(here) == before


WANTED = "wanted (H, W), (H, W, 2), (H, W, 3) or (H, W, 4): grey, grey and alpha, RGB or RGBA"
ARRAYS = [
    (
        "photo.png", TypeError,
        "the picture is a name, photo.png, wanted an array: read the file first, by "
        "pysrcnn.read_picture",
    ),
    (
        np.zeros((4, 5), np.int64), TypeError,
        "the picture holds int64, wanted uint8, uint16, float32 or float64: convert it, say by "
        "picture.astype(numpy.uint8) if its values are 0 to 255",
    ),
    (
        np.linspace(0, 255, 20).reshape(4, 5), ValueError,
        "the picture's values go from 0 to 255: a floating point picture is in 0..1, so divide it "
        "by its white level first",
    ),
    (
        np.full((4, 5), np.nan), ValueError,
        "the picture has NaN or infinite pixels: replace them first",
    ),
    (
        np.zeros((0, 5, 3), np.uint8), ValueError,
        "the picture has no pixels: its shape is (0, 5, 3), wanted 1 or more",
    ),
    (
        np.zeros((3, 10, 12), np.uint8), ValueError,
        f"the picture has the shape (3, 10, 12), {WANTED}; move the channels to the end, "
        "numpy.moveaxis(picture, 0, 2)",
    ),
    (
        np.zeros((10, 12, 1), np.uint8), ValueError,
        f"the picture has the shape (10, 12, 1), {WANTED}; take its one channel, picture[:, :, 0]",
    ),
    (
        np.zeros((1, 10, 12), np.uint8), ValueError,
        f"the picture has the shape (1, 10, 12), {WANTED}; take its one channel, picture[0]",
    ),
    (
        np.zeros((2, 10, 12, 3), np.uint8), ValueError,
        f"the picture has the shape (2, 10, 12, 3), {WANTED}; give one picture at a time",
    ),
]  # fmt: skip


@pytest.mark.parametrize("picture, kind, message", ARRAYS, ids=[m[:40] for _, _, m in ARRAYS])
def test_the_function(here, picture, kind, message):
    with pytest.raises(kind) as error:
        pysrcnn.upscale(picture, 2)
    assert str(error.value) == message


@pytest.mark.parametrize("scale", [0, 1, -2, 100, "3", True, float("nan")])
def test_a_scale_that_the_function_does_not_take(here, scale):
    with pytest.raises(ValueError) as error:
        pysrcnn.upscale(np.zeros((4, 5), np.uint8), scale)
    assert str(error.value) == f"scale is a number above 1, up to 16; got {scale!r}"
