"""What is the kernels' own: vector widths, Winograd, planes, and the cache on disk."""

import importlib.util
import os
import shutil
import sys

import numba
import numpy as np
import pytest
from processes import PACKAGE
from processes import python_cached as run
from rungs import JIT, compiled_only, equal_to_rounding, random_layers

from pysrcnn import color, imresize, kernels, reference
from pysrcnn.kernels import compile as compiling
from pysrcnn.kernels import layout, rows, tiles, winograd
from pysrcnn.kernels.vectors import VECTORS, WIDTHS
from pysrcnn.resize import taps

# ---------------------------------------------------------------------------------- vector widths

COMPARE = """
import numpy as np
from rungs import equal_to_rounding, random_layers
from pysrcnn import kernels, reference
layers = random_layers((9, 5, 5), (13, 8), 1, np.float32)
rng = np.random.default_rng(0)
x = rng.random((2, 1, 31, 70)).astype(np.float32)
for case in ("replicate", "relu"), ("valid", "relu"), ("zeros", "tanh"):
    pair = [ops.forward(x, layers, *case) for ops in (kernels, reference)]
    assert equal_to_rounding(*pair, terms=400), case
enlarging = random_layers((5, 3, 3), (16, 16), 1, np.float32, out=4)
for padding in ("replicate", "valid"):
    pair = [ops.forward(x, enlarging, padding, shuffle=2) for ops in (kernels, reference)]
    assert equal_to_rounding(*pair, terms=400), padding
high = rng.random((2, 1, 15, 54)).astype(np.float32)
for activation in ("relu", "tanh"):
    both = (ops.loss_and_gradients(x, high, layers, activation)[1] for ops in (kernels, reference))
    for layer, want in zip(*both):
        for a, b in zip(layer, want):
            size = np.abs(b).max()
            assert equal_to_rounding(a / size, b / size, terms=2000)
for dtype in (np.float32, np.float64):
    numbers = np.linspace(-12, 12, 10_001).astype(dtype)
    exact = np.tanh(numbers.astype(np.longdouble))
    assert np.all(abs(kernels.tanh(numbers) - exact) <= 3 * np.spacing(abs(exact).astype(dtype)))
print(kernels.VECTORS, kernels.VECTOR_BYTES)
"""


# The processor's own is tested everywhere. Each other one takes half a minute to compile.


@compiled_only
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WIDTHS if name != VECTORS])
def test_forced_vector_width(name, tmp_path):
    """Each width gives the right results here: LLVM splits vectors the processor lacks."""
    assert run(COMPARE, tmp_path, PYSRCNN_VECTORS=name) == f"{name} {WIDTHS[name][0]}"


def test_unknown_vector_width(tmp_path):
    with pytest.raises(AssertionError, match="PYSRCNN_VECTORS is 'sse9', wanted one of avx512"):
        run("import pysrcnn", tmp_path, PYSRCNN_VECTORS="sse9")


# --------------------------------------------------------------------------------------- winograd


@pytest.mark.parametrize("size", winograd.TAPS)
def test_winograd_is_correlation(size):
    a, g, b = winograd.matrices(size)
    rng = np.random.default_rng(1)
    taps_, pixels = rng.standard_normal(size), rng.standard_normal(b.shape[1])
    ours = a @ ((g @ taps_) * (b @ pixels))
    assert np.allclose(ours, np.correlate(pixels, taps_, "valid"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", winograd.TAPS)
def test_winograd_in_two_dimensions(size):
    """Exactly: in fractions, a tile of whole numbers is the sum itself."""
    a, g, b = winograd.fractions(size)
    rng = np.random.default_rng(2)
    taps, pixels = rng.integers(-9, 9, (size, size)), rng.integers(0, 256, (len(b), len(b)))
    ours = a @ ((g @ taps @ g.T) * (b @ pixels @ b.T)) @ a.T
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size))
    assert np.array_equal(ours, np.einsum("ijuv,uv->ij", windows, taps))


def with_each_padding(cases):
    """Each case with each padding, and with both activations: one or the other in turn."""
    return [
        (case, padding, ("relu", "tanh")[(k + j) % 2])
        for k, case in enumerate(cases)
        for j, padding in enumerate(("replicate", "zeros", "valid"))
    ]


