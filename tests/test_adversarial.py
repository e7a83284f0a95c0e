"""Training against a discriminator: both learn, it goes on to the bit, and it ends if one wins."""

import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

import pysrcnn.training.adversarial as adversarial
from pysrcnn import cli, load
from pysrcnn.color import rgb_to_luma
from pysrcnn.data import pair
from pysrcnn.networks import EDSR, Features, SRResNet, shipped
from pysrcnn.networks.loading import FEATURES as BY_DEFAULT
from pysrcnn.pictures import read_picture, write_picture
from pysrcnn.training import RECIPES, Adversarial, Training, fit, load_features, read_log, train
from pysrcnn.training.adversarial import Judge
from pysrcnn.training.recipe import as_now

SCALE, SIDE = 2, 16
SETTINGS = Adversarial(width=2, learning_rate=1e-3, weight=1e-2, pixels=0.0, alone=0.0)
# Of 16 x 16 pixels one is left, and batch normalisation makes it -1 and 1 over two samples: a
# discriminator that is to learn gets more of both.
LEARNS, LARGER = replace(SETTINGS, learning_rate=0.01, width=4), (4, 32)
RECIPE = replace(
    RECIPES["srgan"], depth=1, width=4, steps=6, batch=2, size=SIDE // SCALE, average=0.9,
    learning_rate=1e-3, last_learning_rate=1e-3, adversarial=SETTINGS,
)  # fmt: skip


def picture(seed, height=48, width=40):
    """RGB, 0..1: stripes and grain, which interpolation loses."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    stripes = 0.5 + 0.3 * np.sin(x * rng.uniform(1, 2) + y * rng.uniform(0, 1))
    grain = 0.1 * rng.standard_normal((height, width))
    return np.clip(np.stack([stripes + grain, 1 - stripes, stripes**2], axis=2), 0, 1)


PAIRS = [pair(picture(seed), SCALE, 3, small=True) for seed in (1, 2)]
FEATURES = Features.of_edsr(EDSR(2, 1, 4, c=3, seed=3))
START = SRResNet(SCALE, 1, 4, 3, seed=5)


def training_of(recipe=RECIPE):
    return Training(recipe, PAIRS, START, SCALE, FEATURES)


def run(training, steps=None):
    """All remaining steps, or some; what each said."""
    found = []
    for progress in training.run():
        found.append((progress.loss, dict(progress.parts)))
        if len(found) == steps:
            break
    return found


def state_of(training):
    """Everything that a checkpoint holds, by name, as bytes."""
    return {name: np.asarray(array).tobytes() for name, array in training._arrays().items()}


def judge_of(settings=SETTINGS, loss="mse", side=SIDE):
    return Judge(settings, FEATURES, side, 3, loss, 0, 100)


def batch(seed=0, n=2, side=SIDE):
    """What is made, which is grey noise, and what should be, which are stripes."""
    rng = np.random.default_rng(seed)
    high = np.stack([picture(seed + k, side, side) for k in range(n)])
    made = 0.5 + 0.05 * rng.standard_normal((n, 3, side, side))
    return made.astype(np.float32), high.transpose(0, 3, 1, 2).astype(np.float32)


# ---------------------------------------------------------------------------------------- the loss


@pytest.mark.parametrize("loss, pixels", [("mse", 0.0), ("l1", 3.0)])
def test_the_gradient_is_that_of_the_loss(loss, pixels):
    judge = judge_of(replace(SETTINGS, weight=0.7, pixels=pixels), loss)
    judge.discriminator = judge.discriminator.astype(np.float64)
    judge.optimizer = type(judge.optimizer)(judge.discriminator.parameters, 1.0)
    judge.features = judge.features.astype(np.float64)
    made, high = (x.astype(np.float64) for x in batch())
    direction = np.random.default_rng(4).standard_normal(made.shape)
    total, dmade = judge.loss(made, high, 0.0)  # at a factor of 0 the discriminator stays
    parts = judge.parts
    assert total == parts["content"] + 0.7 * parts["adversarial"] + pixels * parts.get("pixels", 0)
    step = 1e-7
    ends = []
    for k in (-1, 1):
        judge.optimizer.steps = 0  # or the pictures would be shifted in another way
        ends.append(judge.loss(made + k * step * direction, high, 0.0)[0])
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(np.vdot(dmade, direction), rel=1e-5)


def test_the_discriminator_learns_first_and_is_fooled_after():
    """Its loss falls on a batch seen again and again, and what is made becomes less likely."""
    judge, (made, high) = judge_of(LEARNS, side=LARGER[1]), batch(0, *LARGER)
    seen = []
    for _ in range(80):
        judge.loss(made, high, 1.0)
        seen.append(judge.parts)
    assert seen[-1]["discriminator"] < 0.5 * seen[0]["discriminator"]
    assert seen[-1]["real"] > 0.8 and seen[-1]["made"] < 0.2
    before = made.copy()
    for _ in range(30):  # down the gradient of the adversarial loss, while the other stays
        _, dmade, believed = judge.discriminator.adversarial(made)
        made -= 0.3 * dmade / np.abs(dmade).max()
    assert believed > 0.8 and not np.array_equal(made, before)


def test_at_first_the_discriminator_learns_alone():
    """The generator's weights stay, except statistics; its optimiser begins after that."""
    settings = replace(SETTINGS, alone=0.1)
    training = training_of(replace(RECIPE, steps=40, drop=0, adversarial=settings))
    network, judges = training.network, training.judge.discriminator.parameters
    start = {name: p.copy() for name, p in (network.parameters | judges).items()}
    run(training, 4)
    for name in set(network.parameters) - set(network.statistics):
        assert np.array_equal(network.parameters[name], start[name])
    assert all(not np.array_equal(p, start[name]) for name, p in judges.items())
    run(training, 1)
    moved = [not np.array_equal(p, start[name]) for name, p in network.parameters.items()]
    assert all(moved) and training.optimizer.steps == 1


