"""The check of gradients names planted mistakes, passes what is right, and claims no more."""

import dataclasses
import importlib.util
import itertools
import re
import types
from pathlib import Path

import numpy as np
import pytest
from im2col_student import PLANTED, student
from processes import python
from recursive import Recursive
from students import ESPCN_MISTAKES, MISTAKES, espcn, nchw, nhwc

import pysrcnn
from pysrcnn import SRCNN, kernels, reference
from pysrcnn.cli import main
from pysrcnn.gradcheck import case, gradcheck, rounding, write_case
from pysrcnn.gradcheck.deep_networks import DEEP
from pysrcnn.gradcheck.diagnosis import diagnose
from pysrcnn.gradcheck.differences import begins
from pysrcnn.gradcheck.fitted import fitted
from pysrcnn.gradcheck.mistakes import mistakes
from pysrcnn.gradcheck.planted import Step
from pysrcnn.gradcheck.search import relative_error
from pysrcnn.kernels import blas
from pysrcnn.networks import ESPCN

DOCS = Path(__file__).resolve().parents[1] / "docs"
SMALL = {"network": "5-3-3", "filters": (6, 4)}
PAGE = DOCS / "gradients.md"
needs_docs = pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not in this checkout")


def parameters_and_loss(values):
    """What most people have: loss and gradients of parameters."""
    return {name: a for name, a in values.items() if name == "loss" or name[:2] in ("dW", "dB")}


def kinds(report):
    return [{mistake.kind for mistake in e.likely} for e in report.explanations]


def report_of(*planted, all_values=False, **options):
    """The report on a student with these mistakes, in any layout and type."""
    made = case(**{**SMALL, **options})
    ours = case(**{**SMALL, **options, "layout": "NCHW", "weights": "OIHW"})
    values = nchw(ours.low, ours.high, ours.parameters, *planted)
    values = values if all_values else parameters_and_loss(values)
    return gradcheck({name: in_layout_of(made, name, a) for name, a in values.items()}, made)


def in_layout_of(made, name, array):
    """An array of NCHW or OIHW with the axes of a case."""
    if np.ndim(array) < 4:
        return array
    axes = "OIHW" if name[1] == "W" else "NCHW"
    return array.transpose([axes.index(axis) for axis in made.axes(name)])


def with_parameters(made, parameters):
    """The step of a case with other parameters, NCHW and OIHW."""
    network = made.step.network.astype(np.float64)
    network.parameters.update(parameters)
    return made.step._replace(network=network)


# ------------------------------------------------------------------------------- what is right


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", ["9-1-5", "9-5-5"])
def test_right_ones_pass(network, dtype):
    for layout, right in (("NCHW", nchw), ("NHWC", nhwc)):
        report = gradcheck(right, network, layout=layout, dtype=dtype)
        assert report.ok and all(row.ok for row in report.rows), report
        assert not report.diagnosis and not report.explanations
        assert f"{network}, {layout}" in report.title and f", {dtype}, errors up to" in report.title
        assert len(report.rows) == (13 if layout == "NCHW" else 7)


@pytest.mark.parametrize("ops", [reference, kernels])
@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1, "dtype": "float32"},
        {"seed": 2, "size": (6, 4), "samples": 1},
        {"c": 3, "samples": 2},
        {"network": "3-1-1-3", "filters": (5, 4, 3)},
    ],
)
def test_our_own_networks_pass(ops, options):
    def mine(low, high, parameters):
        return SRCNN.from_parameters(parameters, ops=ops).loss_and_gradients(low, high)

    report = gradcheck(mine, **{"against": "5-3-3", "filters": (6, 4)} | _against(options))
    assert report.ok, report


def _against(options):
    options = dict(options)
    return {"against": options.pop("network", "5-3-3"), **options}


def test_it_is_public_and_a_function():
    assert pysrcnn.gradcheck.gradcheck is gradcheck  # the module, and its function
    made = case(**SMALL)
    for values in (
        (made.loss, made.gradients),
        (made.arrays["F3"], made.loss, made.gradients),
        {"output": made.arrays["F3"], "loss": made.loss, **made.gradients},
        made.arrays,
    ):
        assert gradcheck(values, made).ok
        assert gradcheck(lambda *_, values=values: values, made).ok


# ------------------------------------------------------------------------- what is wrong, and why


@pytest.mark.parametrize("all_values", [True, False], ids=["all", "parameters"])
@pytest.mark.parametrize("planted", MISTAKES)
def test_planted_mistakes_are_named(planted, all_values):
    report = report_of(planted, all_values=all_values)
    kind, words = MISTAKES[planted]
    assert not report.ok
    (found,) = kinds(report)
    end = {"ReLU after the last layer", "clamp after the last layer"}  # the same up to 1
    assert kind in found and (len(found) == 1 or found == end or not all_values)
    text = report.diagnosis[0]
    assert words.format(size=60, pixels=20) in text
    assert text.endswith("computes exactly your numbers.")
    first = next(row for row in report.rows if not row.ok)
    assert text.startswith(f"{first.name} is wrong: ")


