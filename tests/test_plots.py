"""Plots: what is in the figures, and the command `pysrcnn show`."""

import json

import numpy as np
import pytest

from pysrcnn import ESPCN, SRCNN, plots
from pysrcnn.cli import main
from pysrcnn.data import pair
from pysrcnn.pictures import read_picture, write_picture

pytest.importorskip("matplotlib")


def network(c=1):
    return SRCNN.from_stack((5, 1, 3), (10, 4), c, init="he", seed=0)


def images(figure):
    return [axis.images[0].get_array() for axis in figure.axes if axis.images]


@pytest.fixture
def log(tmp_path):
    head = {"recipe": {}, "bicubic_psnr": 30.25}
    points = [{"step": k, "samples": 16 * k, "loss": 0.1, "psnr": 30 + k / 10} for k in (1, 2, 3)]
    path = tmp_path / "mine.log"
    path.write_text("".join(json.dumps(line) + "\n" for line in (head, *points)))
    return path


@pytest.mark.parametrize("c", [1, 3])
def test_filters(c):
    net = network(c)
    w = net.layers[0][0]
    shown = images(plots.filters(net))
    assert len(shown) == 10
    assert {s.shape for s in shown} == {(5, 5) if c == 1 else (5, 5, 3)}
    variances = w.reshape(10, -1).var(1)
    strongest = w[np.argmax(variances)].transpose(1, 2, 0).squeeze()
    assert np.allclose(shown[0], 0.5 + 0.5 * strongest / np.abs(strongest).max())


def test_of_many_tiles_the_first_are_shown():
    figure = plots.filters(SRCNN(5, 70, 1, 4, 3, init="he"))
    assert len(images(figure)) == 64
    assert figure.get_suptitle() == "5-1-3: filters of layer 1, by variance, the first 64 of 70"


def test_feature_maps():
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
    net = network()
    first, second = (images(plots.feature_maps(net, picture, 2, layer)) for layer in (1, 2))
    assert (len(first), len(second)) == (10, 4)
    assert all(s.shape == (20, 30) and s.min() >= 0 for s in first + second)
    figure = plots.feature_maps(net, picture, 2)
    assert {axis.images[0].norm.vmin for axis in figure.axes if axis.images} == {0}
    for layer in (0, 3):
        with pytest.raises(ValueError, match=f"layer is {layer}, wanted 1 to 2"):
            plots.feature_maps(net, picture, 2, layer)


def test_curve(log):
    (axis,) = plots.curve([log], ["modern"], {"sparse coding": 31.42}).axes
    data = {line.get_label(): line.get_xydata() for line in axis.lines}
    assert data.keys() == {"modern", "bicubic", "sparse coding"}
    assert np.allclose(data["modern"], [(16, 30.1), (32, 30.2), (48, 30.3)])
    assert set(data["bicubic"][:, 1]) == {30.25} and set(data["sparse coding"][:, 1]) == {31.42}


def test_a_curve_of_one_point_and_of_none(log):
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]))
    (axis,) = plots.curve([log]).axes
    assert axis.lines[0].get_marker() == "."
    log.write_text(lines[0])
    with pytest.raises(ValueError, match="mine.log has only its first line yet"):
        plots.curve([log])


@pytest.mark.parametrize("last, bottom", [(31.0, 29.25), (20.0, 19.0)])
def test_a_curve_that_begins_low(log, last, bottom):
    point = {"step": 9, "samples": 9, "loss": 0.1}
    with open(log, "a") as file:
        file.write("".join(json.dumps({**point, "psnr": p}) + "\n" for p in (3.0, last)))
    (axis,) = plots.curve([log]).axes
    assert axis.get_ylim()[0] == pytest.approx(bottom)


@pytest.mark.parametrize("kind", ["uint16", "grey uint16", "float"])
def test_crops_of_other_pictures(kind):
    picture = np.random.default_rng(0).random((40, 60, 3))
    if "grey" in kind:
        picture = picture[:, :, 0]
    if "uint16" in kind:
        picture = np.uint16(65535 * picture)
    original, bicubic, ours = images(plots.crops(network(), picture, 2))
    for shown in (original, bicubic):
        assert 0 <= shown.min() < 0.3 and 0.7 < shown.max() <= 1
    assert 0 <= ours.min() <= ours.max() <= 1