def test_the_discriminator_sees_pictures_shifted_together():
    """Around the edges, by as many pixels in both, anew in each step but the same again."""
    judge, (made, high) = judge_of(), batch()
    seen = []

    def judged(real, made):
        seen.append((real.copy(), made.copy()))
        return type(judge.discriminator).loss_and_gradients(judge.discriminator, real, made)

    judge.discriminator.loss_and_gradients = judged
    for steps in (0, 1, 2, 0):
        judge.optimizer.steps = steps
        judge.loss(made, high, 0.0)
    shifts = []
    for real, other in seen:
        (shift,) = [
            s for s in np.ndindex(SIDE, SIDE) if np.array_equal(np.roll(high, s, (2, 3)), real)
        ]
        assert np.array_equal(np.roll(made, shift, (2, 3)), other)
        shifts.append(shift)
    assert shifts[0] == shifts[3] and len(set(shifts)) == 3


def test_training_moves_both_and_lowers_the_content_loss():
    settings = replace(SETTINGS, learning_rate=0.01, weight=1e-3)
    training = training_of(replace(RECIPE, steps=60, drop=0, adversarial=settings))
    start = {name: p.copy() for name, p in training.judge.discriminator.parameters.items()}
    found = [parts for _, parts in run(training)]
    first, last = (
        {name: np.mean([parts[name] for parts in some]) for name in some[0]}
        for some in (found[:10], found[-10:])
    )
    assert last["content"] < 0.9 * first["content"]
    assert last["discriminator"] < first["discriminator"]
    moved = training.judge.discriminator.parameters
    assert all(not np.array_equal(moved[name], start[name]) for name in start)
    assert set(found[0]) == {"content", "adversarial", "discriminator", "real", "made"}


