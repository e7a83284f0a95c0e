"""VESPCN: gradients of its whole loss, what it takes, files, and motion that it learns to see."""

from pathlib import Path

import numpy as np
import pytest
from rungs import compiled_only
from tape import Tape, Value, gradients

from pysrcnn import kernels, reference, upscale_frames
from pysrcnn.clips import around
from pysrcnn.networks import VESPCN, load
from pysrcnn.networks.motion import motion, motion_backward
from pysrcnn.networks.vespcn import FUSIONS
from pysrcnn.resize import imresize
from pysrcnn.training import optim
from pysrcnn.upscaling import steps
from pysrcnn.upscaling.steps import Step

OPS = pytest.mark.parametrize(
    "ops", [reference, pytest.param(kernels, marks=compiled_only)], ids=["reference", "kernels"]
)


def recorded():
    cases = {}
    with np.load(Path(__file__).with_name("torch_gradients_vespcn.npz")) as file:
        for name in file.files:
            case, array = name.split("/")
            cases.setdefault(case, {})[array] = file[name]
    return cases


TORCH = recorded()


def of_recorded(name, ops=reference):
    arrays = TORCH[name]
    parameters = {n: a.astype(np.float64) for n, a in arrays.items() if n[0] in "WB"}
    network = VESPCN.from_parameters(parameters, ops=ops, picture=bool(arrays["picture"]))
    network.beta, network.smooth = float(arrays["beta"]), float(arrays["smooth"])
    network.motion_first = 1.0 if arrays["share"] < 1 else 0.0
    return network, *(arrays[n].astype(np.float64) for n in ("low", "high"))


def near(a, b):
    return a.shape == b.shape and np.abs(a - b).max() <= 1e-10 * np.abs(b).max()


@OPS
@pytest.mark.parametrize("name", TORCH)
def test_loss_and_gradients_are_those_of_pytorch(name, ops):
    """Of the result, of what flows miss and of their roughness, in the shares of a case."""
    network, low, high = of_recorded(name, ops)
    loss, found = network.loss_and_gradients(low, high, name.split()[-1], TORCH[name]["share"])
    assert loss == pytest.approx(float(TORCH[name]["loss"]), rel=1e-10)
    assert found.keys() == network.parameters.keys()
    for n, gradient in found.items():
        assert near(gradient, TORCH[name][f"d{n}"]), n


@pytest.mark.parametrize("name", TORCH)
def test_the_input_gets_what_pytorch_gives_it(name):
    """What goes back to all frames, where the loss is of the result alone: by the tape."""
    network, low, high = of_recorded(name)
    p, kept = network.parameters, []
    out = network._forward(low, p, reference, kept, **network.options)
    dout = reference.mse_backward(out, high)
    values = {n: Value(a) for n, a in p.items()}
    start = Value(low)
    wanted = network._forward(start, values, Tape(), None, **network.options)
    (dx,) = gradients(wanted, dout, [start])
    assert near(network._backward(dout, kept, p, reference, **network.options)[0], dx)


def test_the_recorded_gradients_cover_what_they_should():
    words = [set(column) for column in zip(*(name.split()[1:] for name in TORCH), strict=True)]
    assert words[0] == {"x2", "x3", "x4"} and words[1] == {"T=3", "T=5"}
    assert words[2] == set(FUSIONS)
    assert all(len(column) > 1 for column in words)
    for arrays in TORCH.values():
        assert all(np.abs(a).max() > 1e-5 for n, a in arrays.items() if n[:2] in ("dW", "dB"))


@compiled_only
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-10), (np.float32, 1e-3)])
def test_subpixel_fusion_is_compiled(dtype, tolerance):
    """Loss and gradients of the kernels are those of the reference; angles are of up to 60."""
    network, rng = VESPCN(2, 3, 3, 4, fusion="subpixel", ops=reference), np.random.default_rng(6)
    for p in network.parameters.values():
        p[...] = rng.normal(0, 0.3, p.shape)
    low, high = rng.random((2, 3, 8, 12)), rng.random((2, 1, 16, 24))
    loss, wanted = network.astype(np.float64).loss_and_gradients(low, high)
    network = network.astype(dtype)
    network.ops = kernels
    again, found = network.loss_and_gradients(low.astype(dtype), high.astype(dtype))
    assert again == pytest.approx(loss, rel=1e-4)
    for n, gradient in found.items():
        assert np.abs(gradient - wanted[n]).max() <= tolerance * np.abs(wanted[n]).max(), n