def test_crops():
    picture = np.random.default_rng(0).integers(0, 256, (40, 61, 3), np.uint8)
    original, bicubic, ours = images(plots.crops(network(), picture, 2, (10, 5, 20, 30)))
    assert np.allclose(original, picture[5:35, 10:30] / 255)
    assert bicubic.shape == ours.shape == original.shape
    assert not np.array_equal(bicubic, ours)
    with pytest.raises(
        ValueError, match=r"region \(50, 0, 11, 5\) is not inside .* 60 x 40 pixels"
    ):
        plots.crops(network(), picture, 2, (50, 0, 11, 5))
    with pytest.raises(ValueError, match="60 x 40 pixels that are left of 61 x 40, as 2 must divi"):
        plots.crops(network(), picture, 2, (0, 0, 61, 40))
    with pytest.raises(ValueError, match="has 61 x 5 pixels; at scale 2 it needs at least 6 x 6"):
        plots.crops(network(), picture[:5], 2)
    assert plots.crops(network(), picture[:6], 2)
    with pytest.raises(ValueError, match="has 61 x 1 pixels; at scale 2 it needs at least 2 x 2"):
        plots.feature_maps(network(), picture[:1], 2)


def test_the_command(log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_picture("a.png", np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    for k, arguments in enumerate(
        (["filters"], ["maps", "a.png", "--layer", "2"], ["crops", "a.png"], ["curve", "mine.log"])
    ):
        assert main(["show", *arguments, "-o", f"{k}.png"]) == 0
        assert min(read_picture(f"{k}.png").shape[:2]) > 100
    assert main(["show", "filters", "-o", "a.svg"]) == 0
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    capsys.readouterr()
    for arguments, words in (
        (["filters", "a.png", "-o", "b.png"], "show filters takes no file, got 1 file"),
        (["maps", "-o", "b.png"], "show maps takes 1 picture, got 0 files"),
        (["curve", "a.png", "-o", "b.png"], "a.png is not a log of training"),
        (["filters", "-o", "b.gif"], "b.gif does not end in .png, .svg or .pdf"),
    ):
        assert main(["show", *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


def test_the_curve_of_weights_is_that_of_the_log_beside_them(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network().save("mine.npz")
    (tmp_path / "mine.checkpoint").touch()
    assert main(["show", "curve", "mine.log", "-o", "log.png"]) == 0
    for k, given in enumerate((["mine.npz"], ["mine.checkpoint"], ["-m", "mine.npz"])):
        assert main(["show", "curve", *given, "-o", f"{k}.png"]) == 0
        ours, theirs = read_picture(f"{k}.png"), read_picture("log.png")
        assert np.array_equal(ours, theirs)


def test_plots_are_at_the_scale_of_the_network():
    picture = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    for plot in (plots.feature_maps, plots.crops):
        net = network()
        net.scale = 3
        plot(net, picture)
        with pytest.raises(
            ValueError, match="was trained for scale 3, not 2, and weights work only"
        ):
            plot(net, picture, 2)


@pytest.mark.parametrize("filters", [1, 2, 10])
def test_plots_of_few_tiles_have_room_for_their_title(filters):
    net = SRCNN(5, filters, 1, 4, 3, init="he")
    for figure in plots.filters(net), plots.feature_maps(net, np.zeros((20, 30), np.uint8), 2):
        figure.draw_without_rendering()
        title = figure.texts[0].get_window_extent()
        assert 0 <= title.x0 < title.x1 <= figure.bbox.width


@pytest.mark.parametrize("activation, black", [("relu", 0), ("tanh", None)])
def test_maps_are_shown_from_their_smallest_value(activation, black):
    net = ESPCN(2, filters=(6, 4), activation=activation, init="he")
    picture = np.random.default_rng(1).integers(0, 256, (20, 32), np.uint8)
    low, _ = pair(picture, 2, small=True)
    figure = plots.feature_maps(net, picture, 2)
    shown = [axis.images[0] for axis in figure.axes if axis.images]
    for image, its in zip(shown, net.maps(low[None])[1][0], strict=True):
        assert image.norm.vmin == (its.min() if black is None else black)
