"""Training: it learns, it goes on after a stop to the very same weights, it stops where it must."""

import functools
import json
import math
import os
import random
import re
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from recursive import Recursive
from scipy.optimize import nnls

import pysrcnn.training.progress
from pysrcnn import SRCNN, load, reference
from pysrcnn.data import pair, read_pairs
from pysrcnn.evaluate import average, evaluate, mean_psnr
from pysrcnn.networks import DRCN, EDSR, ESPCN, TRAINED, VDSR, VESPCN
from pysrcnn.pictures import read_picture, write_picture
from pysrcnn.resize import imresize
from pysrcnn.training import (
    RECIPES,
    Adversarial,
    Degradation,
    Recipe,
    Training,
    fit,
    fitting,
    loop,
    read_log,
    train,
)
from pysrcnn.training.ends import keep_ends
from pysrcnn.training.log import append, write_log
from pysrcnn.training.split import made_smaller
from pysrcnn.training.start import check_start

SCALE = 2
TINY = Recipe(
    sizes=(5, 1, 3),
    filters=(9, 4),
    warmup=5,
    steps=40,
    batch=4,
    size=13,
    optimizer="adam",
    learning_rate=2e-3,
    last_learning_rate=1e-3,
    average=0.9,
)
MUON = replace(TINY, optimizer="muon", learning_rate=2e-2)
SGD = replace(
    TINY, optimizer="sgd", keep_means=False, learning_rate=0.02, last_learning_rate=0.002, init="he"
)
OPTIMIZERS = pytest.mark.parametrize("recipe", [SGD, TINY, MUON], ids=["sgd", "adam", "muon"])
STRIDES = pytest.mark.parametrize("stride", [None, 5], ids=["crops", "grid"])


