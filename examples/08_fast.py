# %% [markdown]
# # 8. From readable to fast
#
# A convolution is six loops and one multiplication. `reference` writes it as a matrix product, and
# the package computes it in neither way. Between the loops in Python and what the processor can do
# lies a factor of many thousands. This walkthrough covers that distance in steps, on one processor
# core, and explains at each step what was in the way.
#
# You need: convolutions (walkthrough 2). It helps to have heard that a processor has registers
# and caches. Time: half an hour.

# %%
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # matrix products on one core too; set before NumPy loads

import math
import re
import time
import tracemalloc
from collections import deque
from fractions import Fraction
from pathlib import Path

import matplotlib.pyplot as plt
import numba
import numpy as np

import pysrcnn
from pysrcnn import data, kernels, reference
from pysrcnn.kernels import blocks, tile, transforms, winograd
from pysrcnn.kernels.rows import LINEAR, convolve_row, pack_weights
from pysrcnn.kernels.transforms import FROM_POINTS, TO_POINTS
from pysrcnn.pictures import read_picture

numba.set_num_threads(1)
here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
cat = data.degrade(data.luma(read_picture(here / "pictures" / "cat.png")), 3)
x = cat[40:240, 60:260].astype(np.float32)  # 200 x 200 pixels
layers = pysrcnn.load("9-1-5", 3).layers
w, bias = layers[0]  # 64 filters of 9 x 9
w = np.ascontiguousarray(w[:, 0])  # (64, 9, 9)
filters, size = w.shape[:2]
height = width = len(x) - size + 1  # 192: no padding here
wanted = reference.conv2d(x[None, None], w[:, None], bias)[0]  # the result that all must give
multiplications = filters * size**2 * height * width
print(f"{filters} x {size}^2 x {height} x {width} = {multiplications / 1e6:.0f} million products")

# %% [markdown]
# The task throughout is the first layer of 9-1-5 on a small picture. As is usual, we count a
# multiplication and the addition that goes with it as two operations, and measure in GFLOP/s:
# $10^9$ operations a second.
#
# How many could it be at best? A core does its arithmetic on numbers in *registers*, of which it
# has a few dozen. So here is a loop that does nothing but multiply-adds on registers, without
# fetching anything: this is the limit we compare with. (It is made of a few functions of the
# package, which a later section explains.) Times are medians of runs in turns, so that a moment
# when the machine is busy affects both contenders. Everything runs once beforehand, which is when
# Numba compiles.


# %%
# CPU time of this thread, where the system measures it: other programs then matter less.
clock = time.perf_counter if os.name == "nt" else time.thread_time


def race(contenders, seconds=0.3, clock=clock):
    """Return the median time of each, run in turns until each has had so many seconds."""
    for run in contenders.values():
        run()
    times = {name: [] for name in contenders}
    while any(sum(t) < seconds for t in times.values()):
        for name, run in contenders.items():
            if sum(times[name]) < seconds:
                began = clock()
                run()
                times[name].append(clock() - began)
    return {name: float(np.median(t)) for name, t in times.items()}


rows, cols, lanes = kernels.ROWS, kernels.COLUMNS, kernels.VECTOR_BYTES // 4
numbers, scratch = np.ones(64, np.float32), np.zeros(rows * 2 * lanes, np.float32)
rounds = 500_000


@numba.njit
def multiply_adds(numbers, rounds, scratch):
    """Repeat multiply-adds on so few registers that all numbers stay there."""
    sums = tile.tile_zero(numbers, rows, 2)
    for _ in range(rounds):
        sums = tile.tile_correlate(sums, numbers, 0, 1, numbers, 0, 1)
    tile.tile_store(sums, scratch, 0, 2 * lanes, 1)


def only_arithmetic():
    """Run the loop that sets the limit."""
    multiply_adds(numbers, rounds, scratch)


# %%
share, taken = {}, {}  # name: part of the limit; seconds


def report(name, run, products=multiplications, wanted=wanted):
    """Time `run` in turns with the limit; print its speed, and its largest error."""
    error = np.abs(run() - wanted).max()
    times = race({name: run, "limit": only_arithmetic})
    speed = products / times[name]
    share[name], taken[name] = speed / (rounds * scratch.size / times["limit"]), times[name]
    print(f"{name:<24}{2e-9 * speed:9.4f} GFLOP/s,{share[name]:8.3%} of the limit, ", end="")
    print(f"error {error:.0e}")


# %% [markdown]
# ## Six loops in Python
#
# This is the definition: for every filter $o$ and pixel $(i, j)$, a sum over the filter's rows $u$
# and columns $v$ (the sixth loop would be over channels, of which there is only one). We compute
# only a few pixels, because all of them would take more than a minute.


# %%
def six_loops(x, w, bias, rows, columns):
    """Compute the first rows and columns of the convolution."""
    out = np.empty((len(w), rows, columns), np.float32)
    for o in range(len(w)):
        for i in range(rows):
            for j in range(columns):
                total = bias[o]
                for u in range(w.shape[1]):
                    for v in range(w.shape[2]):
                        total += w[o, u, v] * x[i + u, j + v]
                out[o, i, j] = total
    return out


report("loops in Python", lambda: six_loops(x, w, bias, 1, 8),
       filters * size**2 * 8, wanted[:, :1, :8])  # fmt: skip
all_pixels = taken["loops in Python"] * height * width / 8
print(f"all {height} x {width} pixels would take {all_pixels:.0f} s")

