# %% [markdown]
# # 2. Convolution by hand, and SRCNN's three layers
#
# SRCNN is three convolutions with a little in between. Here you compute a convolution by hand,
# number by number, and then as one matrix product. From it you build the trained network, layer by
# layer, until its output equals the package's.
#
# You need: the product of two matrices. Time: fifteen minutes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from scipy import signal

import pysrcnn
from pysrcnn import reference
from pysrcnn.data import degrade, luma
from pysrcnn.pictures import read_picture

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")


def table(ax, numbers, title, **show):
    """Draw a matrix as a picture, with its numbers written in."""
    show = {"cmap": "Blues", "vmin": -1, "vmax": 12, **show}
    ax.imshow(numbers, **show)
    for (i, j), value in np.ndenumerate(numbers):
        ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8)
    ax.set_title(title)
    ax.set(xticks=[], yticks=[])


def differ(a, b):
    """Return the largest absolute difference between corresponding elements, as text."""
    return f"{np.abs(a - b).max():.1e}"


# %% [markdown]
# ## One number
#
# A *filter* is a small matrix of weights. Lay it on the picture, multiply each weight by the pixel
# under it, and add up the products: that is one pixel of the result. The pixels under the filter
# are a *patch*. (Dark blue is a large number, a bright pixel; red is negative.)

# %%
x = np.array(
    [[1, 1, 1, 5, 9], [1, 1, 3, 8, 9], [1, 2, 7, 9, 9], [1, 5, 9, 9, 8], [4, 8, 9, 8, 7]], float
)
w = np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], float)

i, j = 1, 0  # where the filter's upper left corner lies
patch = x[i : i + 3, j : j + 3]
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6), width_ratios=[5, 3, 3, 3])
table(axes[0], x, "picture, 5 x 5")
axes[0].add_patch(Rectangle((j - 0.5, i - 0.5), 3, 3, fill=False, ec="C1", lw=3))
table(axes[1], patch, "a patch")
table(axes[2], w, "filter, 3 x 3", cmap="RdBu", vmin=-4, vmax=4)
table(axes[3], w * patch, f"products, sum {np.sum(w * patch):g}", cmap="RdBu", vmin=-40, vmax=40)
plt.show()

# %% [markdown]
# A 3 x 3 filter fits into a 5 x 5 picture at nine places, so the result is 3 x 3. Written out,
#
# $$
# \text{out}_{ij} = b + \sum_{u=0}^{f-1} \sum_{v=0}^{f-1} w_{uv} \, x_{i+u,\,j+v},
# $$
#
# where $f = 3$ is the size of the filter, and $b$, the *bias*, is one more number, added
# everywhere.