def drawing(height, width, seed):
    """Discs and bars with sharp edges on a smooth ground, 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = 0.5 + 0.2 * np.sin(x / rng.uniform(5, 9) + 1) * np.cos(y / rng.uniform(5, 9))
    for _ in range(8):
        centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
        disc = (y - centre_y) ** 2 + (x - centre_x) ** 2 < rng.uniform(3, 10) ** 2
        bar = np.abs((y - centre_y) + rng.uniform(-1, 1) * (x - centre_x)) < 2
        picture[disc] = rng.random()
        picture[bar] = rng.random()
    return picture


def pairs_of(c=1, shapes=((40, 51), (33, 36))):
    pictures = [drawing(*shape, seed) for seed, shape in enumerate(shapes)]
    if c == 3:
        pictures = [np.stack([p, 1 - p, p**2], axis=2) for p in pictures]
    return [pair(p, SCALE, c) for p in pictures]


PAIRS = pairs_of()


def run(training, steps=None):
    """All remaining steps, or some; the losses."""
    losses = []
    for progress in training.run():
        losses.append(progress.loss)
        if len(losses) == steps:
            break
    return losses


def arrays_of(training):
    """Everything that training has learnt, by name."""
    arrays = {f"parameter.{n}": p for n, p in training.network.parameters.items()}
    arrays |= {f"average.{n}": a for n, a in training.average.items()}
    return {n: a.copy() for n, a in (arrays | training.optimizer.state()).items()}


def weights_of(training):
    """Parameters and average alone, without what the optimiser remembers."""
    return {n: a for n, a in arrays_of(training).items() if n.startswith(("param", "average"))}


def same_bits(ours, theirs):
    return ours.keys() == theirs.keys() and all(
        a.dtype == theirs[n].dtype and a.tobytes() == theirs[n].tobytes() for n, a in ours.items()
    )


# ------------------------------------------------------------------------------------ it does learn


def mean_loss(network, pairs):
    losses = [network.loss_and_gradients(a[None], b[None])[0] for a, b in pairs]
    return np.mean(losses)


@pytest.mark.parametrize("c", [1, 3])
@STRIDES
def test_the_loss_goes_down(stride, c):
    pairs = pairs_of(c)
    recipe = replace(TINY, steps=300, learning_rate=0.01, c=c, stride=stride)
    training = Training(recipe, pairs)
    before = mean_loss(training.network, pairs)
    margin = training.network.margin
    bicubic = np.mean([np.mean((a - b)[:, margin:-margin, margin:-margin] ** 2) for a, b in pairs])
    losses = run(training)
    after = mean_loss(training.result(), pairs)
    assert all(math.isfinite(loss) for loss in losses) and len(losses) == 300
    assert after < 0.9 * before and after < 0.9 * bicubic


@pytest.mark.parametrize(
    "recipe, rates, left",
    [(SGD, (0.05, 0.01), 0.3), (TINY, (0.01, 0.01), 0.02), (MUON, (0.02, 0.01), 0.02)],
    ids=["sgd", "adam", "muon"],
)
def test_one_patch_is_learnt_by_heart(recipe, rates, left):
    low, high = PAIRS[0]
    patch = [(low[:, 11:24, 36:49].copy(), high[:, 11:24, 36:49].copy())]  # full of edges
    recipe = replace(
        recipe,
        init="identity",
        steps=1200,
        batch=1,
        stride=13,
        learning_rate=rates[0],
        last_learning_rate=rates[1],
    )
    training = Training(recipe, patch)
    assert all(np.array_equal(low, patch[0][0]) for low in training.batch(0, 9)[0])
    losses = run(training)
    assert np.mean(losses[-10:]) < left * losses[0]


@pytest.mark.parametrize("c", [1, 3])
def test_filters_keep_their_means(c):
    def moved(recipe):
        training = Training(replace(recipe, c=c, learning_rate=0.05), pairs_of(c))
        before = training.network.parameters["W1"].mean(axis=(1, 2, 3))
        run(training)
        after = [
            w["W1"].mean(axis=(1, 2, 3)) for w in (training.network.parameters, training.average)
        ]
        return before, np.abs(np.subtract(after, before))

    before, by = moved(MUON)
    assert np.abs(before[c:]).max() < 1e-7 and before[:c] == pytest.approx(1 / (c * 25))
    assert by.max() < 1e-6
    assert moved(replace(MUON, keep_means=False))[1].max() > 1e-3


# ---------------------------------------------------------------------------------- black and white


def flat(network, value):
    """What comes out of flat pictures, the least and the most of each channel."""
    x = np.full((1, network.c, 17, 22), value, np.float32)
    out = network.forward(x)[0]
    return out.min((1, 2)), out.max((1, 2))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("c, black, white", [(1, 16 / 255, 235 / 255), (3, 0, 1)])
def test_black_stays_black_and_white_white(c, black, white, seed):
    network = SRCNN.from_stack((5, 3, 1, 3), (9, 8, 7), c, init="he", seed=seed)
    before = [network.layers[-1][0].copy(), network.layers[-1][1].copy()]
    for name in ("B1", "B2", "B3"):
        network.parameters[name][...] = 0.1
    slack = 2**-19  # nearer than this is near enough
    missing = flat(network, black)[1] > black - slack, flat(network, white)[0] < white + slack
    keep_ends(network)
    assert (flat(network, black)[1] <= np.float32(black)).all()
    assert (flat(network, white)[0] >= np.float32(white)).all()
    w, b = network.layers[-1]
    for channel in range(c):
        moved = np.any(w[channel] != before[0][channel]) or b[channel] != before[1][channel]
        assert moved == (missing[0][channel] or missing[1][channel])
    once = {n: p.copy() for n, p in network.parameters.items()}
    keep_ends(network)
    assert same_bits(once, network.parameters)


def test_the_last_layer_moves_no_more_than_black_and_white_take():
    """Against a solver of the same inequalities that knows nothing of pseudo-inverses."""
    solved = 0
    for seed in range(12):
        network = SRCNN(3, 6, 1, 5, 3, init="he", seed=seed).astype(np.float64)
        network.parameters["B2"][...] = 0.1
        w, b = network.layers[-1]
        before = np.append(w, b)
        rows = []
        for value in (16 / 255, 235 / 255):
            x = np.full((1, 1, 5, 5), value)
            maps = reference.relu(reference.forward(x, network.layers[:-1], "valid"))
            rows.append(np.append(maps, 1))
        rows = np.array(rows) * [[-1], [1]]
        wanted = np.array([2**-18 - 16 / 255, 2**-18 + 235 / 255]) - rows @ before
        # The least d with rows d >= wanted, by the y >= 0 of this least squares problem.
        dual, last = np.vstack([rows.T, wanted]), np.append(np.zeros(before.size), 1)
        y, _ = nnls(dual, last)
        residual = dual @ y - last
        least = -residual[:-1] / residual[-1]
        possible = (rows @ least > wanted - 1e-9).all()  # unless all maps are dead
        keep_ends(network)
        assert np.abs(np.append(w, b) - before - possible * least).max() < 1e-9
        solved += possible
    assert solved > 8


@pytest.mark.parametrize("layer", [1, 2])
def test_a_filter_that_is_silent_at_black_alone_wakes(layer):
    network = SRCNN(5, 9, 3, 8, 3, init="identity", seed=1)
    w, b = network.layers[layer]
    network.parameters[f"B{layer}"][0] -= 0.07  # black is 0.063
    b += 0.07 * w.sum(axis=(2, 3))[:, 0]  # so that elsewhere nothing changes
    assert flat(network, 16 / 255)[0] > 0.069
    picture = np.random.default_rng(0).uniform(0.1, 0.9, (1, 1, 20, 20)).astype(np.float32)
    before = network.forward(picture)
    keep_ends(network)
    assert flat(network, 16 / 255)[1] <= np.float32(16 / 255)
    assert flat(network, 0.068)[1] == pytest.approx(0.068, abs=1e-4)
    assert np.abs(network.forward(picture) - before).max() < 1e-5


def test_dead_or_infinite_weights_are_left_alone():
    network = SRCNN(3, 4, 1, 4, 3, init="identity")
    network.parameters["W3"][...] = np.inf
    keep_ends(network)
    assert np.isinf(network.parameters["W3"]).all()
    for name in ("W1", "B1", "W2", "B2"):
        network.parameters[name][...] = 0
    network.parameters["W3"][...] = 0
    keep_ends(network)  # which it cannot
    assert all(np.isfinite(p).all() for p in network.parameters.values())


def test_the_modern_recipe_keeps_black_and_white_and_the_papers_does_not():
    recipe = replace(MUON, steps=30, learning_rate=0.05)
    training = Training(recipe, PAIRS)
    run(training)
    result = training.result()
    assert flat(result, 16 / 255)[1] <= np.float32(16 / 255)
    assert flat(result, 235 / 255)[0] >= np.float32(235 / 255)
    assert not RECIPES["paper"].keep_ends and RECIPES["modern"].keep_ends
    other = Training(replace(recipe, keep_ends=False), PAIRS)
    run(other)
    assert same_bits(other.result().parameters, training.average)


# ------------------------------------------------------------------------------ to the same weights


@OPTIMIZERS
@STRIDES
def test_the_same_seed_gives_the_same_weights(recipe, stride):
    recipe = replace(recipe, stride=stride)
    first, second = Training(recipe, PAIRS), Training(recipe, PAIRS)
    assert run(first) == run(second)
    assert same_bits(arrays_of(first), arrays_of(second))
    other = Training(replace(recipe, seed=1), PAIRS)
    run(other)
    assert not same_bits(arrays_of(first), arrays_of(other))


@OPTIMIZERS
@STRIDES
def test_stopped_saved_loaded_and_gone_on_is_never_having_stopped(tmp_path, recipe, stride):
    recipe = replace(recipe, stride=stride)
    whole, stopped, losses = Training(recipe, PAIRS), Training(recipe, PAIRS), []
    wanted = run(whole)
    for stop in (1, 17, 39, 40):
        losses += run(stopped, stop - stopped.step)
        stopped.save(tmp_path / "checkpoint.npz")
        later = Training(recipe, PAIRS)
        later.load(tmp_path / "checkpoint.npz")
        assert (later.step, later.seconds) == (stop, stopped.seconds)
        assert same_bits(arrays_of(later), arrays_of(stopped))
        assert losses + run(later) == wanted
        assert same_bits(arrays_of(later), arrays_of(whole))
        assert later.step == whole.step == recipe.steps
        assert later.seconds > 0


def test_a_checkpoint_may_be_loaded_over_work_in_progress(tmp_path):
    training = Training(TINY, PAIRS)
    run(training, 10)
    training.save(tmp_path / "checkpoint.npz")
    losses = run(training)
    wanted = arrays_of(training)
    parameters = training.network.parameters["W1"]
    training.load(tmp_path / "checkpoint.npz")
    assert training.step == 10 and training.network.parameters["W1"] is parameters
    assert run(training) == losses
    assert same_bits(arrays_of(training), wanted)


def test_the_parameters_of_a_checkpoint_are_those_the_optimiser_moves(tmp_path):
    training = Training(TINY, PAIRS)
    run(training, 3)
    training.save(tmp_path / "checkpoint.npz")
    later = Training(TINY, PAIRS)
    later.load(tmp_path / "checkpoint.npz")
    for name, parameter in later.network.parameters.items():
        assert later.optimizer.parameters[name] is parameter
        assert not np.shares_memory(parameter, later.average[name])


def test_progress_counts_steps_from_one():
    progress = list(Training(replace(TINY, steps=4), PAIRS).run())
    assert [p.step for p in progress] == [1, 2, 3, 4]
    seconds = [p.seconds for p in progress]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_a_start_from_other_weights():
    start = SRCNN.from_stack(TINY.sizes, TINY.filters, init="he", seed=9)
    training = Training(TINY, PAIRS, start)
    assert same_bits(training.network.parameters, start.parameters)
    assert same_bits(training.average, start.parameters)
    before = {n: p.copy() for n, p in start.parameters.items()}
    run(training, 3)
    assert same_bits(start.parameters, before)
    for other, words in (
        (
            SRCNN(5, 9, 1, 5, 3),
            "have 5 filters of 1 x 1 for 9 maps in layer 2, and the recipe wants 4 filters",
        ),
        (
            SRCNN.from_stack((5, 3), (9,)),
            "have 2 layers, and the recipe wants 3 layers: give other",
        ),
        (SRCNN(5, 9, 1, 8, 3, 3), "have 3 channels, and the recipe wants 1 channel: give other"),
    ):
        with pytest.raises(ValueError, match=words):
            Training(TINY, PAIRS, other)


# ----------------------------------------------------------------------------------- how fast it is


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    monotonic = perf_counter


def test_a_log_needs_the_scale(tmp_path):
    with pytest.raises(ValueError, match="does not say what scale it was trained for: give it"):
        fit(Training(TINY, PAIRS), PAIRS, tmp_path / "checkpoint", tmp_path / "log", every=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "network, start, words",
    [
        (DRCN(4, 4), DRCN(3, 4), "have 3 recursions, and the recipe wants 4"),
        (VDSR(3, 4), VDSR(3, 5), "have 5 filters of 3 x 3 for 1 map in layer 1, .* wants 4"),
        (VDSR(3, 4), EDSR(2, 1, 4), "have the layers of EDSR, .* wants the layers of VDSR"),
        (ESPCN(3), ESPCN(2), "have a last layer for scale 2, .* for scale 3"),
        (VESPCN(2, 3, 3, 4), VESPCN(2, 5, 3, 4), "have 5 frames, and the recipe wants 3"),
        (EDSR(2, 1, 4), EDSR(2, 1, 4, picture=False), "have the option picture False"),
        (EDSR(2, 1, 4), EDSR(3, 1, 4), None),
    ],
)
def test_weights_that_cannot_be_started_from_are_described(network, start, words):
    with pytest.raises(ValueError, match=words) if words else nullcontext():
        check_start(network, start)


def test_the_clock_starts_when_all_is_compiled_and_rates_are_those_of_late(tmp_path, monkeypatch):
    clock, calls = Clock(), []
    for module in (fitting, loop, pysrcnn.training.progress):
        monkeypatch.setattr(module, "time", clock)

    def slow(function, seconds):
        def wrapper(*arguments):
            calls.append(function.__name__)
            clock.now += seconds(calls.count(function.__name__))
            return function(*arguments)

        return wrapper

    # What is called first is compiled. Then four steps take a second each, and the others half.
    step = slow(SRCNN.loss_and_gradients, lambda n: 100 if n == 1 else 1 if n <= 5 else 0.5)
    monkeypatch.setattr(SRCNN, "loss_and_gradients", step)
    monkeypatch.setattr(SRCNN, "forward", slow(SRCNN.forward, lambda n: 100 if n == 1 else 0.25))
    training = Training(replace(TINY, steps=8), PAIRS, scale=SCALE)
    fit(training, PAIRS, tmp_path / "a.checkpoint", tmp_path / "a.log", every=2)
    lines = read_log(tmp_path / "a.log")[1]
    validation = 0.25 * len(PAIRS)
    assert [line["samples_per_second"] for line in lines] == [
        pytest.approx(2 * TINY.batch / (2 * seconds + validation), rel=1e-4)
        for seconds in (1, 1, 0.5, 0.5)
    ]
    assert [line["seconds"] for line in lines] == [2, 4, 5, 6] and training.seconds == 6


def test_every_psnr_of_the_log_is_of_what_the_training_would_give_there(tmp_path):
    """So nothing that is done to the result makes the last line of the log jump."""
    measured = []

    def measure(network, pictures, scale):
        measured.append(network)
        return 30.0

    recipe = replace(TINY, steps=6, init="he", keep_ends=True, average=0.9)
    training = Training(recipe, PAIRS, scale=SCALE)
    fit(training, PAIRS, tmp_path / "a.checkpoint", tmp_path / "a.log", 2, measure)
    bicubic, *networks = measured
    assert bicubic is None and [network.card["steps"] for network in networks] == [2, 4, 6]
    again = Training(recipe, PAIRS, scale=SCALE)
    for network in networks:
        run(again, 2)
        assert same_bits(network.parameters, again.result().parameters)
        assert not same_bits(network.parameters, again.average)
        assert (flat(network, 16 / 255)[1] <= np.float32(16 / 255)).all()


def test_a_terminal_without_tqdm_shows_how_far_it_is(tmp_path, monkeypatch, capsys):
    clock = Clock()
    for module in (fitting, loop, pysrcnn.training.progress):
        monkeypatch.setattr(module, "time", clock)
    usual = SRCNN.loss_and_gradients

    def step(*arguments):
        clock.now += 60
        return usual(*arguments)

    monkeypatch.setattr(SRCNN, "loss_and_gradients", step)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    training = Training(replace(TINY, steps=6), PAIRS, scale=SCALE)
    fit(training, PAIRS, tmp_path / "a.checkpoint", tmp_path / "a.log", every=3)
    out, err = capsys.readouterr()
    shown = [text.strip() for text in err.split("\r")]
    for line in ("step 1/6, 5.0 min left", "step 2/6, 4.0 min left", "step 5/6, 1.0 min left"):
        assert line in shown
    assert shown[-1] == ""  # so that whoever prints next begins on an empty line
    assert [line.split()[1] for line in out.splitlines()] == ["3/6", "6/6"]


def test_what_is_done_before_the_clock_starts_changes_nothing(tmp_path):
    training, whole = Training(TINY, PAIRS, scale=SCALE), Training(TINY, PAIRS, scale=SCALE)
    fit(training, PAIRS, tmp_path / "a.checkpoint", tmp_path / "a.log", every=20)
    run(whole)
    assert same_bits(arrays_of(training), arrays_of(whole))


# ----------------------------------------------------------------------------- checkpoints refused


@pytest.fixture
def checkpoint(tmp_path):
    training = Training(TINY, PAIRS)
    run(training, 5)
    training.save(tmp_path / "checkpoint.npz")
    return tmp_path / "checkpoint.npz"


def refused(path, words, recipe=TINY):
    """Loading raises a ValueError with these words and leaves training as it was."""
    training = Training(recipe, PAIRS)
    run(training, 2)
    before = arrays_of(training)
    with pytest.raises(ValueError, match=re.escape(words)):
        training.load(path)
    assert training.step == 2 and same_bits(arrays_of(training), before)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"learning_rate": 0.5}, "another recipe: learning_rate 0.002, now 0.5"),
        ({"filters": (9, 5)}, "another recipe: filters [9, 4], now [9, 5]"),
        ({"optimizer": "sgd"}, "another recipe: optimizer 'adam', now 'sgd'"),
        ({"seed": 1, "batch": 5}, "another recipe: batch 4, now 5; seed 0, now 1"),
        ({"stride": 5}, "another recipe: stride None, now 5"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(checkpoint, changes, words):
    refused(checkpoint, f"{checkpoint} was made with {words}", replace(TINY, **changes))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(99)])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    refused(tmp_path / "bad.npz", "bad.npz is damaged or not a checkpoint")


def test_a_truncated_checkpoint_is_refused(checkpoint):
    content = checkpoint.read_bytes()
    for part in (0.1, 0.5, 0.99):
        checkpoint.write_bytes(content[: int(part * len(content))])
        refused(checkpoint, "checkpoint.npz is damaged or not a checkpoint")


def test_weights_are_no_checkpoint(tmp_path):
    Training(TINY, PAIRS).result().save(tmp_path / "weights.npz")
    refused(tmp_path / "weights.npz", "weights.npz is damaged or not a checkpoint (it does")


def rewritten(path, change):
    """The checkpoint with its arrays and its state changed."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    state = json.loads(str(arrays["state"]))
    change(arrays, state)
    np.savez(path, **{**arrays, "state": np.array(json.dumps(state))})


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, state: arrays.pop("parameter.W3"),
        lambda arrays, state: arrays.pop("average.B1"),
        lambda arrays, state: arrays.pop("optimizer.mean.W2"),
        lambda arrays, state: arrays.pop("optimizer.steps"),
        lambda arrays, state: arrays.update({"parameter.W3": np.zeros((1, 4, 5, 5))}),
        lambda arrays, state: arrays.update({"optimizer.square.B2": np.zeros(3)}),
        lambda arrays, state: state.pop("step"),
        lambda arrays, state: state.pop("seconds"),
        lambda arrays, state: state.update(recipe=[1]),
        lambda arrays, state: state.update(step=10**9),
        lambda arrays, state: state.update(step=-1),
        lambda arrays, state: state.update(step=True),
        lambda arrays, state: state.update(step=4),
        lambda arrays, state: state.update(seconds="1"),
        lambda arrays, state: state.update(seconds=float("nan")),
        lambda arrays, state: state.update(seconds=-1),
        lambda arrays, state: state.update(more="[" * (1 << 20)),
        lambda arrays, state: arrays.update({"optimizer.steps": np.array(10**6)}),
        lambda arrays, state: arrays.update({"optimizer.steps": np.array(5.0)}),
        lambda arrays, state: arrays.update({"average.B1": arrays["average.B1"] * np.nan}),
        lambda arrays, state: arrays.update({"average.B1": arrays["average.B1"].astype("f8")}),
        lambda arrays, state: arrays.update({"average.B1": arrays["average.B1"].astype(str)}),
        lambda arrays, state: arrays.update(more=np.zeros(1 << 19)),
        lambda arrays, state: arrays.update({"average.B1": np.array([{}] * 9)}),
    ],
    ids=[
        "no parameter",
        "no average",
        "no memory",
        "no number of steps",
        "shape of a parameter",
        "shape of a memory",
        "no step",
        "no seconds",
        "no recipe",
        "a step beyond the last",
        "a step before the first",
        "a step that is no number",
        "another step than the optimiser's",
        "seconds that are text",
        "seconds that are none",
        "seconds before the start",
        "a state that is far too long",
        "steps of the optimiser",
        "steps that are not whole",
        "infinite numbers",
        "other numbers",
        "text",
        "more than training has",
        "a pickle",
    ],
)
def test_a_checkpoint_with_something_missing_is_refused(checkpoint, change):
    rewritten(checkpoint, change)
    refused(checkpoint, "checkpoint.npz is damaged or not a checkpoint")