# %% [markdown]
# For each product, the interpreter looks up what `*` and `[...]` mean for these types, creates
# objects for the numbers, and throws them away. The arithmetic itself hardly counts.
#
# ## im2col and a matrix product
#
# NumPy's answer is to make few calls that do much each. All 9 x 9 patches are written into the
# columns of a matrix, and one matrix product with the filters does all the rest. That is
# `reference.conv2d`. The product itself is done by a library that has been tuned for decades.

# %%
flat_weights = w.reshape(filters, -1)
columns = reference.im2col(x[None, None], size)[0]  # (81, 192 * 192)
report("im2col, matrix product",
       lambda: reference.conv2d(x[None, None], w[:, None], bias)[0])  # fmt: skip
parts = race({"im2col": lambda: reference.im2col(x[None, None], size),
              "product": lambda: flat_weights @ columns})  # fmt: skip
print(f"\nof that, the columns take {parts['im2col'] / sum(parts.values()):.0%} of the time")
print(f"the picture: {x.nbytes / 2**20:.2f} MiB, its columns: {columns.nbytes / 2**20:.1f} MiB,")
print(f"as columns of 1920 x 1080 pixels: {81 * 4 * 1920 * 1080 / 2**20:.0f} MiB")

# %% [markdown]
# This is thousands of times as fast. The price is memory: the columns hold the picture 81 times
# over, and nearly all of that is copies. They are written and read again, and for large pictures
# there is no room for them.
#
# ## The loops again, compiled
#
# Numba compiles the very loops we began with to machine code.


# %%
@numba.njit
def in_order(x, w, bias, out):
    """Compute the definition."""
    filters, rows, columns = out.shape
    for o in range(filters):
        for i in range(rows):
            for j in range(columns):
                total = bias[o]
                for u in range(w.shape[1]):
                    for v in range(w.shape[2]):
                        total += w[o, u, v] * x[i + u, j + v]
                out[o, i, j] = total
    return out


out = np.empty_like(wanted)
report("compiled loops", lambda: in_order(x, w, bias, out))

# %% [markdown]
# This needs no extra memory, and Python is out of the way. Yet the matrix product was far faster.
# There are two reasons:
#
# *One number at a time.* A core has *vector instructions*, which multiply and add 4, 8 or 16
# numbers at once. But this sum has to be taken in this order, so the compiler may not compute 16 of
# its terms together: the rounding would change.
#
# *Waiting.* An addition takes about four cycles until its result is available, and each addition
# has to wait for the one before. The core could begin two in every cycle.
#
# ## Another order of the loops
#
# Sums for *different* pixels do not wait for one another. So let the loop over the pixels of a row
# be the innermost one. Then the same weight meets 16 neighbouring pixels, and the products go to 16
# neighbouring sums: the compiler can use vectors without any trick.


# %%
@numba.njit(fastmath={"contract"})  # a product and a sum may become one instruction
def pixels_inside(x, w, bias, out):
    """Take one weight after the other, for all pixels of a row."""
    filters, rows, columns = out.shape
    for o in range(filters):
        for i in range(rows):
            out[o, i] = bias[o]
            for u in range(w.shape[1]):
                for v in range(w.shape[2]):
                    for j in range(columns):
                        out[o, i, j] += w[o, u, v] * x[i + u, j + v]
    return out


report("loop over pixels inside", lambda: pixels_inside(x, w, bias, out))

# %% [markdown]
# Now something else is in the way. Each multiply-add fetches a vector of pixels *and* a vector of
# sums from the *cache*, the small fast memory next to the core, and stores the sums again: three
# memory accesses for one operation. A core makes about two or three accesses per cycle, in which it
# could do two multiply-adds.
#
# So the sums have to stay in registers for longer. If we take the nine weights of a filter row at a
# time, one pass over the sums does the work of nine:


# %%
@numba.njit(fastmath={"contract"})
def nine_at_a_time(x, w, bias, out):
    """Take one row of a 9 x 9 filter after the other, for all pixels of a row."""
    filters, rows, columns = out.shape
    for o in range(filters):
        for i in range(rows):
            out[o, i] = bias[o]
            for u in range(9):
                p, g = x[i + u], w[o, u]
                for j in range(columns):
                    out[o, i, j] += (
                        g[0] * p[j] + g[1] * p[j + 1] + g[2] * p[j + 2]
                        + g[3] * p[j + 3] + g[4] * p[j + 4] + g[5] * p[j + 5]
                        + g[6] * p[j + 6] + g[7] * p[j + 7] + g[8] * p[j + 8]
                    )  # fmt: skip
    return out


report("nine weights at a time", lambda: nine_at_a_time(x, w, bias, out))

# %% [markdown]
# Still, each multiply-add fetches its vector of pixels, which is used for one filter and fetched
# again for the next.
#
# ## The register tile
#
# Numbers in registers cost no memory access, and a core has 16 or 32 registers for vectors. The
# idea of the package (`kernels/tile.py`) is to keep a block of *results* in registers, several
# filters times several vectors of pixels, during the whole sum over the patch. For each of the 81
# entries of the patch, it fetches the vectors of pixels once for all filters of the block, and one
# weight for each filter, repeated in all lanes of a vector ("broadcast").

# %%
fig, ax = plt.subplots(figsize=(7.6, 4.4))
for c in range(cols):
    for lane in range(lanes):
        left = c * (lanes + 2) + lane
        ax.add_patch(plt.Rectangle((left, 1.5), 1, 1, fc="#cfe3f5", ec="white", lw=0.5))
        for r in range(rows):
            chosen = (r, c) == (2, 1)
            colour = "#e07b39" if chosen else "#f6d9c4"
            ax.add_patch(plt.Rectangle((left, -1.3 * r), 1, 1, fc=colour, ec="white", lw=0.5))
