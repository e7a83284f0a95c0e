"""What is printed for the mistakes that people make most often, word by word."""

import contextlib
import errno
import io
import json
import os
import pickle
import re
import struct
import sys
import zlib
from pathlib import Path

import numba
import numpy as np
import pytest
from samples import chunk

import pysrcnn
import pysrcnn.networks
from pysrcnn import SRCNN, plots
from pysrcnn._printing import printable
from pysrcnn.batch import enlarge
from pysrcnn.cli import main, parser
from pysrcnn.pictures import write_picture

RNG = np.random.default_rng(0)
SUFFIXES = ".apng, .bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp"
MORE = "pysrcnn upscale --help says more"
SCALE = "argument -s/--scale: {} is no number above 1 and up to 16; " + MORE
OTHERS = ".pt, .pth, .ckpt, .safetensors, .h5, .hdf5, .keras or .onnx"
KINDS = (
    "networks of another kind than SRCNN, ESPCN, VDSR, DRCN, EDSR, SRResNet and VESPCN, such as "
    "Real-ESRGAN, are not read"
)
TENSORS = "only tensors are read: save them alone, torch.save(model.state_dict(), ...)"
TRAIN = "train pictures -s 2 -o a.npz"


def noise(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


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
        tensors_of(first | {"conv3.weight": (5, 32, 3, 3)}, "five.safetensors")
        blocks = {f"residual_layer.{k}.conv.weight": (8, 8, 5, 5) for k in range(3)}
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
    monkeypatch.setattr("pysrcnn.networks.loading._WEIGHTS", made / "weights")
    for module in ("command.common", "networks"):
        monkeypatch.setattr(f"pysrcnn.{module}.DEFAULT", "9-1-5")
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
        f"no pictures in empty: looked for {SUFFIXES} and the like",
    ),
    (
        "upscale above",
        f"no pictures in above: looked for {SUFFIXES} and the like; there are some in folders "
        "below it",
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
        "pictures do: if it is intact, save it without compression",
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
    ("evaluate pictures -s 2 -m 9-5-5", "no 9-5-5 weights for scale 2, only for 3"),
    ("evaluate pictures -s 4", "no 9-1-5 weights for scale 4, only for 2 and 3"),
    (
        "upscale good.png -s 3 -m x2.npz",
        "x2.npz was trained for scale 2, not 3, and weights work only at their own: enlarge by "
        "that, or take other weights",
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
        f"code.pth is a pickle without any tensors of PyTorch: {TENSORS}",
    ),
    (
        "upscale good.png -m list.pth",
        f"list.pth is a pickle without any tensors of PyTorch: {TENSORS}",
    ),
    (
        "convert five.safetensors a.npz",
        "five.safetensors: channels into and out of the network are 1 and 5, wanted 1 and 1 "
        f"(luminance) or 3 and 3 (RGB), or out of it s x s for each: {KINDS}",
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
        f"{Path('small/tiny.png')} is 12 x 12 pixels; to compare at scale 3 it needs at least 17 x "
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
        f"{TRAIN} --network vdsr --no-batch-norm",
        "only srresnet takes --no-batch-norm, and this is vdsr: leave it out",
    ),
    (
        f"{TRAIN} --network 9x1x5",
        "argument --network: 9x1x5 is neither the filter sizes of an SRCNN, such as 9-1-5, nor one "
        "of espcn, vdsr, drcn, edsr, srresnet, vespcn; pysrcnn train --help says more",
    ),
    (
        f"{TRAIN} --filters 16 8",
        "--filters takes its numbers with - between: --filters 16-8; pysrcnn train --help says "
        "more",
    ),
    (
        "train --network 9 1 5 pictures -s 2 -o a.npz",
        "--network takes its numbers with - between: --network 9-1-5; pysrcnn train --help says "
        "more",
    ),
    (
        f"{TRAIN} --network 9-1-1-5",
        "4 layers need 3 numbers of filters, of all but the last: give them, for example with "
        "--filters 64-32-16",
    ),
    (
        f"{TRAIN} --network 9-5 --filters 64-32",
        "2 layers need 1 number of filters, of all but the last, got 2: give them, for example "
        "with --filters 64",
    ),
    ("show maps -o a.png", "show maps takes 1 picture, got 0 files"),
    # options that would do nothing
    (
        "upscale good.png -o a.png --suffix _big",
        "--suffix is for results that are named after their pictures, and -o names a.png: leave "
        "--suffix out",
    ),
    ("show crops good.png --layer 5 -o a.png", "show crops does not use --layer: leave it out"),
    (
        "show maps good.png --region 0 0 9 9 -o a.png",
        "show maps does not use --region: leave it out",
    ),
    (
        "show curve a.log -m x2.npz -o a.png",
        "show curve takes logs, or weights by -m that have theirs beside them: leave out a.log or "
        "-m x2.npz",
    ),
    ("show curve a.log -s 3 -o a.png", "show curve does not use --scale: leave it out"),
    (
        "gradcheck --write c.npz --tolerance 1e-3",
        "--tolerance is for checking a file of gradients: leave it out",
    ),
    ("gradcheck x2.npz --overwrite", "--overwrite is for the file of --write: leave it out"),
    (
        "evaluate pictures --overwrite",
        "--overwrite is for the file of --json: add --json FILE, or leave it out",
    ),
    (
        f"{TRAIN} --network 9-1-5 --depth 0",
        "srcnn does not take --depth, its sizes are given by --filters: leave it out",
    ),
    # weights in another's place
    ("upscale x2.npz", "x2.npz are weights: type `pysrcnn upscale PICTURE -m x2.npz`"),
    ("upscale 9-1-5", "9-1-5 are weights: type `pysrcnn upscale PICTURE -m 9-1-5`"),
    (
        "evaluate x2.npz",
        "x2.npz are weights: type `pysrcnn evaluate FOLDER -m x2.npz`, FOLDER with pictures",
    ),
    (
        "train x2.npz -s 2 -o a.npz",
        "x2.npz are weights: give a folder of pictures, and weights with --start x2.npz",
    ),
    (
        "show filters x2.npz -o a.png",
        "x2.npz are weights: type `pysrcnn show filters -m x2.npz -o a.png`",
    ),
    (
        "show maps 9-1-5 -o a.png",
        "9-1-5 are weights: type `pysrcnn show maps PICTURE -m 9-1-5 -o a.png`",
    ),
    (
        "show curve x2.npz -o a.png",
        "no log x2.log beside x2.npz: give the log that its training has written",
    ),
    (
        "convert a.npz x2.npz",
        "no file a.npz: the input comes first, so type `pysrcnn convert x2.npz a.npz`",
    ),
    ("gradcheck x2.npz", "x2.npz holds trained weights: give gradients, such as dW1, dB1, ..."),
    (
        "gradcheck --network 9 5 5 x2.npz",
        "--network takes its numbers with - between: --network 9-5-5; pysrcnn gradcheck --help "
        "says more",
    ),
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


@pytest.mark.parametrize("command, meant", [
    ("upscal good.png", "upscale good.png"),
    ("good.png -s 3", "upscale good.png -s 3"),
    ("--scale 3 good.png", "upscale --scale 3 good.png"),
    ("--threads 1 upscale good.png", "upscale --threads 1 good.png"),
    ("enlarge good.png -s 3", "upscale good.png -s 3"),
    ("none.png good.png", "upscale none.png good.png"),
    ("help", "--help"),
    ("version", "--version"),
    ("upscale good.png --recursivly --widht=5", "upscale good.png --recursive --width=5"),
    ("train pictures -s 2 --ouput a.npz", "train pictures -s 2 --output a.npz"),
    ("upscale good.png --format=.JPG", "upscale good.png --format=jpg"),
    ("show filter -o a.png", "show filters -o a.png"),
    ("evaluate pictures --jsn it.json", "evaluate pictures --json it.json"),
    ("enhance none.png", None),
    ("upscale good.png --xyz", None),
    ("upscale good.png -s two --recurs", None),
])  # fmt: skip
def test_what_was_mistyped_is_said_as_it_can_be_typed(here, capfd, command, meant):
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    (line,) = said(capfd)
    assert stop.value.code == 2
    assert re.findall("; you may mean `pysrcnn (.*?)`; pysrcnn", line) == [meant] * bool(meant)


@pytest.mark.parametrize("scale", ["x2", "2x", "×2"])
def test_factors_and_sizes_as_people_write_them(here, scale):
    options = parser().parse_args(["upscale", "a.png", "-s", scale, "--width", "40px"])
    assert (options.scale, options.width) == (2, 40)
    assert parser().parse_args(["convert", "a.npz", "b.npz", "-s", scale]).scale == 2


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


def test_what_comes_in_has_no_end(here, capfd, monkeypatch):
    class Endless(io.RawIOBase):
        given = 0

        def readable(self):
            return True

        def readinto(self, memory):
            memory[:] = bytes(len(memory))
            if not self.given:
                memory[: len(begin)] = begin
            self.given += len(memory)
            assert self.given < 2**17
            return len(memory)

    begin = Path("good.png").read_bytes()
    monkeypatch.setattr(enlarge, "PIPED", 2**15)
    monkeypatch.setattr(enlarge, "PIECE", 2**12)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    assert main(["upscale", "-", "-o", "a.png"]) == 2
    assert said(capfd) == [
        "pysrcnn: standard input holds more than 32,768 bytes, the most that are read there: save "
        "it as a file and give its name"
    ]


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
    # Compiled code that is not on disk yet goes there.
    pysrcnn.upscale(noise(10, 12, 3), 2, "9-1-5")
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
        pysrcnn.upscale(picture, 2, "9-1-5")
    assert str(error.value) == message


@pytest.mark.parametrize("scale", [0, 1, -2, 100, "3", True, float("nan")])
def test_a_scale_that_the_function_does_not_take(here, scale):
    with pytest.raises(ValueError) as error:
        pysrcnn.upscale(np.zeros((4, 5), np.uint8), scale, "9-1-5")
    assert str(error.value) == f"scale is a number above 1, up to 16; got {scale!r}"


# ------------------------------------------------------------------------- text that others chose

TURNED = "a\u202egnp.exe"  # which a terminal shows as aexe.png
NAMES = {
    "turns": (TURNED, r"a\u202egnp.exe"),
    "isolates": ("\u2066a\u2069", r"\u2066a\u2069"),
    "marks": ("a\u200e\u200f", r"a\u200e\u200f"),
    "has no width": ("a\u200b\u2060\ufeff\u00ad", r"a\u200b\u2060\ufeff\xad"),
    "has no ink": ("a\u3164\u115f\ufe0f", r"a\u3164\u115f\ufe0f"),
    "ends lines": ("a\nb\u2028\u2029\x85", r"a\nb\u2028\u2029\x85"),
    "commands": ("a\x1b[2J\x9b\x07", r"a\x1b[2J\x9b\x07"),
    "is not UTF-8": (os.fsdecode(b"a\xff\xfe"), r"a\udcff\udcfe"),
    "piles up marks": ("a" + "\u0301" * 9, "a" + "\u0301" * 4 + r"\u0301" * 5),
    "is beyond 16 bits": ("a\U000e0041", r"a\U000e0041"),
}
LEGIT = [
    "größe",
    "фото",
    "写真\u3000一",
    "תמונה",
    "صورة",
    "ảnh",
    "a\u0302\u0309nh",
    "🏔",
    "%s {0} $x",
]


@pytest.mark.parametrize("kind", NAMES)
def test_what_nobody_sees_is_shown(kind):
    name, shown = NAMES[kind]
    assert printable(f"{name}.png: 3") == f"{shown}.png: 3"


@pytest.mark.parametrize("name", LEGIT)
def test_what_anybody_writes_stays(name):
    assert printable(name) == name


class Strict(io.TextIOWrapper):
    """A standard output that takes a few characters and raises for others."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(params=["cp1252", "ascii"])
def strictly(request):
    """main() with such a standard output and error: its exit code, and what they got."""

    def run(*arguments):
        streams = Strict(request.param), Strict(request.param)
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            try:
                code = main(list(arguments))
            except SystemExit as stop:  # of the parser
                code = stop.code
        assert all(stream.errors == "strict" for stream in streams)  # as it was
        return code, *(stream.text() for stream in streams)

    return run


@pytest.fixture
def named(here, tmp_path, monkeypatch):
    """An empty current folder, with one of pictures of many names in it."""
    monkeypatch.chdir(tmp_path)
    names = [name for name, _ in NAMES.values()] + LEGIT
    for name in names:
        try:
            write_picture("in.png", noise(20, 20))
            Path("pictures").mkdir(exist_ok=True)
            Path("in.png").rename(Path("pictures", f"{name}.png"))
        except OSError:  # which not every system takes
            names.remove(name)
    (tmp_path / "x2.npz").write_bytes((here / "x2.npz").read_bytes())
    return names


def test_names_that_cannot_be_printed_lose_nothing(named, strictly):
    Path("pictures/bad ф\u202e.png").write_text("no picture")
    code, out, err = strictly("upscale", "pictures", "-s", "2", "-m", "x2.npz", "-o", "out")
    assert code == 2
    written = {path.stem.removesuffix("_x2") for path in Path("out").iterdir()}
    assert written == set(named) and len(out.splitlines()) == len(named)
    lines = [line for line in err.splitlines() if not line.startswith("compiling")]
    assert len(lines) == 2 and lines[1] == f"{len(named)} enlarged, 1 failed"
    assert r"bad \u0444\u202e.png is damaged" in lines[0]
    assert rf"{Path('out/a')}\u202egnp.exe_x2.png: 40 x 40 pixels" in out


@pytest.mark.parametrize("command", [
    "evaluate pictures -m x2.npz --json ф\u202e.json",
    "convert x2.npz ф\u202e.npz",
    "gradcheck --network 3-1-3 --write ф\u202e.npz",
    "train pictures -s 2 -o ф\u202e.npz --size 15 --network 3-1-3 --steps 1 --batch 2",
    "upscale ф\u202e.png", "evaluate ф\u202e", "upscale a.png --ф\u202e",
])  # fmt: skip
def test_every_command_says_it_anyhow(named, strictly, command):
    code, *text = strictly(*command.split(" "))
    wrong = command.startswith(("upscale", "evaluate ф"))
    assert code == (2 if wrong else 0), text
    assert "Traceback" not in text[1]
    if "evaluate pictures" not in command:
        assert r"\u0444\u202e" in text[wrong]
    else:
        with open("ф\u202e.json", encoding="utf-8") as file:
            rows = json.load(file)["pictures"]
        assert {row["picture"] for row in rows} == {f"{name}.png" for name in named}


def test_a_page_is_not_broken_by_a_name(named, capsys):
    for name in ("<script>$x</script>&quot;\u202e", os.fsdecode(b"\xff"), "צילום"):
        write_picture(f"pictures/{name.replace('/', '')}.png", noise(9, 9))
    assert main(["upscale", "pictures", "-m", "x2.npz", "-s", "2", "-o", "o", "--compare"]) == 0
    pages = {path.stem: path.read_text(encoding="utf-8") for path in Path("o").glob("*.html")}
    assert len(pages) == len(named) + 3
    for text in pages.values():
        assert text.count("<script>") == 1 and "\u202e" not in text
    assert any('<h1 dir="auto">צילום_x2.png</h1>' in text for text in pages.values())
    assert any(r"\udcff_x2.png" in text for text in pages.values())


CARDS = ["5", "0.25", "null", "true", "[1]", '{"a": [1]}', '""', json.dumps("x" * 50_000)]
CARDS += ["[" * 400 + "]" * 400, "1" * 4000, "NaN", "-1e999", json.dumps("a\nb\x1b\u202e<b>\ud800")]


def weights_with(card, path):
    with np.load("x2.npz") as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **arrays | {"card": np.array(card)})


@pytest.mark.parametrize("value", CARDS, ids=[card[:20] for card in CARDS])
def test_a_card_may_hold_anything(named, capsys, monkeypatch, value):
    names = ("data", "scores", "network", "filters", "recipe", "version", "start", "minutes")
    weights_with(
        f'{{"scale": 2, {", ".join(f"{json.dumps(n)}: {value}" for n in names)}}}', "n.npz"
    )
    write_picture("a.png", noise(9, 9))
    assert main(["upscale", "a.png", "-m", "n.npz", "--compare", "-o", "o.png"]) == 0
    page = Path("o.html").read_text(encoding="utf-8")
    said = {"5": "5", "0.25": "0.25", "NaN": "nan", "-1e999": "-inf"}.get(value, "unknown pictures")
    said = r"a\nb\x1b\u202e&lt;b&gt;\ud800" if "<b>" in value else said
    assert f'<dt>trained on</dt><dd dir="auto">{said}</dd>' in page and len(page) < 20_000
    for suffix in (".npz", ".safetensors"):
        assert main(["convert", "n.npz", f"o{suffix}"]) == 0
    Path("weights").mkdir()
    Path("n.npz").rename("weights/9-1-5_x2.npz")
    score = (
        f'{{"scale": 2, "data": {value}, "scores": {{"Set5": {{"PSNR": {value}}}, "b": {value}}}}}'
    )
    weights_with(score, "weights/9-5-5_x2.npz")
    monkeypatch.setattr("pysrcnn.networks.loading._WEIGHTS", Path("weights"))
    assert main(["info"]) == 0
    out, err = capsys.readouterr()
    lines = out.split("weights\n")[1].splitlines()
    assert len(lines) == 2 and max(map(len, lines)) < 100 and err.count("\n") <= 1
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "line",
    ['"a"', "[1]", "null", "true", '{"a": 1}', "9" * 400, "NaN", "-Infinity", "1e999", "1e300"],
)
def test_a_log_may_hold_anything_too(here, capsys, line):
    numbers = f'{{"step": 1, "samples": 1, "loss": 1, "psnr": {line}}}\n'
    for text in (f'{{"recipe": {{}}}}\n{numbers}', f'{{"recipe": 1, "bicubic_psnr": {line}}}\n'):
        Path("some.log").write_text(text)
        assert main(["show", "curve", "some.log", "-o", "a.png"]) == 2
        assert said(capsys)[0].startswith("pysrcnn: some.log is not a log of training: ")
    Path("some.log").unlink()


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_nobody_listens_any_more(named, monkeypatch, capsys, closed):
    """The terminal is gone, as behind a shell that was closed: the rest is done all the same."""

    class Gone(io.StringIO):
        def write(self, text):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    Path("pictures/bad.png").write_text("no picture")
    monkeypatch.setattr(sys, closed, Gone())
    assert main(["upscale", "pictures", "-s", "2", "-m", "x2.npz", "-o", "out"]) == 2
    assert len(list(Path("out").iterdir())) == len(named)
    assert main(["upscale", "none.png"]) == 2


def test_a_legend_shows_names_as_they_are(here):
    pytest.importorskip("matplotlib")
    line = {"step": 1, "samples": 2, "loss": 0.1, "psnr": 30.0}
    logs = ["_first.log", "a$b^$.log", f"{TURNED}.log", "日本.log"]
    for log in logs:
        Path(log).write_text(json.dumps({"recipe": {}}) + "\n" + json.dumps(line) + "\n")
    (axis,) = plots.curve(logs).axes
    assert [text.get_text().strip() for text in axis.get_legend().get_texts()] == [
        "_first", r"a\$b^\$", r"a\u202egnp.exe", "日本",
    ]  # fmt: skip
    assert main(["show", "curve", *logs, "-o", "a.svg"]) == 0
    for name in [*logs, "a.svg"]:
        Path(name).unlink()