def test_a_checkpoint_that_is_larger_than_training_has(checkpoint):
    """Of a file of gigabytes, of which there may be nothing on the disk, nothing is read."""
    with open(checkpoint, "r+b") as file:
        file.truncate(1 << 33)
    refused(checkpoint, "checkpoint.npz has 8,589,934,592 bytes, and 1,0")


def test_what_a_checkpoint_says_is_cut_short(checkpoint):
    rewritten(checkpoint, lambda arrays, state: state["recipe"].update(optimizer="x" * 9999))
    refused(checkpoint, "another recipe: optimizer 'xxxxxxxxxxxxxxx")
    with pytest.raises(ValueError) as caught:
        Training(TINY, PAIRS).load(checkpoint)
    assert len(str(caught.value)) < 400


def test_mutated_checkpoints(checkpoint):
    """A few hundred with some bytes changed or lost: refused, or as they were."""
    training, rng = Training(TINY, PAIRS), random.Random(0)
    training.load(checkpoint)
    before, content, refusals = arrays_of(training), checkpoint.read_bytes(), 0
    for _ in range(200):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 2, 8))):
            place = rng.randrange(len(changed))
            length = rng.choice((1, 1, 4, 30))
            changed[place : place + length] = rng.choice((rng.randbytes(length), b"", b"\xff" * 4))
        checkpoint.write_bytes(changed)
        try:
            training.load(checkpoint)
        except ValueError as error:
            refusals += 1
            assert "checkpoint.npz" in str(error)
        assert same_bits(arrays_of(training), before) and training.step == 5
    assert refusals > 100


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint .*none.npz: start without resuming"):
        Training(TINY, PAIRS).load(tmp_path / "none.npz")