TEN = [
    "transposed dW2", "unflipped", "no mask", "sum", "bias mean", "last sample", "convolution",
    "last ReLU", "gradient's sign", "updated",
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_ten_are_named_in_each_layout_and_type(layout, dtype):
    for number, planted in enumerate(TEN):
        report = report_of(planted, layout=layout, dtype=dtype, seed=number + 1, size=(4, 7))
        kind = MISTAKES[planted][0]
        assert kinds(report) in ([{kind}], [{kind, "clamp after the last layer"}]), planted
        assert report.diagnosis[0].endswith("computes exactly your numbers."), planted


def im2col_report(planted, **options):
    """The report on a student of im2col with this mistake, in any layout and type."""
    made = case(**{**SMALL, **options})

    def mine(low, high, parameters):
        arrays = {"low": low, "high": high, **parameters}
        moved = {name: made.to_ours(name, array) for name, array in arrays.items()}
        loss, g = student(moved.pop("low"), moved.pop("high"), moved, planted)
        return loss, {name: in_layout_of(made, f"d{name}", a) for name, a in g.items()}

    return gradcheck(mine, made)


def check_im2col(planted, **options):
    report = im2col_report(planted, **options)
    if report.ok:  # a kernel of 1 x 1 has no overlaps
        assert options.get("network") == "9-1-5" and planted == "last write 2"
        return
    text = " ".join(report.diagnosis)
    assert PLANTED[planted] in text, text
    assert "No mistake that is known" not in text
    assert "wrong too" not in text or planted == "norm of each"  # one mistake is one


@pytest.mark.parametrize("planted", PLANTED)
def test_mistakes_of_im2col_are_named(planted):
    other = len(planted) % 2
    check_im2col(planted, layout=["NCHW", "NHWC"][other], dtype=["float64", "float32"][other])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("network", ["9-1-5", "9-5-5"])
@pytest.mark.parametrize("planted", PLANTED)
def test_mistakes_of_im2col_are_named_in_the_networks_of_the_paper(planted, network, layout, dtype):
    check_im2col(planted, network=network, layout=layout, dtype=dtype, filters=(64, 32))


def test_a_mistake_that_the_loss_alone_shows_and_another_behind_it():
    text = " ".join(im2col_report("no bias 1, no last row", dtype="float32").diagnosis)
    assert PLANTED["no bias 1"] in text and PLANTED["no last row"] in text, text


def test_im2col_without_a_mistake_is_right():
    assert im2col_report("").ok


@pytest.mark.slow
@pytest.mark.parametrize("network", ["9-1-5", "9-5-5"])
@pytest.mark.parametrize("planted", MISTAKES)
def test_they_are_named_in_the_networks_of_the_paper(network, planted):
    if network == "9-1-5" and planted in ("transposed dW2", "convolution", "shifted dW2"):
        pytest.skip("a kernel of 1 x 1 is not changed by this")
    report = report_of(planted, network=network, filters=(64, 32))
    (found,) = kinds(report)
    assert MISTAKES[planted][0] in found


def test_two_mistakes_are_two():
    report = report_of("transposed dW2", "no mask")
    assert kinds(report) == [{"no mask"}, {"transposed"}] or kinds(report) == [
        {"transposed"}, {"no mask"},
    ]  # fmt: skip
    report = report_of("convolution", "transposed dW2")  # one way to go on is right, one is not
    assert kinds(report) == [{"flipped"}, {"transposed"}]
    assert "in the forward pass" in report.diagnosis[0]
    assert "alike" not in report.diagnosis[0]


def test_arrays_that_are_right_are_not_accused():
    for planted in itertools.combinations(["unmasked dW2", "transposed dW2", "turned dz"], 2):
        report = report_of(*planted)
        right = {row.name for row in report.rows if row.ok}
        assert {"dB1", "dB2", "dB3"} <= right
        assert right.isdisjoint(e.first for e in report.explanations)
        for sentence in report.diagnosis[:-1]:
            if sentence.startswith("Right are "):
                continue
            assert right.isdisjoint(re.findall(r"d[WB]\d", sentence)), sentence


def test_that_these_are_just_your_numbers_is_said_of_the_whole():
    made = case("9-1-5", dtype="float32")
    named = {m.words: m.changes for m in mistakes(made.step, made.step.run())}
    changes = [
        *named["the kernels in layer 3 are transposed (rows and columns exchanged) where the "
               "gradient goes back through them"],
        *named["dW in layer 2 is averaged over the samples, wanted their sum"],
    ]  # fmt: skip
    values = made.step.values(changes)
    report = gradcheck(parameters_and_loss(values), made)
    assert kinds(report) == [{"transposed"}, {"mean over samples"}]
    claims = [sentence for sentence in report.diagnosis if "the reference computes" in sentence]
    assert claims == report.diagnosis[1:2]  # of the second mistake, on top of the first
    assert claims[0].endswith(
        "With all these mistakes, the reference computes exactly your numbers."
    )


def test_a_factor_of_all_gradients_is_one_mistake():
    made = case(**SMALL)
    gradients = {f"d{name}": 0.3 * g for name, g in made.gradients.items()}
    report = gradcheck({"loss": made.loss, **gradients}, made)
    assert kinds(report) == [{"constant factor", "common factor"}]
    assert "the gradient of the loss, dF3, is 0.3 times" in report.diagnosis[0]
    assert "or dW and dB in all layers are 0.3 times" in report.diagnosis[0]
    report = gradcheck({**made.arrays, **gradients}, made)
    assert kinds(report) == [{"common factor"}]
    gradients["dW3"] = gradients["dW3"] / 3  # averaged over the samples too
    report = gradcheck({"loss": made.loss, **gradients}, made)
    assert kinds(report) == [{"constant factor", "common factor"}, {"mean over samples"}]


def test_factors_of_each_array_are_relative_to_what_is_wanted():
    made = case(**SMALL)
    rates = {"W1": -1e-4, "B1": -1e-5, "W2": -1e-4, "B2": -1e-5, "W3": -1e-5, "B3": -1e-5}
    report = gradcheck((made.loss, {n: g * rates[n] for n, g in made.gradients.items()}), made)
    assert report.diagnosis[:3] == [
        "dW3 is wrong: dW3, dB3, dB2 and dB1 are -1e-05 times what is wanted, everywhere.",
        "dW2 is wrong too: dW2 and dW1 are -0.0001 times what is wanted, everywhere. With all "
        "these mistakes, the reference computes exactly your numbers.",
        "Give the gradients themselves: neither multiplied by learning rates nor normalized.",
    ]
    norms = {n: np.linalg.norm(g) for n, g in made.gradients.items()}
    report = gradcheck((made.loss, {n: g / norms[n] for n, g in made.gradients.items()}), made)
    assert "dF" not in "".join(report.diagnosis[:-1])
    for name, norm in norms.items():
        assert f"d{name} is {1 / norm:.6g} times what is wanted, everywhere" in " ".join(
            report.diagnosis
        )
    # One number is no evidence, nor is a factor beside numbers that are wrong otherwise.
    gradients = {**made.gradients, "B3": made.gradients["B3"] * 1.3}
    assert not gradcheck((made.loss, gradients), made).explanations


def test_one_value_that_is_too_small_is_no_evidence_of_clipping():
    made = case(**SMALL)
    values = {name: g.copy() for name, g in made.gradients.items()}
    largest = np.unravel_index(np.abs(values["W2"]).argmax(), values["W2"].shape)
    values["W2"][largest] *= 0.999
    report = gradcheck((made.loss, values), made)
    assert not report.explanations and "the numbers of dW2." in report.diagnosis[0]


@pytest.mark.parametrize("limit", [6, 2])
@pytest.mark.parametrize("options", [SMALL, {"network": "9-1-5", "layout": "NHWC"}])
def test_a_clamp_above_all_values_is_seen_where_values_are_larger(options, limit):
    made = case(**options)

    def clamped(low, high, parameters):
        low, high, *p = (made.to_ours(n, a) for n, a in
                         {"low": low, "high": high, **parameters}.items())  # fmt: skip
        changes = [
            ("activation", 1, lambda right, z: np.clip(z, 0, limit)),
            ("mask", 1, lambda right, df, z, after: df * ((z > 0) & (z < limit))),
        ]
        values = with_parameters(made, dict(zip(parameters, p, strict=True))).values(changes)
        return {name: in_layout_of(made, name, a) for name, a in values.items()}

    report = gradcheck(clamped, made)
    assert not report.ok and all(row.ok for row in report.rows)
    (sentence,) = report.diagnosis
    assert "no longer where they are 64 times as large" in sentence
    assert "F1 is off by" in sentence and "a clamp behind a layer, as in ReLU6" in sentence


def test_a_clamp_is_told_from_a_relu_where_values_are_above_one():
    made = case(**SMALL)
    parameters = made.step.network.parameters
    step = with_parameters(made, parameters | {"B3": parameters["B3"] + 0.9})
    assert step.values()["F3"].max() > 1
    for mistake in mistakes(step, step.run()):
        if "after the last layer" in mistake.kind:
            values = step.values(mistake.changes)
            found, left = diagnose(values, step, 1e-10)
            assert {m.kind for e in found for m in e.likely} == {mistake.kind} and not left


# Two mistakes whose product is a third, or part of one.
PRODUCTS = {
    "constant factor",
    "common factor",
    "factor of the gradient",
    "mean over pixels",
    "factor of the loss",
}


def check_pair(*pair):
    report = report_of(*pair)
    wanted = {MISTAKES[planted][0] for planted in pair}
    assert not report.ok
    for found in kinds(report):
        assert found & (wanted | PRODUCTS), (pair, kinds(report))
    if not report.diagnosis[len(report.explanations) - 1].endswith(
        "computes exactly your numbers."
    ):
        assert "No mistake that is known here" in str(report), pair


PAIRS = list(itertools.combinations(MISTAKES, 2))[::150]


@pytest.mark.parametrize("pair", [*PAIRS, ("no mask", "bias over filters")])
def test_of_two_mistakes_no_third_is_named(pair):
    check_pair(*pair)


@pytest.mark.slow
def test_of_any_two_mistakes_no_third_is_named():
    for pair in itertools.combinations(MISTAKES, 2):
        check_pair(*pair)


def test_what_is_not_known_is_not_explained():
    made = case(**SMALL)
    values = dict(made.arrays)
    values["dW2"] = values["dW2"] ** 2
    report = gradcheck(values, made)
    assert not report.ok and not report.explanations
    assert "No mistake that is known here gives the numbers of dW2." in report.diagnosis[0]
    assert [row.name for row in report.rows if not row.ok] == ["dW2"]

    values = dict(made.arrays)  # from here on nothing can be said
    values["F1"] = np.tanh(values["F1"])
    values["dW1"] = -values["dW1"]
    report = gradcheck(values, made)
    assert not report.explanations and "the numbers of F1." in report.diagnosis[0]

    # One number that is wrong is no evidence of a factor.
    report = gradcheck({**made.arrays, "loss": made.loss * 1.3}, made)
    assert not report.explanations and "the numbers of loss." in report.diagnosis[0]
    assert f"loss is {made.loss * 1.3:.6g}, wanted {made.loss:.6g}." in report.diagnosis[0]

    # What would narrow it down is asked for: what was computed before, and is not given.
    values = {"loss": made.loss, "F3": made.arrays["F3"], **made.gradients}
    report = gradcheck({**values, "W2": made.gradients["W2"] ** 2}, made)
    assert report.diagnosis[0].endswith("Give F1, F2, dF3, dF2 too, to see where it begins.")


def test_something_unexplained_does_not_hide_the_rest():
    made = case(**SMALL)
    values = dict(parameters_and_loss(made.arrays))
    values["dW3"] = values["dW3"] + 1
    values["dB2"] = values["dB2"] * 1.7
    values["dB1"] = -values["dB1"]
    report = gradcheck(values, made)
    assert kinds(report) == [{"constant factor"}, {"wrong sign"}]
    assert "dB2 is 1.7 times what is wanted, everywhere" in report.diagnosis[0]
    assert "dB in layer 1 is of the wrong sign" in report.diagnosis[1]
    assert report.diagnosis[1].endswith("computes all your numbers but those of dW3.")
    assert "the numbers of dW3." in report.diagnosis[2]


@pytest.mark.parametrize("factor, words", [(1 / 7, "1/7 times"), (-2.5, "-2.5 times")])
def test_any_constant_factor_is_found(factor, words):
    made = case(**SMALL)
    loss, gradients = made.loss * factor, {n: g * factor for n, g in made.gradients.items()}
    report = gradcheck((loss, gradients), made)
    assert kinds(report) == [{"constant factor"}]
    assert (
        f"the loss and its gradient are {words} what is wanted, everywhere" in report.diagnosis[0]
    )


def test_what_comes_without_its_mask_is_told_from_what_has_it():
    made = case(**SMALL)
    values = {**made.arrays, "dF2": made.arrays["dF2"] * (made.arrays["F2"] > 0)}
    report = gradcheck(values, made)
    assert kinds(report) == [{"masked already"}]
    assert "the gradient of F2 has gone through the mask of the ReLU already" in str(report)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_percent_in_one_place_is_found_there(layout, dtype):
    made = case(**SMALL, layout=layout, dtype=dtype)
    largest = np.unravel_index(np.abs(made.arrays["dW2"]).argmax(), made.arrays["dW2"].shape)
    values = {name: a.copy() for name, a in made.arrays.items()}
    values["dW2"][largest] *= 1.01
    report = gradcheck(values, made)
    (row,) = (row for row in report.rows if not row.ok)
    assert row.name == "dW2" and row.index == largest
    assert row.error == pytest.approx(0.01, rel=1e-3)
    assert row.got == pytest.approx(row.wanted * 1.01, rel=1e-5)
    assert str(list(map(int, largest))) in str(report)


def test_other_functions_have_their_own_gradients():
    made = case(**SMALL)
    parameters = made.step.network.parameters
    pairs = {"activation", "mask"}, {"output", "output mask"}, {"loss", "dloss"}
    checked = set()
    for mistake in mistakes(made.step, made.step.run()):
        operations = {operation for operation, *_ in mistake.changes}
        if operations in pairs and mistake.kind in {
            "another activation", "sigmoid after the last layer", "tanh after the last layer",
            "Huber", "log cosh", "PSNR", "root", "Charbonnier",
        }:  # fmt: skip
            losses = []
            for small in (1e-6, -1e-6):
                moved = with_parameters(made, parameters | {"B1": parameters["B1"] + small})
                values = moved.values(mistake.changes)
                losses.append(values["loss"])
            slope = (losses[0] - losses[1]) / 2e-6
            assert slope == pytest.approx(values["dB1"].sum(), rel=1e-4), mistake.words
            checked.add(mistake.words)
    assert len(checked) == 34


@pytest.mark.parametrize("every", [pytest.param(11, marks=pytest.mark.slow), 299])
@pytest.mark.parametrize("network", ["5-3-3", "espcn"])
def test_mistakes_of_the_list_are_found_again(network, every):
    made = case(network, filters=(6, 4), seed=3)
    exact, trace = made.exact, made.step.run()
    listed = mistakes(made.step, trace)
    assert len(listed) > 200
    listed += [family(0.37) for family in fitted(trace.calls)]
    for mistake in listed[::every]:
        values = made.step.values(mistake.changes)
        wrong = [n for n, a in values.items() if relative_error(a, exact[n]) > 1e-10]
        if not wrong or wrong in (["loss"], ["dB3"]):  # one number is no evidence of a factor
            continue
        found = gradcheck(values, made).explanations
        assert len(found) == 1 and found[0].first == wrong[0], mistake
        assert mistake.kind in {m.kind for m in found[0].likely}, mistake


# ------------------------------------------------------------------------------------------ ESPCN

TINY = {"filters": (6, 4), "size": (3, 4)}
PADS = {"valid": None, "zeros": "constant", "replicate": "edge"}


def espcn_report(planted, all_values=False, **options):
    """The report on a student of ESPCN with these mistakes, in any layout and type."""
    made = case("espcn", **TINY | options)
    scale, activation, padding = (
        options.get(name, usual)
        for name, usual in (("scale", 3), ("activation", "tanh"), ("padding", "valid"))
    )

    def mine(low, high, parameters):
        arrays = {"low": low, "high": high, **parameters}
        moved = {name: made.to_ours(name, array) for name, array in arrays.items()}
        values = espcn(
            moved.pop("low"), moved.pop("high"), moved, scale, *planted.split(", "),
            activation=activation, pad=PADS[padding],
        )  # fmt: skip
        values = values if all_values else parameters_and_loss(values)
        return {name: in_layout_of(made, name, a) for name, a in values.items()}

    return gradcheck(mine, made)


@pytest.mark.parametrize("padding", PADS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("options", [{"scale": 2, "c": 3}, {"scale": 3, "layout": "NHWC"}])
def test_a_right_espcn_passes(options, activation, padding):
    for dtype in ("float64", "float32"):
        options = {**options, "dtype": dtype, "activation": activation, "padding": padding}
        report = espcn_report("", all_values=True, **options)
        assert report.ok, report
        assert [row.name for row in report.rows] == [
            "F1", "F2", "F3", "output", "loss", "doutput", "dF3", "dW3", "dB3", "dF2", "dW2",
            "dB2", "dF1", "dW1", "dB1", "dlow",
        ]  # fmt: skip


@pytest.mark.parametrize("all_values", [True, False], ids=["all", "parameters"])
@pytest.mark.parametrize("planted", ESPCN_MISTAKES)
def test_mistakes_of_espcn_are_named(planted, all_values):
    channels = 3 if "channels" in planted else 1
    layout = ["NCHW", "NHWC"][len(planted) % 2]
    report = espcn_report(planted, all_values, c=channels, layout=layout)
    kind, words = ESPCN_MISTAKES[planted]
    text = " ".join(report.diagnosis)
    assert not report.ok and words.format(size=324) in text, text
    (found,) = kinds(report)
    assert kind in found and (len(found) == 1 or not all_values), found
    assert "computes exactly your numbers." in text and "output - high" in text
    assert "Map 9 c + 3 a + b of F3 has sub-pixel (a, b) of channel c." in text


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_mistakes_of_espcn_are_named_where_layers_pad(padding):
    for planted in ("shuffle transposed", "no derivative 2", "overwritten 2", "transposed dW 2"):
        report = espcn_report(planted, padding=padding, scale=2)
        assert ESPCN_MISTAKES[planted][0] in kinds(report)[0], report
        assert "no layer pads" not in " ".join(report.diagnosis)


def test_another_padding_is_named():
    text = " ".join(espcn_report("edge for zeros", padding="zeros", scale=2).diagnosis)
    assert "in all layers is padded with the edge repeated around it, wanted zeros" in text
    assert "computes exactly your numbers" in text
    made = case("espcn", padding="replicate", **TINY)
    names = {m.words: m for m in mistakes(made.step, made.step.run()) if m.kind == "padding"}
    (mistake,) = (m for words, m in names.items() if "what goes back" in words and "r 2" in words
                  and "is that of" in words)  # fmt: skip
    found = gradcheck(made.step.values(mistake.changes), made).explanations
    assert [[m.words for m in e.likely] for e in found] == [[mistake.words]]


def test_what_is_not_known_of_espcn_is_told_as_far_as_it_can_be():
    made = case("espcn", **TINY)
    values = {**made.arrays, "output": made.arrays["output"] ** 2}
    assert "So the shuffle of F3 is wrong, though F1, F2, F3 are right." in str(
        " ".join(gradcheck(values, made).diagnosis)
    )
    values = {**made.arrays, "doutput": made.arrays["doutput"] ** 2}
    text = " ".join(gradcheck(values, made).diagnosis)
    assert "So it begins with the gradient of the loss, doutput." in text
    gradients = {name: g.copy() for name, g in made.gradients.items()}
    gradients["W2"] += 0.1 * np.sin(np.arange(216)).reshape(gradients["W2"].shape)
    text = " ".join(gradcheck((made.loss, gradients), made).diagnosis)
    assert "dB2 is right, and so is the dz that dW2 is made from" in text


def test_a_clamp_is_seen_in_an_espcn_with_relu_and_is_there_in_one_with_tanh():
    report = gradcheck(
        lambda low, high, p: clamped_espcn(low, high, p, 4), "espcn", activation="relu", **TINY
    )
    assert "as in ReLU6" in " ".join(report.diagnosis), report


def clamped_espcn(low, high, p, most):
    """ESPCN x3 whose ReLU stops at a value that nothing reaches."""
    values = espcn(low, high, {**p}, 3, activation="relu")
    clamped = {k: np.minimum(values[f"F{k}"], most) for k in (1, 2)}
    if all(np.array_equal(clamped[k], values[f"F{k}"]) for k in (1, 2)):
        return parameters_and_loss(values)
    return {**parameters_and_loss(values), "F1": clamped[1], "F2": clamped[2]}


def test_our_own_espcn_passes():
    def mine(low, high, parameters):
        network = ESPCN.from_parameters(parameters, activation="tanh", ops=reference)
        return network.loss_and_gradients(low, high)

    assert gradcheck(mine, "espcn", **TINY).ok


def test_a_network_is_checked_by_its_own_lines():
    """The k-th call alone may be wrong, and an operation that only one network has."""
    made = case("espcn", **TINY)
    trace = made.step.run()
    assert [call.activation for call in trace.calls] == ["tanh", "tanh", None]
    listed = mistakes(made.step, trace)
    shuffles = [m for m in listed if m.changes[0][0].startswith("pixel_shuffle")]
    assert len(shuffles) > 60
    for mistake in shuffles[::7]:
        values = made.step.values(mistake.changes)
        wrong = [n for n, a in values.items() if relative_error(a, made.exact[n]) > 1e-10]
        assert wrong, mistake.words
        (found,) = gradcheck(values, made).explanations
        assert mistake.kind in {m.kind for m in found.likely}, mistake.words


class WrongAt:
    """`reference`, but one operation is another where it is called for the k-th time."""

    def __init__(self, operation, k, other):
        self.operation, self.k, self.other, self.calls = operation, k, other, 0

    def __getattr__(self, name):
        right = getattr(reference, name)
        if name != self.operation:
            return right

        def call(*arguments):
            self.calls += 1
            return self.other(right, *arguments) if self.calls == self.k else right(*arguments)

        return call


def flipped(right, dout, x, w, padding):
    dx, dw, db = right(dout, x, w, padding)
    return dx, dw[:, :, ::-1, ::-1], db


@pytest.mark.parametrize(
    "operation, k, other, kind, words",
    [
        ("relu_backward", 1, lambda right, dout, x: dout, "no mask", "the ReLU of F_body[2] is mi"),
        ("relu_backward", 2, lambda right, dout, x: dout, "no mask", "the ReLU of F_body is missi"),
        ("relu_backward", 3, lambda right, dout, x: dout, "no mask", "the ReLU of F_head is missi"),
        ("relu", 2, lambda right, x: x, "no ReLU", "ReLU of F_body is missing in the forward"),
        ("conv2d_backward", 1, flipped, "flipped", "dW in layer tail is flipped"),
        ("conv2d", 4, lambda right, x, w, b, padding: right(x, w, 0 * b, padding), "no bias",
         "the bias in layer tail is not added"),
    ],
)  # fmt: skip
def test_any_network_is_checked_by_its_own_lines(operation, k, other, kind, words):
    """Recursion and a skip; wrong is one of several calls with the same weights."""
    network, rng = Recursive(), np.random.default_rng(3)
    step = Step(network, rng.random((2, 1, 6, 5)), rng.random((2, 1, 6, 5)))
    ops, kept, p = WrongAt(operation, k, other), [], network.parameters
    out = network._forward(step.low, p, ops, kept, **network.options)
    dout = reference.mse_backward(out, step.high)
    _, g = network._backward(dout, kept, p, ops, **network.options)
    given = {"loss": np.array(reference.mse(out, step.high))}
    given |= {f"d{name}": gradient for name, gradient in g.items()}
    found, left = diagnose(given, step, 1e-10)
    assert not left and len(found) == 1
    (text,) = (m.words for m in found[0].likely if m.kind == kind and words in m.words)
    assert text


def test_options_of_espcn_are_checked():
    for options, words in [
        ({"activation": "sigmoid"}, "activation is relu or tanh, got 'sigmoid'"),
        ({"scale": 1}, "scale is a whole number, 2 to 16; got 1"),
        ({"padding": "same"}, "padding is 'same', wanted one of valid, replicate, zeros"),
        ({"filters": (6,)}, "network is 'espcn', 3 filter sizes, and filters are (6,)"),
    ]:
        with pytest.raises(ValueError, match=re.escape(words)):
            case("espcn", **options)
    with pytest.raises(ValueError, match="activation tanh, which are for espcn; network is '5-3-3"):
        case(**SMALL, activation="tanh")
    with pytest.raises(ValueError, match="wanted filter sizes such as 9-1-5, or espcn, vdsr, drcn"):
        case("srgan")


# --------------------------------------------------------------------------- more calls than one


def right(low, high, parameters):
    loss, gradients = SRCNN.from_parameters(parameters, ops=reference).loss_and_gradients(low, high)
    return float(loss), dict(gradients)


def remembering(change):
    """A function of the right gradients, changed by what it remembers from one call to the next."""
    memory = {}

    def mine(low, high, parameters):
        loss, gradients = right(low, high, parameters)
        return change(memory, loss, gradients)

    return mine


def kept(memory, loss, gradients):
    for name, g in gradients.items():
        memory[name] = memory.get(name, 0) + g
    return loss, dict(memory)


def kept_in_place(memory, loss, gradients):
    for name, g in gradients.items():
        memory.setdefault(name, np.zeros_like(g))
        memory[name] += g
    return loss, memory


def kept_of_one_layer(memory, loss, gradients):
    memory["B2"] = gradients["B2"] = memory.get("B2", 0) + gradients["B2"]
    return loss, gradients


def momentum(memory, loss, gradients):
    for name, g in gradients.items():
        memory[name] = 0.9 * memory.get(name, 0) + g
    return loss, dict(memory)


def one_call_late(memory, loss, gradients):
    late = memory.get("g", gradients)
    memory["g"] = gradients
    return loss, late


def updated_weights(memory, loss, gradients):
    memory["calls"] = memory.get("calls", 0) + 1
    return loss / memory["calls"], gradients


def stale_layer(memory, loss, gradients):
    return loss, {**gradients, "W3": memory.setdefault("W3", gradients["W3"])}


def clipped_above(memory, loss, gradients):
    return loss, {name: np.clip(g, -9, 9) for name, g in gradients.items()}


def norm_clipped_above(memory, loss, gradients):
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    return loss, {name: g * min(1, 10 / norm) for name, g in gradients.items()}


@pytest.mark.parametrize(
    "change, words",
    [
        (kept, "returns twice as much in dW3, dB3, dW2, dB2, dW1, dB1: what was computed is kept"),
        (kept_in_place, "returns twice as much in dW3, dB3, dW2, dB2, dW1, dB1: what was computed"),
        (
            kept_of_one_layer,
            "returns twice as much in dB2: what was computed is kept between calls",
        ),
        (momentum, "returns 1.9 times as much in dW3, dB3, dW2, dB2, dW1, dB1: something of the"),
        (updated_weights, "returns something else in loss: are there random numbers in"),
        (one_call_late, "first returns the gradients of the call before"),
        (stale_layer, "The forward pass is right there. Is something used that was kept"),
        (clipped_above, "Gradients are clipped to -9..9, wanted as they are"),
        (norm_clipped_above, "is the norm of the gradients limited (clipped)?"),
    ],
)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_what_a_function_remembers_is_seen(change, words, layout):
    made = case(**SMALL, layout=layout)
    function = remembering(change)

    def mine(low, high, parameters):
        moved = {n: made.to_ours(n, a) for n, a in {"low": low, "high": high, **parameters}.items()}
        loss, gradients = function(moved.pop("low"), moved.pop("high"), moved)
        return loss, {n: in_layout_of(made, f"d{n}", g) for n, g in gradients.items()}

    report = gradcheck(mine, made)
    assert not report.ok and all(row.ok for row in report.rows)
    assert words in report.diagnosis[0], report.diagnosis
    assert "ReLU6" not in str(report)


def test_gradients_that_were_there_before_the_check_are_taken_off():
    function, made = remembering(kept), case(**SMALL)
    other = case(**SMALL, seed=5)
    function(other.low, other.high, other.parameters)
    report = gradcheck(function, made)
    assert not report.ok and all(row.ok for row in report.rows)
    assert "returns the sum of what it returned before and what is wanted" in report.diagnosis[0]


def test_a_mistake_is_named_beside_gradients_that_are_kept():
    function = remembering(lambda memory, loss, g: kept(memory, loss, {**g, "W2": -g["W2"]}))
    report = gradcheck(function, "5-3-3", filters=(6, 4))
    assert "twice as much" in report.diagnosis[0]
    assert kinds(report) == [{"wrong sign"}]


def test_chance_is_seen():
    rng = np.random.default_rng(0)

    def dropout(low, high, parameters):
        return right(low * (rng.random(low.shape) > 0.5), high, parameters)

    report = gradcheck(dropout, "5-3-3", filters=(6, 4))
    assert "returns something else in loss, dW3" in report.diagnosis[0]
    assert "dropout that is left on" in report.diagnosis[0]


def test_the_number_of_threads_of_blas_is_what_it_was():
    blas._functions() or pytest.skip("NumPy's BLAS is not OpenBLAS, or out of reach")
    threads, (get, put) = [], blas._functions()
    before = get()
    put(2)
    try:
        gradcheck(lambda *a: threads.append(get()) or right(*a), "5-3-3", filters=(6, 4))
        assert threads == [1, 1, 1] and get() == 2
    finally:
        put(before)


# -------------------------------------------------------------------- what no known mistake gives


def report_of_changes(*changes, **options):
    made = case(**{**SMALL, **options})
    values = parameters_and_loss(made.step.values(changes))
    return gradcheck({n: in_layout_of(made, n, a) for n, a in values.items()}, made)


def counted(axis, weights):
    """dW as a sum in which terms count as often as these weights say."""

    def change(right, dz, *rest):
        return right(dz * np.reshape(weights, (-1, *[1] * (3 - axis))), *rest)

    return change


def test_what_is_not_known_is_told_as_far_as_it_can_be():
    text = str(report_of_changes(("dw", 2, counted(0, [1, 1, 0.5])))).replace("\n", " ")
    assert "dB2 is right, and so is the dz that dW2 is made from: look at dW2 itself." in text
    assert "dW2 is the sum over samples, but these count 1, 1, 0.5 times." in text
    text = str(report_of_changes(("dw", 3, counted(2, [1, 0, 3, 1])))).replace("\n", " ")
    assert "dW3 is the sum over rows of the output, but these count 1, 0, 3, 1 times." in text
    made = case("9-5-5")
    gradients = {name: g.copy() for name, g in made.gradients.items()}
    gradients["W2"][3:5] = 0
    text = " ".join(gradcheck((made.loss, gradients), made).diagnosis)
    assert "dW2 differs only in filters 3 to 4 of 32, where it is 0." in text
    text = " ".join(gradcheck((made.loss * 1.1, made.gradients), made).diagnosis)
    assert "Gradients are right, so the forward pass is: look at the loss itself." in text


@pytest.mark.slow
def test_the_mask_is_found_where_dw_tells_it():
    change = ("mask", 2, lambda right, df, z, after: df * (z > 0.07))
    report = report_of_changes(change, network="9-5-5", filters=(64, 32), layout="NHWC")
    text = " ".join(report.diagnosis)
    assert "Layer 3 is right, and layer 2 is not: look at what goes back from one to the" in text
    assert "dF2 is right, its mask is another. It stops 4" in text
    assert "is its threshold, to be 0, between 0.0" in text
    taps = np.array([1, 1, 0, 1, 1.0])[:, None]
    change = ("dx", 3, lambda right, dz, x, w: right(dz, x, w * taps))
    text = " ".join(report_of_changes(change, network="9-5-5", filters=(64, 32)).diagnosis)
    assert "dz2 differs only in rows 2 to 5 of 8" in text


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda g: g * np.random.default_rng(0).choice([0, 2], g.shape), "as dropout leaves it"),
        (
            lambda g: g * np.random.default_rng(0).choice([-1, 1], g.shape),
            ", where it is -1 times what is wanted",
        ),
        (lambda g: np.random.default_rng(0).permuted(g), "has the same numbers in another order"),
        (lambda g: g + 3, "it is what is wanted plus 3"),
    ],
)
def test_how_an_array_differs_is_said(change, words):
    made = case(**SMALL)
    report = gradcheck({**made.arrays, "F1": change(made.arrays["F1"] + 0.0)}, made)
    assert words in " ".join(report.diagnosis)
    assert "So layer 1 is wrong in the forward pass" in " ".join(report.diagnosis)


