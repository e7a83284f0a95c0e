# %% [markdown]
# # 9. Sparse coding as a convolutional network
#
# Before SRCNN, methods that learn from examples were assembled from separate parts: dictionaries of
# small patches, and a way to write each patch of a picture as a combination of a few of them.
# Section 3.2 of the paper says that such a method *is* a convolutional network whose parts were
# designed one at a time. This walkthrough takes up each part, then writes the same method as
# convolutions and shows that the two are equal.
#
# You need: SRCNN's three layers (walkthrough 2), and to know what a gradient and a least-squares
# fit are. Time: half an hour.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pysrcnn
from pysrcnn import data, evaluate, reference
from pysrcnn.networks import sparse
from pysrcnn.pictures import read_picture

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
names = ["cat", "coffee", "astronaut"]
pairs = [data.pair(read_picture(here / "pictures" / f"{name}.png"), 3) for name in names]
low, high = pairs[2]  # the astronaut's bicubic enlargement x3 and its original: (1, 300, 282)

model = pysrcnn.load("sc", 3)
P, D_l, D_h = (model.parameters[name] for name in ("P", "D_l", "D_h"))
penalty = model.penalty
print(f"learned from {model.card['data']}: P {P.shape}, D_l {D_l.shape}, D_h {D_h.shape}")

# %% [markdown]
# ## The idea
#
# A patch of a natural picture is hardly ever arbitrary: it shows an edge, a bit of hair, a corner.
# So keep a *dictionary* of typical patches, called *atoms*. They come in pairs: one shows how the
# patch looks in the blurred picture, the other how it looks in the sharp one. Then, for a blurred
# patch:
#
# 1. write it as a sum of a few low-resolution atoms;
# 2. take the same sum of the high-resolution atoms.
#
# This is the method of Yang, Wright, Huang and Ma (2010), with some later improvements by Zeyde,
# Elad and Protter (2010). Below, *low* always means the bicubic enlargement, and *high* the
# difference between it and the sharp picture: what bicubic interpolation is missing.
#
# Low-resolution patches are not compared pixel by pixel, since brightness says nothing about
# detail. Four small filters take first and second derivatives, and a principal component analysis,
# the matrix $P$, reduces the 324 derivatives of a patch to 32 numbers. We call these numbers the
# *features* $y$ of the patch.

# %%
picture = low[None].astype(np.float64)  # (1, 1, H, W)
features = sparse.patch_features(picture, P.astype(np.float64))[0]  # one column per patch
margin = sparse.combined_filters(P).shape[2] // 2
rows, columns = (side - 2 * margin for side in low.shape[1:])
print(f"{features.shape[1]} patches, {features.shape[0]} features each")

some = sparse.sparse_codes(features[:, ::7], D_l.astype(np.float64), penalty, model.momentum)
weight = np.square(some).sum(axis=1) * np.square(D_h).sum(axis=0)  # how much each atom adds
most = np.argsort(-weight)[:20]
seen = np.tensordot(D_l.T, sparse.combined_filters(P), axes=1)[:, 0]  # what an atom reacts to

fig, axes = plt.subplots(2, len(most), figsize=(9, 1.25))
for k, pair_of_axes in zip(most, axes.T, strict=True):
    for ax, atom in zip(pair_of_axes, (seen[k], D_h[:, k].reshape(5, 5)), strict=True):
        ax.imshow(atom, vmin=-np.abs(atom).max(), vmax=np.abs(atom).max())
        ax.axis("off")
plt.show()