def test_a_checkpoint_is_written_whole_or_not_at_all(checkpoint, monkeypatch):
    def half_written(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    before = checkpoint.read_bytes()
    monkeypatch.setattr(np, "savez", half_written)
    with pytest.raises(OSError, match="No space left"):
        Training(TINY, PAIRS).save(checkpoint)
    assert checkpoint.read_bytes() == before
    assert os.listdir(checkpoint.parent) == ["checkpoint.npz"]


# -------------------------------------------------------------------------------------- divergence


def test_a_start_that_is_no_number_stops_at_step_one():
    start = SRCNN.from_stack(TINY.sizes, TINY.filters)
    start.parameters["B3"][...] = np.nan
    training = Training(TINY, PAIRS, start)
    before = arrays_of(training)
    with pytest.raises(
        FloatingPointError, match="training has diverged at step 1, where the loss is nan"
    ):
        run(training)
    assert training.step == 0 and same_bits(arrays_of(training), before)


@OPTIMIZERS
@pytest.mark.parametrize("rate", [1e4, 1e6, 1e9, 1e30])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_reported_and_leaves_numbers(recipe, rate):
    recipe = replace(
        recipe, learning_rate=rate, last_learning_rate=rate, warmup=0, cosine=False, average=0.0
    )
    training = Training(recipe, PAIRS)
    done, before = 0, weights_of(training)
    words = r"diverged at step \d+, where the loss is [\w.+]+: start again with a lower"
    with pytest.raises(FloatingPointError, match=words) as caught:
        for progress in training.run():
            done, before = progress.step, weights_of(training)
    assert f"at step {done + 1}," in str(caught.value)
    assert f"than {rate:.3g}" in str(caught.value)
    assert training.step == done and same_bits(weights_of(training), before)
    assert all(np.isfinite(p).all() for p in training.network.parameters.values())
    assert all(np.isfinite(p).all() for p in training.result().parameters.values())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_last_step_may_not_end_in_infinities_either():
    recipe = replace(SGD, learning_rate=1e38, last_learning_rate=1e38, steps=1, warmup=0)
    recipe = replace(recipe, paper_loss=True, average=0.0)
    training = Training(recipe, PAIRS)
    with pytest.raises(FloatingPointError, match="step 1"):
        run(training)
    assert all(np.isfinite(p).all() for p in training.network.parameters.values())


# ----------------------------------------------------------------------------------------- recipes


def test_the_rates_of_the_paper_for_our_loss():
    rates = RECIPES["paper"].rates(SRCNN())
    assert rates.keys() == SRCNN().parameters.keys()
    for name, rate in rates.items():
        wanted = 0.02205 if name in ("W1", "W2") else 0.002205
        assert rate == pytest.approx(wanted, rel=1e-12), name
    assert RECIPES["paper"].size == 33 and RECIPES["paper"].sizes == (9, 1, 5)


@pytest.mark.parametrize("sizes, side", [((9, 3, 5), 19), ((9, 5, 5), 17), ((9, 1, 1, 5), 21)])
def test_rates_of_other_networks(sizes, side):
    filters = (64, 32, 16)[: len(sizes) - 1]
    recipe = replace(RECIPES["paper"], sizes=sizes, filters=filters, c=3)
    network = SRCNN.from_recipe(recipe, 3)
    rates = recipe.rates(network)
    assert rates["W1"] == pytest.approx(1e-4 * 3 * side * side / 2, rel=1e-12)
    assert rates[f"W{len(sizes)}"] == pytest.approx(1e-5 * 3 * side * side / 2, rel=1e-12)
    assert rates.keys() == SRCNN.from_stack(sizes, filters, 3).parameters.keys()
    ours = replace(recipe, paper_loss=False).rates(network)
    assert ours["W1"] == 1e-4 and ours["B1"] == 1e-5 and ours["W2"] == 1e-4


@pytest.mark.parametrize("c", [1, 3])
def test_sgd_on_our_loss_is_sgd_on_the_loss_of_the_paper(c):
    """Two steps of Eq. 5 with gradients of 1/(2N) * sum of squares, the chain rule by hand."""
    recipe = replace(SGD, paper_loss=True, learning_rate=1e-3, last_learning_rate=1e-4, c=c)
    recipe = replace(recipe, warmup=0, cosine=False, average=0.0, steps=2)
    training = Training(recipe, pairs_of(c))
    parameters = {n: p.astype(np.float64) for n, p in training.network.parameters.items()}
    start = {n: p.copy() for n, p in parameters.items()}
    velocity = {n: np.zeros_like(p) for n, p in parameters.items()}
    for step in range(2):
        low, high = (x.astype(np.float64) for x in training.batch(step, recipe.batch))
        maps = [low]
        for k in (1, 2, 3):
            out = reference.conv2d(maps[-1], parameters[f"W{k}"], parameters[f"B{k}"])
            maps.append(np.maximum(out, 0) if k < 3 else out)
        dout = (maps[3] - high) / len(low)  # of 1/(2N) * sum of (out - high)^2
        gradients = {}
        for k in (3, 2, 1):
            dx, dw, db = reference.conv2d_backward(dout, maps[k - 1], parameters[f"W{k}"])
            gradients[f"W{k}"], gradients[f"B{k}"] = dw, db
            dout = dx * (maps[k - 1] > 0)
        for name, gradient in gradients.items():
            rate = 1e-3 if name in ("W1", "W2") else 1e-4
            velocity[name] = 0.9 * velocity[name] - rate * gradient
            parameters[name] = parameters[name] + velocity[name]
    run(training)
    for name, ours in training.network.parameters.items():
        moved = np.abs(parameters[name] - start[name]).max()
        assert moved > 0
        rounding = 4 * np.finfo(np.float32).eps * np.abs(start[name]).max()
        assert np.abs(ours - parameters[name]).max() < 1e-4 * moved + rounding, name


def test_the_schedule():
    constant = replace(TINY, warmup=0, cosine=False)
    assert [constant.factor(step) for step in (0, 7, 39)] == [1, 1, 1]
    rising = replace(TINY, warmup=4, cosine=False)
    assert [rising.factor(step) for step in range(6)] == [1 / 16, 1 / 4, 9 / 16, 1, 1, 1]
    falling = replace(TINY, warmup=0, cosine=True, steps=100)
    factors = [falling.factor(step) for step in (0, 25, 50, 75)]
    assert factors == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4], rel=1e-12)
    assert 0 < falling.factor(99) < 3e-4
    short = replace(TINY, warmup=1000, cosine=False, steps=300)  # at most a tenth of all steps
    assert short.factor(0) == pytest.approx(1 / 900) and short.factor(29) == 1
    both = replace(TINY, warmup=50, cosine=True, steps=500)
    assert both.factor(24) == pytest.approx(0.25 * 0.5 * (1 + math.cos(math.pi * 0.048)))