for r in range(rows):
    ax.add_patch(plt.Rectangle((-4, -1.3 * r), 1.6, 1, fc="#7fb77e" if r == 2 else "#cfe8cf"))
middle = 1.5 * lanes + 2
ax.annotate("", (middle, -1.6), (middle, 1.5), arrowprops={"arrowstyle": "->"})
ax.annotate("", (middle - lanes / 2, -2.1), (-2.3, -2.1), arrowprops={"arrowstyle": "->"})
ax.text(0, 2.8, f"fetched: {cols} vectors of {lanes} pixels, side by side in the picture")
ax.text(-4.4, -1.3 * rows / 2, f"fetched: {rows} weights, of {rows} filters", rotation=90,
        ha="right", va="center")  # fmt: skip
ax.text(0, -1.3 * rows - 0.4, f"kept in {rows * cols} registers: {rows * cols * lanes} sums")
ax.set(xlim=(-8, cols * (lanes + 2)), ylim=(-1.3 * rows - 0.8, 4))
ax.axis("off")
plt.show()
print(f"{rows * cols} registers of sums, {cols} of pixels, 1 for a weight")
print(f"{rows + cols} numbers or vectors are fetched for {rows * cols} multiply-adds")

# %% [markdown]
# (The drawing shows the tile for this processor; the package has a different one for each vector
# width.)
#
# Why vectors of *pixels* and broadcast weights, and not the other way round? Neighbouring pixels
# lie side by side in memory, in the picture and in the result. So whole vectors are read and
# written, and no number ever moves from one lane of a vector to another. The weights can be put
# into any convenient order once, before we begin.
#
# Numba has no word for "register". So `tile.py` emits the instructions of these few operations
# itself (`tile_zero`, `tile_correlate`, `tile_store`), and the loops around them are ordinary
# Numba. With them we can try any shape of tile.


# %%
entries = np.array([u * x.shape[1] + v for u in range(size) for v in range(size)])


def convolution(r, c):
    """Return a convolution by tiles of r filters x c vectors, without biases."""

    @numba.njit
    def run(x, entries, packed, out):
        filters, rows, columns = out.shape
        for i in range(rows):
            for j in range(0, columns, c * lanes):
                for o in range(0, filters, r):
                    sums = tile.tile_zero(x, r, c)
                    at = i * x.shape[1] + j  # of the patch, in the picture
                    for k in range(entries.size):
                        weight = o * entries.size + k * r
                        sums = tile.tile_correlate(sums, x, at + entries[k], 1, packed, weight, 1)
                    tile.tile_store(sums, out, (o * rows + i) * columns + j, rows * columns, 1)
        return out

    # one patch entry after the other, for each the weights of r filters
    packed = flat_weights.reshape(-1, r, size**2).transpose(0, 2, 1).ravel()
    return lambda: run(x, entries, packed, part)


shapes = [(1, 1), (1, 3), (2, 3), (4, 3), (8, 3), (8, 6)]
part = np.empty_like(wanted[:, :16])  # 16 rows are enough here
runs = {f"{r} x {c}": convolution(r, c) for r, c in shapes}
for run in runs.values():
    assert np.abs(run() + bias[:, None, None] - wanted[:, :16]).max() < 1e-5
times = race({**runs, "limit": only_arithmetic})

fig, ax = plt.subplots(figsize=(6.5, 2.8))
products, limit = filters * size**2 * 16 * width, rounds * scratch.size / times["limit"]
own = [(r, c) == (rows, cols) for r, c in shapes]
bars = ax.bar(list(runs), [100 * products / times[name] / limit for name in runs],
              color=["C0" if o else "silver" for o in own])  # fmt: skip
ax.bar_label(bars, [f"{(r + c) / (r * c):.2f}" for r, c in shapes], fontsize=8)
ax.set(xlabel="filters x vectors of a tile (dark: the package's here)", ylabel="% of the limit")
ax.set_title("above the bars: fetches for each multiply-add")
ax.margins(y=0.12)
plt.show()

# %% [markdown]
# A larger tile fetches less for each multiply-add, and has more sums that do not wait for one
# another. That helps until the fetches keep up with the arithmetic. From there on, all tiles are
# near the limit, and which of them is ahead by a few per cent depends on the processor, and on
# chance. The package takes the largest tile whose sums, pixels and weight fit into the registers:
# it fetches least, so it has most in reserve when numbers come from further away than here. A tile
# with more sums than registers has to spill them to memory and fetch them back in every step, which
# is what the tile was meant to avoid.
#
# Here is the package's own loop over tiles, which also adds the biases, followed by all steps side
# by side:


# %%
@numba.njit
def by_tiles(x, entries, packed, bias, out):
    """Convolve as the package does, row by row; for rows of whole vectors."""
    _, rows, columns = out.shape
    for i in range(rows):
        to = (out, i * columns, rows * columns)
        convolve_row(x, i * x.shape[1], entries, packed, bias, LINEAR, to, columns // lanes)
    return out


packed = pack_weights(w)
report("the package's tile", lambda: by_tiles(x, entries, packed, bias, out))
report("the same, 16 rows only", lambda: by_tiles(x, entries, packed, bias, part),
       products, wanted[:, :16])  # fmt: skip
print(f"the result has {out.nbytes / 2**20:.1f} MiB, its first 16 rows {part.nbytes / 2**20:.2f}")

fig, ax = plt.subplots(figsize=(7, 2.9))
bars = ax.barh([*share, "the limit"], [*share.values(), 1], color=["C0"] * len(share) + ["gray"])
ax.bar_label(bars, fmt="%.2g", fontsize=8, padding=3)
ax.set(xscale="log", xlabel="part of the limit, one core", xlim=(None, 6))
ax.invert_yaxis()
plt.show()

# %% [markdown]
# All of these compute the same sums. Once they are compiled, they differ in how often a number is
# fetched for each time it is used, and in whether an operation has to wait for another. If the
# whole result is larger than the cache, what remains is the time to write it to main memory. The
# next section is about that.
#
# <details><summary>
# <b>Question.</b> The matrix product uses all of this too: it has a register tile inside. Why is
# <code>reference.conv2d</code> still slower?
# </summary>
#
# A library's product works for any two matrices. It usually copies both into an order of its own
# first, which pays when each number is then used many hundreds of times; here the columns are used
# 64 times. And it cannot know that they are copies of one small picture. The package's tile reads
# each entry of the patch directly from the picture: it is an im2col that never happens.
# </details>
#
# ## Fusing the layers
#
# A network is more than one convolution. Layer by layer, the first one writes 64 feature maps, 64
# times the size of the picture, and the second one reads them. For 1920 x 1080 pixels that is half
# a gigabyte, which fits into no cache, and main memory does not deliver numbers as fast as a core
# multiplies them.
#
# But one row of the result needs only five rows of the second feature maps, which need the same
# five rows of the first, and a new one of these needs nine rows of the picture. So all layers can
# advance together, row by row, each with a window of a few rows. Python has just the thing for it:
# generators.


# %%
def layer(rows, w, b, last):
    """Turn rows (C, W) of a map into rows (O, W) of the next one; edges are repeated."""
    p = w.shape[2] // 2
    window = deque(maxlen=w.shape[2])  # the only rows that are kept

    def output():
        patch = np.pad(np.stack(window, axis=1), ((0, 0), (0, 0), (p, p)), mode="edge")
        row = reference.conv2d(patch[None], w, b)[0, :, 0]
        return row if last else reference.relu(row)

    for row in rows:
        window.extend([row] * (1 if window else p + 1))  # the first one, repeated above
        if len(window) == window.maxlen:
            yield output()
    for _ in range(p):  # the last one, repeated below
        window.append(row)
        yield output()


def fused(picture, layers):
    """Apply the network (H, W) -> (H, W), without a feature map of the whole picture."""
    rows = (row[None] for row in picture)
    for k, (w, b) in enumerate(layers):
        rows = layer(rows, w, b, last=k == len(layers) - 1)
    return np.stack([row[0] for row in rows])


# %%
def peak(run):
    """Return the largest number of bytes that NumPy had allocated."""
    tracemalloc.start()
    run()
    result = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result


ways = {
    "NumPy, layer by layer": lambda: reference.forward(x[None, None], layers, "replicate")[0, 0],
    "NumPy, fused by rows": lambda: fused(x, layers),
    "the package": lambda: kernels.forward(x[None, None], layers, "replicate")[0, 0],
}
results = {name: run() for name, run in ways.items()}
times = race({**ways, "limit": only_arithmetic})
limit = rounds * scratch.size / times["limit"]
products = sum(weights.size for weights, _ in layers) * x.size
for name, run in ways.items():
    error = np.abs(results[name] - results["NumPy, layer by layer"]).max()
    print(f"{name:<22} {products / times[name] / limit:6.1%} of the limit, ", end="")
    print(f"at most {peak(run) / 2**20:6.2f} MiB, difference {error:.0e}")

# %% [markdown]
# Row by row, the picture is the same, with a small part of the memory. (In NumPy this need not be
# faster, since each row takes a dozen calls.) The package does this with tiles, in strips of some
# hundreds of columns, so that the windows of all layers stay in the cache of a core, however large
# the picture is (`kernels/fused.py`).
#
# ## Fewer multiplications
#
# Once arithmetic is the limit, only less arithmetic helps. Two neighbouring outputs of a filter
# with three taps, $y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2$ and $y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2$, take
# six multiplications. Four are enough:
#
# $$
# \begin{aligned} m_1 &= (d_0 - d_2)\, g_0 & m_2 &= (d_1 + d_2)\, \tfrac12 (g_0 + g_1 + g_2) \\
# m_4 &= (d_1 - d_3)\, g_2 & m_3 &= (d_2 - d_1)\, \tfrac12 (g_0 - g_1 + g_2) \end{aligned}
# $$
#
# $$
# y_0 = m_1 + m_2 + m_3 \qquad y_1 = m_2 - m_3 - m_4
# $$
#
# (Multiply out $m_2 + m_3 = d_1 g_1 + d_2 (g_0 + g_2)$, and the rest falls into place.) The sums of
# weights are computed once, in advance. This is called $F(2, 3)$: two outputs, three taps. How does
# one find such formulas, and how for more outputs?
#
# ### Polynomials and their values
#
# Andrei Toom (1963) and Stephen Cook (1966) found the way, for products of large numbers. Shmuel
# Winograd later proved that no method takes fewer multiplications, which is why it carries his
# name. Take numbers as the coefficients of polynomials: three, $g_0 + g_1 x + g_2 x^2$, and four,
# $u_0 + u_1 x + u_2 x^2 + u_3 x^3$. Their product has six coefficients, up to $x^5$. Multiplying
# each coefficient by each takes twelve multiplications.
#
# But six *values* determine a polynomial with six coefficients, just as two points determine a
# line. And the value of a product is the product of the values. So:
#
# 1. *evaluate* both polynomials at six points: with small numbers for $x$ that is additions and
#    small multiples;
# 2. *multiply* the values, point by point: six multiplications, and no more;
# 3. *interpolate*: find the coefficients that have these six values.
#
# Good points are $0, 1, -1, 2, -2$. The sixth is "infinity": the leading coefficient decides how a
# polynomial grows far out, so it serves as the value there. And the leading coefficient of a
# product is the product of the leading coefficients.
#
# Each step is a matrix, written here in exact fractions.


# %%
def evaluation(points, count):
    """Return the matrix (points and infinity, coefficients) from coefficients to values."""
    rows = [[Fraction(p) ** k for k in range(count)] for p in points]
    return np.array([*rows, [Fraction(k == count - 1) for k in range(count)]])


def with_roots(roots):
    """Return the coefficients of the product of all (x - root), the constant one first."""
    out = np.array([Fraction(1)])
    for root in roots:
        out = np.convolve(out, [-Fraction(root), Fraction(1)])
    return out


def interpolation(points):
    """Return the matrix (coefficients, points and infinity) from values to coefficients.

    These are Lagrange's polynomials: that of a point is 1 there, and 0 at all others and at
    infinity; that of infinity is 0 at all points, with the leading coefficient 1.
    """
    columns = []
    for p in points:
        others = [q for q in points if q != p]
        columns.append([*with_roots(others) / math.prod(Fraction(p) - q for q in others), 0])
    return np.array([*columns, with_roots(points)]).T


def line(name, numbers):
    """Print exact numbers in columns."""
    print(f"{name:<22}" + "".join(f"{n!s:>7}" for n in numbers))


points = [0, 1, -1, 2, -2]
E3, E4, C = evaluation(points, 3), evaluation(points, 4), interpolation(points)
assert (evaluation(points, 6) @ C == np.eye(6, dtype=int)).all()  # exactly
g, u = np.array([3, 1, 2]), np.array([1, 4, 1, 5])
line("at", [*points, "inf"])
line("3 + x + 2 x^2", E3 @ g)
line("1 + 4 x + x^2 + 5 x^3", E4 @ u)
line("products of these", (E3 @ g) * (E4 @ u))
line("its coefficients", C @ ((E3 @ g) * (E4 @ u)))
line("multiplied out", np.convolve(g, u))

# %% [markdown]
# ### Transposed
#
# This turns four numbers into six. But a filter should turn six pixels into four outputs, so we
# need the same thing backwards, and that is what a transpose is for. Once the filter is given, the
# product of polynomials is a matrix $M$ applied to $u$. Its columns hold the filter, each time one
# place further down:
#
# $$
# M = \begin{pmatrix} g_0 & & & \\ g_1 & g_0 & & \\ g_2 & g_1 & g_0 & \\
# & g_2 & g_1 & g_0 \\ & & g_2 & g_1 \\ & & & g_2 \end{pmatrix}
# = C \,\mathrm{diag}(E_3\, g)\, E_4
# $$
#
# where $E$ evaluates and $C$ interpolates. The rows of the transpose $M^T$ hold the filter, each
# time one place further to the right, and $M^T d$ is the correlation of six pixels $d$ with the
# filter, which networks call a convolution. Transposing the right side as well gives
#
# $$
# y = M^T d = E_4^T \,\mathrm{diag}(E_3\, g)\, C^T d = A\,[(G g) \odot (B d)],
# $$
#
# with $A = E_4^T$, $G = E_3$, $B = C^T$, and $\odot$ for elementwise products. There are six of
# them for four outputs: $F(4, 3)$. One thing is left to tidy up. The fractions of the interpolation
# are in $B$, which is applied to every pixel. A row of $B$ may be multiplied by any number if the
# same row of $G$ is divided by it, and $G g$ is computed once for all pixels. So the fractions are
# moved to $G$.
#
# The results are the matrices of the package, `winograd.fractions`.


# %%
def minimal(points, taps):
    """Return A, G, B of F(outputs, taps), for as many outputs as points and infinity allow."""
    outputs = len(points) + 2 - taps
    factors = [math.prod(Fraction(p) - q for q in points if q != p) for p in points]
    factors = np.array([*factors, Fraction(1)])[:, None]
    a, g, b = evaluation(points, outputs).T, evaluation(points, taps), interpolation(points).T
    return a, g / factors, b * factors


half = Fraction(1, 2)
cases = {
    "F(2,3)": minimal([0, 1, -1], 3),
    "F(4,3)": minimal([0, 1, -1, 2, -2], 3),
    "F(6,3)": minimal([0, 1, -1, 2, -2, half, -half], 3),
    "F(4,5)": minimal([0, 1, -1, 2, -2, half, -half], 5),
}
for name, taps in ("F(4,3)", 3), ("F(4,5)", 5):
    for own, package in zip(cases[name], winograd.fractions(taps), strict=True):
        assert (own == package).all()  # exactly
for name, matrix in zip("AGB", cases["F(4,3)"], strict=True):
    for k, row in enumerate(matrix):
        line(f"{name} =" if k == 0 else "", row)

# %% [markdown]
# ### Rows, then columns
#
# A filter of 3 x 3 taps on a tile of 6 x 6 pixels makes 4 x 4 outputs. Directly, each takes nine
# multiplications: 144 in all. Now transform each row of the tile and each row of the filter to its
# six points. At each of these points, one number is left for each row: six for the tile, three for
# the filter. What remains is again a correlation of these numbers, down the column, and it takes
# six products as well. So there are 6 x 6 = 36 products for 16 outputs: **four times fewer**. As
# matrices, applied from the left to columns and, transposed, from the right to rows:
#
# $$
# y = A\,[(G g G^T) \odot (B d B^T)]\,A^T
# $$
#
# Here is one tile of the cat, from below its eye, with a filter that makes a relief, computed in
# exact fractions throughout.

# %%
d = np.rint(100 * x[96:114:3, 78:96:3]).astype(int)  # whole numbers: per cent of white
g = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
A, G, B = cases["F(4,3)"]
at_points, filter_at_points = B @ d @ B.T, G @ g @ G.T
products = filter_at_points * at_points
y = A @ products @ A.T
directly = [[(d[i : i + 3, j : j + 3] * g).sum() for j in range(4)] for i in range(4)]
print("16 outputs, exactly the direct sums:", (y == directly).all())


# %%
def panel(ax, title, numbers, pixels=False):
    """Draw the numbers of a matrix in a grid of squares."""
    values = numbers.astype(float)
    if pixels:
        ax.imshow(values, vmin=-60, vmax=80)
    else:  # the root shows small numbers too, between large ones
        shown = np.sign(values) * np.sqrt(np.abs(values) / np.abs(values).max())
        ax.imshow(shown, cmap="PuOr", vmin=-1.8, vmax=1.8)
    for (i, j), number in np.ndenumerate(numbers):
        text = str(number) if len(str(number)) < 7 else f"{float(number):.3g}"
        ax.text(j, i, text, ha="center", va="center", size=6.5)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, 5.5), ylim=(5.5, -0.5), title=title)
    ax.spines[:].set_visible(False)