def test_subpixel_fusion_takes_what_neighbours_add():
    """2 x 4 maps beside those of early fusion; nothing, where none moves."""
    network, rng = VESPCN(2, 3, 3, 4, fusion="subpixel", ops=reference), np.random.default_rng(7)
    assert network.parameters["W1_1"].shape[1] == 3 + 2 * 4 and network.frames == 3
    still, kept = np.repeat(rng.random((1, 1, 8, 8)), 3, axis=1), []
    for n in "B_coarse5", "B_fine5", "W_coarse5", "W_fine5":
        network.parameters[n][...] = 0
    network.astype(np.float64)._forward(
        still, network.parameters, reference, kept, **network.options
    )
    (given,), _ = kept[1]
    assert np.array_equal(given[:, :3], still) and not given[:, 3:].any()


@compiled_only
def test_float32_is_float64_but_for_rounding():
    """On maps as the kernels keep them."""
    name = next(iter(TORCH))
    network, low, high = of_recorded(name, kernels)
    _, wanted = network.loss_and_gradients(low, high)
    _, found = network.astype(np.float32).loss_and_gradients(low, high)
    for n, gradient in found.items():
        assert np.abs(gradient - wanted[n]).max() <= 1e-4 * np.abs(wanted[n]).max(), n


def test_the_published_sizes():
    """9L-E3-MC at x4: 40,600 values of its ESPCN, 53,392 of its motion (the paper's Table 1)."""
    network = VESPCN(4)
    sizes = {name: p.size for name, p in network.parameters.items()}
    moving = sum(size for name, size in sizes.items() if "coarse" in name or "fine" in name)
    assert moving == 53_392 and sum(sizes.values()) == 53_392 + 40_600
    # Twice the multiplications for a frame of 1080p: 14.0 GOps in the paper, of small maps cut off.
    assert 2 * network.seen.multiplications * 1920 * 1080 == pytest.approx(14.0e9, rel=0.06)


@pytest.mark.parametrize("fusion", ["early", "subpixel"])
def test_how_far_it_sees(fusion):
    """Changes beyond the margin change nothing; those within do, if the flow leads there."""
    network, rng = VESPCN(2, 3, 3, 3, fusion=fusion, ops=reference), np.random.default_rng(1)
    network = network.astype(np.float64)
    for p in network.parameters.values():
        p[...] = rng.normal(0, 0.3, p.shape)
    x = rng.random((1, 3, 8, 128))
    out, margin = network.forward(x), network.margin
    # Where the coarse estimate has its pixels decides how far one of the result sees to the left.
    other = x.copy()
    other[..., 64 + margin + 1 :] += 1
    assert np.array_equal(network.forward(other)[..., : 2 * 64], out[..., : 2 * 64])
    assert not np.array_equal(network.forward(other), out) and margin < 50


@OPS
@pytest.mark.parametrize("sides", [(8, 12), (7, 9), (1, 1), (4, 5)])
def test_any_size_and_a_picture_alone(ops, sides):
    """What is no multiple of 4 is padded, and cut off; one frame is a video in which none moves."""
    network = VESPCN(3, 3, 3, 4, ops=ops)
    x = np.random.default_rng(2).random((2, 3, *sides)).astype(np.float32)
    out = network.forward(x)
    assert out.shape == (2, 1, *(3 * side for side in sides))
    still = network.forward(np.repeat(x[:, 1:2], 3, axis=1))
    assert np.array_equal(network.forward(x[:, 1:2]), still)
    assert np.array_equal(network.enlarge(x[0, 1:2]), still[0])
    # Untrained it nearly repeats pixels of the middle frame.
    assert np.abs(out - x[:, 1:2].repeat(3, 2).repeat(3, 3)).max() < 0.5


@pytest.mark.parametrize("fusion, depth", [("early", 2), ("slow", 3), ("subpixel", 2)])
def test_maps_are_the_inputs_of_all_convolutions(fusion, depth):
    """Also of those with a stride, and for a picture whose sides are no multiples of 4."""
    network = VESPCN(3, 3, depth, 4, fusion=fusion, ops=reference)
    maps = network.maps(np.random.default_rng(3).random((1, 1, 6, 9)).astype(np.float32))
    weights = [w for w, _ in network.layers]
    assert len(maps) == len(weights)
    assert all(m.shape[1] == w.shape[1] for m, w in zip(maps, weights, strict=True))


