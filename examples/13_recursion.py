# %% [markdown]
# # 13. Recursion, and where its gradients come from
#
# A deep network sees far, and has many weights. DRCN sees as far with the weights of five layers:
# it applies one of them again and again. The same weights are then at work in many places, and
# their gradient comes from all of them. Here you derive that gradient, measure it, see what happens
# if one use is forgotten, and learn what makes such a network trainable.
#
# You need: walkthroughs 3 and 12. Time: twenty minutes.

# %%
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for matrices as small as these; before NumPy is there

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pysrcnn
from pysrcnn import reference
from pysrcnn.data import degrade, luma, modcrop
from pysrcnn.networks import DRCN, drcn
from pysrcnn.pictures import read_picture
from pysrcnn.reference import conv2d_same, conv_relu, mse
from pysrcnn.training.optim import Adam

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")

# %% [markdown]
# ## Rolled up, and unrolled
#
# *Deeply-Recursive Convolutional Network for Image Super-Resolution* (Kim, Lee, Lee, CVPR 2016)
# works as follows. Two layers make maps $H_0$ from the enlarged picture. Then one layer is applied
# $D$ times, with the *same* $W$:
#
# $$
# H_d = \max(0,\; W * H_{d-1} + b);
# $$
#
# After each application, the same two layers make a picture $y_d$ from $H_d$, to which the enlarged
# picture is added. The result is a weighted sum of these pictures, $\sum_d w_d \, y_d$. Unrolled,
# for $D = 3$:


# %%
def draw_unrolled(uses):
    """Draw the maps from left to right, pictures above them, gradients and their sum in red."""
    fig, ax = plt.subplots(figsize=(9, 4))
    red = {"arrowstyle": "->", "color": "C3", "lw": 1.3}
    black = {"arrowstyle": "->", "lw": 1.1}

    def box(x, y, text, colour):
        shape = {"boxstyle": "round,pad=0.35", "fc": colour, "ec": "0.4"}
        ax.text(x, y, text, ha="center", va="center", bbox=shape, fontsize=9)

    def arrow(start, end, how):
        ax.annotate("", end, start, arrowprops={**how, "shrinkA": 14, "shrinkB": 14})

    box(0, 0, "enlarged\npicture", "0.92")
    box(2, 0, "$H_0$", "#cfe3f5")
    arrow((0.25, 0), (2, 0), black)
    ax.text(1.15, 0.2, "two layers", ha="center", fontsize=8)
    last = 2 + 2.4 * uses
    for d in range(1, uses + 1):
        x = 2 + 2.4 * d
        box(x - 1.2, 0, "$W$", "#f6c99c")
        box(x, 0, f"$H_{d}$", "#cfe3f5")
        box(x, 1.5, f"$y_{d}$", "#cfe8cf")
        arrow((x - 2.4, 0), (x - 1.2, 0), black)
        arrow((x - 1.2, 0), (x, 0), black)
        arrow((x - 0.1, 0), (x - 0.1, 1.5), black)
        arrow((x + 0.1, 1.5), (x + 0.1, 0), red)
        arrow((x, 1.5), (last + 1.8, 2.6), black)
        arrow((x - 0.05, -0.22), (x - 1.15, -0.22), red)
        arrow((x - 1.25, -0.22), (x - 2.35, -0.22), red)
        arrow((x - 1.2, -0.1), (x - 1.2, -1.4), red)
        ax.text(x - 1.12, -0.78, f"of use {d}", color="C3", fontsize=8)
    ax.text(2.35, 1.5, "the same two layers\nafter each use", ha="center", va="center", fontsize=8)
    box(last + 2, 2.6, r"$\sum w_d\, y_d$", "#cfe8cf")
    ax.plot([3.2, last - 1.2], [-1.4, -1.4], color="C3", lw=1.3, ls="-")
    for d in range(uses):
        ax.text(3.2 + 2.4 * d, -1.4, "+", ha="center", va="center", color="C3", fontsize=11,
                bbox={"boxstyle": "circle,pad=0.1", "fc": "white", "ec": "C3"})  # fmt: skip
    arrow((last - 1.2, -1.4), (last + 1, -1.4), red)
    ax.text(last + 0.75, -1.4, "$dW$", color="C3", va="center", fontsize=11)
    ax.set(xlim=(-0.8, last + 3), ylim=(-1.8, 3.1))
    ax.axis("off")
    plt.show()