fig, axes = plt.subplots(2, 3, figsize=(8, 5.6))
fig.get_layout_engine().set(wspace=0.12, hspace=0.12)
panel(axes[0, 0], "6 x 6 pixels $d$", d, pixels=True)
panel(axes[0, 1], "their points, $B d B^T$", at_points)
panel(axes[0, 2], r"36 products, $\odot$", products)
panel(axes[1, 0], "3 x 3 taps $g$", g)
panel(axes[1, 1], "their points, $G g G^T$", filter_at_points)
panel(axes[1, 2], r"4 x 4 outputs, $A\,[\ldots]\,A^T$", y)
for (i, j), corner in {(0, 0): 0.5, (1, 2): -0.5}.items():
    place = plt.Rectangle(
        (corner, corner), 4, 4, fill=False, edgecolor="C3", linewidth=2, clip_on=False
    )
    axes[i, j].add_patch(place)
across, up = ((1.02, 0.5), (1.14, 0.5)), ((1.02, 1.02), (1.14, 1.14))
arrows = [(0, 0, across), (0, 1, across), (1, 1, up)]
arrows += [(1, 0, ((0.52, 0.5), (1.14, 0.5))), (0, 2, ((0.5, -0.02), (0.5, -0.13)))]
for i, j, (start, end) in arrows:
    axes[i, j].annotate("", end, start, "axes fraction", arrowprops={"arrowstyle": "->"})