# %% [markdown]
# These are the twenty atoms that contribute most to this picture; grey is zero. The upper row shows
# what each one responds to in a blurred patch (13 x 13 pixels): edges and lines in some direction.
# The lower row shows what it adds to the sharp patch (5 x 5): bright along the bright side, dark
# along the dark one. Compare the upper row with SRCNN's first layer (walkthrough 6).
#
# ## One patch
#
# Which few atoms should we take? The sparse code $a$ of features $y$ is defined by
#
# $$
# \min_a \; \tfrac12 \lVert y - D_l\, a \rVert^2 + \lambda \lVert a \rVert_1 .
# $$
#
# The first term asks that the sum resemble $y$. The second, the sum of the absolute values of $a$,
# is the cost of using atoms, and makes most entries exactly zero. Below, we call the two together
# the price. There is no formula for the minimum, but each half is easy by itself. The first term
# decreases along its negative gradient, and the gradient is $D_l^T (D_l a - y)$. In the second term
# each entry stands alone, and
#
# $$
# \begin{gathered}
# \arg\min_a \; \tfrac12 (a - v)^2 + t\, |a| \;=\; S(v, t) , \\
# S(v, t) = \max(0, v - t) - \max(0, -v - t) ,
# \end{gathered}
# $$
#
# the *soft threshold*: it moves $v$ toward zero by $t$, and stops at zero. Alternating the two
# gives ISTA, the *iterative shrinkage-thresholding algorithm*: a step down the gradient, a soft
# threshold, and again.


# %%
def soft(v, t):
    """Move v toward zero by t: two ReLUs."""
    return reference.relu(v - t) - reference.relu(-v - t)


def ista(y, D, penalty, steps):
    """Return the codes before and after each step, starting from zero."""
    L = np.linalg.norm(D, 2) ** 2  # the largest curvature: steps of 1/L never overshoot
    a = np.zeros(D.shape[1])
    codes = [a]
    for _ in range(steps):
        a = soft(a + D.T @ (y - D @ a) / L, penalty / L)
        codes.append(a)
    return np.array(codes)


def price(a, y, D, penalty):
    """Return the quantity that is minimised."""
    return 0.5 * np.sum((y - D @ a) ** 2) + penalty * np.sum(np.abs(a))


i, j = 107, 108  # the centre of a patch at the astronaut's collar
one = features[:, (i - margin) * columns + j - margin]
D = D_l.astype(np.float64)
codes = ista(one, D, penalty, 300)
same = sparse.sparse_codes(one[:, None], D, penalty, sparse.ista(300))[:, 0]
print(f"as in pysrcnn.networks.sparse: {np.abs(codes[-1] - same).max():.0e}")
for k in (1, 3, 10, 30, 100, 300):
    used = np.count_nonzero(codes[k])
    cost = price(codes[k], one, D, penalty)
    print(f"after {k:3} steps: price {cost:.5f}, {used:3} atoms used")

# %%
prices = {
    "ISTA": [price(a, one, D, penalty) for a in codes],
    "FISTA": [price(sparse.sparse_codes(one[:, None], D, penalty, sparse.fista(k))[:, 0],
                    one, D, penalty) for k in range(61)],
}  # fmt: skip
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6))
for name, values in prices.items():
    left.plot(values[:61], label=name)
left.set(xlabel="step", ylabel="price")
left.legend()
for k, colour in ((10, "C1"), (300, "C0")):
    right.plot(codes[k], "-", lw=0.8, color=colour, label=f"after {k} steps of ISTA")
right.set(xlabel="atom", ylabel="entry of the code")
right.legend()
plt.show()

# %% [markdown]
# The first step already finds atoms that look like the patch, but too many of them, each with too
# small a weight, because similar atoms share what belongs to one of them. In the following steps
# they compete: $D_l^T D_l$ in the gradient says how alike two atoms are, so whatever one atom has
# explained is taken away from the others. *FISTA* is ISTA with momentum, and needs fewer steps. The
# model takes ten FISTA steps. It then has not reached the minimum, where the codes are sparser
# still.
#
# Now the second half of the idea: apply the same code to the high-resolution atoms.