# %%
def convolve_by_loops(x, w, b):
    """Compute the formula, one number after the other."""
    f = len(w)
    out = np.zeros((x.shape[0] - f + 1, x.shape[1] - f + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = b + np.sum(w * x[i : i + f, j : j + f])
    return out


b = 0.5
by_loops = convolve_by_loops(x, w, b)
print(by_loops)

# %% [markdown]
# This filter gives large numbers where the picture gets brighter from the upper left to the lower
# right, that is, along the edge. In the last patch everything is bright and there is no edge, so
# the sum is small. Each filter looks for something.
#
# ## All at once: im2col
#
# There are nine patches of nine numbers. Write each patch as a column, put the columns side by
# side, and you have a matrix. The filter becomes a row, and all nine sums are *one* product of a
# row and a matrix. The function that writes the patches as columns is called `im2col`, *image to
# columns*.

# %%
cols = np.stack([x[i : i + 3, j : j + 3].ravel() for i in range(3) for j in range(3)], axis=1)
row = w.reshape(1, 9)
product = row @ cols + b

fig, axes = plt.subplots(1, 9, figsize=(9, 1.3))
for k, ax in enumerate(axes):
    table(ax, cols[:, k].reshape(3, 3), f"patch {k}")
plt.show()

fig, axes = plt.subplots(3, 1, figsize=(5, 6.2), height_ratios=[1, 9, 1])
table(axes[0], row, "the filter as a row", cmap="RdBu", vmin=-4, vmax=4)
table(axes[1], cols, "times: the patches as columns, 0 to 8")
table(axes[2], product, "and plus b: the result as a row", cmap="RdBu", vmin=-60, vmax=60)
plt.show()

# %% [markdown]
# The package does exactly this, but for many pictures (N), channels (C) and filters (O) at a time,
# so its arrays have four axes: pictures are (N, C, H, W), weights (O, C, f, f).

# %%
x4, w4 = x[None, None], w[None, None]  # (1, 1, 5, 5), (1, 1, 3, 3)
print("im2col by hand and reference.im2col: ", differ(cols, reference.im2col(x4, 3)[0]))
print("the product and the loops:           ", differ(product.reshape(3, 3), by_loops))
print("reference.conv2d and the loops:      ",
      differ(reference.conv2d(x4, w4, np.array([b]))[0, 0], by_loops))  # fmt: skip

# %% [markdown]
# Why go to such lengths? Each pixel now appears in the matrix up to nine times, which costs memory.
# But matrix products are what computers do fastest and, more important here, what we know how to
# reason about: $\text{out} = W \cdot \text{cols} + b$ is linear in the filter and in the picture.
#
# <details><summary>
# <b>Question.</b> SRCNN's first filters are 9 x 9. How many times larger than a big picture is its
# matrix of columns?
# </summary>
#
# Nearly every pixel is in 81 patches, so 81 times. A picture of 1920 x 1080 pixels in float32 takes
# 8 MB, and its matrix 670 MB. This is why `pysrcnn/kernels/` never stores that matrix.
# </details>
#
# ## Several channels, several filters
#
# A colour picture has three channels, and inside the network there are 64. A filter then has a
# matrix of weights for *each* channel, and the sum runs over the channels too. O filters give O
# results. In the matrix product the columns get longer, and the filter's single row becomes O rows:

# %%
rng = np.random.default_rng(0)
x4 = rng.random((1, 3, 5, 5))  # one picture of 3 channels
w4 = rng.normal(size=(2, 3, 3, 3))  # two filters, each for 3 channels
b2 = np.array([0.1, -0.2])

w_rows, cols = w4.reshape(2, -1), reference.im2col(x4, 3)[0]
out = (w_rows @ cols + b2[:, None]).reshape(2, 3, 3)
print(f"{w_rows.shape} @ {cols.shape} = {(w_rows @ cols).shape} -> {out.shape}")

sums = [sum(convolve_by_loops(x4[0, c], w4[o, c], 0) for c in range(3)) + b2[o] for o in (0, 1)]
print("the product and sums of loops:    ", differ(out, np.stack(sums)))
print("the product and reference.conv2d: ", differ(out, reference.conv2d(x4, w4, b2)[0]))

# %% [markdown]
# ## Borders
#
# A filter of size $f$ makes a picture smaller by $f - 1$. There are three ways to deal with that:
#
# - *valid*: accept it. SRCNN is trained this way.
# - *zeros*: put zeros around the picture. Many programs do that.
# - *replicate*: repeat the outermost pixels. The authors' test code does this before every layer,
#   and so does `pysrcnn`.
#
# Take a picture that is white everywhere, and a filter that averages 3 x 3 pixels. The result
# should be white too.

# %%
white = np.ones((1, 1, 5, 5))
mean, no_bias = np.full((1, 1, 3, 3), 1 / 9), np.zeros(1)
results = {
    "valid": white,
    "zeros": np.pad(white, ((0, 0), (0, 0), (1, 1), (1, 1))),
    "replicate": reference.pad_replicate(white, 1),
}
fig, axes = plt.subplots(1, 3, figsize=(8, 2.8), width_ratios=[3, 5, 5])
for ax, (name, padded) in zip(axes, results.items(), strict=True):
    out = reference.conv2d(padded, mean, no_bias)[0, 0]
    table(ax, out.round(2), name, cmap="gray", vmin=-0.5, vmax=1)
plt.show()

# %% [markdown]
# Zeros are black, and the black leaks in, further with every layer. The network was trained on
# valid convolutions, so it has never seen such borders and cannot handle them.
#
# ## Flipped or not?
#
# Mathematicians flip the filter before they slide it: $\sum w_{uv} \, x_{i-u,\,j-v}$. What we
# compute, without the flip, they call *cross-correlation*. Apply both to an impulse, with a filter
# in the shape of an L:

# %%
ell = np.array([[1.0, 0, 0], [1, 0, 0], [1, 1, 0]])
impulse = np.zeros((5, 5))
impulse[2, 2] = 1
ours = reference.conv2d(impulse[None, None], ell[None, None], no_bias)[0, 0]
print("ours and scipy's correlate2d:", differ(ours, signal.correlate2d(impulse, ell, "valid")))

fig, axes = plt.subplots(1, 3, figsize=(6.6, 2.5))
table(axes[0], ell, "the filter", vmax=2)
table(axes[1], ours, "ours, of an impulse", vmax=2)
table(axes[2], signal.convolve2d(impulse, ell, "valid"), "convolve2d, of an impulse", vmax=2)
plt.show()

# %% [markdown]
# For a network that *learns* its filters this makes no difference: it would learn the flipped ones.
# It matters when you take over weights that somebody else trained. The paper writes $*$ and says
# convolution, but its code does not flip (it uses MATLAB's `imfilter`), and neither does any of
# today's frameworks.
#
# ## The three layers
#
# Now we build the paper's network with the weights that come with the package. It is called 9-1-5
# after the sizes of the filters in its three layers, and was trained for a factor of 3. The picture
# is shrunk by 3 and enlarged back by bicubic interpolation. The result is the network's input,
# which the paper calls $Y$.

# %%
original = luma(read_picture(here / "pictures" / "astronaut.png"))[10:130, 75:195]  # 120 x 120
scale = 3
Y = degrade(original, scale)[None, None].astype(np.float32)  # shrunk and enlarged back
network = pysrcnn.load("9-1-5", scale)
W1, B1, W2, B2, W3, B3 = network.parameters.values()
print(f"{'Y':<3}{Y.shape}")
for name, array in network.parameters.items():
    print(f"{name:<3}{array.shape}")

# %% [markdown]
# ## Layer 1: patch extraction
#
# $$
# F_1(Y) = \max(0,\; W_1 * Y + B_1)
# $$
#
# Each of 64 filters looks at each patch of 9 x 9 pixels. In other words, each patch of 81 numbers
# is turned into 64 numbers, which say how strongly each filter's pattern is present. Negative
# numbers are set to zero. That `max` is called *ReLU*, rectified linear unit.

# %%
before = reference.conv2d(reference.pad_replicate(Y, 4), W1, B1)
F1 = reference.relu(before)
print(f"W1 as a matrix {W1.reshape(64, -1).shape}, patches {(81, Y[0, 0].size)} -> F1 {F1.shape}")
print(f"ReLU has set {np.mean(F1 == 0):.0%} of the numbers to zero")

strongest = np.argsort(-W1.reshape(64, -1).var(axis=1))[:6]
fig, axes = plt.subplots(3, 6, figsize=(7.8, 4.1))
for column, k in zip(axes.T, strongest, strict=True):
    largest, far = np.abs(W1[k]).max(), np.abs(before[0, k]).max()
    column[0].imshow(W1[k, 0], vmin=-largest, vmax=largest)
    column[1].imshow(before[0, k], vmin=-far, vmax=far)
    column[2].imshow(F1[0, k], vmin=-far, vmax=far)
for ax, text in zip(axes[:, 0], ["filter", "before ReLU", "after"], strict=True):
    ax.set_ylabel(text)
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# These are six of the 64 filters. In filters and maps, grey is zero, white positive, black
# negative. After ReLU, a map says either "my pattern is here, this strongly" or nothing.
#
# ## Layer 2: non-linear mapping
#
# $$
# F_2(Y) = \max(0,\; W_2 * F_1(Y) + B_2)
# $$
#
# The filters are 1 x 1. A patch of one pixel is just that pixel's 64 numbers, so no im2col is
# needed: at every pixel, the same 32 x 64 matrix turns 64 numbers into 32. As the paper reads it,
# the first layer describes the blurred patch, and this one turns that into a description of the
# sharp patch.

# %%
F2 = reference.relu(reference.conv2d(F1, W2, B2))
by_matrix = np.maximum(0, W2.reshape(32, 64) @ F1.reshape(64, -1) + B2[:, None])
print(f"F2 {F2.shape}, at each pixel a 32 x 64 matrix: {differ(by_matrix, F2.reshape(32, -1))}")

# %% [markdown]
# ## Layer 3: reconstruction
#
# $$
# F(Y) = W_3 * F_2(Y) + B_3
# $$
#
# There is one filter of 5 x 5 for 32 channels, and no ReLU, since the result is a picture.

# %%
F = reference.conv2d(reference.pad_replicate(F2, 2), W3, B3)
print(f"{Y.shape} -> {F1.shape} -> {F2.shape} -> {F.shape}")
print("ours and network.forward:  ", differ(F, network.forward(Y)))
print("and reference.forward:     ", differ(F, reference.forward(Y, network.layers, "replicate")))

# %% [markdown]
# That is the network. (The package computes in float32, which has about seven digits, and adds in
# another order.) How much does it gain?


# %%
def psnr(picture):
    """Return the PSNR against the original, without 3 pixels at the border."""
    return pysrcnn.psnr(255 * original, 255 * picture, shave=scale)


pictures = {"original": original, "Y, bicubic": Y[0, 0], "F(Y)": F[0, 0]}
fig, axes = plt.subplots(1, 3, figsize=(7.8, 2.9))
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    text = "" if picture is original else f", {psnr(picture):.2f} dB"
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set_title(name + text)
    ax.axis("off")
plt.show()

# %% [markdown]
# PSNR (peak signal-to-noise ratio) is the mean squared error on a logarithmic scale, in decibels
# (dB): more is better, and 1 dB more means a fifth less squared error.
#
# Do the borders matter? Let us put zeros around the input of each layer instead.

# %%
x = Y
for k, (w, b) in enumerate(network.layers):
    p = w.shape[2] // 2
    x = reference.conv2d(np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))), w, b)
    x = reference.relu(x) if k < 2 else x