draw_unrolled(3)

# %% [markdown]
# Values are black, gradients red. Each use of $W$ gets a gradient of its own, and all of them are
# added. Why added?
#
# ## Why a sum
#
# Take numbers instead of maps, and nothing but the recursion: $h_d = w \, h_{d-1}$. With $w = 2$,
# $h_0 = 3$ and four uses, $h_4 = 2^4 \cdot 3 = 48$, and its derivative is
# $4 \cdot 2^3 \cdot 3 = 96$. Now pretend that each use has a weight of its own,
# $h_4 = w_4 w_3 w_2 w_1 h_0$. The derivative with respect to each of them is 24. But they are not
# independent: whoever moves $w$ moves all four, and the effects of small changes add up to
# $4 \cdot 24$.
#
# That is all: *give each use its own weights, differentiate, add up*. This holds whatever happens
# between the uses, and for other shared weights as well: those of the two layers after each $H_d$,
# and those of any convolution, whose filter is used at each pixel (in walkthrough 3, its gradient
# was a sum over pixels).
#
# ## With maps
#
# Take a DRCN of four recursions with four maps, random weights, and the loss
#
# $$
# L = \alpha \, \frac1D \sum_d \text{mse}(y_d) + (1 - \alpha) \, \text{mse}\Big(\sum_d w_d y_d\Big),
# $$
#
# which is discussed below. The forward pass takes a list of weights, one for each use, so that we
# can move those of one use alone. The backward pass keeps what each use contributes.


# %%
def ahead(low, p, own=None):
    """Return all maps and pictures; `own`: weights of each use, if they are not all p["W"]."""
    first = conv_relu(low, p["W_in1"], p["B_in1"])
    h, a, y = [conv_relu(first, p["W_in2"], p["B_in2"])], [], []
    for w in own or [p["W"]] * len(p["w"]):
        h.append(conv_relu(h[-1], w, p["B"]))
        a.append(conv_relu(h[-1], p["W_out1"], p["B_out1"]))
        y.append(conv2d_same(a[-1], p["W_out2"], p["B_out2"], low))
    return first, h, a, y


def weighted(p, y):
    """Return the weighted sum of the pictures."""
    return sum(w * picture for w, picture in zip(p["w"], y, strict=True))


def loss_of(low, high, p, alpha, own=None):
    """Return the loss L."""
    y = ahead(low, p, own)[-1]
    of_each = np.mean([mse(picture, high) for picture in y])
    return alpha * of_each + (1 - alpha) * mse(weighted(p, y), high)


def by_use(low, high, p, alpha):
    """Return all gradients; those of shared weights as lists of D arrays, first use first."""
    first, h, a, y = ahead(low, p)
    dout = (1 - alpha) * reference.mse_backward(weighted(p, y), high)
    g = {name: [] for name in ("W", "B", "W_out1", "B_out1", "W_out2", "B_out2", "w")}
    dh = 0
    for d in reversed(range(len(y))):
        g["w"].insert(0, np.sum(dout * y[d]))
        dy = p["w"][d] * dout + alpha / len(y) * reference.mse_backward(y[d], high)
        da, *out2 = reference.conv2d_same_backward(dy, a[d], p["W_out2"])
        dh_of_y, *out1 = reference.conv_relu_backward(da, a[d], h[d + 1], p["W_out1"])
        dh, *use = reference.conv_relu_backward(dh + dh_of_y, h[d + 1], h[d], p["W"])
        for name, part in zip(g, (*use, *out1, *out2)):
            g[name].insert(0, part)
    dfirst, *in2 = reference.conv_relu_backward(dh, h[0], first, p["W_in2"])
    _, *in1 = reference.conv_relu_backward(dfirst, first, low, p["W_in1"])
    return g | dict(zip(("W_in1", "B_in1", "W_in2", "B_in2"), (*in1, *in2), strict=True))