def test_rates_drop_where_the_recipe_says_however_many_steps_there_are():
    """Half at one rate and half at a tenth, as in SRGAN's paper; quarters, as in VDSR's."""
    for name, parts in (("srgan", 2), ("vdsr-paper", 4)):
        for steps in (12, 300, RECIPES[name].steps):
            recipe = replace(RECIPES[name], steps=steps)
            factors = [recipe.factor(step) for step in range(steps)]
            wanted = np.repeat(0.1 ** np.arange(parts), steps // parts)
            np.testing.assert_allclose(factors, wanted, rtol=1e-12)
    assert [replace(RECIPE, drop=0.1, steps=30).factor(k) for k in (2, 3)] == [1, 0.1]
    for drop in (-0.1, 1, 5000, float("nan"), True):
        with pytest.raises(ValueError, match=r"drop is .*, wanted a share of the steps from 0 to"):
            replace(RECIPE, drop=drop)
    before = replace(RECIPES["vdsr-paper"], steps=100).as_dict() | {"drop": 25}
    assert as_now(before) == replace(RECIPES["vdsr-paper"], steps=100).as_dict()
    for damaged in ({"drop": "a"}, {"drop": None}, {"drop": 2, "steps": 0}, {"drop": [2]}):
        assert as_now(before | damaged)["drop"] == damaged["drop"]


def test_recipes_that_said_whether_muon_moves_the_last_layer_are_read():
    now = RECIPES["espcn"].as_dict()
    then = {name: value for name, value in now.items() if name != "by_adam"}
    assert as_now(then | {"muon_last": True}) == now
    assert as_now(then | {"muon_last": False}) == now | {"by_adam": 1}


def test_the_rates_of_both_drop():
    """With a factor of nearly nothing from the third step on, neither moves visibly."""
    training = training_of(replace(RECIPE, drop=0.1, steps=10))
    run(training, 8)
    before = {name: p.copy() for name, p in training._moved().items()}
    run(training, 1)
    for name, p in training._moved().items():
        if name not in training.network.statistics:
            np.testing.assert_allclose(p, before[name], atol=1e-8)


# -------------------------------------------------------------------------------- going on, or not


@pytest.mark.parametrize("alone", [0.0, 0.2, 0.5])  # 2 steps are done when it stops
def test_stopped_and_gone_on_is_never_having_stopped(tmp_path, alone):
    recipe = replace(RECIPE, adversarial=replace(SETTINGS, alone=alone))
    whole, stopped, later = (training_of(recipe) for _ in range(3))
    told = run(whole)
    first = run(stopped, 2)
    stopped.save(tmp_path / "checkpoint.npz")
    run(later, 1)  # which is forgotten
    later.load(tmp_path / "checkpoint.npz")
    assert state_of(later) == state_of(stopped)
    assert first + run(later) == told and state_of(later) == state_of(whole)
    names = state_of(whole).keys()
    assert {"parameter.discriminator.W_dense", "of_discriminator.mean.W1", "gap"} <= names


@pytest.mark.parametrize(
    "recipe, features, words",
    [
        (
            replace(RECIPE, adversarial=replace(SETTINGS, weight=1.0)),
            FEATURES,
            "adversarial.weight ",
        ),
        (RECIPE, Features.of_edsr(EDSR(2, 1, 4, c=3, seed=4)), "features 'EDSR block1, checksum"),
    ],
)
def test_a_checkpoint_of_another_judge_is_refused(recipe, features, words, tmp_path):
    training_of().save(tmp_path / "checkpoint.npz")
    other = Training(recipe, PAIRS, START, SCALE, features)
    with pytest.raises(ValueError, match=re.escape(f"with another recipe: {words}")):
        other.load(tmp_path / "checkpoint.npz")


def test_divergence_of_the_discriminator_leaves_numbers():
    training = training_of(replace(RECIPE, adversarial=replace(SETTINGS, learning_rate=1e38)))
    with pytest.raises(FloatingPointError, match="training has diverged at step"):
        run(training)
    assert all(np.isfinite(p).all() for p in training._moved().values())


def test_the_discriminator_wins_once_it_is_sure_of_everything_for_long():
    judge = judge_of(replace(LEARNS, patience=20), side=LARGER[1])
    made, high = batch(0, *LARGER)
    steps = 0
    while not judge.stopped and steps < 1000:
        judge.loss(made, high, 1.0)
        steps += 1
    assert judge.stopped.startswith("the discriminator has won, it tells all pictures apart: D(re")
    assert steps >= np.log(0.002 / 0.5) / np.log(0.95)  # however good it is, not before


def test_the_generator_wins_once_the_discriminator_has_guessed_for_long():
    judge = judge_of(replace(SETTINGS, patience=20))
    _, high = batch()
    gaps = []
    while not judge.stopped:
        judge.loss(high, high, 1.0)
        gaps.append(float(judge.gap))
    assert judge.stopped.startswith("the generator has won, the discriminator can but guess: D(rea")
    assert len(gaps) == np.ceil(np.log(0.01 / 0.5) / np.log(0.95)) and gaps[-2] >= 0.01


def test_a_training_that_one_has_won_ends_and_writes_what_there_is(tmp_path, capsys):
    training = training_of()
    training.judge.gap[...] = 0.9999
    validation = PAIRS[:1]
    places = tmp_path / "checkpoint", tmp_path / "log"
    training.judge.settings = replace(SETTINGS, patience=10**6)
    training.judge.gap[...] = 0.9985
    fit(training, validation, *places, 100)
    assert training.step == 0 and "ends at step 0: the discriminator has won" in (
        capsys.readouterr().err
    )
    training.judge.gap[...] = 0.5
    steps = training.run()
    next(steps)
    training.judge.gap[...] = 0.005
    assert list(steps) == [] and training.step == 1 and training.done
    card = training.result().card
    assert card["steps"] == 1 and card["notes"][0].startswith("the generator has won")


def test_the_log_has_both_losses_and_what_the_discriminator_believes(tmp_path):
    training = training_of()
    fit(training, PAIRS[:1], tmp_path / "checkpoint", tmp_path / "log", 4)
    head, lines = read_log(tmp_path / "log")
    assert head["features"] == "EDSR block1" and [line["step"] for line in lines] == [4, 6]
    again = [parts for _, parts in run(training_of())]
    for line, steps in zip(lines, (again[:4], again[4:]), strict=True):
        for name in ("content", "adversarial", "discriminator", "real", "made"):
            assert line[name] == pytest.approx(np.mean([p[name] for p in steps]), abs=1e-8)
        assert line["loss"] == pytest.approx(line["content"] + 1e-2 * line["adversarial"], abs=1e-7)


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"width": 0}, "width is 0, wanted a whole number, 1 or more"),
        ({"patience": 1.5}, "patience is 1.5, wanted a whole number, 1 or more"),
        ({"learning_rate": 0}, "learning_rate is 0, wanted a positive number"),
        ({"weight": -1.0}, "weight (the adversarial loss) is -1.0, wanted 0 or a positive number"),
        ({"alone": 1.0}, "alone is 1.0, wanted 0 or a fraction below 1"),
        (
            {"pixels": float("nan")},
            "pixels (the pixels' loss) is nan, wanted 0 or a positive number",
        ),
    ],
)
def test_settings_that_are_none(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        replace(SETTINGS, **changes)


def test_what_a_training_needs():
    with pytest.raises(ValueError, match="starts from an SRResNet that was trained without"):
        Training(RECIPE, PAIRS, None, SCALE, FEATURES)
    with pytest.raises(ValueError, match="recipe compares pixels: leave features out"):
        Training(replace(RECIPE, adversarial=None), PAIRS, START, SCALE, FEATURES)
    other = SRResNet(SCALE, 2, 4, 3)
    with pytest.raises(ValueError, match="weights to start from have .*, and the recipe wants"):
        Training(RECIPE, PAIRS, other, SCALE, FEATURES)


# ------------------------------------------------------------------------------------ the features


def test_features_of_files_and_by_default(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for name, (i, o) in {"conv1_1": (3, 4), "conv1_2": (4, 4), "conv2_1": (4, 5)}.items():
        arrays[f"{name}_w"] = rng.normal(0, 0.1, (3, 3, i, o)).astype(np.float32)
        arrays[f"{name}_b"] = np.zeros(o, np.float32)
    np.savez(tmp_path / "vgg.npz", **arrays)
    assert load_features(tmp_path / "vgg.npz", "relu1_2").label == "VGG relu1_2 of vgg.npz"
    with pytest.raises(ValueError, match="layer is 'relu2_2', and .* has relu1_1, relu1_2, relu2"):
        load_features(tmp_path / "vgg.npz")
    own = EDSR(2, 2, 4, c=3, seed=1)
    own.save(tmp_path / "own.npz")
    assert load_features(tmp_path / "own.npz").label == "EDSR block2 of own.npz"
    assert load_features(tmp_path / "own.npz", "block1").label == "EDSR block1 of own.npz"
    assert load_features().label == "EDSR block8 of edsr-s"
    for name in BY_DEFAULT[0], shipped()[BY_DEFAULT]:  # whatever scales there are of that name
        named = load_features(name)
        assert all(np.array_equal(a, b) for a, b in zip(
            named.parameters.values(), load_features().parameters.values(), strict=True
        ))  # fmt: skip
    with pytest.raises(ValueError, match="9-1-5 is 9-1-5: give a file of VGG, or an EDSR"):
        load_features("9-1-5")


def test_features_of_luminance_see_the_luma_of_rgb():
    features = Features.of_edsr(EDSR(2, 1, 4, c=1, seed=3)).astype(np.float64)
    made, high = (x[:, :, :7, :6].astype(np.float64) for x in batch())
    loss, dmade = features.loss_and_gradient(made, high)
    luma = [rgb_to_luma(x.transpose(0, 2, 3, 1))[:, None] for x in (made, high)]
    assert loss == pytest.approx(features.loss_and_gradient(*luma)[0], rel=1e-12)
    direction = np.random.default_rng(4).standard_normal(made.shape)
    ends = [features.loss_and_gradient(made + k * direction, high)[0] for k in (-1e-6, 1e-6)]
    assert (ends[1] - ends[0]) / 2e-6 == pytest.approx(np.vdot(dmade, direction), rel=1e-6)


# --------------------------------------------------------------------------------------- sharpness


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with start.npz, and srgan.npz that was trained from it, on pictures of a folder."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "pictures").mkdir()
    for seed in (1, 2, 3):
        write_picture(
            folder / "pictures" / f"{seed}.png", np.round(255 * picture(seed)).astype(np.uint8)
        )
    start = START.astype(np.float32)
    for name in start.statistics:
        start.parameters[name] += 0.25
    start.save(folder / "start.npz")
    EDSR(2, 1, 4, c=3, seed=3).save(folder / "own.npz")
    train(
        [folder / "pictures"], folder / "srgan.npz", SCALE, RECIPE,
        start=folder / "start.npz", features=folder / "own.npz",
    )  # fmt: skip
    return folder


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(
        p.dtype == theirs[n].dtype and p.tobytes() == theirs[n].tobytes() for n, p in ours.items()
    )


def test_the_ends_are_the_start_and_the_result_to_the_bit(trained):
    start, result = load(trained / "start.npz"), load(trained / "srgan.npz")
    assert not same(start.parameters, result.parameters)
    ends = [load(trained / "srgan.npz", sharpness=a) for a in (0, 1)]
    assert same(ends[0].parameters, start.parameters)
    assert same(ends[1].parameters, result.parameters)
    between = result.at_sharpness(0.25)
    for name, p in between.parameters.items():
        np.testing.assert_allclose(
            p, 0.75 * start.parameters[name] + 0.25 * result.parameters[name], rtol=1e-5, atol=1e-8
        )
        assert p.dtype == np.float32
    assert between.start is None and between.card["sharpness"] == 0.25
    x = np.random.default_rng(0).random((1, 3, 6, 7), np.float32)
    assert np.array_equal(ends[0].forward(x), start.forward(x))
    assert not np.array_equal(between.forward(x), result.forward(x))


@pytest.mark.parametrize("name, half", [("a.npz", False), ("a.npz", True), ("a.safetensors", True)])
def test_both_are_in_every_file_that_holds_parameters(trained, tmp_path, name, half):
    whole = load(trained / "srgan.npz")
    whole.save(tmp_path / name, half)
    again = pickle.loads(pickle.dumps(load(tmp_path / name)))
    for ours, theirs in (again.parameters, whole.parameters), (again.start, whole.start):
        assert ours.keys() == theirs.keys()
        for key, p in ours.items():
            np.testing.assert_allclose(p, theirs[key], rtol=2e-3 if half else 0, atol=1e-3 * half)
    assert again.dtype == np.float32
    assert again.astype(np.float64).start["W_head"].dtype == np.float64


@pytest.mark.parametrize(
    "change", [lambda a: a.pop("start.A1"), lambda a: a.update({"start.B1_1": np.zeros(3)})]
)
def test_half_a_start_is_refused(trained, tmp_path, change):
    with np.load(trained / "srgan.npz") as file:
        arrays = dict(file)
    change(arrays)
    np.savez(tmp_path / "damaged.npz", **arrays)
    with pytest.raises(ValueError, match=r"damaged: (A1 is missing|B1_1 is \(3,\)), wanted"):
        load(tmp_path / "damaged.npz")


@pytest.mark.parametrize("sharpness", [-0.1, 1.5, float("nan"), True, "much"])
def test_sharpness_is_a_number_from_0_to_1(trained, sharpness):
    with pytest.raises(ValueError, match=r"sharpness is .*, wanted a number, 0 to 1"):
        load(trained / "srgan.npz", sharpness=sharpness)


@pytest.mark.parametrize("model", ["9-1-5", "sc"])
def test_other_networks_have_none(model):
    with pytest.raises(ValueError, match="has no sharpness to choose: it was not trained agains"):
        load(model, 3, sharpness=0.5)


def test_the_card_and_info_say_what_it_was_trained_with(trained, capsys):
    card = load(trained / "srgan.npz").card
    assert card["start"] == "start.npz" and card["features"] == "EDSR block1 of own.npz"
    assert card["recipe"]["adversarial"]["weight"] == SETTINGS.weight
    assert cli.main(["info", str(trained / "srgan.npz")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "recipe srgan, but depth 1",
        "adversarial srgan, but width 2, learning_rate 0.001",
        "started from start.npz",
        "features EDSR block1 of own.npz",
        "sharpness 0 to 1, from what it started from to the result of the training",
    ):
        assert words in said


def test_the_command_takes_sharpness(trained, tmp_path, capsys):
    source, srgan = str(trained / "pictures" / "1.png"), str(trained / "srgan.npz")
    made = {}
    for name, model, more in (
        ("start", str(trained / "start.npz"), []),
        ("soft", srgan, ["--sharpness", "0"]),
        ("middle", srgan, ["--sharpness", "0.5"]),
        ("usual", srgan, []),
        ("sharp", srgan, ["--sharpness", "1"]),
    ):
        target = str(tmp_path / f"{name}.png")
        assert cli.main(["upscale", source, "-o", target, "-m", model, *more]) == 0
        made[name] = read_picture(target)
    assert np.array_equal(made["soft"], made["start"])
    assert np.array_equal(made["sharp"], made["usual"])
    capsys.readouterr()
    assert cli.main(["upscale", source, "-o", str(tmp_path / "a.png"), "--sharpness", "0.5"]) == 2
    assert "edsr has no sharpness" in capsys.readouterr().err
    baked = str(tmp_path / "baked.npz")
    assert cli.main(["convert", srgan, baked, "--sharpness", "0.5"]) == 0
    network = load(baked)
    assert network.start is None and network.card["sharpness"] == 0.5
    assert same(network.parameters, load(srgan, sharpness=0.5).parameters)


# --------------------------------------------------------------------------------- pysrcnn train


def command(trained, output, *more):
    return [
        "train", str(trained / "pictures"), "-s", str(SCALE), "-o", str(output), "--recipe",
        "srgan", "--depth", "1", "--width", "4", "--size", "8", "--batch", "2", "--steps", "2",
        *more,
    ]  # fmt: skip


def test_the_command_trains_and_ends_when_one_has_won(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(adversarial, "LOST", 2.0)
    start, own = str(trained / "start.npz"), str(trained / "own.npz")
    more = "--start", start, "--features", own, "--adversarial", "0.5", "--learning-rate", "1e-3"
    assert cli.main(command(trained, tmp_path / "a.npz", *more)) == 1
    out, err = capsys.readouterr()
    assert "content is compared by EDSR block1 of own.npz" in out
    assert "ends at step 0: the generator has won" in err
    card = load(tmp_path / "a.npz").card
    settings = card["recipe"]["adversarial"]
    assert settings["weight"] == 0.5 and settings["learning_rate"] == pytest.approx(2e-3)
    assert not (tmp_path / "a.checkpoint").exists() and "the generator has won" in card["notes"][0]
    assert json.loads((tmp_path / "a.log").read_text().splitlines()[0])["features"]


@pytest.mark.parametrize(
    "more, words",
    [
        ([], "starts from an SRResNet that was trained without (recipe srresnet-s)"),
        (["--start", "9-1-5", "--features", "no.npz"], "no.npz"),
        (["--recipe", "srresnet-s", "--features", "edsr-s"], "features and their layer are for"),
        (
            ["--recipe", "srresnet-s", "--pixels", "1"],
            "--adversarial and --pixels are for",
        ),
    ],
)
def test_the_command_refuses(trained, tmp_path, capsys, more, words):
    assert cli.main(command(trained, tmp_path / "a.npz", *more)) == 2
    assert words in capsys.readouterr().err
