# %% [markdown]
# # 11. The sub-pixel shuffle by hand
#
# SRCNN enlarges the picture first and does all its work on the large one. ESPCN works on the small
# picture, and lets its last layer make several pictures, which are then shuffled into a large one.
# In this walkthrough you shuffle by hand, see that this is a transposed convolution, number for
# number, count what it saves, and find out where checkerboards come from.
#
# You need: walkthroughs 2 and 3. Time: twenty minutes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

import pysrcnn
from pysrcnn import reference
from pysrcnn.data import degrade, luma, modcrop
from pysrcnn.networks import espcn
from pysrcnn.pictures import read_picture
from pysrcnn.reference import conv2d, pixel_shuffle, pixel_shuffle_backward
from pysrcnn.training.optim import Adam

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
frame = {"fill": False, "ec": "C3", "lw": 2, "ls": "-", "zorder": 9, "clip_on": False}
tints = np.array([[207, 227, 245], [246, 217, 196], [207, 232, 207], [238, 205, 211]]) / 255


def table(ax, numbers, colours, title):
    """Draw a matrix in coloured cells; colours: (H, W, 3), or one for all."""
    ax.imshow(np.broadcast_to(colours, (*numbers.shape, 3)))
    for (i, j), value in np.ndenumerate(numbers):
        ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8)
    ax.set(xticks=np.arange(-0.5, numbers.shape[1]), yticks=np.arange(-0.5, len(numbers)))
    ax.grid(color="white", lw=1.5, ls="-")
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    ax.spines[:].set_visible(False)
    ax.set_title(title)


# %% [markdown]
# ## Nothing is computed
#
# To enlarge by $s$, each pixel has to become $s \times s$ pixels. So take $s^2$ small pictures, or
# *maps*, one for each of these places. The shuffle takes one pixel of each map and lays them out as
# a square:
#
# $$
# \text{out}_{s i + a,\; s j + b} = x_{s a + b,\; i,\; j}, \qquad 0 \le a, b < s.
# $$
#
# Here $s = 2$: there are four maps, each with its own numbers and its own colour.

# %%
s = 2
x = np.array([[[10, 11, 12], [13, 14, 15], [16, 17, 18]]] * 4) + 10 * np.arange(4)[:, None, None]
x = x[None]  # (1, 4, 3, 3): one sample, four maps
out = np.empty((1, 1, 6, 6), x.dtype)
for row in range(6):
    for column in range(6):
        i, a = divmod(row, s)
        j, b = divmod(column, s)
        out[0, 0, row, column] = x[0, s * a + b, i, j]
assert np.array_equal(out, pixel_shuffle(x, s))

of_map = np.tile(tints.reshape(2, 2, 3), (3, 3, 1))  # the colour of each large pixel
fig, axes = plt.subplots(1, 5, figsize=(9, 2.5), width_ratios=[3, 3, 3, 3, 6])
for k, ax in enumerate(axes[:4]):
    table(ax, x[0, k], tints[k], f"map {k}: a = {k // 2}, b = {k % 2}")
table(axes[4], out[0, 0], of_map, "shuffled, 6 x 6")
for corner in [(-0.5, -0.5), (1.5, -0.5)]:
    axes[4].add_patch(Rectangle(corner, 2, 2, **frame))
plt.show()

# %% [markdown]
# The red frames show the squares that the first two pixels became. With axes instead of loops it
# takes one line: split the map axis into $a$ and $b$, move $a$ after $i$ and $b$ after $j$, and
# join.

# %%
by_axes = x.reshape(1, 1, 2, 2, 3, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 1, 6, 6)
print("loops and axes agree:", np.array_equal(by_axes, out))