print(f"with zeros {psnr(x[0, 0]):.2f} dB instead of {psnr(F[0, 0]):.2f} dB")
inside = np.s_[..., 6:-6, 6:-6]
print("6 pixels and more from the border they differ by", differ(x[inside], F[inside]))

# %% [markdown]
# The whole loss is in a frame of 6 pixels around the picture.
#
# ## Layer 3 the other way round
#
# The paper reads layer 3 like this: the 32 numbers of a pixel stand for a sharp *patch* around it.
# Patches overlap, so every pixel is in 25 of them, and they are added up. (That is an average if
# the weights contain the factor 1/25.) Is that the same as sliding a filter? The function that adds
# up overlapping patches is `col2im`, the counterpart of `im2col`:

# %%
F2_wide = reference.pad_replicate(F2, 2)
height, width = F2_wide.shape[2:]
W3_flipped = W3[0, :, ::-1, ::-1].reshape(32, 25)  # for each of 32 numbers, a patch it stands for
patches = W3_flipped.T @ F2_wide.reshape(32, -1)  # 25 pixels for each place
summed = reference.col2im(patches[None], (1, 1, height + 4, width + 4), 5) + B3[0]
print("patches added up, and the convolution:", differ(summed[:, :, 4:-4, 4:-4], F))

# %% [markdown]
# It is the same, with the filter flipped, and this is where the mathematicians' flip comes from. A
# filter that *collects* with weights $w$ is one that *spreads* with the flipped weights. The next
# walkthrough uses this again.
#
# ## What ReLU is for
#
# ReLU looks like damage. Suppose we leave it out of both layers. Then everything is linear, and
# three linear maps in a row are one: a single filter. An impulse shows us that filter.