def test_the_schedule_reaches_the_optimiser(monkeypatch):
    training = Training(replace(TINY, steps=8), PAIRS)
    factors = []
    step = training.optimizer.step
    monkeypatch.setattr(
        training.optimizer, "step", lambda g, factor: (factors.append(factor), step(g, factor))
    )
    run(training)
    assert factors == [training.recipe.factor(k) for k in range(8)]


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_average(decay):
    """avg_k = d_k avg_{k-1} + (1 - d_k) w_k with d_k = min(decay, k / (k + 9)), from the start."""
    training = Training(replace(TINY, steps=30, average=decay, keep_ends=False), PAIRS)
    wanted = {n: p.astype(np.float64) for n, p in training.network.parameters.items()}
    for progress in training.run():
        k = progress.step
        d = min(decay, k / (k + 9))
        for name, w in training.network.parameters.items():
            wanted[name] = d * wanted[name] + (1 - d) * w
    result = training.result().parameters
    for name, mean in wanted.items():
        tolerance = 30 * np.finfo(np.float32).eps * max(1, np.abs(mean).max())
        assert np.abs(result[name] - mean).max() <= tolerance
    latest = same_bits(result, training.network.parameters)
    assert latest == (decay == 0)


def test_the_result_is_a_copy_with_a_card(tmp_path):
    training = Training(TINY, PAIRS)
    run(training, 4)
    result = training.result()
    assert result.card["recipe"] == TINY.as_dict() and result.card["steps"] == 4
    copies = {n: p.copy() for n, p in result.parameters.items()}
    run(training, 4)
    assert same_bits(result.parameters, copies)
    result.scale = SCALE
    result.save(tmp_path / "weights.npz")
    again = load(tmp_path / "weights.npz", SCALE)
    assert same_bits(again.parameters, copies) and again.card["recipe"]["sizes"] == [5, 1, 3]


def with_tuples(card):
    return {n: tuple(v) if isinstance(v, list) else v for n, v in card.items()}