# %% [markdown]
# <details><summary>
# <b>Question.</b> At a scale of 3, which map and which pixel of it becomes row 7, column 2 of the
# result?
# </summary>
#
# $7 = 3 \cdot 2 + 1$ and $2 = 3 \cdot 0 + 2$, so $i = 2$, $a = 1$, $j = 0$, $b = 2$: map
# $3 \cdot 1 + 2 = 5$, its row 2 and column 0.
# </details>
#
# <details><summary>
# <b>Question.</b> The result has three channels. Which maps belong to the first channel?
# </summary>
#
# That is a convention. Here and in PyTorch, the first $s^2$ maps do. In the paper's Eq. 4 and in
# TensorFlow, the channels of one sub-pixel come together, so it would be every third map. Neither
# is better, but weights made for one give coloured noise in the other.
# </details>
#
# ## It is a transposed convolution
#
# The maps come out of a convolution with $s^2$ filters. Put the two together: what does one small
# pixel $x_{ij}$ do to the large picture? Every filter $k$ sees it at each of its $f \times f$
# places, so it contributes to $f \times f$ pixels of each map, and the shuffle spreads these over
# $sf \times sf$ large pixels. So small pixel $(i, j)$ lays down a *stamp*, multiplied by its value,
# and the next small pixel does the same $s$ pixels further on. Stamps overlap and add up. This is
# called a *transposed convolution* with a stride of $s$ (or, misleadingly, a deconvolution).
#
# What is on the stamp? Position $u$ of the filter meets pixel $i$ in row $i - u + p$ of the map,
# where $p$ is the padding. So moving down the stamp means moving backwards through the filter:
#
# $$
# \text{stamp}_{s m + a,\; s n + b} = w_{s a + b,\; f - 1 - m,\; f - 1 - n}.
# $$
#
# This is the shuffle again, now of the flipped filters.

# %%
rng = np.random.default_rng(3)
f, p = 3, 1
w = rng.integers(-9, 10, (4, 1, f, f)).astype(float)  # whole numbers: sums are exact
small = rng.integers(1, 10, (1, 1, 4, 5)).astype(float)
no_bias = np.zeros(4)
stamp = pixel_shuffle(w[:, 0, ::-1, ::-1][None], s)[0, 0]  # (6, 6)


def transposed(small, stamp, s, p):
    """Lay down the stamp at each pixel, s apart, and crop the sum to the picture."""
    height, width = small.shape
    large = np.zeros((s * height + len(stamp) - s, s * width + len(stamp) - s))
    for i in range(height):
        for j in range(width):
            place = np.s_[s * i : s * i + len(stamp), s * j : s * j + len(stamp)]
            large[place] += small[i, j] * stamp
    return large[s * p : s * (p + height), s * p : s * (p + width)]


shuffled = pixel_shuffle(conv2d(small, w, no_bias, "zeros"), s)[0, 0]
stamped = transposed(small[0, 0], stamp, s, p)
assert np.array_equal(shuffled, stamped)
print("convolution and shuffle, or stamps: the same", stamped.size, "numbers exactly")

fig, axes = plt.subplots(1, 5, figsize=(9, 2.4), width_ratios=[3, 3, 3, 3, 6])
for k, ax in enumerate(axes[:4]):
    table(ax, w[k, 0], tints[k], f"filter {k}")
table(axes[4], stamp, of_map, "the stamp: flipped and shuffled")
plt.show()

# %% [markdown]
# A third way gives the same: insert $s - 1$ zeros after each small pixel, and convolve the result
# with the stamp (here with a true convolution, which flips the filter). Three of every four
# products are then with a zero.

# %%
sparse = np.zeros((8, 10))
sparse[::s, ::s] = small[0, 0]
around = np.pad(sparse, ((s * p + 1, s * p + 0), (s * p + 1, s * p + 0)))[None, None]
again = conv2d(around, stamp[None, None, ::-1, ::-1], np.zeros(1))[0, 0]
assert np.array_equal(again, stamped)

fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), width_ratios=[5, 10, 10])
table(axes[0], small[0, 0], np.array([0.9, 0.9, 0.9]), "small picture")
grey = np.where(sparse[..., None] > 0, 0.9, [[[1.0, 1.0, 1.0]]])
table(axes[1], sparse, grey, "zeros between")
table(axes[2], again, np.tile(of_map[:2, :2], (4, 5, 1)), "the result of all three")
axes[1].add_patch(Rectangle((2.5, 1.5), 6, 6, **frame))
axes[2].add_patch(Rectangle((5.5, 4.5), 1, 1, **frame))
plt.show()

# %% [markdown]
# The red frame shows where the stamp lies when it makes the pixel framed on the right. Of its 36
# numbers only nine meet a pixel: those of one colour. The shuffle does not waste work on the
# others. *Which* nine they are depends only on the colour of the large pixel.
#
# Why "transposed"? Take the convolution that goes the other way, from the large picture to the
# small one, with a stride of $s$ and the stamp as its filter. It is linear, so it is a matrix, and
# ours is its transpose. The dot-product test of walkthrough 3 shows this, exactly since all numbers
# are whole:

# %%
large = rng.integers(0, 10, (8, 10)).astype(float)
padded = np.pad(large, s * p)
down = conv2d(padded[None, None], stamp[None, None], np.zeros(1))[0, 0, ::s, ::s]
left, right = np.sum(stamped * large), np.sum(small[0, 0] * down)
print(f"<stamps laid down, large> = {left:.0f}, <small, convolution in steps> = {right:.0f}")
assert left == right

# %% [markdown]
# ## What it saves
#
# There are two savings, and they are not the same.
#
# *The zeros.* Compared with a transposed convolution that multiplies by its zeros, the shuffle
# saves $s^2 - 1$ of every $s^2$ products. Compared with one that skips them it saves nothing: it
# computes the same products, but as an ordinary convolution, for which fast code exists.
#
# *The small picture.* All layers before the shuffle run on $s^2$ times fewer pixels. That is
# ESPCN's gain over SRCNN, and it is large. Count products for each pixel of the *result*:

# %%
layers = {"9-1-5": [(1, 64, 9), (64, 32, 1), (32, 1, 5)]}
layers["9-5-5"] = [(1, 64, 9), (64, 32, 5), (32, 1, 5)]
body = [(1, 64, 5), (64, 32, 3)]
scale = 3
costs = {name: [i * o * k**2 for i, o, k in of] for name, of in layers.items()}
costs["5-3-3 on the large picture"] = [i * o * k**2 for i, o, k in [*body, (32, 1, 3)]]
costs["ESPCN 5-3-3"] = [i * o * k**2 / scale**2 for i, o, k in [*body, (32, scale**2, 3)]]
assert sum(costs["ESPCN 5-3-3"]) == pysrcnn.load("espcn", scale).seen.multiplications

fig, ax = plt.subplots(figsize=(8, 2.3))
ends = np.zeros(len(costs))
for k, hatch in enumerate(("", "//", "..")):
    widths = [of[k] for of in costs.values()]
    ax.barh(list(costs), widths, left=ends, label=f"layer {k + 1}", ec="white", hatch=hatch)
    ends += widths
ax.bar_label(ax.containers[-1], [f"{end:,.0f}" for end in ends], padding=4, fontsize=8)
ax.set(xlabel="multiplications for a pixel of the result, x3", xlim=(0, 65000))
ax.invert_yaxis()
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# From the third line to the fourth, layers 1 and 2 become nine times cheaper. The last layer costs
# the same: it runs on nine times fewer pixels and has nine times as many filters. And on the small
# picture a filter of 5 x 5 sees what one of 15 x 15 would see on the large one.
#
# <details><summary>
# <b>Question.</b> What is lost?
# </summary>
#
# The network works for one scale: the 9 filters of its last layer are those of x3. SRCNN's layers
# accept any enlargement (though walkthrough 10 shows that the weights suit only one), and VDSR is
# trained for several.
# </details>
#
# ## Checkerboards
#
# Large pixels of one colour are all made by the same filter, those of the other colours by other
# filters. If the filters disagree about how bright a plain grey area should be, a pattern with a
# period of $s$ appears: a *checkerboard*. To measure it, take the mean of all large pixels of each
# of the $s^2$ kinds. How much do these means differ?