@pytest.mark.parametrize("height, padding, activation", with_each_padding([7, 8, 9, 10, 33]))
def test_winograd_where_tiles_do_not_fit(height, padding, activation):
    """Rows, columns and filters that are no multiple of those of a tile; two samples."""
    layers = random_layers((3, 3, 3), (9, 17), 2, np.float32, out=11)
    assert [winograd.taps(w) for w, _ in layers] == [0, 3, 3]
    exact = [(w.astype(np.float64), b.astype(np.float64)) for w, b in layers]
    x = np.random.default_rng(height).random((2, 2, height, 70 + height if JIT else 11))
    x = x.astype(np.float32)
    want = reference.forward(x.astype(np.float64), exact, padding, activation)
    ours = kernels.forward(x, layers, padding, activation)
    assert ours.shape == want.shape and np.abs(ours - want).max() < 1e-5
    assert not np.array_equal(ours, kernels.direct.forward(x, layers, padding, activation))


PARTS = [  # sizes, filters, channels; taps, and filters of a first layer whose maps are not kept
    ((9, 1, 5), (64, 32, 1), 1, [3, 0], 64),
    ((9, 1, 1, 5), (10, 7, 3, 3), 3, [3, 0, 0], 10),  # no multiple of a tile
    ((9, 1, 9, 5), (16, 6, 24, 1), 1, [3, 3, 0], 16),  # with a layer of 1 x 1 and without
    ((3, 9, 5), (4, 20, 1), 1, [0, 3, 0], 0),
    ((9, 1), (16, 16), 1, [3, 0], 0),  # the last layer is not hidden
    ((15, 5), (9, 1), 1, [3, 0], 0),
    ((9, 9, 5), (16, 8, 1), 1, [3, 0, 0], 0),  # the second has too many channels
    ((21, 3), (16, 1), 2, [0, 0], 0),
]