# ----------------------------------------------------------------------------- shapes, types, names


def test_the_tenth_layer_is_no_layer_0():
    made = types.SimpleNamespace(parameters=range(20), output="F10")
    assert begins(made, {"F9"}, ["F10"]).startswith("So layer 10 is wrong in the forward pass")


def test_shapes_say_what_to_do():
    made = case(**SMALL)
    whole = made.step.values()
    dz = reference.relu_backward(whole["dF2"], whole["F2"])
    per_sample = np.stack(
        [
            reference.conv2d_backward(dz[n : n + 1], whole["F1"][n : n + 1], made.exact["W2"])[1]
            for n in range(3)
        ]
    )
    padded = np.pad(made.arrays["F3"], ((0, 0), (0, 0), (4, 4), (4, 4)))
    dw2 = made.arrays["dW2"]
    squares = (made.arrays["F3"] - made.high) ** 2
    for name, array, words in [
        ("dW2", dw2.transpose(2, 3, 1, 0), "Its axes are H, W, I, O: `.transpose(3, 2, 0, 1)`"),
        ("dW2", dw2.transpose(1, 0, 2, 3), "Its axes are I, O, H, W: `.transpose(1, 0, 2, 3)`"),
        ("dW2", dw2.reshape(4, -1), "The numbers are right: `.reshape(4, 6, 3, 3)` makes it right"),
        ("dB2", made.arrays["dB2"].reshape(1, -1, 1, 1), "`.reshape(4,)` makes it right"),
        ("dB2", dz.sum(axis=(2, 3)), "is not summed over all it should: `.sum(axis=(0,))` is"),
        ("dB2", dz, "is not summed over all it should: `.sum(axis=(0, 2, 3))` is"),
        ("dW2", per_sample, "is not summed over all it should: `.sum(axis=(0,))` is"),
        ("dW1", dw2, "These are the numbers of dW2: were the two exchanged?"),
        ("dB1", dw2[:, 0, 0, 0], "That is the shape of dB2: were the two exchanged?"),
        ("dW1", dw2[:1], "No exchange of axes, and no sum, makes it right: is it of"),
        ("F3", padded, "shape (3, 1, 12, 13), wanted (3, 1, 4, 5) (N, C, H, W). Larger than"),
        ("loss", np.ones(1), "it has the shape (1,), wanted ()"),
        ("loss", made.arrays["loss"][None], "The numbers are right: `.reshape(())` makes it"),
        ("loss", squares, "It is not averaged: one number is wanted, `.mean()` makes it right."),
        ("loss", squares.mean(axis=(1, 2, 3)), "not averaged: one number is wanted, `.mean()` m"),
        ("loss", squares.sum(axis=(1, 2, 3)), "not averaged: one number is wanted, `.mean()`."),
    ]:
        report = gradcheck({**made.arrays, name: array}, made)
        (row,) = (row for row in report.rows if not row.ok)
        assert row.name == name and row.index is None and row.error == np.inf
        assert report.diagnosis[0].startswith(f"{name}: it has the shape {array.shape}, wanted")
        assert words in report.diagnosis[0]
        assert "another shape" in str(report)