# %%
def checkerboard(picture, s):
    """Return the deviation of the means of the s x s kinds of pixels, in levels of 255."""
    height, width = picture.shape
    return 255 * picture.reshape(height // s, s, width // s, s).mean(axis=(0, 2)).std()


def as_started(start, seed=0):
    """Return the initial W1, B1, ... of a small ESPCN for x3 with 12 and 12 filters, float64."""
    rng, p = np.random.default_rng(seed), {}
    for k, (i, o, f) in enumerate([(1, 12, 5), (12, 12, 3), (12, 9, 3)], 1):
        p[f"W{k}"] = rng.normal(0, np.sqrt(2 / (i * f * f)), (o, i, f, f))
        p[f"B{k}"] = np.zeros(o)
    if start == "all nine filters alike":
        p["W3"][...] = p["W3"][:1]
    if start == "alike, and handing on":
        network = pysrcnn.ESPCN(3, (5, 3, 3), (12, 12), init="identity", seed=seed)
        p = {name: array.astype(float) for name, array in network.parameters.items()}
    return p


def enlarged(p, small):
    """Enlarge by the reference, with the edge repeated."""
    options = {"activation": "relu", "padding": "replicate"}
    return espcn.forward(small[None, None], p, reference, **options)[0, 0]


names = "cat", "coffee", "astronaut"
pictures = [modcrop(luma(read_picture(here / "pictures" / f"{n}.png")), scale) for n in names]
smalls = [pysrcnn.imresize(high, scale=1 / scale) for high in pictures]
eye = np.s_[38:58, 38:58]  # of the small cat
starts = "He: nine random filters", "all nine filters alike", "alike, and handing on"
fig, axes = plt.subplots(1, 4, figsize=(9, 2.7))
axes[0].imshow(smalls[0][eye])
axes[0].set_title("small picture")
for ax, start in zip(axes[1:], starts, strict=True):
    out = enlarged(as_started(start), smalls[0])
    board = checkerboard(out, scale)
    ax.imshow(out[3 * 38 : 3 * 58, 3 * 38 : 3 * 58])
    ax.set_title(f"{start}\n{board:.1f} levels")
    assert (board > 5) == (start == starts[0])
for ax in axes:
    ax.axis("off")
plt.show()

# %% [markdown]
# None of the three is trained yet. With He's initialisation the nine filters are independent, so
# each area gets its own pattern of nine values. If all nine start with the same numbers, all nine
# maps are the same map, and each of its pixels is repeated 3 x 3 times, without any checkerboard
# (Aitken et al., *Checkerboard artifact free sub-pixel convolution*, 2017). The initialisation of
# this package does so too, and also passes the picture on: untrained, the network returns each
# small pixel nine times, and a little more.
#
# Does the initialisation matter if training follows? Train a few hundred steps from each:


# %%
def trained(p, steps=300):
    """Train by Adam on random crops; return steps, checkerboard and PSNR of the cat on the way."""
    rng, optimiser, course = np.random.default_rng(1), Adam(p, 3e-3), []
    options = {"activation": "relu", "padding": "replicate"}
    for step in range(steps + 1):
        if step % 20 == 0:
            out = enlarged(p, smalls[0])
            course.append((step, checkerboard(out - pictures[0], scale), psnr(out, pictures[0])))
        low, high = [], []
        for k in rng.integers(1, 3, 4):  # not the cat
            i, j = (rng.integers(n - 16) for n in smalls[k].shape)
            low.append(smalls[k][None, i : i + 16, j : j + 16])
            high.append(pictures[k][None, 3 * i : 3 * i + 48, 3 * j : 3 * j + 48])
        kept = []
        out = espcn.forward(np.stack(low), p, reference, kept, **options)
        dout = reference.mse_backward(out, np.stack(high))
        optimiser.step(espcn.backward(dout, kept, p, reference, **options)[1])
    return np.array(course).T


def psnr(picture, truth):
    """Return the PSNR of whole levels in dB, as `evaluate` computes it."""
    levels = np.round(255 * np.clip(picture, 0, 1))
    return pysrcnn.psnr(levels, np.round(255 * truth), shave=scale)


courses = {start: trained(as_started(start)) for start in starts}
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for start, (steps, boards, quality) in courses.items():
    left.semilogy(steps, boards, label=start)
    right.plot(steps, quality, label=start)
right.axhline(psnr(degrade(pictures[0], scale), pictures[0]), color="gray", ls=":", label="bicubic")
left.set(xlabel="step", ylabel="checkerboard (levels of 255)")
right.set(xlabel="step", ylabel="PSNR of the cat (dB)", ylim=(20, 34))
right.legend()
plt.show()

# %%
for start, (_, boards, quality) in courses.items():
    print(f"{start:<24} checkerboard {boards[0]:5.2f} -> {boards[-1]:.2f}, {quality[-1]:.2f} dB")

# %% [markdown]
# (The checkerboard is measured in the error, on the cat, which is not in the training set.) A
# squared error sees a checkerboard, so training removes it. From equal filters, which are free to
# become unequal, training lets some in. After 300 steps all three have about half a level of it.
# But the first had so much to undo that it had less time to learn other things. It stays behind the
# second all the way, and both stay behind the third, which had nothing to learn about grey areas.
#
# There is another source of checkerboards, which the shuffle does not have. The stamp of a
# transposed convolution may have any size, and if $s$ does not divide it, large pixels do not all
# lie under the same number of stamps. For stamps of 3 x 3 with a stride of 2 there are 1, 2 or 4:

# %%
fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.1))
for ax, size in zip(axes, (3, 4), strict=True):
    count = transposed(np.ones((8, 8)), np.ones((size, size)), 2, 0)[3:-3, 3:-3][:8, :8]
    ax.imshow(count, cmap="Blues", vmin=0, vmax=8)
    for (i, j), value in np.ndenumerate(count):
        ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8)
    ax.set(title=f"how many stamps of {size} x {size}", xticks=[], yticks=[])
    assert (len(np.unique(count)) == 1) == (size % 2 == 0)