plt.show()

# %% [markdown]
# The red squares show where the outputs lie in the tile. The next tile begins four pixels further
# on, so neighbours share two columns of pixels. (Fractions too long for their squares are rounded
# here.)
#
# For 5 x 5 taps and 4 x 4 outputs, a tile has 8 x 8 pixels, and eight points are needed. The two
# new ones are $\pm\frac12$. That makes 64 products instead of 400.

# %%
for a, g_matrix, _ in cases.values():
    (outputs, n), taps = a.shape, g_matrix.shape[1]
    direct = (outputs * taps) ** 2
    title = f"F({outputs}x{outputs}, {taps}x{taps})"
    print(f"{title}: {n**2} products for {outputs**2:2} outputs in place of ", end="")
    print(f"{direct:3}, {direct / n**2:.2f} times fewer")

# %% [markdown]
# ### What the transforms cost
#
# We have traded multiplications for additions, which cost just as much on our processor. What makes
# the trade pay is *channels*. $B d B^T$ is computed once for a tile of a map and serves all
# filters. $A$ is linear, so it is applied once, to the sum over all channels. In between, for each
# filter and each channel, there are only the 36 or 64 products, and at each point they add up to a
# sum over channels: multiply-adds, which go through the same register tile as before
# (`kernels/blocks.py`).
#
# The transforms themselves should cost little. As products with whole matrices, they would not.
# `kernels/transforms.py` reads the matrices and generates code without loops from them, one vector
# instruction for each step. Zeros are left out, and a 1 is an addition without a product. And
# points that differ only in sign share their halves. The rows of $B$ for $1$ and $-1$, applied to
# $d$, are
#
# $$
# \begin{aligned} (B d)_1 &= (d_4 - 4 d_2) + (d_3 - 4 d_1) \\
# (B d)_{-1} &= (d_4 - 4 d_2) - (d_3 - 4 d_1) \end{aligned}
# $$
#
# since even powers of $x$ and $-x$ are equal and odd powers differ in sign. Each half is computed
# once. Numba shows the code it has generated, so we can count.


# %%
def operations(which, taps):
    """Count the vector instructions that compute something in the code of a tile's transform."""
    n = taps + winograd.OUTPUTS - 1

    @numba.njit
    def run(points, out):
        acc = transforms.tile_load_apart(points, 0, lanes, n, n)
        transforms.tile_store_apart(transforms.tile_transform(acc, which, taps), out, 0, lanes)

    run(np.zeros(n * n * lanes, np.float32), np.zeros(n * n * lanes, np.float32))
    (code,) = run.inspect_llvm().values()
    found = re.findall(rf"= f(add|sub|mul)( contract)? <{lanes} x float>", code)
    return len(found) - found.count(("mul", " contract"))  # fused with the sum after it