@pytest.mark.parametrize("case, padding, activation", with_each_padding(PARTS))
def test_large_filters_in_parts(case, padding, activation):
    """Layers of 9 x 9 as parts of 3 x 3, on pictures that fill tiles and pairs badly."""
    sizes, (*filters, out), c, taps, hidden = case
    layers = random_layers(sizes, filters, c, np.float32, out=out)
    stack = layout.stack_of(layers, layout.group_of(layers), 64, rows.RELU, False)
    assert (list(stack.taps), stack.hidden) == (taps, hidden)
    exact = [(w.astype(np.float64), b.astype(np.float64)) for w, b in layers]
    margin = sum(f // 2 for f in sizes) if padding == "valid" else 0
    for height, width in ((1, 1), (6, 133)) if JIT else ((1, 1), (2, 6)):
        x = np.random.default_rng(5).random((2, c, height + 2 * margin, width + 2 * margin))
        x = x.astype(np.float32)
        want = reference.forward(x.astype(np.float64), exact, padding, activation)
        ours = kernels.forward(x, layers, padding, activation)
        assert ours.shape == want.shape
        assert np.abs(ours - want).max() < 1e-5 * max(1, np.abs(want).max())


@pytest.mark.parametrize("sizes", [(9, 5, 5), (9, 1, 5), (9, 3, 5), (9, 3, 3, 5), (5, 5, 1, 3)])
def test_winograd_and_direct_sum(sizes):
    """Every pixel within 1e-5 of full scale of the exact sum, by either way of computing."""
    filters = (64, 32, 16)[: len(sizes) - 1]
    layers = random_layers(sizes, filters, 1, np.float32)
    exact = [(w.astype(np.float64), b.astype(np.float64)) for w, b in layers]
    x = np.random.default_rng(2).random((1, 1, 20, 230) if JIT else (1, 1, 5, 9))
    x = x.astype(np.float32)
    want = reference.forward(x.astype(np.float64), exact, "replicate")
    fast = kernels.forward(x, layers, "replicate")
    direct = kernels.direct.forward(x, layers, "replicate")
    assert np.abs(fast - want).max() < 1e-5
    assert np.abs(direct - want).max() < 1e-5
    assert not np.array_equal(fast, direct)  # or the transform was not used at all


@pytest.mark.parametrize("sizes", [(9, 5, 5), (9, 3, 5), (5, 3, 5, 1)])
@pytest.mark.parametrize("side", [0, 3, 4, 8])  # of the output beyond one pixel: 3 makes a tile
def test_winograd_gradients(sizes, side):
    """By either way of computing; also where tiles reach beyond a map."""
    filters = (16, 8, 9)[: len(sizes) - 1]
    layers = random_layers(sizes, filters, 1, np.float32)
    margin = sum(f - 1 for f in sizes)
    rng = np.random.default_rng(4)
    low = rng.random((2, 1, margin + 3, margin + side + 1)).astype(np.float32)
    high = rng.random((2, 1, 3, side + 1)).astype(np.float32)
    fast, direct = (gradients_near(m, low, high, layers) for m in (kernels, kernels.direct))
    assert not np.array_equal(fast[1][0], direct[1][0])  # or the transform was not used at all


def gradients_near(ops, low, high, layers, activation="relu"):
    """The gradients, if they are the reference's in float64."""
    exact = [(w.astype(np.float64), b.astype(np.float64)) for w, b in layers]
    want = reference.loss_and_gradients(low, high, exact, activation)
    loss, gradients = ops.loss_and_gradients(low, high, layers, activation)
    assert abs(loss - want[0]) < 1e-6 * want[0]
    # The transforms' numbers are up to 64 a tile, and each rounds.
    tolerance = 64 * np.finfo(np.float32).eps
    for ours, theirs in zip(gradients, want[1], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a - b).max() <= tolerance * np.abs(b).max()
    return gradients


@pytest.mark.parametrize("samples", [1, 3, 17] if JIT else [1])
@pytest.mark.parametrize("out, activation", [(1, "tanh"), (9, "relu"), (16, "tanh")])
def test_gradients_of_any_batch(samples, out, activation):
    """Also of several parts, and where two layers of a network are by tiles, the last one too."""
    layers = random_layers((5, 3, 3), (24, 20), 1, np.float32, out=out)
    rng = np.random.default_rng(samples)
    low = rng.random((samples, 1, 19, 15)).astype(np.float32)
    high = rng.random((samples, out, 11, 7)).astype(np.float32)
    for ops in kernels, kernels.direct:
        gradients_near(ops, low, high, layers, activation)


@pytest.mark.parametrize("size, c", [(9, 1), (9, 3), (15, 1)])
def test_gradients_of_a_first_layer_in_parts(size, c, monkeypatch):
    """Also where the parts fill more than one vector of channels."""
    monkeypatch.setattr(tiles, "REGISTERS", 16)
    layers = random_layers((size, 1, 3), (16, 8), c, np.float32)
    rng = np.random.default_rng(size + c)
    low, high = (rng.random((3, c, n, n + 2)).astype(np.float32) for n in (size + 9, 8))
    parts, direct = (gradients_near(m, low, high, layers) for m in (kernels, kernels.direct))
    assert not np.array_equal(parts[0][0], direct[0][0])  # or parts were not used at all


def test_no_tiles_where_they_reach_far_beyond_a_map():
    layers = random_layers((3, 3, 1), (16, 16), 1, np.float32)
    rng = np.random.default_rng(5)
    for side, fast in (2, False), (4, True):
        low = rng.random((2, 1, side + 4, side + 4)).astype(np.float32)
        high = rng.random((2, 1, side, side)).astype(np.float32)
        ours, direct = (m.loss_and_gradients(low, high, layers) for m in (kernels, kernels.direct))
        assert np.array_equal(ours[1][1][0], direct[1][1][0]) != fast


@compiled_only
@pytest.mark.parametrize("ops", [kernels, kernels.direct])
def test_gradients_have_the_same_bits_for_any_number_of_threads(ops):
    layers = random_layers((9, 5, 3, 5), (16, 24, 16), 1, np.float32)
    rng = np.random.default_rng(6)
    low, high = (rng.random((5, 1, n, n)).astype(np.float32) for n in (31, 13))
    found = []
    for threads in (1, 2, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        loss, gradients = ops.loss_and_gradients(low, high, layers)
        found.append([loss, *(a for pair in gradients for a in pair)])
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


# ----------------------------------------------------------------------------------------- planes


@pytest.mark.parametrize("shape, scale", [((1, 1), 3), ((7, 5), 2), ((20, 31), 3), ((9, 40), 4)])
def test_resize_planes_is_imresize(shape, scale):
    x = np.random.default_rng(3).random((2, *shape)).astype(np.float32)
    rows, row_weights = taps(shape[0], shape[0] * scale, scale)
    columns, column_weights = (a.T.copy() for a in taps(shape[1], shape[1] * scale, scale))
    ours = kernels.resize_planes(
        x, rows, row_weights.astype("f4"), columns, column_weights.astype("f4")
    )
    for plane, want in zip(ours, x, strict=True):
        assert equal_to_rounding(plane, imresize(want, scale=scale), terms=16)


@pytest.mark.parametrize("dtype, peak", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_planes_to_pixels(dtype, peak):
    planes = np.random.default_rng(4).uniform(-0.2, 1.2, (3, 6, 7)).astype(np.float32)
    matrix, offset = (a.astype(np.float32) for a in color.YCBCR_TO_RGB)
    out = np.empty((6, 7, 3), dtype)
    kernels.planes_to_pixels(planes, matrix, offset, peak, out)
    want = np.clip(color.ycbcr_to_rgb(planes.transpose(1, 2, 0).astype(np.float64)), 0, 1) * peak
    assert np.abs(out - want).max() <= (0.51 if peak > 1 else 1e-6)
    assert out.min() == 0 and out.max() == peak


# ------------------------------------------------------------------------------------- compiling


@compiled_only
def test_parts_of_a_function_are_made_machine_code_once(tmp_path, monkeypatch):
    """With it: neither on their own, nor as the body of a parallel loop; and so in the cache."""
    (tmp_path / "whole.py").write_text(
        "import numba\n"
        "from pysrcnn.kernels.compile import compiled\n"
        "@compiled(inner=True)\n"
        "def deep(x): return x * x\n"
        "@compiled(inner=True, inlined=True)\n"
        "def part(x): return deep(x) + 1\n"
        "@compiled(parallel=True)\n"
        "def whole(x):\n"
        "    for k in numba.prange(len(x)): x[k] = part(x[k])\n"
        "@compiled()\n"
        "def other(x): return deep(part(x))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    made, finalize = [], compiling.JITCodeLibrary._finalize_specific
    monkeypatch.setattr(
        compiling.JITCodeLibrary, "_finalize_specific",
        lambda self: (made.append(self.name), finalize(self)),
    )  # fmt: skip
    for turn in ("compiled", "from the cache"):
        monkeypatch.delitem(sys.modules, "whole", raising=False)
        module = importlib.import_module("whole")
        x = np.arange(4.0)
        module.whole(x)
        assert x.tolist() == [1, 2, 5, 10] and module.other(2) == 25
        assert made == ["whole", "other"], turn
        made.clear()


# -------------------------------------------------------------------------------------- the cache


@compiled_only
@pytest.mark.slow
def test_an_edit_in_any_file_of_the_kernels_is_noticed(tmp_path):
    """Numba alone would go on using code compiled before an edit in a file that is called."""
    package = tmp_path / "copy" / "pysrcnn"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import numpy as np, pysrcnn
one = np.ones((1, 1, 3, 3), np.float32)
print(pysrcnn.kernels.conv2d(one, np.ones((1, 1, 1, 1), "f4"), np.zeros(1, "f4")).sum())
"""
    assert run(code, tmp_path, package) == "9.0"
    assert run(code, tmp_path, package) == "9.0"  # from the cache
    # The function that is called has its code in `fused`, what is edited is two calls from there.
    tile = package / "kernels" / "tile.py"
    text = tile.read_text()
    assert text.count("e.multiply_add(weights[r], pixels[p], e.get(acc, r, p))") == 1
    # The sum that a tile had before is ignored, and one is added in its place.
    tile.write_text(text.replace("pixels[p], e.get(acc, r, p))", "pixels[p], weights[r])"))
    assert run(code, tmp_path, package) == "18.0"


@pytest.fixture
def add(tmp_path, monkeypatch):
    """``add(n, stamp)``: a compiled function that adds n, as a version of that stamp has it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def make(n, stamp):
        monkeypatch.setattr(compiling, "_STAMP", stamp * 64)
        file = tmp_path / "adding.py"
        file.write_text("def add(x):\n    return x + N")
        spec = importlib.util.spec_from_file_location("adding", file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "adding", module)
        spec.loader.exec_module(module)
        module.N = n  # which Numba does not look at
        return compiling.compiled()(module.add)

    yield make
    compiling._remove_old.cache_clear()


@compiled_only
def test_two_stamps_never_load_each_others_code(add):
    assert add(1, "a")(0) == 1
    assert add(2, "a")(0) == 1  # from the cache
    assert add(2, "b")(0) == 2
    assert add(3, "b")(0) == 2
    assert add(4, "a")(0) == 1


@compiled_only
@pytest.mark.parametrize("stamps, keys", [("ab", ("k", "k")), ("aa", ("k", "l"))])
def test_two_processes_that_save_at_once(add, monkeypatch, stamps, keys):
    """Both have read an empty index; one saves between the index and the data of the other."""
    first, second = (add(0, stamp)._cache._cache_file for stamp in stamps)
    save_data = first._kind._save_data

    def interrupted(self, name, data):
        monkeypatch.setattr(first._kind, "_save_data", save_data)
        with monkeypatch.context() as before:
            before.setattr(first._kind, "_load_index", lambda _: {})
            second.save(keys[1], "of the second")
        save_data(self, name, data)

    monkeypatch.setattr(first._kind, "_save_data", interrupted)
    first.save(keys[0], "of the first")
    assert first.load(keys[0]) == "of the first"
    assert second.load(keys[1]) == "of the second"


@compiled_only
def test_files_of_old_versions_do_not_pile_up(add, tmp_path):
    for age, stamp in enumerate("abcdef"):
        compiling._remove_old.cache_clear()
        add(1, stamp)(0)
        for path in tmp_path.glob(f"cache/*/*pysrcnn-{stamp}*"):
            os.utime(path, (age, age))
    (folder,) = (tmp_path / "cache").iterdir()
    (folder / "adding.add-1.py311.1.nbc").write_bytes(b"another program's")
    compiling._remove_old.cache_clear()
    add(1, "9")(0)
    left = {path.name.partition("pysrcnn-")[2][:1] for path in folder.iterdir()}
    assert left == {"c", "d", "e", "f", "9", ""}
    assert add(2, "c")(0) == 1 and add(2, "b")(0) == 2


@compiled_only
@pytest.mark.parametrize("owner, name", [("Cache", "cache_path"), ("CacheImpl", "filename_base")])
def test_of_a_numba_that_names_things_otherwise_nothing_is_cached(add, monkeypatch, owner, name):
    assert add(1, "a")(0) == 1
    monkeypatch.delattr(getattr(numba.core.caching, owner), name)
    assert add(2, "a")(0) == 2


@compiled_only
def test_works_where_no_folder_for_the_cache_can_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    code = """
import numpy as np, pysrcnn
x = np.ones((4, 5), np.float32)
print(pysrcnn.kernels.relu(x).sum())
"""
    package = tmp_path / "copy" / "pysrcnn"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    out = run(code, tmp_path, package, NUMBA_CACHE_DIR=str(blocked / "cache"), HOME=str(blocked))
    assert out == "20.0"


def test_the_kernels_run_as_plain_python_too(tmp_path):
    """With NUMBA_DISABLE_JIT, to step through them: each tile is a NumPy array then."""
    code = """
import numpy as np
from rungs import equal_to_rounding, random_layers
from pysrcnn import kernels, reference
layers = random_layers((3, 3, 3), (9, 8), 1, np.float32)
x = np.random.default_rng(0).random((1, 1, 9, 20)).astype(np.float32)
for case in ("replicate",), ("zeros", "tanh"):
    ours, want = (m.forward(x, layers, *case) for m in (kernels, reference))
    assert equal_to_rounding(ours, want, 100)
print(True)
high = x[:, :, 3:-3, 3:-3]
ours, want = (m.loss_and_gradients(x, high, layers)[0] for m in (kernels, reference))
print(abs(ours - want) < 1e-5 * want)
"""
    assert run(code, tmp_path, NUMBA_DISABLE_JIT="1") == "True\nTrue"


@compiled_only
def test_compiling_is_announced_once():
    said = []

    @numba.njit
    def fresh(x):
        return x + 1

    with kernels.announce_compilation(said.append):
        assert fresh(1) == 2
        assert fresh(1.5) == 2.5
    assert len(said) == 1 and "compiling" in said[0]
    assert fresh(np.ones(2)).sum() == 4  # outside of `with`: not said
    assert len(said) == 1
