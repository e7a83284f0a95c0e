"""Arrays of Dask and Zarr: lazy, the same to the bit as in one piece, on several processes."""

import os
import signal
import time

import numpy as np
import pytest

import pysrcnn
from pysrcnn.upscaling.lazy import upscale_lazily
from pysrcnn.upscaling.steps import Step

da = pytest.importorskip("dask.array")


def picture_of(shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    picture = rng.random(shape)
    if picture.ndim == 3 and shape[2] in (2, 4):
        picture[..., -1] *= rng.random(shape[:2]) > 0.5
    peak = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    return (picture * peak).astype(dtype)


@pytest.mark.parametrize("model", ["9-1-5", "9-3-5", "9-5-5", "9-1-5-rgb", "sc"])
@pytest.mark.parametrize("chunks", [(60, 47), (23, 131), (31, 29), (7, 40)])
def test_the_same_bits_whatever_the_chunks(model, chunks):
    picture = picture_of((60, 131, 3))
    whole = pysrcnn.upscale(picture, 3, model)
    lazy = pysrcnn.upscale(da.from_array(picture, (*chunks, 2)), 3, model)
    assert isinstance(lazy, da.Array)
    assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
    assert np.array_equal(lazy.compute(scheduler="threads"), whole)


@pytest.mark.parametrize(
    "shape", [(40, 33), (40, 33, 2), (40, 33, 3), (40, 33, 4), (1, 50), (50, 1)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_all_kinds_of_pictures(shape, dtype):
    picture = picture_of(shape, dtype)
    lazy = pysrcnn.upscale(da.from_array(picture, 16), 2)
    assert np.array_equal(lazy.compute(), pysrcnn.upscale(picture, 2))


@pytest.mark.parametrize("wanted", [{"scale": 2.5}, {"scale": 6}, {"shape": (70, None)}])
def test_all_plans(wanted):
    picture = picture_of((30, 41, 4))
    lazy = pysrcnn.upscale(da.from_array(picture, 17), **wanted)
    assert np.array_equal(lazy.compute(), pysrcnn.upscale(picture, **wanted))


def test_a_part_of_the_result_takes_a_part_of_the_picture():
    asked = []

    def block(block_info=None):
        asked.append(block_info[None]["chunk-location"])
        return np.zeros((50, 50), np.uint8)

    picture = da.map_blocks(block, chunks=((50,) * 9, (50,) * 9), dtype=np.uint8)
    part = pysrcnn.upscale(picture, 2, "9-1-5")[210:220, 430:440]
    part.compute(scheduler="sync")
    assert asked and set(asked) <= {(i, j) for i in (1, 2, 3) for j in (3, 4, 5)}


def test_zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    picture = picture_of((50, 60, 3))
    store = zarr.create_array(
        tmp_path / "a.zarr", shape=picture.shape, chunks=(20, 30, 3), dtype="u1"
    )
    store[:] = picture
    want = pysrcnn.upscale(picture, 3)
    group = zarr.open_group(tmp_path / "group.zarr")
    group["only"] = picture.astype(">u2")
    for given in (store, tmp_path / "a.zarr", f"{tmp_path}/a.zarr/", store.store):
        assert np.array_equal(pysrcnn.upscale(given, 3).compute(), want)
    want = pysrcnn.upscale(picture.astype("u2"), 3)
    for given in (group, tmp_path / "group.zarr", da.from_array(picture.astype(">u2"), 16)):
        assert np.array_equal(pysrcnn.upscale(given, 3).compute(), want)
    group["other"] = picture
    with pytest.raises(ValueError, match=r"holds 2 arrays \(only, other\), wanted one"):
        pysrcnn.upscale(group, 3)
    with pytest.raises(FileNotFoundError):
        pysrcnn.upscale(tmp_path / "none.zarr", 3)


def test_the_graph_grows_as_the_chunks_do():
    def tasks(n):
        lazy = pysrcnn.upscale(da.zeros((40 * n, 40 * n, 3), np.uint8, chunks=(40, 40, 3)), 6)
        assert len(lazy.dask.layers) < 12
        return len(lazy.dask) / n**2

    assert tasks(12) < 1.2 * tasks(6)


def test_even_chunks_stay_even():
    lazy = pysrcnn.upscale(da.zeros((700, 95), np.uint8, chunks=(200, 13)), 2.3)
    assert lazy.chunks == ((460, 460, 460, 230), (30,) * 7 + (8,))


def test_bad_input():
    small = da.zeros((9, 9), np.uint8, chunks=4)
    with pytest.raises(ValueError, match="scale is a number above 1"):
        upscale_lazily(small, 17)
    with pytest.raises(TypeError, match="int32"):
        upscale_lazily(small.astype("i4"))
    with pytest.raises(ValueError, match="shape"):
        upscale_lazily(da.zeros((9, 9, 5), np.uint8))
    with pytest.raises(ValueError, match="unknown"):
        upscale_lazily(small[small.sum(1) == 0])
    lazy = upscale_lazily(da.full((9, 9), 7.0))  # not known before it is computed
    with pytest.raises(ValueError, match="values go from 7 to 7"):
        lazy.compute()
    with pytest.raises(ValueError, match="NaN"):
        upscale_lazily(da.full((9, 9), np.nan)).compute()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("model", ["9-1-5", "9-5-5"])
def test_any_rectangle_of_a_step(model, channels):
    """Every pixel is the same to the bit, in whichever rectangle it is made."""
    picture = picture_of((40, 250, channels))
    network = pysrcnn.load(model, 3)
    step = Step((40, 250), (120, 750), channels, np.uint8, network)
    whole = np.empty((120, 750, channels), np.uint8)
    step.make(picture, (0, 120), (0, 750), whole)
    rng = np.random.default_rng(1)
    for _ in range(12):
        rows, columns = (
            tuple(sorted(rng.choice(n + 1, 2, replace=False).tolist())) for n in whole.shape[:2]
        )
        (top, bottom), (left, right) = step.needs(rows, columns)
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], channels), np.uint8)
        step.make(picture[top:bottom, left:right], rows, columns, out)
        assert np.array_equal(out, whole[slice(*rows), slice(*columns)])


# ------------------------------------------------------------------------------ several processes


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=None, memory_limit="1GiB"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
def test_three_processes_give_the_same_bits(cluster):
    picture = picture_of((700, 900, 3))
    lazy = pysrcnn.upscale(da.from_array(picture, (256, 256, 3)), 3)
    assert np.array_equal(lazy.compute(), pysrcnn.upscale(picture, 3))


@pytest.mark.slow
def test_a_killed_worker_is_survived(cluster):
    picture = picture_of((1500, 1500, 3))
    lazy = pysrcnn.upscale(da.from_array(picture, (128, 128, 3)), 3, "9-5-5")
    future = cluster.compute(lazy)
    pids = list(cluster.run(os.getpid).values())

    time.sleep(1)
    assert not future.done()
    os.kill(pids[0], signal.SIGKILL)
    assert np.array_equal(future.result(timeout=300), pysrcnn.upscale(picture, 3, "9-5-5"))