counted = {}
for taps in winograd.TAPS:
    a, _, b = winograd.fractions(taps)
    counted[taps] = [operations(which, taps) for which in (TO_POINTS, FROM_POINTS)]
    for name, m, count in zip("BA", (b, a), counted[taps], strict=True):
        whole = m.size * (m.shape[0] + m.shape[1])  # along one side, then along the other
        print(f"{taps} x {taps}, {name}: {count:3} operations, with the whole matrix {whole}")

# %% [markdown]
# What are these vectors made of? On pictures (`kernels/fused.py`), the lanes of a vector are
# neighbouring tiles. Pixels 0, 4, 8 ... of a row lie next to one another in memory, then pixels 1,
# 5, 9 ..., and so on: the first vector holds the first pixel of 4, 8 or 16 tiles. For deep networks
# (`kernels/same.py`, on the layout of `kernels/maps.py`), the lanes are channels of one pixel.
# Either way, no number ever has to change its place within a vector.
#
# Deep networks use this method for all their 3 x 3 filters, except in layers from one channel or to
# few filters. For a network that `fused` runs, the package decides by counting, layer by layer
# (`winograd.taps`): the products and both transforms must come to less than three quarters of the
# products of the direct sum. It charges more for the transforms than we have counted, because they
# also fetch and store their points.