def test_all_arrays_of_another_shape_are_explained():
    made = case(**SMALL)
    values = {n: a.transpose(0, 2, 3, 1) if a.ndim == 4 and n[0] == "d" else a
              for n, a in made.arrays.items()}  # fmt: skip
    report = gradcheck(values, made)
    explained = [s.split(":")[0] for s in report.diagnosis if "makes it right" in s]
    assert explained == [row.name for row in report.rows if not row.ok]
    assert {"dF3", "dW3", "dW2"} <= set(explained)


def test_a_graph_that_is_cut_is_said_to_be_cut():
    made = case(**SMALL)
    cut = [("dx", 3, lambda right, *arguments: 0 * right(*arguments))]
    values = made.step.values(cut)
    report = gradcheck(values, made)
    assert (
        "gradient that goes back through the kernels in layer 3 is zero: never computed, or cut off"
    ) in report.diagnosis[0]


class Tensor:
    """As those of PyTorch: no array as long as it requires grad."""

    def __init__(self, array, requires_grad=True):
        self.array, self.requires_grad = array, requires_grad

    def detach(self):
        return Tensor(self.array, requires_grad=False)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.array


def test_tensors_that_require_grad_are_read():
    made = case(**SMALL)
    assert gradcheck({name: Tensor(a) for name, a in made.arrays.items()}, made).ok


