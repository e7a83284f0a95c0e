"""The check of gradients with deep networks: mistakes are named, and what is right passes."""

import re
import types
from functools import partial

import numpy as np
import pytest
from deep_students import MISTAKES, drcn, edsr, srresnet, vdsr

from pysrcnn import reference
from pysrcnn.cli import main
from pysrcnn.gradcheck import case, gradcheck, rounding, search
from pysrcnn.gradcheck.apart import dw_of
from pysrcnn.gradcheck.differences import describe
from pysrcnn.gradcheck.motions import of_motion
from pysrcnn.gradcheck.norms import of_norms
from pysrcnn.gradcheck.search import relative_error
from pysrcnn.networks import DRCN, EDSR, VDSR, VESPCN, SRResNet

SMALL = {"filters": (3,), "samples": 2, "size": (3, 4)}
OPTIONS = {
    "vdsr": {**SMALL, "depth": 3},
    "drcn": SMALL,
    "edsr": {**SMALL, "residual_scale": 0.2, "mean": (0.4,)},
    "srresnet": SMALL,
}
STUDENTS = {"vdsr": vdsr, "drcn": drcn, "edsr": edsr, "srresnet": srresnet}
RIGHT = [
    ("vdsr", {"depth": 6, "c": 3}, {}),
    ("vdsr", {"loss": "l1"}, {"loss": "l1"}),
    ("drcn", {"c": 3, "loss": "charbonnier"}, {"loss": "charbonnier"}),
    ("drcn", {"depth": 4, "alpha": 0.25, "loss": "l1"}, {"alpha": 0.25, "loss": "l1"}),
    ("edsr", {"c": 3, "scale": 3, "mean": (0.4, 0.5, 0.6)}, {"mean": (0.4, 0.5, 0.6)}),
    ("edsr", {"residual_scale": 0.1, "loss": "mse"}, {"t": 0.1, "loss": "mse"}),
    ("edsr", {"short_tail": True, "picture": True, "scale": 4, "loss": "charbonnier"},
     {"picture": True, "loss": "charbonnier"}),
    ("srresnet", {"c": 3, "scale": 3}, {}),
    ("srresnet", {"training": False, "loss": "l1"}, {"training": False, "loss": "l1"}),
    ("srresnet", {"batch_norm": False, "depth": 1, "picture": True}, {"picture": True}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("network, options, told", RIGHT)
def test_right_ones_pass(network, options, told, dtype):
    def mine(low, high, parameters):
        return STUDENTS[network](low, high, parameters, **told)

    report = gradcheck(mine, network, **SMALL, **options, dtype=dtype)
    assert report.ok and not report.diagnosis, report
    names = {row.name for row in report.rows}
    assert {"loss", "dlow"} < names and len(names) > 8


QUICK = {
    ("vdsr", "skip"), ("vdsr", "mask"), ("drcn", "last alone"),
    ("edsr", "block skip"), ("edsr", "scale back"), ("edsr", "l1 sign"),
    ("srresnet", "constants"), ("srresnet", "one slope"),
}  # fmt: skip


def test_without_dlow_the_skip_is_said_to_be_unchecked():
    made = case("vdsr", depth=2, filters=(3,))
    report = gradcheck((made.loss, made.gradients), made)
    assert report.ok and "so the gradient of the skip" in report.note
    assert not gradcheck(made.arrays, made).note


def test_gradients_of_two_layers_that_were_exchanged_are_called_so():
    def mine(low, high, parameters):
        found = vdsr(low, high, parameters)
        return found | {"dW2": found["dW3"], "dW3": found["dW2"]}

    said = str(gradcheck(mine, "vdsr", filters=(3,), samples=2, size=(3, 4), depth=5))
    assert "dW3 and dW2 are exchanged: each holds the other's right numbers." in said
    assert "No mistake that is known" not in said


def test_another_number_of_filters_is_said_once():
    made, other = case("vdsr", depth=2, filters=(3,)), case("vdsr", depth=2, filters=(4,))
    text = " ".join(str(gradcheck((other.loss, other.gradients), made)).split())
    assert text.count("or of other numbers of filters (--filters)?") == 1
    assert "Nor does any make dW1, dB1 right." in text


@pytest.mark.parametrize(
    "network, planted",
    [
        pytest.param(*names, marks=() if names in QUICK else pytest.mark.slow)
        for names in MISTAKES
    ],
)  # fmt: skip
def test_planted_mistakes_are_named(network, planted):
    made = case(network, **OPTIONS[network])
    told = {"t": 0.2, "mean": (0.4,)} if network == "edsr" else {}
    report = gradcheck(STUDENTS[network](made.low, made.high, made.parameters, planted, **told),
                       made)  # fmt: skip
    kind, words = MISTAKES[network, planted]
    assert not report.ok and len(report.explanations) == 1, report
    assert kind in {mistake.kind for mistake in report.explanations[0].likely}, report
    assert words in report.diagnosis[0], report
    assert report.diagnosis[0].endswith("computes exactly your numbers."), report


@pytest.mark.parametrize("network", STUDENTS)
def test_without_the_gradient_of_the_input_its_skip_is_not_accused(network):
    """The skip from the input leaves the gradients of the parameters as they are."""
    made = case(network, **OPTIONS[network])
    assert gradcheck((made.loss, made.gradients), made).ok


def test_our_own_networks_pass():
    def of(network, **told):
        loss, done = told.pop("loss", "mse"), told.pop("done", 0.0)

        def mine(low, high, parameters):
            net = network.from_parameters(parameters, ops=reference, **told)
            return net.loss_and_gradients(low, high, loss, done)

        return mine

    assert gradcheck(of(VDSR), "vdsr", **SMALL).ok
    assert gradcheck(of(DRCN, done=0.4), "drcn", **SMALL).ok
    mine = of(EDSR, loss="l1", picture=False)
    for options in ({}, {"scale": 4, "seed": 1}, {"layout": "NCHW", "short_tail": True}):
        assert gradcheck(mine, "edsr", **SMALL, **options).ok
    for options in ({}, {"scale": 4, "batch_norm": False}):  # what it takes off M and V is let be
        assert gradcheck(of(SRResNet, picture=False), "srresnet", **SMALL, **options).ok


def of_vespcn(change):
    def mine(low, high, parameters):
        net = VESPCN.from_parameters(parameters, ops=reference, picture=False)
        net.beta = net.smooth = 0.0
        loss, gradients = net.loss_and_gradients(low, high)
        change(gradients)
        return loss, gradients

    return mine


def test_vespcn_passes_and_has_what_it_takes():
    small = {"filters": (3,), "samples": 2}
    for more in ({}, {"fusion": "subpixel", "frames": 5}):
        assert gradcheck(of_vespcn(lambda g: None), "vespcn", **small, **more).ok
    options = {"frames": 5, "fusion": "slow", "depth": 5, "scale": 3, "layout": "NHWC"}
    made = case("vespcn", **small, **options)
    assert made.low.shape == (2, 8, 12, 5) and made.high.shape == (2, 24, 36, 1)
    assert made.step.network.fusion == "slow"
    with pytest.raises(ValueError, match=r"size is \(4, 5\), wanted multiples of 4 for vespcn"):
        case("vespcn", size=(4, 5))
    with pytest.raises(ValueError, match="c is 3, and vespcn takes luminance alone"):
        case("vespcn", c=3)


@pytest.mark.parametrize("fusion", ["early", "subpixel"])
def test_mistakes_of_motion_are_the_same_forward_and_backward(fusion):
    """Each is another loss, or gradients that are none; of those that are alike, they are its."""
    step = case("vespcn", filters=(2,), samples=1, size=(4, 8), fusion=fusion).step
    p, right = step.network.parameters, step.values()
    found = of_motion(step.network)
    assert len(found) == (14 if fusion == "early" else 34)
    losses, epsilon = {}, 1e-6
    rng = np.random.default_rng(0)
    directions = {name: rng.standard_normal(a.shape) for name, a in p.items()}
    for mistake in found:
        values = step.values(mistake.changes)
        assert any(not np.array_equal(values[n], a) for n, a in right.items()), mistake
        if "alike" not in mistake.words:
            continue
        losses[mistake.words] = float(values["loss"])
        slope = sum(np.vdot(values[f"d{name}"], d) for name, d in directions.items())
        ends = []
        for sign in (1, -1):
            for name, d in directions.items():
                p[name] += sign * epsilon * d
            ends.append(float(step.values(mistake.changes)["loss"]))
            for name, d in directions.items():
                p[name] -= sign * epsilon * d
        assert (ends[0] - ends[1]) / (2 * epsilon) == pytest.approx(slope, rel=1e-4), mistake
    assert len({*losses.values(), float(right["loss"])}) == len(losses) + 1


@pytest.mark.parametrize("fusion", ["early", "subpixel"])
def test_motion_against_the_flow_is_named(fusion, monkeypatch):
    """Of the mistakes of motion; all that are known take half a minute."""
    monkeypatch.setattr(search, "mistakes", lambda step, trace: of_motion(step.network))
    monkeypatch.setattr(search, "fitted", lambda calls: [])

    def mine(low, high, parameters):
        ops = types.SimpleNamespace(**vars(reference))
        for name in "warp", "warp_cubic":
            setattr(ops, name, partial(against, getattr(reference, name)))
            back = partial(against_backward, getattr(reference, f"{name}_backward"))
            setattr(ops, f"{name}_backward", back)
        net = VESPCN.from_parameters(parameters, ops=ops, picture=False)
        net.beta = net.smooth = 0.0
        return net.loss_and_gradients(low, high)

    def against(warp, x, flow):
        return warp(x, -flow)

    def against_backward(backward, dout, x, flow):
        dx, dflow = backward(dout, x, -flow)
        return dx, -dflow

    options = {"filters": (2,), "samples": 1, "size": (4, 8), "fusion": fusion}
    report = gradcheck(mine, "vespcn", **options)
    assert "warped against the flow, wanted x + u, y + v, forward and" in report.diagnosis[0]


@pytest.mark.slow
def test_a_mistake_in_the_motion_of_vespcn_is_named():
    """Of a layer with a stride, whose weights are used for each neighbour."""
    small = {"filters": (3,), "samples": 2, "size": (4, 8)}

    def halved(g):
        g["B_fine1"] = g["B_fine1"] / 2

    report = gradcheck(of_vespcn(halved), "vespcn", **small)
    assert "dB_fine1, of weights that are used 2 times, is averaged over" in report.diagnosis[0]


def test_running_statistics_may_be_changed_in_place():
    def mine(low, high, parameters):
        found = srresnet(low, high, parameters)
        parameters["M_body"][...] = 7
        return {**found, "dB_body": 2 * found["dB_body"]}

    report = gradcheck(mine, "srresnet", **SMALL)
    assert report.diagnosis[0].startswith("dB_body is wrong: dB_body is 2 times what is wanted")


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_srresnet_are_the_differences_of_its_loss(training):
    """By the student's forward pass alone, with one step in all parameters at once."""
    made, rng = case("srresnet", **SMALL, training=training), np.random.default_rng(5)
    way = {name: rng.standard_normal(a.shape) for name, a in made.gradients.items()}

    def loss(t):
        moved = {name: a + t * way.get(name, 0) for name, a in made.parameters.items()}
        return srresnet(made.low, made.high, moved, training=training)["loss"]

    slope = sum(np.vdot(way[name], gradient) for name, gradient in made.gradients.items())
    assert (loss(1e-6) - loss(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-6)
    assert not {"M_body", "V_body"} & set(made.gradients) and "M_body" in made.parameters


def test_a_mistake_in_use_of_the_running_statistics_is_named():
    made = case("srresnet", **SMALL, training=False)
    report = gradcheck(srresnet(made.low, made.high, made.parameters, "gamma", training=False),
                       made)  # fmt: skip
    assert "are the sum of dout z, wanted that of dout xhat" in report.diagnosis[0]
    assert "takes the mean and variance that are running." in report.diagnosis[-1]


@pytest.mark.parametrize("training, ways", [(True, 3), (True, 1), (False, 3)])
def test_a_missing_division_by_the_spread_is_among_the_mistakes(training, ways):
    """The numbers that a student's program gives, to the rounding of float64."""
    made = case("srresnet", **SMALL, training=training)
    planted = "spread" if ways == 3 else "direct spread"
    mine = srresnet(made.low, made.high, made.parameters, planted, training=training)
    calls = made.step.run().calls
    found = [m for m in of_norms(calls, training) if m.kind == "not divided by the spread"
             and "behind all" in m.words]  # fmt: skip
    values = [made.step.values(mistake.changes) for mistake in found]
    allowed = rounding(made, np.dtype(float))
    fit = [all(relative_error(np.asarray(mine[n]), v[n]) <= allowed for n in mine) for v in values]
    assert fit == [ways == 3, ways == 1][: 1 + training]


@pytest.mark.slow
def test_statistics_of_the_batch_in_use_are_named():
    made = case("srresnet", **SMALL, training=False)
    report = gradcheck(srresnet(made.low, made.high, made.parameters), made)
    assert "uses the statistics of the batch (as in training), wanted" in report.diagnosis[0]


def test_a_number_in_all_gradients_is_found_in_those_of_slopes_and_statistics_too():
    made = case("srresnet", **SMALL)
    decayed = {name: a + 0.01 * made.parameters[name] for name, a in made.gradients.items()}
    report = gradcheck((made.loss, decayed), made)
    words = "dW, dB, dA and dG in all layers have 0.01 times the parameters added (weight decay)"
    assert words in report.diagnosis[0]
    one = {name: a * (0.3 if name == "A1" else 1) for name, a in made.gradients.items()}
    report = gradcheck((made.loss, one), made)
    assert report.diagnosis[0].startswith("dA1 is wrong: dA1 is 0.3 times what is wanted")


def test_what_a_dw_before_batch_normalisation_is_a_sum_of_is_said():
    made = case("srresnet", **SMALL)
    run = made.step.run()
    call = next(call for call in run.calls if call.weights == "W1_1")
    dz = run.dz["1_1"] * np.array([1, 3.5])[:, None, None, None]
    given = {"dW1_1": dw_of(dz, call.wide, call.w)}
    sentences = describe(made, given, ["dW1_1"], 1e-12)
    assert sentences[-1] == "dW1_1 is the sum over samples, but these count 1, 3.5 times."


def test_names_of_pytorch_are_those_of_srresnet_in_their_order():
    made = case("srresnet", **SMALL)
    theirs = {}
    for name, a in made.gradients.items():
        theirs[f"net{name}.{'bias' if name[0] == 'B' else 'weight'}"] = a
    assert gradcheck((made.loss, theirs), made).ok
    del theirs["netG_body.weight"]
    with pytest.raises(
        ValueError, match=r"got 8 arrays of one axis that end in \.weight, wanted 9, "
    ):
        gradcheck((made.loss, theirs), made)


def test_other_layouts_are_the_same_numbers():
    ours, theirs = (case("drcn", layout=layout, **SMALL) for layout in ("NCHW", "NHWC"))
    assert theirs.arrays["dW"].shape == (3, 3, 3, 3) and theirs.axes("dW_in1") == "HWIO"
    for name, array in theirs.arrays.items():
        assert np.array_equal(theirs.to_ours(name, array), ours.arrays[name]), name
    assert gradcheck(theirs.arrays, theirs).ok


def test_names_of_pytorch_are_those_of_the_layers_in_their_order():
    made = case("edsr", **SMALL)
    names = [name[1:] for name in made.parameters if name[0] == "W"]
    theirs = {f"net{n}.weight": made.gradients[f"W{n}"] for n in names}
    theirs |= {f"net{n}.bias": made.gradients[f"B{n}"] for n in names}
    assert gradcheck((made.loss, theirs), made).ok
    del theirs["net_body.bias"]
    with pytest.raises(ValueError, match=r"got 7 arrays that end in \.bias, wanted 8, in the ord"):
        gradcheck((made.loss, theirs), made)


@pytest.mark.parametrize("network", STUDENTS)
def test_cases_stay_away_from_kinks_and_rounding(network):
    made = case(network)
    for call in made.step.run().calls:
        if call.activation:
            assert np.abs(call.before).min() > 1e-4
            assert 0.1 < (call.before > 0).mean() < 0.9
    if made.step.loss == "l1":
        assert np.abs(made.arrays["output"] - made.high).min() > 1e-4
    for parameter in made.parameters.values():
        assert np.array_equal(parameter * 4096, np.rint(parameter * 4096))
    for name in made.gradients:
        assert relative_error(0 * made.gradients[name], made.gradients[name]) == 1


@pytest.mark.parametrize(
    "network, options, words",
    [
        ("vdsr", {"depth": 1}, "depth is 1, wanted a whole number, 2 or more"),
        ("vdsr", {"scale": 2}, "scale is 2, and vdsr takes enlarged pictures: leave it out"),
        ("vdsr", {"alpha": 0.5}, "only drcn takes alpha; the network is vdsr"),
        ("drcn", {"alpha": 2}, "alpha is 2, wanted 0 to 1"),
        ("drcn", {"alpha": "a"}, "alpha is 'a', wanted 0 to 1"),
        ("drcn", {"filters": (3, 4)}, "filters are (3, 4), wanted one number for all layers of dr"),
        ("edsr", {"loss": "huber"}, "loss is 'huber', wanted one of mse, l1, charbonnier"),
        ("edsr", {"residual_scale": 2}, "residual_scale is 2, wanted above 0, up to 1"),
        ("edsr", {"padding": "replicate"}, "and edsr has ReLU and zeros: leave them out"),
        ("srresnet", {"activation": "relu"}, "srresnet has PReLU and zeros: leave them out"),
        ("srresnet", {"training": 1}, "training is 1, wanted True or False"),
        ("vdsr", {"filters": (64,), "size": (999, 999)}, "of vdsr takes 13 GiB for 3 samples, wa"),
    ],
)
def test_options_are_checked(network, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        case(network, **options)


def test_options_of_another_network_are_refused():
    with pytest.raises(TypeError, match="picture is no option of vdsr; those are depth"):
        case("vdsr", picture=True)
    with pytest.raises(TypeError, match="depth: of vdsr, drcn, edsr, srresnet, vespcn, not of"):
        case("9-1-5", depth=3)


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--network", "drcn", "--depth", "2", "--filters", "3", "--alpha", "0.3"]
    assert main(["gradcheck", "--write", "case.npz", *options]) == 0
    with np.load("case.npz") as file:
        arrays = dict(file)
    made = case("drcn", depth=2, filters=(3,), alpha=0.3)
    assert all(np.array_equal(arrays[name], a) for name, a in made.arrays.items())
    assert main(["gradcheck", "case.npz", *options]) == 0
    assert "drcn, NCHW, weights OIHW, float64" in capsys.readouterr().out
    np.savez("weights.npz", **{n: arrays[n] for n in made.parameters})
    assert main(["gradcheck", "weights.npz", *options]) == 2
    assert "weights.npz holds trained weights" in capsys.readouterr().err
    short = ["--network", "edsr", "--short-tail", "--picture", "--scale", "3", "--channels", "3"]
    assert main(["gradcheck", "--write", "edsr.npz", *short, "--residual-scale", "0.1"]) == 0
    with np.load("edsr.npz") as file:
        assert file["W_tail"].shape == (27, 6, 3, 3) and file["high"].shape == (3, 3, 12, 15)
    options = ["--network", "srresnet", "--depth", "1", "--filters", "3"]
    assert main(["gradcheck", "--write", "use.npz", *options, "--running-statistics"]) == 0
    assert main(["gradcheck", "use.npz", *options, "--running-statistics"]) == 0
    assert main(["gradcheck", "--write", "plain.npz", *options, "--no-batch-norm"]) == 0
    with np.load("use.npz") as use, np.load("plain.npz") as plain:
        assert "dG_body" in use and "dM_body" not in use and "G_body" not in plain
        assert plain["dA1"].shape == (3,) and plain["W_head"].shape == (3, 1, 9, 9)