rng = np.random.default_rng(4)
low, high = rng.random((2, 1, 1, 10, 10))
p = DRCN(recursions=4, width=4, seed=2).astype("float64").parameters
for name in ("W", "W_out2"):  # not as in training, but random like the rest
    p[name][...] = rng.normal(0, np.sqrt(2 / 36), p[name].shape)
for name in ("B_in1", "B_in2", "B", "B_out1"):
    p[name] += 0.2
alpha = 0.6
parts = by_use(low, high, p, alpha)
total = sum(parts["W"])

measured, h = np.empty_like(p["W"]), 1e-6
for place in np.ndindex(p["W"].shape):
    moved = {**p, "W": p["W"].copy()}
    moved["W"][place] += h
    up = loss_of(low, high, moved, alpha)
    moved["W"][place] -= 2 * h
    measured[place] = (up - loss_of(low, high, moved, alpha)) / (2 * h)


# %%
def as_picture(w):
    """Arrange (O, C, f, f) as one picture: one row of filter channels for each output map."""
    o, c, f, _ = w.shape
    return w.transpose(0, 2, 1, 3).reshape(o * f, c * f)


shown = {f"use {d}": part for d, part in enumerate(parts["W"], 1)}
shown |= {"their sum": total, "measured": measured}
far = np.abs(total).max()
fig, axes = plt.subplots(1, 6, figsize=(9, 1.75))
for ax, (title, w) in zip(axes, shown.items(), strict=True):
    ax.imshow(as_picture(w), cmap="RdBu", vmin=-far, vmax=far)
    ax.set(title=title, xticks=[2.5, 5.5, 8.5], yticks=[2.5, 5.5, 8.5])
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    ax.grid(color="0.7", lw=0.6, ls="-")
plt.show()

# %% [markdown]
# Each square is $dW$, 4 x 4 filters of 3 x 3, all on one colour scale. The measured gradient, by a
# central difference for each of the 144 weights, equals the sum. The uses do not agree: each would
# change the weights in a different way, and $W$ must serve all of them.
#
# And is the part of use 3 exactly what one gets by moving the weights of use 3 alone? Measure it
# along a random direction $v$:

# %%
v = rng.normal(size=p["W"].shape)


def slope(uses):
    """Return the measured slope of the loss when W moves along v in these uses alone."""
    ends = [loss_of(low, high, p, alpha, [p["W"] + t * h * v * (d in uses) for d in range(4)])
            for t in (1, -1)]  # fmt: skip
    return (ends[0] - ends[1]) / (2 * h)


print("moved            measured      derived")
for d, part in enumerate(parts["W"]):
    print(f"in use {d + 1}   {slope([d]):+14.9f}{np.sum(part * v):+14.9f}")
    assert np.isclose(slope([d]), np.sum(part * v), rtol=1e-5)
print(f"in all     {slope(range(4)):+14.9f}{np.sum(total * v):+14.9f}")
for name, wrong in {
    "the last use alone": parts["W"][-1],
    "the first use alone": parts["W"][0],
    "the mean of all": total / 4,
}.items():
    print(f"  if it is {name:<20} {np.sum(wrong * v):+.9f}")
    assert not np.isclose(slope(range(4)), np.sum(wrong * v), rtol=0.05)
assert np.allclose(total, measured, atol=1e-7 * far + 1e-9)