plt.show()

# %% [markdown]
# The stamp of a shuffle is $sf \times sf$ pixels large, which $s$ always divides. (Odena et al.,
# *Deconvolution and Checkerboard Artifacts*, 2016, show what uneven stamps do to pictures.)
#
# ## Backward: the way back
#
# Each large pixel *is* one pixel of a map, so its gradient is that pixel's gradient, and the
# backward pass puts it there. As a matrix, the shuffle has a single 1 in each row and in each
# column: it is a *permutation*. The backward pass of any linear map is its transpose (walkthrough
# 3), and the transpose of a permutation is its inverse.

# %%
units = np.eye(36).reshape(36, 4, 3, 3)  # 36 samples, with one pixel of 1 each
M = pixel_shuffle(units, 2).reshape(36, 36).T
M_backward = pixel_shuffle_backward(np.eye(36).reshape(36, 1, 6, 6), 2).reshape(36, 36).T
assert np.array_equal(M_backward, M.T) and np.array_equal(M.T @ M, np.eye(36))

fig, axes = plt.subplots(1, 3, figsize=(9, 3.1))
titles = "shuffle: $M$", "backward: $M^T$", "one after the other: $M^T M$"
for ax, matrix, title in zip(axes, (M, M_backward, M_backward @ M), titles, strict=True):
    coloured = np.ones((36, 36, 3))
    rows, columns = np.nonzero(matrix)
    of_which = rows // 9 if matrix is M_backward else columns // 9
    coloured[rows, columns] = [to_rgb(f"C{k}") for k in of_which]
    ax.imshow(coloured)
    ax.set(title=title, xticks=np.arange(-0.5, 36, 9), yticks=np.arange(-0.5, 36, 9))
    ax.grid(color="0.85", ls="-")
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
plt.show()

# %% [markdown]
# Each colour belongs to one map. Now the dot-product test, together with an easy mistake: to
# reshape where one should also transpose. The mistake returns an array of the right shape.

# %%
x, y = rng.normal(size=(2, 12, 4, 5)), rng.normal(size=(2, 3, 8, 10))
left = np.sum(pixel_shuffle(x, 2) * y)
print(f"<shuffle x, y>          {left:.12f}")
print(f"<x, backward y>         {np.sum(x * pixel_shuffle_backward(y, 2)):.12f}")
print(f"<x, y only reshaped>    {np.sum(x * y.reshape(x.shape)):.12f}")
assert np.isclose(left, np.sum(x * pixel_shuffle_backward(y, 2)), rtol=1e-12)
assert np.array_equal(pixel_shuffle_backward(pixel_shuffle(x, 2), 2), x)

# %% [markdown]
# A permutation does not change a sum of squares. So the error between two large pictures is the
# error between their maps, and training need not shuffle at all: un-shuffle the *original* once,
# and compare maps with maps. The paper trains in this way.

# %%
p = as_started(starts[0])
low, high = smalls[0][None, None, :16, :16], pictures[0][None, None, :48, :48]
large = espcn.forward(low, p, reference, activation="relu")
as_maps = pixel_shuffle_backward(large, scale)
of_large = reference.mse(large, high)
of_maps = reference.mse(as_maps, pixel_shuffle_backward(high, scale))
print(f"error of the large picture {of_large:.15f}, of the maps {of_maps:.15f}")
assert np.isclose(of_large, of_maps, rtol=1e-14)