# %%
def without_relu(x):
    """Apply the network's convolutions, valid, with nothing between them."""
    for w, b in network.layers:
        x = reference.conv2d(x, w, b)
    return x


zeros, impulse = np.zeros((2, 1, 1, 25, 25), np.float32)
impulse[0, 0, 12, 12] = 1
constant = without_relu(zeros)
one_filter = (without_relu(impulse) - constant)[:, :, ::-1, ::-1]  # an impulse gives it flipped
at_once = reference.conv2d(Y, np.ascontiguousarray(one_filter), constant[0, :, 0, 0])
print(f"the one filter is {one_filter.shape[2:]}")
print("three layers without ReLU, and one filter:", differ(without_relu(Y), at_once))

# %% [markdown]
# The three layers have collapsed into one convolution: the same filter for every picture and every
# place, as in bicubic interpolation. ReLU prevents that. It switches filters off where their
# pattern is absent, so the network is a *different* filter at each place. It is linear only as long
# as no ReLU switches.
#
# ## How far it sees, how much it knows
#
# That filter was 13 x 13. This is how much of $Y$ a pixel of the result depends on: its *receptive
# field*. Let us measure it in the real network, with ReLU. Change one pixel of $Y$ and see whether
# the middle pixel of the result changes, for all pixels of a 17 x 17 piece in one batch.