def test_recipes_are_json_and_back():
    for recipe in (*RECIPES.values(), TINY, MUON, SGD):
        card = json.loads(json.dumps(recipe.as_dict()))
        assert card == recipe.as_dict()
        if card["degradation"]:
            card["degradation"] = Degradation(**with_tuples(card["degradation"]))
        if card["adversarial"]:
            card["adversarial"] = Adversarial(**card["adversarial"])
        assert Recipe(**with_tuples(card)) == recipe


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="optimizer is one of sgd, adam, muon, got 'lbfgs'"):
        Training(replace(TINY, optimizer="lbfgs"), PAIRS)
    with pytest.raises(ValueError, match="smaller than a sub-image of 60 x 60"):
        Training(replace(TINY, size=60), PAIRS)
    with pytest.raises(ValueError, match="no training pictures"):
        Training(TINY, [])


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            {"network": "fsrcnn"},
            "network is srcnn, espcn, vdsr, drcn, edsr, srresnet or vespcn, got 'fsrcnn'",
        ),
        ({"batch_norm": True}, "only srresnet takes batch_norm; the network is srcnn"),
        ({"batch_norm": 1}, "batch_norm is 1, wanted True or False"),
        ({"activation": "tanh"}, "activation is relu for srcnn, got 'tanh'"),
        ({"network": "espcn", "activation": "elu"}, "activation is relu or tanh for espcn, got 'e"),
        ({"bias_learning_rate": 0.0}, "bias_learning_rate is 0.0, wanted a positive number"),
        ({"learning_rate": "a"}, "learning_rate is 'a', wanted a positive number"),
        ({"clip": None}, "clip is None, wanted 0 or a positive number"),
        ({"average": "b"}, "average is 'b', wanted a decay from 0 to below 1"),
        ({"reduced": (0.9, 1.1)}, "reduced is (0.9, 1.1), wanted a tuple of factors between 0 an"),
        ({"reduced": ("a",)}, "reduced is ('a',), wanted a tuple of factors between 0 and 1"),
        ({"reduced": 0.9}, "reduced is 0.9, wanted a tuple of factors between 0 and 1"),
        ({"adversarial": 1}, "adversarial is 1, wanted None or Adversarial()"),
        ({"adversarial": Adversarial()}, "only srresnet is trained against a discriminator"),
        ({"steps": True}, "steps is True, wanted a whole number, 1 or more"),
    ],
)
def test_recipes_that_are_none(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        replace(TINY, **changes)


# ------------------------------------------------------------------------------------------- ESPCN

SMALL_PAIRS = [pair(drawing(2 * h, 2 * w, k), SCALE, small=True) for k, (h, w) in enumerate(
    ((30, 41), (24, 27))
)]  # fmt: skip
SUBPIXEL = replace(
    RECIPES["espcn"], filters=(9, 8), steps=60, batch=4, size=15, warmup=5, average=0.9
)


def test_a_network_for_one_scale_is_told_which():
    with pytest.raises(ValueError, match="an ESPCN is for one scale"):
        Training(SUBPIXEL, SMALL_PAIRS)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@STRIDES
def test_an_espcn_learns_to_enlarge(activation, stride):
    recipe = replace(SUBPIXEL, activation=activation, stride=stride, steps=300)
    training = Training(recipe, SMALL_PAIRS, scale=SCALE)
    bicubic = mean_psnr(None, SMALL_PAIRS, SCALE)
    before = mean_psnr(training.result(), SMALL_PAIRS, SCALE)
    run(training)
    after = mean_psnr(training.result(), SMALL_PAIRS, SCALE)
    assert after > before + 1.5
    if activation == "relu":  # with tanh, the start does not quite hand the picture on
        assert before < bicubic < after - 0.5


def test_the_picture_is_turned_before_its_sub_pixels_are_told_apart():
    """What is laid out within each pixel turns with the picture: eight ways, and whole."""
    blocks = np.random.default_rng(0).random((1, 40, 40), np.float32)
    ramp = blocks.repeat(2, 1).repeat(2, 2) + np.float32(0.1) * np.tile([[0, 1], [2, 3]], (40, 40))
    training = Training(replace(SUBPIXEL, batch=64), [(blocks, np.float32(ramp))], scale=SCALE)
    low, high = training.batch(0, 64)
    assert low.shape == (64, 1, 15, 15) and high.shape == (64, 1, 14, 14)
    within = high - low[:, :, 4:-4, 4:-4].repeat(2, 2).repeat(2, 3)
    corners = np.round(10 * within[:, 0, :2, :2].reshape(64, 4)).astype(int)
    assert len(np.unique(corners, axis=0)) == 8 and (np.sort(corners) == range(4)).all()
    assert np.allclose(within, np.tile(within[:, :, :2, :2], (7, 7)), atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_an_espcn_stopped_and_gone_on_is_never_having_stopped(tmp_path, activation):
    recipe = replace(SUBPIXEL, activation=activation, steps=12)
    whole, stopped, later = (Training(recipe, SMALL_PAIRS, scale=SCALE) for _ in range(3))
    losses = run(whole)
    first = run(stopped, 5)
    stopped.save(tmp_path / "checkpoint.npz")
    later.load(tmp_path / "checkpoint.npz")
    assert first + run(later) == losses and same_bits(arrays_of(later), arrays_of(whole))


def test_an_espcn_starts_only_from_its_like():
    recipe = replace(SUBPIXEL, activation="tanh")
    start = ESPCN(SCALE, filters=(9, 8), activation="tanh", init="he", seed=9)
    training = Training(recipe, SMALL_PAIRS, start, SCALE)
    assert same_bits(training.network.parameters, start.parameters)
    for other, words in (
        (ESPCN(SCALE, filters=(9, 8), activation="relu"), "activation relu, .* activation tanh"),
        (ESPCN(3, filters=(9, 8), activation="tanh"), "for scale 3, .* wants .* for scale 2"),
        (SRCNN(5, 9, 3, 8, 3), "the layers of SRCNN, and the recipe wants the layers of ESPCN"),
    ):
        with pytest.raises(ValueError, match=words):
            Training(recipe, SMALL_PAIRS, other, SCALE)


def edsr_of(scale, blocks=1, seed=9, **options):
    return EDSR(scale, blocks, 8, seed=seed, **options)


def test_an_edsr_starts_from_one_for_another_scale():
    """All but its tail, which is as the recipe has it."""
    start, alone = edsr_of(3), Training(EDSR_S, SMALL_PAIRS, scale=SCALE)
    training = Training(EDSR_S, SMALL_PAIRS, start, SCALE)
    assert training.anew == ["W_tail", "B_tail"] and alone.anew == []
    for name, p in training.network.parameters.items():
        wanted = (alone.network if name in training.anew else start).parameters[name]
        assert np.array_equal(p, wanted) and np.array_equal(training.average[name], wanted), name
    assert training.network.scale == SCALE
    alike = Training(EDSR_S, SMALL_PAIRS, edsr_of(SCALE), SCALE)
    assert alike.anew == [] and alike.start != training.start
    assert same_bits(alike.network.parameters, edsr_of(SCALE).parameters)


@pytest.mark.parametrize(
    "other, words",
    [
        (lambda: edsr_of(3, 2), "6 layers, .* 4 layers"),  # of whose blocks the first would fit
        (lambda: edsr_of(3, picture=False), "option picture False, .* option picture True"),
        (lambda: EDSR(3, 1, 7), "7 filters of 3 x 3 for 1 map in layer 1, .* 8 filters"),
        (lambda: VDSR(4, 8), "layers of VDSR"),
    ],
)
def test_an_edsr_starts_from_nothing_but_its_like(other, words):
    with pytest.raises(ValueError, match=words):
        Training(EDSR_S, SMALL_PAIRS, other(), SCALE)


def test_of_the_papers_tail_what_fits_is_taken():
    """x4 has the first up-sampling and the last layer of x2; of x3, only the latter."""
    recipe = replace(EDSR_S, steps=1)
    for scale, anew in ((2, ["W_up2", "B_up2"]), (3, ["W_up1", "B_up1", "W_up2", "B_up2"])):
        training = Training(recipe, SMALL_PAIRS, scale=4)
        training.network = edsr_of(4, short_tail=False)
        start = edsr_of(scale, short_tail=False, seed=1)
        training._take(start)
        assert training.anew == anew
        taken = training.network.parameters
        assert all(np.array_equal(taken[n], a) for n, a in start.parameters.items()
                   if n not in anew)  # fmt: skip


def test_a_start_from_another_scale_is_said(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    for k in range(2):
        write_picture(tmp_path / "pictures" / f"{k}.png", np.uint8(255 * drawing(60, 70, k)))
    edsr_of(3).save(tmp_path / "x3.npz")
    network = train([tmp_path / "pictures"], tmp_path / "x2.npz", 2, replace(EDSR_S, steps=2),
                    start=tmp_path / "x3.npz")  # fmt: skip
    said = "x3.npz, with W_tail and B_tail reinitialised"
    assert network.card["start"] == load(tmp_path / "x2.npz").card["start"] == said
    assert f"starts from {said}, which are for another scale there" in capsys.readouterr().out
    head, _ = read_log(tmp_path / "x2.log")
    assert head["anew"] == ["W_tail", "B_tail"]
    train([tmp_path / "pictures"], tmp_path / "again.npz", 3, replace(EDSR_S, steps=2, size=12),
          start=tmp_path / "x3.npz")  # fmt: skip
    assert load(tmp_path / "again.npz").card["start"] == "x3.npz"
    assert "anew" not in read_log(tmp_path / "again.log")[0]


@pytest.mark.parametrize(
    "network, scales, sides",
    [("edsr-s", (2,), [32, 48, 24]), ("vdsr", (2, 3), [32, 16, 48, 24, 30, 15, 48, 24])],
)
def test_pictures_are_made_smaller_too(network, scales, sides, tmp_path):
    """Where a sample fits in, at each scale, and they are not counted as pictures of their own."""
    for k, side in enumerate((40, 60)):
        write_picture(tmp_path / f"{k}.png", np.uint8(255 * drawing(side, 70, k)))
    recipe = replace(
        RECIPES[network], depth=2, width=4, steps=1, batch=2, size=10, reduced=(0.8, 0.4)
    )
    pairs = [
        pair(read_picture(path), scale, small=network == "edsr-s")
        for scale in scales for path in sorted(tmp_path.glob("*.png"))
    ]  # fmt: skip
    smaller = list(made_smaller(pairs, recipe, scales))
    assert [high.shape[1] for _, high in smaller] == sides
    half = imresize(pairs[0][1][0].astype(np.float64), scale=0.8).clip(0, 1)
    wanted = pair(half, scales[0], small=network == "edsr-s")
    assert all(map(np.array_equal, smaller[0], wanted))
    scale = scales if len(scales) > 1 else scales[0]
    log = tmp_path / "w.log"
    card = train([tmp_path], tmp_path / "w.npz", scale, recipe, validation=tmp_path).card
    assert card["data"].endswith(", 2 pictures") and card["recipe"]["reduced"] == [0.8, 0.4]
    assert read_log(log)[0]["pictures"].startswith(f"{len(pairs) + len(smaller)}, checksum")


def test_a_picture_is_used_at_all_scales_or_at_none(tmp_path):
    """One of 42 pixels has 42 at x2 and x3, but 40 at x4, and a sample here has 41."""
    for k, side in enumerate((42, 60)):
        write_picture(tmp_path / f"{k}.png", np.uint8(255 * drawing(side, 70, k)))
    recipe = replace(RECIPES["vdsr-paper"], depth=2, width=4, steps=1, batch=2)
    skipped = []
    network = train(
        [tmp_path], tmp_path / "w.npz", (2, 3, 4), recipe, validation=tmp_path,
        on_skipped=skipped.extend,
    )  # fmt: skip
    assert network.card["data"].endswith(", 1 picture")
    assert len(skipped) == 1 and "0.png is 70 x 42 pixels, wanted at least 44 x 44" in skipped[0]


def test_the_rates_of_espcn_and_those_of_srcnn_as_before():
    weights, biases = dict(W1=0.01, W2=0.01, W3=0.02), dict(B1=0.002, B2=0.002, B3=0.002)
    assert RECIPES["espcn"].rates(ESPCN()) == weights | biases
    assert Training(SUBPIXEL, SMALL_PAIRS, scale=2).optimizer.orthogonal == ["W1", "W2", "W3"]
    assert RECIPES["modern"].rates(SRCNN()) == dict(W1=0.01, W2=0.01) | dict.fromkeys(
        ("W3", "B1", "B2", "B3"), 0.001
    )
    assert Training(MUON, PAIRS).optimizer.orthogonal == ["W1", "W2"]


# ----------------------------------------------------------------------- networks of other kinds


@pytest.fixture
def recursive(monkeypatch):
    """A recipe for the network with a recursion, a skip, and names that are no chain's."""
    monkeypatch.setitem(TRAINED, "recursive", Recursive)
    return replace(
        TINY, network="recursive", keep_ends=False, filters=(3,), size=9, depth=2, width=3
    )


@pytest.mark.parametrize("name", ["steps", "batch", "size", "stride", "seed", "warmup"])
@pytest.mark.parametrize("value", [-1, 2.5, "3"])
def test_numbers_of_recipes_are_whole(name, value):
    smallest = int(name not in ("seed", "warmup"))
    with pytest.raises(
        ValueError, match=f"{name} is {value!r}, wanted a whole number, {smallest} "
    ):
        Recipe(**{name: value})


@pytest.mark.parametrize("stride", [None, 5], ids=["crops", "grid"])
def test_a_network_that_pads_is_trained_on_whole_crops(recursive, stride):
    """Two steps of SGD by hand: the target is as large as what the network takes."""
    recipe = replace(
        recursive, optimizer="sgd", learning_rate=0.03, last_learning_rate=0.01,
        bias_learning_rate=0.02, stride=stride, keep_means=False, warmup=0, cosine=False, steps=2,
        average=0.0,
    )  # fmt: skip
    training = Training(recipe, PAIRS, scale=SCALE)
    by_hand = Recursive.from_recipe(recipe, SCALE)
    p, rates = by_hand.parameters, {"head": 0.03, "body": 0.03, "tail": 0.01}
    velocity = {name: 0 for name in p}
    for step, loss in enumerate(run(training)):
        low, high = training.batch(step, recipe.batch)
        assert low.shape == high.shape == (4, 1, 9, 9)
        kept = []
        out = by_hand._forward(low, p, reference, kept)
        assert loss == pytest.approx(np.mean((out - high) ** 2), rel=1e-6)
        _, g = by_hand._backward(2 * (out - high) / out.size, kept, p, reference)
        for name in p:
            velocity[name] = 0.9 * velocity[name] - rates.get(name, 0.02) * g[name]
            p[name] += velocity[name]
    for name, array in training.network.parameters.items():
        assert np.abs(array - p[name]).max() < 1e-6, name


@pytest.mark.parametrize("by_adam", [0, 1, 2, 9])
def test_a_network_says_which_layers_are_its_first_and_last(recursive, by_adam, tmp_path):
    recipe = replace(recursive, optimizer="muon", by_adam=by_adam, paper_loss=True)
    training = Training(recipe, PAIRS, scale=SCALE)
    network = training.network
    assert (network.weights, network.training_margin) == (["head", "body", "tail"], 0)
    weights = network.weights
    assert training.optimizer.orthogonal == weights[: max(0, 3 - by_adam)]
    factor = 9 * 9 / 2  # pixels of a sample, none of which are lost
    slow = 1 if by_adam == 0 else min(by_adam, 3)  # the last layer is slow, whoever moves it
    wanted = dict.fromkeys(weights[: 3 - slow], 2e-3 * factor)
    others = (*weights[3 - slow :], "head_bias", "body_bias", "tail_bias")
    others = dict.fromkeys(others, 1e-3 * factor)
    assert recipe.rates(network) == pytest.approx(wanted | others)
    means = network.parameters["head"].mean(axis=(1, 2, 3))
    body = network.parameters["body"].mean(axis=(1, 2, 3))
    run(training, 3)
    training.save(tmp_path / "a.checkpoint")
    run(training, 3)
    assert np.abs(network.parameters["head"].mean(axis=(1, 2, 3)) - means).max() < 1e-6
    assert np.abs(network.parameters["body"].mean(axis=(1, 2, 3)) - body).max() > 1e-4
    resumed = Training(recipe, PAIRS, scale=SCALE)
    resumed.load(tmp_path / "a.checkpoint")
    run(resumed, 3)
    assert same_bits(arrays_of(resumed), arrays_of(training))
    training.result().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        assert np.array_equal(file["body"], training.average["body"])


def test_black_and_white_are_kept_of_chains_alone(recursive):
    with pytest.raises(
        ValueError,
        match="keep_ends is for chains of layers, and recursive is none: give keep_ends=False",
    ):
        replace(recursive, keep_ends=True)


# ------------------------------------------------------------------------------- deep networks

EDSR_S = replace(RECIPES["edsr-s"], depth=1, width=8, steps=40, batch=4, size=15, warmup=5)
SRRESNET_S = replace(RECIPES["srresnet"], depth=1, width=8, steps=40, batch=4, size=15, warmup=5)
VDSR_S = replace(RECIPES["vdsr"], depth=3, width=8, steps=40, batch=4, size=15, warmup=5)


@pytest.mark.parametrize("loss", ["mse", "l1", "charbonnier"])
def test_each_network_is_trained_by_each_loss(loss):
    # Of an SRResNet with batch normalisation, the loss is not that of its result.
    plain = replace(SRRESNET_S, batch_norm=False)
    for recipe, pairs in ((EDSR_S, SMALL_PAIRS), (plain, SMALL_PAIRS), (VDSR_S, PAIRS),
                          (TINY, PAIRS), (SUBPIXEL, SMALL_PAIRS)):  # fmt: skip
        training = Training(replace(recipe, loss=loss), pairs, scale=SCALE)
        low, high = training.batch(0, 4)
        network = training.network
        error, _ = network.loss_and_gradients(low, high, loss)
        out = network.forward(low, "valid" if "padding" in network.options else None)
        e = (out - high).astype(np.float64)
        wanted = {"mse": e**2, "l1": abs(e), "charbonnier": np.hypot(e, 1e-3)}[loss].mean()
        assert error == pytest.approx(wanted, rel=1e-5)
        run(training)
        assert network.loss_and_gradients(low, high, loss)[0] < error
    with pytest.raises(ValueError, match="loss is one of mse, l1, charbonnier, got 'l2'"):
        network.loss_and_gradients(low, high, "l2")


@pytest.mark.parametrize(
    "recipe, pairs", [(EDSR_S, SMALL_PAIRS), (SRRESNET_S, SMALL_PAIRS), (VDSR_S, PAIRS)]
)
def test_a_deep_network_stopped_and_gone_on_is_never_having_stopped(recipe, pairs, tmp_path):
    recipe = replace(recipe, steps=8)
    whole, stopped, later = (Training(recipe, pairs, scale=SCALE) for _ in range(3))
    losses = run(whole)
    first = run(stopped, 3)
    stopped.save(tmp_path / "checkpoint.npz")
    later.load(tmp_path / "checkpoint.npz")
    assert first + run(later) == losses and same_bits(arrays_of(later), arrays_of(whole))


def test_a_checkpoint_of_many_small_arrays_is_read(tmp_path, monkeypatch):
    """Their headers take more than they do."""
    training = Training(replace(SRRESNET_S, depth=120, width=2), SMALL_PAIRS, scale=SCALE)
    training.save(tmp_path / "checkpoint.npz")
    training.load(tmp_path / "checkpoint.npz")
    monkeypatch.setattr("pysrcnn.training.checkpoints._HEADERS", 0)
    with pytest.raises(ValueError, match="bytes, and .* are read at most"):
        training.load(tmp_path / "checkpoint.npz")


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_running_statistics_follow_the_batches_and_are_not_learned(average):
    """With these the network in use comes near what it is in training: 30 steps lower its loss."""
    recipe = replace(SRRESNET_S, steps=30, average=average)
    training = Training(recipe, SMALL_PAIRS, scale=SCALE)
    network = training.network
    assert not set(network.statistics) & set(recipe.rates(network))
    assert len(network.statistics) == 6 and not any(
        name in state for state in training.optimizer.state() for name in network.statistics
    )
    low, high = training.batch(0, 4)
    before = {name: p.copy() for name, p in network.parameters.items()}
    first, gradients = network.loss_and_gradients(low, high)
    assert same_bits(network.parameters, before)  # it changes nothing, and gives the same again
    assert network.loss_and_gradients(low, high)[0] == first
    assert reference.mse(network.forward(low), high) != pytest.approx(first, rel=1e-3)
    next(training.run())
    for name in network.statistics:
        assert same_bits({"": network.parameters[name]}, {"": before[name] - gradients[name]})
    run(training)
    result = training.result()
    in_use, low_loss = (
        reference.mse(result.forward(low), high),
        network.loss_and_gradients(low, high),
    )
    assert in_use < 0.9 * first and low_loss[0] < 0.9 * first
    if average:
        assert not same_bits(result.parameters, network.parameters)
    assert all(result.parameters[name].min() > 0 for name in result.statistics if name[0] == "V")


@pytest.mark.parametrize("earlier", [{}, {"batch_norm": True}])
def test_recipes_of_old_are_gone_on_from(earlier, tmp_path):
    """From before there was batch normalisation, and from when all recipes said they had it."""
    training, later = (Training(TINY, PAIRS, scale=SCALE) for _ in range(2))
    run(training, 2)
    training.save(tmp_path / "checkpoint.npz")
    with np.load(tmp_path / "checkpoint.npz") as file:
        arrays = dict(file)
    state = json.loads(str(arrays["state"]))
    del state["recipe"]["batch_norm"]
    state["recipe"] |= earlier
    with open(tmp_path / "older.checkpoint", "wb") as file:
        np.savez(file, **arrays | {"state": np.array(json.dumps(state))})
    later.load(tmp_path / "older.checkpoint")
    assert later.step == 2 and same_bits(arrays_of(later), arrays_of(training))
    head = fitting._head(training, 1, 30.0)
    older = {n: value for n, value in head["recipe"].items() if n != "batch_norm"} | earlier
    write_log(tmp_path / "older.log", {**head, "recipe": older}, [])
    assert fitting._earlier(2, head, tmp_path / "older.log") == []


def test_with_and_without_batch_normalisation_are_two_recipes(tmp_path):
    with_it, without = (
        Training(replace(SRRESNET_S, batch_norm=has), SMALL_PAIRS, scale=SCALE)
        for has in (True, False)
    )
    with_it.save(tmp_path / "checkpoint.npz")
    with pytest.raises(ValueError, match="another recipe: batch_norm True, now False"):
        without.load(tmp_path / "checkpoint.npz")


def test_only_the_recipe_of_srresnet_has_batch_normalisation():
    has = {name for name, recipe in RECIPES.items() if recipe.as_dict()["batch_norm"]}
    assert has == {"srresnet", "srresnet-s", "srgan"}


def test_numbers_of_numpy_are_written_as_others():
    recipe = replace(TINY, steps=np.int64(5), average=np.float32(0.5))
    assert recipe.as_dict() == replace(TINY, steps=5, average=0.5).as_dict()


@pytest.mark.parametrize("init", ["identity", "he"])
def test_how_a_vdsr_starts(init):
    network = Training(replace(VDSR_S, init=init, width=40), PAIRS, scale=SCALE).network
    x = PAIRS[0][0][None]
    difference = np.abs(network.forward(x) - x).max()
    means = network.parameters["W1"].mean(axis=(1, 2, 3))
    if init == "identity":
        assert difference < 0.05 and np.abs(means).max() < 1e-6
    else:
        assert difference > 0.2 and np.abs(means).max() > 0.01


def test_the_recipe_of_the_paper_of_vdsr():
    """Its rates are for half the squared error of whole samples; they fall four times."""
    recipe = RECIPES["vdsr-paper"]
    training = Training(replace(recipe, depth=3, width=4, size=15, stride=15), PAIRS, scale=SCALE)
    factor = 15 * 15 / 2
    assert set(recipe.rates(VDSR(3, 4)).values()) == {0.1 * 41 * 41 / 2}
    assert set(training.optimizer.learning_rate.values()) == {0.1 * factor}
    assert training.optimizer.weight_decay == pytest.approx(1e-4 / factor)
    assert training.optimizer.clip == 0.001
    factors = [recipe.factor(step) for step in (0, 2489, 2490, 4980, 9959)]
    assert factors == pytest.approx([1, 1, 0.1, 0.01, 0.001])
    with pytest.raises(
        ValueError, match="only sgd takes clip and weight_decay; the optimizer is adam"
    ):
        replace(recipe, optimizer="adam")
    for name in ("clip", "weight_decay"):
        with pytest.raises(ValueError, match=f"{name} is -1, wanted 0 or a positive number"):
            replace(recipe, **{name: -1})


def test_one_vdsr_is_trained_for_several_scales(tmp_path, monkeypatch):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(3):
        write_picture(folder / f"{k}.png", np.uint8(255 * drawing(60, 70, k)))
    recipe = replace(VDSR_S, steps=6)
    network = train(
        [folder], tmp_path / "mine.npz", (4, 2), recipe, every=3, score=folder, exclude=["2.*"]
    )
    assert network.scales == (2, 4) and network.scale is None
    again = load(tmp_path / "mine.npz")
    assert again.scales == (2, 4) and set(again.card["scores"]) == {"pictures x2", "pictures x4"}
    assert again.card["scale"] == [2, 4] and load(tmp_path / "mine.npz", 4).scale == 4
    assert same_bits(again.parameters, network.parameters)

    def interrupted(log, line):
        append(log, line)
        raise KeyboardInterrupt

    parts = functools.partial(
        train, [folder], tmp_path / "parts.npz", (4, 2), recipe, every=3, exclude=["2.*"]
    )
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("pysrcnn.training.fitting.append", interrupted)
        parts()
    assert same_bits(parts(resume=True).parameters, network.parameters)
    with pytest.raises(ValueError, match=r"was trained for scales 2 and 4, not 3"):
        load(tmp_path / "mine.npz", 3)
    with pytest.raises(ValueError, match=r"is for scales \(2, 4\): give one of them"):
        again.enlarge(np.zeros((1, 9, 9)))
    with pytest.raises(ValueError, match="one edsr is for one scale, as it enlarges the picture"):
        train([folder], tmp_path / "other.npz", (2, 3), EDSR_S)
    for scale in ((), (1, 2), True, (3.0,), 17, "3"):
        with pytest.raises(ValueError, match="wanted a whole number, 2 to 16, or several"):
            train([folder], tmp_path / "other.npz", scale, recipe)
    with pytest.raises(ValueError, match="has 73,.* bytes, and networks of at most 67,.* smaller"):
        train([folder], tmp_path / "other.npz", 2, replace(EDSR_S, depth=15, width=256))
    assert Training(VDSR_S, PAIRS, scale=(3,)).network.scale == 3


# ---------------------------------------------------------------------------------- from files


def test_training_from_files_is_a_function(tmp_path):
    """What it writes and gives is what the steps give, done here one by one."""
    (tmp_path / "pictures").mkdir()
    for k in range(3):
        write_picture(tmp_path / "pictures" / f"{k}.png", np.uint8(255 * drawing(60, 70, k)))
    write_picture(tmp_path / "pictures" / "tiny.png", np.zeros((29, 70), np.uint8))
    recipe = replace(SUBPIXEL, steps=6)
    told = []
    network = train(
        [tmp_path / "pictures"], tmp_path / "mine.npz", SCALE, recipe,
        exclude=["2.*"], every=3, score=tmp_path / "pictures", on_skipped=told.extend,
    )  # fmt: skip
    (sentence,) = told
    assert "tiny.png is 70 x 29 pixels, wanted at least 30 x 30 at scale 2" in sentence
    pairs = read_pairs([tmp_path / "pictures" / "1.png"], SCALE, small=True)  # 0 is held back
    wanted = Training(recipe, pairs, scale=SCALE)
    run(wanted)
    assert same_bits(network.parameters, wanted.result().parameters)
    assert network.card["data"] == "pictures, 1 picture" and network.card["start"] == "identity"
    written = load(tmp_path / "mine.npz")
    assert isinstance(written, ESPCN) and same_bits(written.parameters, network.parameters)
    mean = average(list(evaluate(tmp_path / "pictures", network)))
    assert written.card["scores"] == {"pictures": mean.for_card()}
    head, lines = read_log(tmp_path / "mine.log")
    assert [line["step"] for line in lines] == [3, 6] and head["network"] == "espcn"
    assert not (tmp_path / "mine.checkpoint").exists()