# %%
code = sparse.sparse_codes(one[:, None], D, penalty, model.momentum)[:, 0]
added = (D_h @ code).reshape(5, 5)
window = np.s_[i - 2 : i + 3, j - 2 : j + 3]
blurred, sharp = low[0][window], high[0][window]
strongest = np.argsort(-np.abs(code))[:4]
shown = [blurred, added, blurred + added, sharp]
limits = blurred.mean() - 0.35, blurred.mean() + 0.35
fig, axes = plt.subplots(1, 8, figsize=(9.2, 1.5))
for ax, k in zip(axes, strongest, strict=False):
    end = np.abs(D_h[:, k]).max()
    ax.imshow(D_h[:, k].reshape(5, 5), vmin=-end, vmax=end)
    ax.set_title(f"{code[k]:+.2f} times")
titles = ["bicubic", "added", "together", "original"]
for ax, part, title in zip(axes[4:], shown, titles, strict=True):
    low_end, high_end = (-0.35, 0.35) if title == "added" else limits
    ax.imshow(part, vmin=low_end, vmax=high_end)
    ax.set_title(title)
for ax in axes:
    ax.axis("off")
plt.show()
rms = [255 * np.sqrt(np.mean((x - sharp) ** 2)) for x in (blurred, blurred + added)]
print(f"rms error of this patch: bicubic {rms[0]:.1f} levels, with what is added {rms[1]:.1f}")

# %% [markdown]
# On the left are the four atoms with the largest entries, then what all the atoms add up to. (The
# method works well for this patch. It does not for every one.)
#
# Every pixel of the picture is the centre of a patch, so each pixel lies in 25 patches of 5 x 5 and
# receives 25 proposals. The method takes their average. Does that matter? For comparison, we can
# also lay patches side by side, so that each pixel has only one.

# %%
part = np.s_[:, 40:140, 70:170]  # 100 x 100 pixels
x = low[part][None].astype(np.float64)
dictionaries = {name: array.astype(np.float64) for name, array in model.parameters.items()}
averaged = sparse.by_patches(x, dictionaries, penalty, model.momentum)
m = model.margin  # a border whose pixels are not covered by all 25 patches
inner = np.s_[:, :, m:-m, m:-m]

y = sparse.patch_features(x, dictionaries["P"])[0]
proposals = sparse.sparse_patches(y, D, dictionaries["D_h"], penalty, model.momentum)
side = x.shape[2] - 2 * margin  # patches along a side
grid = proposals.reshape(5, 5, side, side)[:, :, 2::5, 2::5]  # every fifth patch, both ways
count = grid.shape[2]
single = grid.transpose(2, 0, 3, 1).reshape(5 * count, 5 * count)
single = x[0, 0, margin:, margin:][: 5 * count, : 5 * count] + single
inside = np.s_[2 : 2 + averaged.shape[2]]

truth = 255 * high[part][None][inner][0, 0]
results = {"bicubic": x[inner][0, 0], "side by side": single[inside, inside],
           "averaged": averaged[0, 0]}  # fmt: skip
fig, axes = plt.subplots(1, 4, figsize=(9, 2.5))
for ax, (name, result) in zip(axes, {**results, "original": truth / 255}.items(), strict=True):
    dB = "" if name == "original" else f", {pysrcnn.psnr(255 * result, truth):.2f} dB"
    ax.imshow(result, vmin=0, vmax=1)
    ax.set_title(name + dB)
    ax.axis("off")
plt.show()