# %% [markdown]
# The three lines at the end are mistakes that programs make. Writing `g["W"] = dw` in the loop
# where `g["W"] += dw` is meant keeps what was computed last (on the way back, that is the *first*
# use). Cutting the gradient after the last recursion keeps only the last use. And averaging looks
# sensible. None of them makes a program fail. The loss may still go down: the mean even points the
# right way.
#
# Now compare all gradients with the package:

# %%
network = DRCN.from_parameters(p, ops=reference)
loss, package = network.loss_and_gradients(low, high, done=1 - alpha)
assert np.isclose(loss, loss_of(low, high, p, alpha), rtol=1e-12)
for name, gradient in package.items():
    ours = np.array(parts[name]) if name == "w" else parts[name]
    ours = sum(ours) if isinstance(ours, list) else ours
    assert np.allclose(ours, gradient, rtol=1e-9, atol=1e-12), name
print(len(package), "gradients are those of pysrcnn.networks.drcn")

# %% [markdown]
# <details><summary>
# <b>Question.</b> How would you find such a mistake in your own program?
# </summary>
#
# `gradcheck(yours, "drcn", depth=3, alpha=0.6)`, used as at the end of walkthrough 12, recognises
# each of these three by name. `docs/gradients.md` shows how.
# </details>
#
# ## Far for few
#
# What is the recursion good for? Each 3 x 3 layer lets a pixel depend on one more pixel on each
# side. With two layers before and two after, a pixel of $y_d$ sees a square of $2(d + 4) + 1$
# pixels a side. Let us ask the backward pass: which pixels of the input influence the central pixel
# of $y_d$?