@OPS
@pytest.mark.parametrize("start, ensemble", [((601, 41), False), ((41, 602), True)])
def test_bands_and_pieces_are_the_whole(ops, start, ensemble, monkeypatch):
    """To the bit: a pixel of the coarse estimate is 4 x 4 of a frame, a square of them 16 x 16."""
    network, rng = VESPCN(2, 3, 3, 3, ops=ops), np.random.default_rng(9)
    for p in network.parameters.values():
        p[...] = rng.normal(0, 0.3, p.shape)
    network.ensemble = ensemble
    frames = [rng.random(start, np.float32) for _ in range(3)]
    height, width = shape = 2 * start[0], 2 * start[1]
    step = Step(start, shape, 1, np.float32, network)

    def made(rows, columns):
        needed = tuple(slice(*span) for span in step.needs(rows, columns))
        out = np.zeros((rows[1] - rows[0], columns[1] - columns[0], 1), np.float32)
        step.make([frame[needed][..., None] for frame in frames], rows, columns, out)
        return out

    whole = made((0, height), (0, width))
    assert whole.std() > 0.1
    for begin in (0, 517, 646, 771):
        rows, columns = ((min(begin, n - 9), min(begin + 37, n)) for n in shape)
        assert np.array_equal(made(rows, columns), whole[slice(*rows), slice(*columns)])
    if not ensemble:
        large = list(upscale_frames(frames, 2, network))
        band = int(1000 * width * step.bytes_per_pixel / steps.DEEP)
        monkeypatch.setattr(steps, "BAND", band)
        assert len(list(step.pieces((0, height), (0, width)))) > 1
        assert Step(start, shape, 1, np.float32, network).cell is None
        for ours, wanted in zip(upscale_frames(frames, 2, network), large, strict=True):
            assert np.array_equal(ours, wanted)


def test_frames_of_a_video_are_given_with_their_neighbours():
    """Through `upscale_frames`: what the network makes of the luminance of three frames."""
    network, rng = VESPCN(2, 3, 3, 3, ops=reference), np.random.default_rng(8)
    network.parameters["W_tail"] *= 20
    picture = rng.random((14, 18), np.float32)
    frames = [picture + np.float32(0.05 * k) * (0.5 - picture) for k in range(4)]  # no cuts
    large = list(upscale_frames(iter(frames), 2, network))
    for k, out in enumerate(large):
        luma = np.stack([(16 + 219 * frames[n]) / 255 for n in around(4, k, 3)])
        wanted = (255 * network.forward(luma[None])[0, 0] - 16) / 219
        assert np.abs(out - np.clip(wanted, 0, 1)).max() < 1e-5
        alone = (255 * network.forward(luma[None, 1:2])[0, 0] - 16) / 219
        assert np.abs(out - np.clip(alone, 0, 1)).max() > 1e-3


@pytest.mark.parametrize(
    "fusion, frames, depth", [("early", 3, 3), ("slow", 5, 6), ("subpixel", 7, 3)]
)
def test_saved_and_loaded(tmp_path, fusion, frames, depth):
    picture = fusion == "slow"
    network = VESPCN(2, frames, depth, 4, fusion=fusion, picture=picture, ops=reference)
    for name in "mine.npz", "mine.safetensors":
        network.save(tmp_path / name)
        again = load(tmp_path / name, ops=reference)
        assert repr(again) == (
            f"<VESPCN frames={frames}, {fusion} fusion, depth={depth}, width=4, float32, scale=2>"
        )
        x = np.random.default_rng(3).random((1, frames, 5, 6)).astype(np.float32)
        assert np.array_equal(again.forward(x), network.forward(x))
        assert again.parameters.keys() == network.parameters.keys()
    # Some programs sort tensors by name, which has layer 10 before 2.
    parameters = VESPCN(2, frames, 12, 2, fusion=fusion).parameters
    again = VESPCN.from_parameters(dict(sorted(parameters.items())))
    assert [*again.parameters] == [*parameters]
    with pytest.raises(ValueError, match="warps frames is not written as .onnx: write it as .npz"):
        network.save(tmp_path / "mine.onnx")