# %%
piece = np.repeat(Y[:, :, 40:57, 40:57], 17 * 17, axis=0)  # (289, 1, 17, 17)
changed = piece.copy()
changed.reshape(289, 289)[np.diag_indices(289)] += 0.1  # picture k: pixel k
middle = [network.forward(batch, "valid")[:, 0, 2, 2] for batch in (piece, changed)]
influence = (middle[1] - middle[0]).reshape(17, 17) / 0.1
rows, columns = np.nonzero(np.abs(influence) > 1e-5)  # more than rounding
print(f"receptive field: {np.ptp(rows) + 1} x {np.ptp(columns) + 1}")

far = np.abs(influence).max()
fig, ax = plt.subplots(figsize=(3.6, 3))
plot = ax.imshow(influence, vmin=-far / 2, vmax=far / 2)
ax.add_patch(Rectangle((1.5, 1.5), 13, 13, fill=False, ec="C1", lw=2))
ax.set(title="influence on the middle pixel", xticks=[], yticks=[])
fig.colorbar(plot, extend="both")
plt.show()

# %% [markdown]
# Layer 1 sees 9 x 9 pixels, the middle layer adds nothing, and layer 3 collects from 5 x 5 places,
# which adds four: $9 + 1 + 5 - 2 = 13$. Nothing further away can matter.
#
# And here is everything it has learned:

# %%
total = 0
for k, (w, b) in enumerate(network.layers, 1):
    print(f"layer {k}: {' x '.join(map(str, w.shape)):<14} = {w.size:5} weights, {b.size:2} biases")
    total += w.size
print(f"{total} weights, as in the paper; so many multiplications for each pixel, too")

# %% [markdown]
# <details><summary>
# <b>Question.</b> 9-5-5 has filters of 5 x 5 in the middle layer. How many weights does it have,
# and what is its receptive field?
# </summary>
#
# The middle layer has $32 \cdot 64 \cdot 25 = 51200$ weights instead of 2048, which makes 57184 in
# all. The receptive field is $9 + 5 + 5 - 2 = 17$.
# </details>
#
# <details><summary>
# <b>Question.</b> In layer 1, <i>B</i><sub>1</sub> is added before the <code>max</code>. What
# does a negative bias do?
# </summary>
#
# It acts as a threshold: unless the filter's pattern is stronger than that, nothing is passed on. A
# family of methods called *sparse coding* finds its numbers with just such thresholds; walkthrough
# 9 makes the connection exact.
# </details>
#
# Where do the 8032 numbers come from? The next walkthrough computes by hand in which direction each
# of them should be changed.