# %%
side, uses = 33, (1, 4, 8, 12)
wide = DRCN(recursions=12, width=8, seed=1).astype("float64").parameters
wide["W"][...] = rng.normal(0, np.sqrt(2 / 72), wide["W"].shape)
kept = []
drcn.forward(rng.random((1, 1, side, side)), wide, reference, kept)
one = np.zeros((1, 1, side, side))
one[..., side // 2, side // 2] = 1
nothing = np.zeros_like(one)

fig, axes = plt.subplots(1, 4, figsize=(9, 2.5))
for ax, d in zip(axes, uses, strict=True):
    of_pictures = [one if k == d else nothing for k in range(1, 13)]
    dx, _ = drcn.backward(nothing, kept, wide, reference, of_pictures)
    seen = np.abs(dx[0, 0])
    reach = np.ptp(np.nonzero(seen)[0]) + 1
    assert reach == min(2 * (d + 4) + 1, side)
    shades = ax.imshow(np.log10(np.maximum(seen / seen.max(), 1e-6)), "viridis", vmin=-6, vmax=0)
    ax.set(title=f"$y_{{{d}}}$ sees {reach} x {reach}", xticks=[], yticks=[])
fig.colorbar(shades, ax=axes, label="log10 of influence")
plt.show()


# %%
def weights(layers, width):
    """Count the weights of so many layers, plus a first and a last one with one map at an end."""
    return layers * (9 * width**2 + width) + 2 * 9 * width + width + 1


recursions = np.arange(1, 17)
field = 2 * (recursions + 4) + 1
paper = DRCN()  # 16 recursions of 256 maps
count = sum(a.size for a in paper.parameters.values())
assert count == weights(3, 256) + 16 and paper.margin == 20
fig, ax = plt.subplots(figsize=(6.4, 3))
ax.plot(field, [weights(d + 2, 256) / 1e6 for d in recursions], label="layers with own weights")
ax.plot(field, [(weights(3, 256) + d) / 1e6 for d in recursions], label="one layer, used again")
ax.set(xlabel="pixels that are seen, in each direction", ylabel="weights (millions)", ylim=0)
ax.legend()
plt.show()
print(f"the paper's DRCN: {count:,} weights; as own layers {weights(18, 256):,}")

# %% [markdown]
# DRCN reaches as far with a sixth of the weights. It does *not* save work: each use costs as much
# as a layer would.
#
# <details><summary>
# <b>Question.</b> Is it then as good as a network with 18 layers of its own?
# </summary>
#
# With the same number of maps it can do less: every DRCN is such a network whose layers happen to
# be equal. In return, it has fewer weights to learn from the same pictures. The papers of VDSR and
# DRCN, by the same authors, report 33.66 and 33.82 dB on Set5 at x3, with 0.67 and 1.78 million
# weights.
# </details>
#
# ## The same matrix, again and again
#
# On the way back, the gradient passes through $W^T$ once for each use. In a network of many layers
# these are different matrices. Here they form a power of a single matrix: whatever it makes a
# little larger grows again each time. If a gradient leaves $H_{16}$, how large is it when it
# arrives at $H_0$?

# %%
starts = {
    "handing on (the paper's)": lambda shape: 0,
    "He": lambda shape: rng.normal(0, np.sqrt(2 / 144), shape),
    "He, times 1.5": lambda shape: rng.normal(0, 1.5 * np.sqrt(2 / 144), shape),
    "He, times 0.7": lambda shape: rng.normal(0, 0.7 * np.sqrt(2 / 144), shape),
}
fig, ax = plt.subplots(figsize=(6.8, 3.2))
for name, start in starts.items():
    w, b = np.zeros((16, 16, 3, 3)), np.zeros(16)
    w[range(16), range(16), 1, 1] = name.startswith("handing")
    w += start(w.shape)
    maps = [np.maximum(rng.normal(size=(1, 16, 16, 16)), 0)]
    for _ in range(16):
        maps.append(conv_relu(maps[-1], w, b))
    dh = np.where(maps[-1] > 0, rng.normal(size=maps[-1].shape), 0)
    sizes = [np.linalg.norm(dh)]
    for d in reversed(range(16)):
        dh, _, _ = reference.conv_relu_backward(dh, maps[d + 1], maps[d], w)
        sizes.append(np.linalg.norm(dh))
    ax.semilogy(range(16, -1, -1), np.array(sizes) / sizes[0], marker=".", label=name)
ax.set(xlabel="recursion", ylabel="size of the gradient")
ax.invert_xaxis()
ax.legend()
plt.show()

# %% [markdown]
# The result is a factor that is a little off, raised to the sixteenth power. So DRCN starts with a
# $W$ that passes each map on unchanged: 1 at the centre of a map's own filter, 0 elsewhere. Then
# nothing grows or shrinks, and all $y_d$ are the same picture. What to do with the recursions is
# learned.
#
# ## A loss for each depth
#
# The second remedy is in the loss. It compares *each* $y_d$ with the original (the first term of
# $L$), not only the last picture or the sum. $\alpha$ is near 1 at first and then falls, so that in
# the end only the result counts. How does the first term affect the parts of $dW$?

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3))
low, high = rng.random((2, 1, 1, 24, 24))
for ax, title in zip(axes, ("W is He's, times 0.7", "W hands on"), strict=True):
    deep = DRCN(recursions=12, width=8, seed=1).astype("float64").parameters
    deep["W_out2"] *= 50  # to He's size
    if title != "W hands on":
        deep["W"][...] = rng.normal(0, 0.7 * np.sqrt(2 / 72), deep["W"].shape)
    last = {**deep, "w": np.eye(12)[-1]}  # the result is the last picture
    for name, of in {
        "only the last is told": by_use(low, high, last, 0.0)["W"],
        "each is told": by_use(low, high, deep, 1.0)["W"],
    }.items():
        ax.semilogy(range(1, 13), [np.linalg.norm(part) for part in of], marker=".", label=name)
    ax.set(title=title, xlabel="use of W", xticks=range(1, 13))
axes[0].set(ylabel="size of its part of dW")
axes[0].legend()
plt.show()