@pytest.mark.parametrize(
    "given, words",
    [
        ({"scale": 1}, "scale is a whole number, 2 to 16; got 1"),
        ({"frames": 4}, "frames is 4, wanted 3, 5 or 7"),
        ({"frames": True}, "frames is True, wanted 3, 5 or 7"),
        ({"depth": 1}, "depth is 1, wanted a whole number, 2"),
        ({"width": 0}, "width is 0, wanted a whole number, 1"),
        ({"fusion": "late"}, "fusion is 'late', wanted early, slow or subpixel"),
        ({"frames": 5, "depth": 4, "fusion": "slow"}, "takes 4 layers and one behind them; depth"),
        ({"picture": 1}, "picture is 1, wanted True or False"),
    ],
)
def test_sizes_are_checked(given, words):
    with pytest.raises(ValueError, match=words):
        VESPCN(**given)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"W_fine1": None}, "W_fine1 is missing, wanted the shape .4, 5, 5, 5."),
        ({"W1_1": None}, "do not make such a network"),
        ({"W_tail": None}, "do not make such a network"),
        ({"W": np.ones((4, 4, 3, 3), np.float32)}, "arrays W do not make such a network"),
        ({"W1_1": None, "": np.ones(4, np.float32)}, "do not make such a network"),
        ({"W1_1": np.ones((4, 4, 3, 3), np.float32)}, "do not make such a network"),
        ({"W2_1": np.ones((4, 4, 5, 5), np.float32)}, "W2_1 is .4, 4, 5, 5., wanted the shape"),
        ({"W_other": np.ones((4, 4, 3, 3), np.float32)}, "arrays W_other do not make such a net"),
        ({"B_tail": np.full(4, np.nan, np.float32)}, "B_tail holds values that are not finite"),
    ],
)
def test_arrays_that_are_none(change, words):
    arrays = VESPCN(2, 3, 3, 4).parameters | change
    with pytest.raises(ValueError, match=words):
        VESPCN.from_parameters({n: a for n, a in arrays.items() if a is not None})


def test_batches_are_checked():
    network = VESPCN(2, 5, 3, 4, ops=reference)
    low = np.ones((2, 5, 8, 8))
    with pytest.raises(ValueError, match=r"\(N, 5, H, W\), frames of luminance, or \(N, 1, H, W\)"):
        network.forward(low[:, :3])
    with pytest.raises(ValueError, match="wanted .N, 5, H, W. with pixels in it"):
        network.forward(low[0])
    with pytest.raises(ValueError, match=r"high has the shape \(2, 5, 16, 16\), wanted \(N, 1, H"):
        network.loss_and_gradients(low, np.ones((2, 5, 16, 16)))
    with pytest.raises(
        ValueError, match="height and width of what vespcn takes are multiples of 4"
    ):
        network.loss_and_gradients(low[..., :6], np.ones((2, 1, 16, 12)))


# ------------------------------------------------------------------------------------------ motion


def drifting(rng, count, side, most):
    """Frames of random textures, and the same moved by up to so many pixels; the flow (N, 2)."""
    pairs, flows = [], rng.uniform(-most, most, (count, 2))
    for along_x, along_y in flows:
        texture = imresize(rng.random((side // 4 + 8, side // 4 + 8)), scale=4)
        first = texture[16 : 16 + side, 16 : 16 + side]
        flow = np.empty((1, 2, *texture.shape))
        flow[:, 0], flow[:, 1] = -along_x, -along_y  # where it came from
        moved = reference.warp(texture[None, None], flow)[0, 0]
        pairs.append((first, moved[16 : 16 + side, 16 : 16 + side]))
    first, second = (
        np.stack(some)[:, None].astype(np.float32) for some in zip(*pairs, strict=True)
    )
    return first, second, flows


@pytest.mark.slow
@compiled_only
def test_a_known_shift_is_recovered_to_a_tenth_of_a_pixel():
    """Motion alone, trained for a short time on textures that move as a whole."""
    network, rng, side = VESPCN(2, 3, 2, 16), np.random.default_rng(4), 32
    p = {n: a for n, a in network.parameters.items() if "coarse" in n or "fine" in n}
    steps, adam = 1200, optim.OPTIMIZERS["adam"](p, dict.fromkeys(p, 2e-3))
    for step in range(steps):
        first, second, _ = drifting(rng, 8, side, 3)
        kept, g = [], {}
        flow, warped = motion(first, second, p, kernels, kept)
        dflow = np.float32(1e-3) * kernels.smoothness_backward(flow)
        dwarped = kernels.mse_backward(warped, first)
        motion_backward(dflow, dwarped, kept, p, kernels, g)
        adam.step(g, 0.5 * (1 + np.cos(np.pi * step / steps)))
    first, second, wanted = drifting(rng, 40, side, 3)
    flow, _ = motion(first, second, p, kernels)
    found = np.median(flow[:, :, 8:-8, 8:-8], axis=(2, 3))
    assert np.median(np.abs(found - wanted)) < 0.1