# %% [markdown]
# The average is better than its parts: the errors of 25 proposals partly cancel. The dictionaries,
# however, know nothing of the averaging. $D_h$ was fitted to make each single proposal good.
#
# ## The same as convolutions
#
# Now look at each part again, and ask what it does at every pixel.
#
# **Features.** Derivatives are convolutions, and multiplying each patch of them by $P$ is a
# convolution too. One after the other, they form a single convolution with filters of 13 x 13. ISTA
# only ever uses $y$ as $D_l^T y / L$, which is again a linear function of the patch. So there is
# one filter for each atom, and all patches together are one layer with as many feature maps as
# there are atoms:
#
# $$
# W_1 = D_l^T P\, \nabla / L .
# $$
#
# **Sparse codes.** A step of ISTA, $a \leftarrow S(a + D_l^T (y - D_l a)/L,\; \lambda/L)$, is
#
# $$
# \begin{gathered}
# a \leftarrow S\bigl(W_1 * Y + W_2 * a,\; \lambda/L\bigr), \\
# W_2 = 1 - D_l^T D_l / L ,
# \end{gathered}
# $$
#
# where $Y$ is the blurred picture. $W_2$ takes all codes of a pixel and returns new ones, so it is
# a 1 x 1 convolution. The soft threshold is two ReLUs with a bias of $-\lambda/L$.
#
# **High resolution and averaging.** $D_h a$ puts a patch of 5 x 5 around each pixel, and the
# average adds these patches up. Seen from one pixel of the result, each of the 25 pixels around it
# contributes, and every atom has a weight for each of those 25 positions. That is a 5 x 5
# convolution with $W_3 = D_h / 25$, in which each atom is turned by 180 degrees because it is seen
# from the other end.

# %%
(W1, bias), (W2, _), (W3, _) = sparse.convolutions(dictionaries, penalty)
print("W1", W1.shape, "  W2", W2.shape, "  W3", W3.shape, f"  bias {bias[0]:.5f}")

zero, nothing = np.zeros(len(W1)), np.zeros(1)
first = reference.conv2d(x, W1, zero)
z = before = np.zeros_like(first)
for momentum in model.momentum:  # with this, it is FISTA
    v = first + reference.conv2d(z, W2, zero)
    a = reference.relu(v + bias[0]) - reference.relu(-v + bias[0])
    z, before = a + momentum * (a - before), a
network = x[inner] + reference.conv2d(a, W3, nothing)

print(f"by patches and by convolutions: {np.abs(network - averaged).max():.0e} apart at most")

# %% [markdown]
# They are equal, up to rounding. A dozen lines of convolutions and ReLUs do the same as the
# patches: patch extraction, non-linear mapping, reconstruction.
#
# ## Side by side with SRCNN


# %%
srcnn = pysrcnn.load("9-1-5", 3)
V1, V2, V3 = (srcnn.parameters[f"W{k}"] for k in (1, 2, 3))
own, products = sum(p.size for p in srcnn.parameters.values()), V1.size + V2.size + V3.size
steps = len(model.momentum)
through_features = 13**2 * len(D_l) + (2 * steps - 1) * D_l.size + W3.size
lines = [
    ("", "sparse coding", "SRCNN 9-1-5"),
    ("f1: pixels it looks at", f"{W1.shape[2]} x {W1.shape[2]}", f"{V1.shape[2]} x {V1.shape[2]}"),
    ("n1: feature maps", len(W1), len(V1)),
    ("f2: the mapping", "1 x 1", f"{V2.shape[2]} x {V2.shape[2]}"),
    ("    how often", steps, 1),
    ("n2: maps after it", len(W2), len(V2)),
    ("f3: the reconstruction", f"{W3.shape[2]} x {W3.shape[2]}", f"{V3.shape[2]} x {V3.shape[2]}"),
    ("numbers learned", f"{P.size + D_l.size + D_h.size:,}", f"{own:,}"),
    ("products a pixel", f"{W1.size + (steps - 1) * W2.size + W3.size:,}", f"{products:,}"),
    ("    in patches", f"{through_features:,}", ""),
]
for line in lines:
    print("{:<26}{:>16}{:>16}".format(*line))