# %% [markdown]
# The whole backward pass of ESPCN is then: un-shuffle, and go on as in walkthrough 3. We write it
# again, compare it with `pysrcnn/networks/espcn.py`, and compare both with a measured slope along a
# random direction.


# %%
def by_hand(low, high, p):
    """Return the gradients of the mean squared error; each map is padded with zeros."""
    f1 = reference.relu(conv2d(low, p["W1"], p["B1"], "zeros"))
    f2 = reference.relu(conv2d(f1, p["W2"], p["B2"], "zeros"))
    out = pixel_shuffle(conv2d(f2, p["W3"], p["B3"], "zeros"), scale)
    g = {}
    df3 = pixel_shuffle_backward(2 / out.size * (out - high), scale)
    df2, g["W3"], g["B3"] = reference.conv2d_backward(df3, f2, p["W3"], "zeros")
    df1, g["W2"], g["B2"] = reference.conv2d_backward(df2 * (f2 > 0), f1, p["W2"], "zeros")
    _, g["W1"], g["B1"] = reference.conv2d_backward(df1 * (f1 > 0), low, p["W1"], "zeros")
    return g


kept = []
out = espcn.forward(low, p, reference, kept, activation="relu")
_, package = espcn.backward(reference.mse_backward(out, high), kept, p, reference,
                            activation="relu")  # fmt: skip
ours = by_hand(low, high, p)
far = max(np.abs(ours[n] - package[n]).max() / np.abs(package[n]).max() for n in p)
print(f"by hand and the package differ by {far:.0e} of the largest")
direction = {name: rng.normal(size=a.shape) for name, a in p.items()}


def loss_at(t):
    """Return the loss after moving by t in that direction."""
    moved = {name: a + t * direction[name] for name, a in p.items()}
    return reference.mse(espcn.forward(low, moved, reference, activation="relu"), high)


slope = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
derived = sum(np.sum(ours[n] * direction[n]) for n in p)
print(f"slope measured {slope:.8f}, derived {derived:.8f}")
assert far < 1e-12 and np.isclose(slope, derived, rtol=1e-6)

# %% [markdown]
# ## A trained one, beside SRCNN
#
# Compare the package's ESPCN 5-3-3 with its SRCNN 9-1-5, on three photographs that neither was
# trained on.

# %%
networks = {n: pysrcnn.load(n, scale, ops=reference) for n in ("9-1-5", "espcn")}
results = {"bicubic": [degrade(high, scale) for high in pictures]}
for name, network in networks.items():
    inputs = smalls if network.small else results["bicubic"]
    batches = (x[None, None].astype(np.float32) for x in inputs)
    results[name] = [network.forward(x)[0, 0].astype(float) for x in batches]
print("PSNR (dB)" + "".join(f"{name:>11}" for name in names) + "   checkerboard, levels")
for name, large in results.items():
    quality = "".join(f"{psnr(x, y):11.2f}" for x, y in zip(large, pictures, strict=True))
    board = np.mean([checkerboard(x - y, scale) for x, y in zip(large, pictures, strict=True)])
    print(f"{name:<9}{quality}   {board:12.3f}")
multiplications = {name: network.seen.multiplications for name, network in networks.items()}
print("multiplications a pixel:", {n: round(m) for n, m in multiplications.items()})

# %%
part = np.s_[105:195, 90:180]
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6))
shown = {**{n: large[0] for n, large in results.items()}, "original": pictures[0]}
for ax, (name, picture) in zip(axes, shown.items(), strict=True):
    ax.imshow(picture[part], vmin=0, vmax=1)
    ax.set_title(name)
    ax.axis("off")
plt.show()

# %% [markdown]
# ESPCN is as good or better, for less than a third of the work. (Not only because of the shuffle:
# this ESPCN was trained on 445 pictures, the SRCNN on 370. But in the paper too, where both were
# trained on ImageNet, ESPCN is ahead.) What remains of the checkerboard is invisible.
#
# <details><summary>
# <b>Question.</b> Why is the checkerboard of bicubic interpolation not zero?
# </summary>
#
# The nine kinds of pixels are nine samples of one picture, and their means differ by chance: those
# of the originals by 0.1 to 0.3 levels. An error whose means differ by less than that has no
# checkerboard of its own.
# </details>
#
# ESPCN moved the enlarging to the end. It has three layers, like SRCNN. The next walkthrough is
# about networks with twenty.