@pytest.mark.slow
def test_numbers_of_fewer_digits_are_told_from_mistakes():
    made = case(**SMALL)
    values = {n: a.astype(np.float32).astype(np.float64) for n, a in made.arrays.items()}
    report = gradcheck(values, made)
    assert not report.ok and "to the rounding of float32" in report.diagnosis[0]
    assert "jax_enable_x64" in report.diagnosis[0]
    # Arrays of float32 are compared as such.
    assert gradcheck({n: a.astype(np.float32) for n, a in made.arrays.items()}, made).ok
    half = {n: a.astype(np.float16).astype(np.float32) for n, a in made.arrays.items() if n != "W3"}
    half = {n: a for n, a in half.items() if n in ("loss", "dW1", "dB1", "dW2", "dB2", "dW3")}
    report = gradcheck(half, made)
    assert "at most 11 significant bits each: they went through float16" in report.diagnosis[0]
    noise = np.random.default_rng(0)
    half = {n: (made.arrays[n] * (1 + 4e-4 * noise.standard_normal(a.shape))).astype(np.float32)
            for n, a in half.items()}  # fmt: skip
    report = gradcheck(half, made)
    assert not report.ok and not report.explanations
    assert any("TF32" in sentence for sentence in report.diagnosis)
    half["dB2"] = half["dB2"] / 7
    assert not gradcheck(half, made).explanations
    assert kinds(gradcheck(half, made, tolerance=0.01)) == [{"constant factor"}]