# %% [markdown]
# And this is where the numbers come from:
#
# | | sparse coding | SRCNN |
# | --- | --- | --- |
# | $W_1$ | $P$ to keep what varies most, $D_l$ to make codes sparse | trained for the result |
# | $W_2$ | follows from $D_l$ | trained for the result |
# | the threshold | $\lambda$, chosen by hand | biases, trained for the result |
# | $W_3$ | $D_h$, by least squares for single patches | trained for the result |
# | the average | not taken into account | part of $W_3$ |
#
# This is the paper's point. The structure is the same. But in sparse coding each part was made for
# a purpose of its own, while in SRCNN all parts are trained together to minimise the mean squared
# error of the result. It then turns out that many steps and many atoms are not needed. (When sparse
# coding is computed patch by patch, a step can multiply by $D_l$ and then by $D_l^T$ instead of by
# both at once, passing through the 32 features. That takes far fewer products than $W_2$, and is
# how it is done in practice.)
#
# ## What it is worth

# %%
models = {"bicubic": None, "sparse coding": model, "SRCNN 9-1-5": srcnn,
          "SRCNN 9-5-5": pysrcnn.load("9-5-5", 3)}  # fmt: skip
print(f"{'PSNR in dB':<14}" + "".join(f"{name:>11}" for name in names))
for name, which in models.items():
    values = [evaluate.mean_psnr(which, [pair], 3) for pair in pairs]
    print(f"{name:<14}" + "".join(f"{value:11.2f}" for value in values))

shown = {
    name: which.forward(low[None])[0, 0] if which else low[0] for name, which in models.items()
}
del shown["SRCNN 9-5-5"]
fig, axes = plt.subplots(1, 4, figsize=(9, 2.5))
for ax, (name, result) in zip(axes, {**shown, "original": high[0]}.items(), strict=True):
    ax.imshow(result[part[1:]], vmin=0, vmax=1)
    ax.set_title(name)
    ax.axis("off")
plt.show()
for name in ("SRCNN 9-1-5", "sparse coding"):
    card = models[name].card
    print(f"{name}: {card['scores']['Set5']['PSNR']:.2f} dB on Set5 at x3, from {card['data']}")

# %% [markdown]
# The race is not fair, since the two were trained on different pictures. In the paper both use the
# same 91 pictures: on Set5 at x3 it reports 31.42 dB for the sparse coding of Yang et al. and 32.39
# dB for SRCNN 9-1-5, against 30.39 dB for bicubic interpolation. (Our sparse coding, with the
# changes by Zeyde et al., lies between the two.)
#
# Would more steps help? They bring the codes closer to the minimum that defines them.

# %%
for steps in (1, 2, 5, 10, 20, 50):
    model.momentum = sparse.fista(steps)
    print(f"{steps:3} steps: {evaluate.mean_psnr(model, pairs[2:], 3):.2f} dB on the astronaut")

# %% [markdown]
# The result improves, and then gets worse again. The quantity being minimised is not the error of
# the picture, and $D_h$ was fitted to the codes that ten steps give. Two parts of the method, each
# right by itself, know nothing of each other.
#
# <details><summary>
# <b>Question.</b> One could train W1, W2, W3 and the thresholds of the unrolled steps
# jointly. What kind of network would that be?
# </summary>
#
# A network with several 1 x 1 layers, and a skip connection from the first layer to each of them.
# It has been done: Gregor and LeCun trained the steps of ISTA in 2010 (LISTA), and Wang and others
# built a whole network for super-resolution from such steps in 2015. Give up the form that ISTA
# prescribes, and you have a convolutional network such as SRCNN.
# </details>
#
# <details><summary>
# <b>Question.</b> In SRCNN n2 is smaller than n1, and f3 is smaller than f1. What does this mean in
# the language of dictionaries?
# </summary>
#
# Fewer maps after the mapping than before: the high-resolution code is expected to be sparser, so
# it can be shorter. A smaller filter at the end than at the beginning: the network looks at a large
# patch of the blurred picture, and trusts only the centre of the corresponding sharp patch. The
# paper gives both as reasons for its sizes.
# </details>
#
# The next walkthrough asks what SRCNN left open.