# %% [markdown]
# In the left plot, what reaches a use from the last picture alone has been reduced eleven times, on
# the way forward or on the way back. If each picture has a loss ("each is told"), the first uses
# have pictures close by, and get fifty times as much. In the right plot nothing is reduced, and
# early losses gain nothing: a use gets gradients from all the pictures after it, but each of these
# has only a twelfth of the loss. So both remedies address the same problem. The initialisation
# helps at the start; the loss goes on helping when $W$ has become something else.
#
# ## The sum
#
# Which of the $D$ pictures is the result? All of them, with weights $w_d$ that are learned like any
# other. Their gradient is the easiest of all: the sum is linear in $w_d$ and the picture $y_d$ is
# its factor, so $dw_d = \langle \text{dout}, y_d \rangle$.
#
# Training a DRCN takes hours, but we can see what such a sum is good for without it. In place of
# its pictures, take four that are at hand: bicubic interpolation, and the results of three networks
# of this package. Learn four weights on a piece of coffee and one of the astronaut, and try them on
# the cat.

# %%
scale, part, small_part = 3, np.s_[120:216, 120:216], np.s_[40:72, 40:72]
makers = {name: pysrcnn.load(name, scale, ops=reference) for name in ("9-1-5", "9-3-5", "espcn")}
pictures, originals = [], []
for name in ("coffee", "astronaut", "cat"):
    high = modcrop(luma(read_picture(here / "pictures" / f"{name}.png")), scale)
    low, small = degrade(high, scale), pysrcnn.imresize(high, scale=1 / scale)
    made = [low[part]]
    for network in makers.values():
        x = np.float32(small[small_part] if network.small else low[part])
        made.append(network.forward(x[None, None])[0, 0])
    pictures.append(np.array(made, float))
    originals.append(high[part])
y, wanted = np.concatenate(pictures[:2], axis=1), np.concatenate(originals[:2])  # (4, 192, 96)

w = {"w": np.full(4, 0.25)}
optimiser = Adam(w, 0.01)
for _ in range(600):
    dout = reference.mse_backward(np.tensordot(w["w"], y, 1), wanted)
    optimiser.step({"w": np.array([np.sum(dout * picture) for picture in y])})
exact = np.linalg.lstsq(y.reshape(4, -1).T, wanted.ravel(), rcond=None)[0]


def decibels(x, truth):
    """Return the PSNR in dB."""
    return -10 * np.log10(mse(x, truth))


sums = {"equal weights": np.full(4, 0.25), "learned": w["w"], "least squares": exact}
labels = ["bicubic", *makers]
tried = {n: unit for n, unit in zip(labels, np.eye(4), strict=True)} | sums
print("                coffee, astronaut     cat     weights")
for name, of_four in tried.items():
    fitted = decibels(np.tensordot(of_four, y, 1), wanted)
    unseen = decibels(np.tensordot(of_four, pictures[2], 1), originals[2])
    numbers = " ".join(f"{x:+.2f}" for x in of_four) if name in sums else ""
    print(f"{name:<15} {fitted:17.2f} {unseen:9.2f} dB  {numbers}")
assert mse(np.tensordot(exact, y, 1), wanted) <= min(mse(picture, wanted) for picture in y)
assert abs(w["w"].sum() - 1) < 0.02

# %% [markdown]
# The learned sum is better than the best of the four: by 0.2 dB on the pictures it was fitted to,
# and by a few hundredths on the cat (where equal weights would have done as well). The errors of
# the four pictures are not quite the same, and partly cancel. Bicubic interpolation, the worst of
# them, gets almost no weight. In a DRCN the pictures are learned together with their weights, and
# the sum also removes the need to choose the best number of recursions.
#
# <details><summary>
# <b>Question.</b> Nothing makes the weights add up to 1. Why do they?
# </summary>
#
# Each of the pictures already has the right brightness. If the weights added up to 0.9, everything
# would be too dark by a tenth, an error far larger than that of any of them. In this direction the
# loss is steep. Along the others it is nearly flat, since the pictures are nearly the same: after
# 600 steps, Adam has not quite arrived.
# </details>
#
# So far, everything that is learned sits in convolutions. The next walkthrough is about what
# SRResNet puts between them.
