"""The check of gradients with VDSR, DRCN and EDSR: mistakes are named, and what is right passes."""

import re

import numpy as np
import pytest
from deep_students import MISTAKES, drcn, edsr, vdsr

from pysrcnn import reference
from pysrcnn.cli import main
from pysrcnn.gradcheck import case, gradcheck
from pysrcnn.gradcheck.search import relative_error
from pysrcnn.networks import DRCN, EDSR, VDSR

SMALL = {"filters": (3,), "samples": 2, "size": (3, 4)}
OPTIONS = {
    "vdsr": {**SMALL, "depth": 3},
    "drcn": SMALL,
    "edsr": {**SMALL, "residual_scale": 0.2, "mean": (0.4,)},
}
STUDENTS = {"vdsr": vdsr, "drcn": drcn, "edsr": edsr}
RIGHT = [
    ("vdsr", {"depth": 6, "c": 3}, {}),
    ("vdsr", {"loss": "l1"}, {"loss": "l1"}),
    ("drcn", {"c": 3, "loss": "charbonnier"}, {"loss": "charbonnier"}),
    ("drcn", {"depth": 4, "alpha": 0.25, "loss": "l1"}, {"alpha": 0.25, "loss": "l1"}),
    ("edsr", {"c": 3, "scale": 3, "mean": (0.4, 0.5, 0.6)}, {"mean": (0.4, 0.5, 0.6)}),
    ("edsr", {"residual_scale": 0.1, "loss": "mse"}, {"t": 0.1, "loss": "mse"}),
    ("edsr", {"short_tail": True, "picture": True, "scale": 4, "loss": "charbonnier"},
     {"picture": True, "loss": "charbonnier"}),
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


QUICK = {"skip", "mask", "last alone", "no 1/D", "block skip", "scale back", "l1 sign"}


@pytest.mark.parametrize(
    "network, planted",
    [
        pytest.param(*names, marks=() if names[1] in QUICK and names != ("drcn", "skip")
                     and names != ("edsr", "mask") else pytest.mark.slow)
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
    assert report.diagnosis[0].endswith("gives just your numbers."), report


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
    for name, parameter in made.parameters.items():
        assert np.array_equal(parameter * 4096, np.rint(parameter * 4096)), name
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
        ("vdsr", {"filters": (64,), "size": (999, 999)}, "of vdsr takes 13 GiB for 3 samples, wa"),
    ],
)
def test_options_are_checked(network, options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        case(network, **options)


def test_options_of_another_network_are_refused():
    with pytest.raises(TypeError, match="picture is no option of vdsr; those are depth"):
        case("vdsr", picture=True)
    with pytest.raises(TypeError, match="depth: of vdsr, drcn, edsr, not of 9-1-5"):
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