# %%
rng = np.random.default_rng(0)
print("multiply-adds for 16 outputs of all filters:   direct   Winograd + transforms")
for network in "9-5-5", "9-3-5", "espcn":
    for k, (weights, _) in enumerate(pysrcnn.load(network, 3).layers):
        o, c, f, _ = weights.shape
        text = f"{network:<6} layer {k + 1}: {f} x {f}, {c:2} to {o:2} {16 * weights.size:24}"
        if taps := f if f in winograd.TAPS else winograd.taps(weights):
            to, back = counted[taps]
            c *= (f // taps) ** 2  # 9 x 9: nine parts of 3 x 3, which add up like channels
            text += f"{(taps + 3) ** 2 * c * o:11} + {c * to + o * back:5}"
        print(f"{text:<69}  taken" if winograd.taps(weights) else text)

# %% [markdown]
# A last layer of one filter has nothing to share its $B d B^T$ with. (A register tile of several
# filters would also be nearly empty.) A first layer of one channel has the same problem with $A$,
# so ESPCN's, of 5 x 5, is summed directly. SRCNN's, of 9 x 9, has a way out. It is the sum of nine
# filters of 3 x 3, each three pixels further on, and at the points their products add up like those
# of nine channels: one transform back for nine parts (`kernels/parts.py`).
#
# What share of the time do the transforms take? Let us time the three steps of `blocks.py` for the
# second layers of 9-3-5 and 9-5-5. They work on a block of several vectors of tiles, whose points
# stay in the cache.


# %%
def time_of_steps(w, b):
    """Return seconds for the three steps of a block, after checking their result."""
    (o, c, taps, _), wide, together = w.shape, blocks.BLOCK, winograd.OUTPUTS
    n, tiles = taps + together - 1, wide * lanes
    apart = tiles  # from point to point
    size = n * n * apart  # from channel to channel, or filter to filter

    @numba.njit
    def to_points(source, points):
        blocks.to_points(taps, n, source, wide, points, 0, apart)

    @numba.njit
    def multiply(points, weights):
        ends = 0, o, o
        blocks._products(wide, points, 0, c, c * size, apart, size, (weights, 0), ends)

    @numba.njit
    def from_points(points, b, out):
        blocks._from_points(taps, n, points, c * size, apart, b, LINEAR, out, wide)

    # As in `fused`: all channels of a row together, and in each, pixel 4 t + p at [p][t].
    plane = 12 * lanes
    maps = rng.random((c, n, together * plane), dtype=np.float32)
    phases = maps.reshape(c, n, plane, together).transpose(1, 0, 3, 2).copy()
    out = np.zeros((o, together, together, tiles), np.float32)
    places = np.arange(n) % together * plane + np.arange(n) // together
    row_starts = np.arange(n) * phases[0].size
    source = phases.ravel(), 0, row_starts, places, c, together * plane
    steps = np.arange(together) * tiles
    to = out.ravel(), 0, steps * together, steps, out[0].size
    points, weights = np.zeros((c + o) * size, np.float32), winograd.filters_at_points(w).ravel()
    ways = {
        "to points": lambda: to_points(source, points),
        "products": lambda: multiply(points, weights),
        "back": lambda: from_points(points, b, to),
    }
    for run in ways.values():
        run()
    wanted = reference.conv2d(maps[None], w, b)[0, :, :, : together * tiles]
    found = out.swapaxes(2, 3).reshape(o, together, -1)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    return race(ways)


fig, ax = plt.subplots(figsize=(7, 1.8))
for network in "9-5-5", "9-3-5":
    weights, b = pysrcnn.load(network, 3).layers[1]
    times = time_of_steps(weights, b)
    left = 0
    for k, (name, seconds) in enumerate(times.items()):
        part = 100 * seconds / sum(times.values())
        bar = ax.barh(network, part, left=left, color=f"C{k}", label=name)
        ax.bar_label(bar, [f"{part:.0f}%"], label_type="center", color="white")
        left += part
handles, labels = ax.get_legend_handles_labels()
ax.legend(handles[:3], labels[:3], ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
ax.set(xlabel="% of the time of a block", xlim=(0, 100))
plt.show()

# %% [markdown]
# In these two layers, the transforms are a fifth or less of the operations in the table, but a
# larger share of the time measured here: they do little with each number that they fetch and store,
# while the register tile of the products does much with it. How much larger depends on the
# processor.
#
# ### What it costs in accuracy
#
# With fractions, the result is exact. With float32, each operation rounds. The values at the points
# can be much larger than the result; most of them then cancels, but their rounding errors do not.
# So we compare with float64: the typical error (root mean square) and the largest, for random
# pixels in 64 channels, relative to the typical result. One more case shows where this ends: ten
# points, for which we have to go out to $\pm 4$.


# %%
def rounding(a, g_matrix, b_matrix, filters=8, channels=64, trials=200):
    """Return typical and largest error in float32, of direct sums and of these matrices."""
    taps, n = g_matrix.shape[1], len(b_matrix)
    d = rng.random((trials, channels, n, n), dtype=np.float32)
    g = rng.normal(size=(filters, channels, taps, taps)).astype(np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(d, (taps, taps), axis=(2, 3))
    exact = np.einsum("kcijuv,ocuv->koij", patches.astype(float), g.astype(float))
    direct = np.einsum("kcijuv,ocuv->koij", patches, g)
    weights = (g_matrix.astype(float) @ g @ g_matrix.astype(float).T).astype(np.float32)
    a, b_matrix = a.astype(np.float32), b_matrix.astype(np.float32)
    y = a @ np.einsum("ocij,kcij->koij", weights, b_matrix @ d @ b_matrix.T) @ a.T
    errors = [np.abs(out - exact) / np.sqrt(np.mean(exact**2)) for out in (direct, y)]
    return [(np.sqrt(np.mean(error**2)), error.max()) for error in errors]


cases["F(8,3)"] = minimal([0, 1, -1, 2, -2, half, -half, 4, -4], 3)
for a, g_matrix, b in cases.values():
    outputs, taps = len(a), g_matrix.shape[1]
    (usual, largest), (fast_usual, fast_largest) = rounding(a, g_matrix, b)
    print(f"F({outputs}x{outputs}, {taps}x{taps}): typical error {fast_usual:.1e}, ", end="")
    print(f"largest {fast_largest:.1e}; direct sum {usual:.1e}, {largest:.1e}")

# %% [markdown]
# $F(2 \times 2, 3 \times 3)$ rounds like the direct sum. With points up to 2, the typical error is
# several times as large, and the largest error grows even more. With points up to 4, the typical
# error is hundreds of times as large, which can be seen in a picture. The package stays with 4 x 4
# outputs and points up to 2. It computes the filters' values at the points in float64, and rounds
# them once.
#
# How much of this is left in the whole network, on a picture? In float64 the package always uses
# direct sums, so we compare both with that.

# %%
large = pysrcnn.load("9-5-5", 3).layers
ways = {
    "direct sums": lambda: kernels.direct.forward(x[None, None], large, "replicate"),
    "Winograd": lambda: kernels.forward(x[None, None], large, "replicate"),
}
direct, fast = (run()[0, 0] for run in ways.values())
times = race({**ways, "limit": only_arithmetic})
limit = rounds * scratch.size / times["limit"]
first, second, third = (weights.size * x.size for weights, _ in large)
for name, part in {"direct sums": 1, "Winograd": 64 / 400}.items():
    print(f"{name:<12} {(first + second * part + third) / 1e6:.0f} million products, ", end="")
    print(f"{(first + second + third) / times[name] / limit:.1%} of the limit")
exact = kernels.forward(
    x[None, None].astype(float), [(w.astype(float), b.astype(float)) for w, b in large], "replicate"
)[0, 0]
for name, y in ("direct sums", direct), ("Winograd", fast):
    print(f"{name:<12} largest error {255 * np.abs(y - exact).max():.5f} of 255 levels")

# %% [markdown]
# ("Of the limit" counts the products of the direct sum in both lines: the work achieved, not how it
# is done. So it may exceed 100%. The million products do not include the transforms.)
#
# Both errors are of the size that float32 has in such sums anyway. The direct sum of the second
# layer has 1600 terms and rounds after each of them, while a sum over channels at a point has only
# 64 terms.
#
# The last step is to use all cores. The package cuts a picture into bands of rows and strips of
# columns that share nothing, so each core takes the next one when it has finished its last. The
# result is the same to the last bit with any number of threads.

# %%
results = []
for threads in (1, numba.config.NUMBA_NUM_THREADS):
    numba.set_num_threads(threads)
    results.append(kernels.forward(x[None, None], large, "replicate"))
print("one thread and all of them, equal bits:", np.array_equal(*results))

# %% [markdown]
# <details><summary>
# <b>Question.</b> Which of the steps changed the algorithm, in the sense of which numbers are
# multiplied with which?
# </summary>
#
# Only Winograd's. All others do the same multiplications, in another order and with the numbers in
# other places. The factor of many thousands between the first bar and the last owes nothing to
# mathematics.
# </details>
#
# <details><summary>
# <b>Question.</b> Why nine parts of 3 x 3 for the first layer, and not one transform for
# 9 taps, which would save even more?
# </summary>
#
# F(4 x 4, 9 x 9) needs 144 products instead of 1296, and the nine parts need 324. But its twelve
# points along a side include large and small ones, whose powers up to the eleventh are taken and
# cancel: float32 does not have enough digits. It would also take transforms to 144 points and back
# for a single channel. The parts use transforms that already exist.
# </details>
#
# `benchmarks/README.md` explains how all of this was measured against other programs, and what was
# tried that did not help.
#
# The next walkthrough goes back to the origin of the network: sparse coding.