def test_rounding_is_not_blamed_for_what_it_does_not_explain():
    made = case(**SMALL)
    values = {name: a.copy() for name, a in made.arrays.items()}
    for factor in (1e-7, 3e-4):  # all the others are right to the last digit
        values["dW2"] = made.arrays["dW2"] + factor * made.arrays["W2"]
        report = gradcheck(values, made)
        assert kinds(report) == [{"weight decay"}]
        assert "float32" not in report.diagnosis[0] and "TF32" not in str(report)
    values["dW2"] = made.arrays["dW2"] * (1 + 1e-3 * np.cos(np.arange(216)).reshape(4, 6, 3, 3))
    report = gradcheck(values, made)
    assert "No mistake that is known" in str(report) and "TF32" not in str(report)
    values["dW2"] = made.arrays["dW2"].astype(np.float32).astype(np.float64)  # this one alone
    assert "numbers go through float32" in gradcheck(values, made).diagnosis[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tolerance_below_rounding_is_said_to_be_that(dtype):
    made = case(**SMALL, dtype=dtype)
    values = {n: np.nextafter(a, a.dtype.type(2)) for n, a in made.arrays.items() if n[0] == "d"}
    report = gradcheck({"loss": made.arrays["loss"], **values}, made, tolerance=0)
    assert not report.ok and not report.explanations
    assert report.diagnosis[0].startswith(f"All is right to the rounding of {dtype}, ")
    assert "go through" not in str(report)


def test_what_is_not_finite_or_missing_is_said():
    made = case(**SMALL)
    values = {name: a.copy() for name, a in made.gradients.items()}
    values["W2"][0, 1, 2, 0] = np.nan
    values["W2"][3, 1, 2, 0] = np.inf
    report = gradcheck({"loss": made.loss, **values}, made)
    assert "dW2: 2 of 216 values are not finite (nan or inf)." in report.diagnosis
    assert next(row for row in report.rows if not row.ok).index in ((0, 1, 2, 0), (3, 1, 2, 0))
    report = gradcheck({"loss": made.loss, "W1": made.gradients["W1"], "B1": None}, made)
    assert all(row.ok for row in report.rows) and not report.ok
    assert report.diagnosis == [
        "dB1: None, never computed. Is that layer's output used, and was the backward pass run?",
        "Missing: dW2, dB2, dW3, dB3. Give them too, to have them compared.",
    ]
    assert "allowed: WRONG" in str(report)
    report = gradcheck(made.gradients, made)
    assert report.diagnosis == ["Missing: loss. Give it too, to have it compared."]
    assert "allowed: incomplete" in str(report) and not report.ok
    report = gradcheck({**made.arrays, "dF1": None}, made)  # not needed
    assert report.ok


def test_gradients_that_are_all_zero():
    made = case(**SMALL)
    report = gradcheck((made.loss, {n: 0 * g for n, g in made.gradients.items()}), made)
    assert not report.ok and report.explanations == []
    assert report.diagnosis == [
        "All your gradients are zero: read them after the backward pass, and before they are "
        "set to zero for the next step."
    ]


def test_gradients_that_are_empty_are_not_said_to_be_zero():
    made = case(**SMALL)
    report = gradcheck({"loss": made.loss + 1, "dW1": np.zeros(0)}, made)
    assert "zero" not in str(report)
    assert any(s.startswith("dW1: it has the shape (0,), wanted") for s in report.diagnosis)


def test_gradients_of_another_network():
    made = case(**SMALL)
    other = case(**{**SMALL, "network": "7-3-3"})
    text = str(gradcheck((other.loss, other.gradients), made))
    text = " ".join(text.split())
    assert text.count(f"is it of another network than {made.network}, or of other") == 1
    assert text.count("No exchange of axes") == 1


def test_inputs_are_no_gradients():
    """Of a forward pass alone, or of one with some gradients; those named alike still are."""
    made = case(**SMALL)
    names = ["low", "high", *made.parameters, "F1", "F2", "loss"]
    for more in [], ["dF2"], ["dB1", "dB2"]:
        report = gradcheck({name: made.arrays[name] for name in [*names, *more]}, made)
        assert all(row.ok for row in report.rows), report
        assert {row.name for row in report.rows} == {"F1", "F2", "loss", *more}
    assert gradcheck((made.loss, {"W1": 2 * made.gradients["W1"]}), made).rows[-1].name == "dW1"


def test_one_array_of_float32_allows_no_other_its_rounding():
    made = case(**SMALL)
    values = {**made.arrays, "dB1": np.float32(made.arrays["dB1"])}
    report = gradcheck(values, made)
    assert {row.name for row in report.rows if not row.ok} == {"dB1"}
    assert "somewhere, numbers go through float32" in report.diagnosis[0]
    values["dW1"] = made.arrays["dW1"] * (1 + 1e-6)
    wrong = {row.name for row in gradcheck(values, made).rows if not row.ok}
    assert wrong == {"dB1", "dW1"}


def test_names_of_pytorch_are_understood():
    made = case(**SMALL)
    names = {"W": "weight", "B": "bias"}
    theirs = {f"net.{n[1]}.{names[n[0]]}": g for n, g in made.gradients.items()}
    assert gradcheck((made.loss, theirs), made).ok
    theirs["net.2.weight"] = theirs["net.2.weight"].swapaxes(2, 3)
    assert kinds(gradcheck((made.loss, theirs), made)) == [{"transposed"}]


@pytest.mark.parametrize(
    "mine, error, words",
    [
        (3, TypeError, "got int, wanted (loss, gradients), (output, loss, gradients) or a dict"),
        ((1.0, [2.0]), TypeError, "got tuple, wanted (loss, gradients)"),
        ({}, ValueError, "nothing to compare: give the loss and gradients"),
        (
            {"loss": 1.0, "dW7": np.ones(3)},
            ValueError,
            "is it of another network (give its name, --network)? Names are low,",
        ),
        ({"loss": 1}, TypeError, "loss is int64, wanted float32 or float64"),
        (
            {"loss": 1.0, "c.weight": None, "c.bias": np.ones(3)},
            ValueError,
            "c.weight is None, wanted its gradient, which was never computed. Is that layer's",
        ),
        ({"loss": 1.0, "dW1": 1.0, "low": np.ones(3)}, ValueError, "your low is not the one of"),
    ],
)
def test_what_cannot_be_compared_is_refused(mine, error, words):
    with pytest.raises(error, match=re.escape(words)):
        gradcheck(mine, case(**SMALL))


def test_options_of_the_case_are_checked():
    for options, words in [
        ({"layout": "CHWN"}, "layout is 'CHWN'"),
        ({"weights": "IOHW"}, "weights 'IOHW', wanted NCHW or NHWC, and one of OIHW, HWIO, OHWI"),
        ({"dtype": "float16"}, "dtype is 'float16', wanted float32 or float64"),
        ({"network": "nine"}, "network is 'nine', wanted filter sizes such as 9-1-5"),
        ({"network": "9-2-5"}, "filter sizes are odd"),
        ({"network": "91-91-91"}, "network is '91-91-91', whose layer 2 takes "),
        ({"samples": 10**8}, "wanted at most 1 GiB: give smaller or fewer filters, fewer samples"),
        ({"samples": 0}, "samples is 0 and size (4, 5), wanted 1 or more of each"),
    ]:
        with pytest.raises(ValueError, match=re.escape(words)):
            case(**options)
    with pytest.raises(TypeError, match="seed: give these to `case`"):
        gradcheck(nchw, case(**SMALL), seed=3)


def test_a_function_cannot_change_the_case():
    def spoils(low, high, parameters):
        loss, gradients = SRCNN.from_parameters(parameters).loss_and_gradients(low, high)
        low[...] = high[...] = 0
        for p in parameters.values():
            p[...] = 0
        return loss, gradients

    made = case(**SMALL)
    assert gradcheck(spoils, made).ok and gradcheck(spoils, made).ok


def test_inputs_that_are_changed_in_place_are_named_first():
    def emptied(low, high, parameters):
        low.fill(0)
        parameters["B2"] += 1
        return SRCNN.from_parameters(parameters, ops=reference).loss_and_gradients(low, high)

    report = gradcheck(emptied, "5-3-3", filters=(6, 4))
    assert not report.ok
    assert report.diagnosis[0] == (
        "Your function changed low, B2 in place. Let it work on copies first: what is said below "
        "may come of that."
    )


def test_reports_fit_into_80_columns():
    reports = [report_of(planted, all_values=True) for planted in ("no mask", "per sample")]
    for line in "\n".join(map(str, reports)).splitlines():
        assert len(line) <= 80, line
    assert "dW2   WRONG" in str(reports[0]) and "dW3   ok" in str(reports[0])


def test_the_tolerance_suits_the_type():
    made = case("9-5-5")
    assert 1e-14 < rounding(made, np.dtype(np.float64)) < 1e-12
    assert 1e-5 < rounding(made, np.dtype(np.float32)) < 1e-3


# ---------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("network", ["9-1-5", "9-5-5"])
def test_the_case_is_exact_and_far_from_the_kinks(network):
    made = case(network).exact
    whole = {name: np.rint(made[name] * 256).astype(np.int64) for name in ("low", "high")}
    whole |= {n: np.rint(made[n] * 4096).astype(np.int64) for n in made if n[0] in "WB"}
    for name, unit in (("low", 256), ("high", 256), ("W1", 4096), ("B2", 4096), ("W3", 4096)):
        assert np.array_equal(whole[name] / unit, made[name])
        assert np.array_equal(made[name].astype(np.float32), made[name])
    x, unit = whole["low"], 256
    for k in (1, 2, 3):
        windows = np.lib.stride_tricks.sliding_window_view(
            x, made[f"W{k}"].shape[2:], axis=(2, 3)
        )  # fmt: skip
        z = np.einsum("ncijuv,ocuv->noij", windows, whole[f"W{k}"])
        unit *= 4096
        z += (whole[f"B{k}"] * (unit // 4096))[:, None, None]
        if k < 3:
            assert np.abs(z).min() / unit > 0.005
            assert 0.3 < (z > 0).mean() < 0.7
        x = np.maximum(z, 0) if k < 3 else z
        assert np.abs(z).max() < 2**53
        assert np.array_equal(x / unit, made[f"F{k}"])


def test_layouts_are_the_same_numbers():
    ours = case(**SMALL)
    for layout, weights in (("NHWC", None), ("NHWC", "OHWI"), ("NCHW", "HWIO")):
        made = case(**SMALL, layout=layout, weights=weights)
        for name, array in made.arrays.items():
            assert np.array_equal(made.to_ours(name, array), ours.arrays[name]), name
            assert array.flags.c_contiguous
    made = case(**SMALL, layout="NHWC")
    assert made.low.shape == (3, 12, 13, 1) and made.parameters["W2"].shape == (3, 3, 6, 4)
    assert [made.axes(n) for n in ("dW1", "B1", "loss", "dF2", "dlow")] == [
        "HWIO", "O", "", "NHWC", "NHWC",
    ]  # fmt: skip
    assert list(made.activations) == ["F1", "F2", "F3"] and made.activations["F3"].shape[3] == 1


@needs_docs
@pytest.mark.parametrize("network", ["9-1-5", "9-5-5"])
def test_the_files_hold_what_the_reference_computes(network, tmp_path):
    path = DOCS / "gradients" / f"{network}.npz"
    assert path.stat().st_size < 1_000_000
    made = case(network)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    assert list(arrays) == list(made.arrays)
    for name, array in arrays.items():
        assert array.dtype == np.float64 and array.shape == made.arrays[name].shape
        if name[0] in "WBF" or name in ("low", "high"):
            assert np.array_equal(array, made.arrays[name]), name
        else:
            assert relative_error(array, made.arrays[name]) < 1e-14 * np.sqrt(1600), name
    layers = [(arrays[f"W{k}"], arrays[f"B{k}"]) for k in (1, 2, 3)]
    loss, gradients = reference.loss_and_gradients(arrays["low"], arrays["high"], layers)
    assert abs(loss - arrays["loss"]) < 1e-14
    for k, (dw, db) in enumerate(gradients, 1):
        assert relative_error(dw, arrays[f"dW{k}"]) < 1e-13
        assert relative_error(db, arrays[f"dB{k}"]) < 1e-13
    write_case(tmp_path / "again.npz", made)
    with np.load(tmp_path / "again.npz") as file:
        assert all(np.array_equal(file[name], made.arrays[name]) for name in arrays)


@needs_docs
@pytest.mark.parametrize("network", ["espcn", *DEEP])
def test_the_files_of_later_networks_hold_a_case(network):
    path, made = DOCS / "gradients" / f"{network}.npz", case(network)
    with np.load(path) as file:
        arrays = dict(file)
    assert list(arrays) == list(made.arrays)
    for name, array in arrays.items():
        assert array.dtype == np.float64 and array.shape == made.arrays[name].shape
        if name in made.parameters or name in ("low", "high"):
            assert np.array_equal(array, made.arrays[name]), name
        else:
            assert relative_error(array, made.arrays[name]) < 1e-12, name
    row = next(line for line in PAGE.read_text().splitlines() if f"(gradients/{path.name})" in line)
    assert f"{path.stat().st_size / 1e6:.2f} MB" in row
    assert f"low {made.low.shape}" in repr(made) and len(repr(made)) < 150


@needs_docs
@pytest.mark.parametrize("network", ["9-1-5", "9-5-5"])
def test_the_files_hold_what_pytorch_computes(network):
    torch = pytest.importorskip("torch")
    with np.load(DOCS / "gradients" / f"{network}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    t = {n: torch.tensor(arrays[n], requires_grad=True) for n in arrays if n[0] in "WBl"}
    x, values = t["low"], {}
    for k in (1, 2, 3):
        x = torch.nn.functional.conv2d(x, t[f"W{k}"], t[f"B{k}"])
        x = x if k == 3 else torch.relu(x)
        x.retain_grad()
        values[f"F{k}"] = x
    loss = torch.nn.functional.mse_loss(x, torch.tensor(arrays["high"]))
    loss.backward()
    assert abs(loss.item() - arrays["loss"]) < 1e-14
    del t["loss"]
    for name, tensor in (t | values).items():
        assert relative_error(tensor.grad.numpy(), arrays[f"d{name}"]) < 1e-13, name
    for name, tensor in values.items():
        assert np.array_equal(tensor.detach().numpy(), arrays[name]), name


# ------------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["gradcheck", "--write", "case.npz", "--layout", "NHWC", "--seed", "3"]) == 0
    with np.load("case.npz") as file:
        arrays = dict(file)
    assert arrays["W1"].shape == (9, 9, 1, 64)
    assert np.array_equal(arrays["low"], case(layout="NHWC", seed=3).low)
    assert main(["gradcheck", "case.npz", "--layout", "NHWC", "--seed", "3"]) == 0
    assert re.search(r"NHWC, weights HWIO, float64, errors .*: right", capsys.readouterr().out)
    mine = {**parameters_and_loss(arrays), "dW1": arrays["dW1"].swapaxes(0, 1)}
    np.savez("mine.npz", **mine)
    assert main(["gradcheck", "mine.npz", "--layout", "NHWC", "--seed", "3"]) == 1
    out = capsys.readouterr().out
    assert "allowed: WRONG" in out and "dW in layer 1 is transposed" in out
    assert main(["gradcheck", "case.npz"]) == 2
    assert "is it of another network, activation, layout or seed" in capsys.readouterr().err
    Path("bad.npz").write_bytes(b"PK and no more")
    np.savez("objects.npz", loss=np.array([{}], object))
    for arguments, words in [
        ([], "gradcheck wants a file of gradients, or --write and a file to write"),
        (["mine.npz", "--write", "other.npz"], "or --write and a file to write, not both"),
        (["mine.npz", "--network", "9-1"], "network is '9-1', 2 filter sizes, and filters are (64"),
        (["mine.npz", "--network", "91-91-91"], "takes 106 GiB for 3 samples, wanted at most 1"),
        (["mine.npz", "--seed", "-1"], "seed is -1, wanted a whole number, 0 or more"),
        (["missing.npz"], "no file missing.npz: give an .npz file of arrays"),
        (["mine.mat"], "no file mine.mat: give an .npz file of arrays"),
        (["bad.npz"], "bad.npz is damaged or not an .npz file of arrays"),
        (["objects.npz"], "objects.npz is damaged or not an .npz file of arrays"),
        (["--write", "case.txt"], "case.txt does not end in .npz"),
        (["mine.npz", "--network", "9-2-5"], "filter sizes are odd"),
        (["case.npz", "--tolerance", "nan"], "tolerance is nan, wanted 0 or more"),
        (["case.npz", "--tolerance", "-1"], "tolerance is -1.0, wanted 0 or more"),
    ]:
        assert main(["gradcheck", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_the_command_with_espcn(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--network", "espcn", "--scale", "2", "--activation", "relu", "--padding", "zeros"]
    assert main(["gradcheck", "--write", "case.npz", *options]) == 0
    with np.load("case.npz") as file:
        arrays = dict(file)
    assert arrays["low"].shape == (3, 1, 4, 5) and arrays["output"].shape == (3, 1, 8, 10)
    made = case("espcn", scale=2, activation="relu", padding="zeros")
    assert all(np.array_equal(arrays[name], a) for name, a in made.arrays.items())
    assert main(["gradcheck", "case.npz", *options]) == 0
    assert "espcn, NCHW, weights OIHW, float64" in capsys.readouterr().out
    np.savez("mine.npz", **parameters_and_loss(arrays) | {"dW3": arrays["dW3"][[0, 2, 1, 3]]})
    assert main(["gradcheck", "mine.npz", *options]) == 1
    assert "dW3   WRONG" in capsys.readouterr().out
    assert main(["gradcheck", "case.npz", "--network", "espcn"]) == 2
    assert "is it of another network, activation, layout or seed" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------- the page


def examples():
    """(title, code, what it prints) of the page."""
    if not PAGE.exists():
        return []
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    assert len(found) == text.count("```python") == 8
    return found


def without_rounding(text):
    """A report in which errors of rounding, which differ between machines, are all the same."""
    return re.sub(r"\b\d\.\de-1\d\b|\b0\.0e\+00\b", "0.0e+00", text)


@pytest.mark.parametrize("code, printed", examples())
def test_the_examples_of_the_page_print_what_it_says(code, printed):
    for package in ("torch", "jax"):
        if f"import {package}" in code and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    said = python(code, cwd=DOCS / "gradients")
    assert without_rounding(said) == without_rounding(printed)


@needs_docs
def test_the_page_says_what_is_in_the_files():
    text = PAGE.read_text(encoding="utf-8")
    arrays = case("9-5-5").arrays
    for name in arrays:
        assert f"`{name}`" in text or re.fullmatch(r"d[WB]\d", name), name
    row = next(line for line in text.splitlines() if line.startswith("| `W1`"))
    assert re.findall(r"\([\d, ]+\)", row) == [
        str(a.shape) for n, a in arrays.items() if n[0] in "WB"
    ]
    row = next(line for line in text.splitlines() if line.startswith("| `F1`"))
    assert re.findall(r"\([\d, ]+\)", row) == [str(arrays[f"F{k}"].shape) for k in (1, 2, 3)]
    assert f"3) / {arrays['high'].size}" in text or f"high) / {arrays['high'].size}" in text


def test_reports_and_cases_cannot_be_changed():
    report = report_of()
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.ok = False
