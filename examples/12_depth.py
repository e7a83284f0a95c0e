# %% [markdown]
# # 12. Why depth failed, and what cured it
#
# The authors of SRCNN tried a fourth layer and gained nothing; two years later VDSR had twenty.
# Three things made the difference: initial weights of the right size, one addition, and a limit on
# the size of a step. Here you watch gradients vanish, see what each of the three does about it,
# train a small VDSR, and write the backward pass of VDSR by yourself, with a checker that tells you
# what is wrong.
#
# You need: walkthroughs 3 and 4. Time: half an hour.

# %%
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for matrices as small as these; before NumPy is there

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pysrcnn import reference
from pysrcnn.data import degrade, luma, modcrop
from pysrcnn.gradcheck import gradcheck
from pysrcnn.networks import vdsr
from pysrcnn.pictures import read_picture
from pysrcnn.training.optim import SGD, Adam

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
scale = 3
highs = [modcrop(luma(read_picture(here / "pictures" / f"{n}.png")), scale)
         for n in ("coffee", "astronaut", "cat")]  # fmt: skip
lows = [degrade(high, scale) for high in highs]


def crops(which, number, side, rng):
    """Return random crops of these pictures, low and high: (N, 1, H, W) each, float32."""
    pairs = []
    for k in rng.choice(which, number):
        i, j = (rng.integers(n - side) for n in lows[k].shape)
        place = np.s_[i : i + side, j : j + side]
        pairs.append((lows[k][place], highs[k][place]))
    return (np.float32(x)[:, None] for x in zip(*pairs, strict=True))


def started(depth, width, deviation, seed=0):
    """Return W1, B1, ... of 3 x 3 layers: normal weights of that deviation, or of He's."""
    rng, p = np.random.default_rng(seed), {}
    for k in range(1, depth + 1):
        c, o = 1 if k == 1 else width, 1 if k == depth else width
        he = np.sqrt(2 / (9 * c))
        p[f"W{k}"] = rng.normal(0, deviation or he, (o, c, 3, 3)).astype(np.float32)
        p[f"B{k}"] = np.zeros(o, np.float32)
    return p


# %% [markdown]
# ## Twenty factors
#
# A layer takes $C$ maps, and each of its values is a sum of $9C$ products. If the weights are
# random with a standard deviation of $\sigma$, the squares of such sums are on average $9C\sigma^2$
# times the squares of the inputs, and ReLU removes half of that. So a layer multiplies the size of
# its values by about
#
# $$
# \gamma = \sigma \sqrt{9C / 2}.
# $$
#
# On the way back, the gradient passes through the same weights, and ReLU stops it wherever it
# stopped a value: the same factor again. For the paper's $\sigma = 0.001$ and 64 maps it is 0.017.
# Two such layers do no harm that training could not repair. Twenty of them multiply by
# $\gamma^{20}$.
#
# The gradient of a layer's weights is a product of two things: the values that enter from the left,
# and the gradient that arrives from the right. Here are both, with twenty layers of 64 maps.
# (`vdsr.forward` appends the input of each layer to the list `kept`, for the backward pass.
# `reference` is the set of operations that it is to use: `conv2d_same` is the `conv2d` of
# walkthrough 3 with zeros around its input, so that its output is as large, and `conv_relu` is that
# with ReLU. `residual=False` leaves out the addition that comes below.)

# %%
depth, width = 20, 64
low, high = crops([0, 1], 1, 24, np.random.default_rng(0))
starts = {"He": None, "He, times 1.5": 1.5 * np.sqrt(2 / (9 * width)), "0.01": 0.01,
          "0.001 (SRCNN's)": 0.001}  # fmt: skip
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for name, deviation in starts.items():
    p = {n: a.astype(np.float64) for n, a in started(depth, width, deviation).items()}
    kept = []
    out = vdsr.forward(low.astype(float), p, reference, kept, residual=False)
    dout = reference.mse_backward(out, high)
    _, g = vdsr.backward(dout, kept, p, reference, residual=False)
    left.semilogy([np.sqrt(np.mean(h**2)) for h in [*kept, out]], marker=".", label=name)
    sizes = [np.sqrt(np.mean(g[f"W{k}"] ** 2)) for k in range(1, depth + 1)]
    right.semilogy(range(1, depth + 1), sizes, marker=".", label=name)
    if name == "0.001 (SRCNN's)":
        found = (sizes[1] / sizes[-2]) ** (1 / 17)
        passed = np.sqrt(np.mean(kept[-1] ** 2) / np.mean(kept[1] ** 2)) ** (1 / 18)
for ax in (left, right):
    ax.axhline(np.finfo(np.float32).tiny, color="gray", lw=0.8, ls=":")
    ax.set(xlabel="layer", ylim=(1e-42, 1e6), xticks=range(0, 21, 4))
left.text(0.3, 1e-40, "the end of float32", fontsize=8, color="0.35", va="center")
left.set(title="size of the values after each layer")
right.set(title="size of the gradient of each layer's weights")
left.legend(loc=(0.04, 0.14))
plt.show()
print(f"factor for a layer, 0.001: {0.001 * np.sqrt(9 * width / 2):.4f} expected, "
      f"{passed:.4f} found")  # fmt: skip
assert abs(passed / (0.001 * np.sqrt(9 * width / 2)) - 1) < 0.1

# %% [markdown]
# With He's initialisation, the values keep their size through all layers. With any other, the size
# changes as a power of the depth.
#
# The right plot is a surprise: for a given initialisation, the gradients of all layers are nearly
# *equal*. A layer that gets small values from the left gets large gradients from the right, and the
# other way round; in every case the product has all factors but one. So it is not that the first
# layers learn too slowly while the last ones learn as they should. None of them learns anything.
# Only the last bias gets a gradient, and the network learns the mean of the pictures: a grey
# rectangle (walkthroughs 4 and 10). And float32, in which networks are trained, ends at $10^{-38}$:
# with a few more layers, everything is zero.
#
# <details><summary>
# <b>Question.</b> Then why not multiply the loss by a large number, or use a larger learning rate?
# </summary>
#
# A rate that is right for gradients of this size is far too large as soon as the weights have grown
# a little, because then all gradients grow at once: they are products. The solution is to start
# where the product has the right size.
# </details>
#
# ## The right size
#
# This was He's idea in 2015: choose the $\sigma$ for which $\gamma = 1$, which is $\sqrt{2 / 9C}$.
# SRCNN is a year older. Train networks of three and six layers, all with 8 maps, from both
# initialisations by the same rule, and look at the error on crops of the cat, which is not in the
# training set.

# %%
other_low, other_high = crops([2], 12, 32, np.random.default_rng(5))


def decibels(x):
    """Return the PSNR on the cat's crops."""
    return -10 * np.log10(reference.mse(x, other_high))


def trained(p, optimiser, steps, residual):
    """Train p in place; return steps and PSNR of the cat every 20 steps, until it diverges."""
    rng, course = np.random.default_rng(1), []
    for step in range(steps + 1):
        if step % 20 == 0:
            out = vdsr.forward(other_low, p, reference, residual=residual)
            course.append((step, decibels(out)))
        low, high = crops([0, 1], 4, 20, rng)
        kept = []
        out = vdsr.forward(low, p, reference, kept, residual=residual)
        loss = reference.mse(out, high)
        if not loss < 10:  # it has diverged
            course.append((step, max(-20, -10 * np.log10(loss))))
            break
        dout = reference.mse_backward(out, high)
        _, g = vdsr.backward(dout, kept, p, reference, residual=residual)
        optimiser.step(g, factor=1 - step / (steps + 1))  # the rate falls linearly
    return np.array(course).T


def plot(courses, **axes):
    """Plot PSNR against steps, with a cross where a training diverged."""
    fig, ax = plt.subplots(figsize=(6.8, 3.3))
    for name, (steps, quality) in courses.items():
        (line,) = ax.plot(steps, quality, label=name)
        if steps[-1] < max(course[0][-1] for course in courses.values()):
            at = steps[-1], max(quality[-1], axes["ylim"][0])
            ax.plot(*at, "x", ms=9, mew=2, color=line.get_color(), clip_on=False)
    ax.axhline(decibels(other_low), color="gray", ls=":", label="bicubic")
    ax.set(xlabel="step", ylabel="PSNR of the cat (dB)", **axes)
    ax.legend(loc="lower right")
    plt.show()


courses = {}
for depth, deviation in (3, None), (3, 0.001), (6, None), (6, 0.001):
    p = started(depth, 8, deviation)
    name = f"{depth} layers, {deviation or 'He'}"
    courses[name] = trained(p, SGD(p, 0.03), 160, residual=False)
plot(courses, ylim=(5, 35))

# %% [markdown]
# From 0.001, both networks learn the mean and no more: their curves coincide. From He's
# initialisation both are under way, the deeper one too. And yet, after all these steps, they are
# far *below* bicubic interpolation, which is what they were given.
#
# ## What is missing
#
# A network has to pass on the whole picture before it can add something to it. Twenty layers have
# to carry it twenty times, each as a sum of $9C$ products. How much of the result is new?

# %%
high, low = highs[0], lows[0]
missing = high - low
fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), width_ratios=[1, 1, 1.1])
part = np.s_[60:180, 130:250]
axes[0].imshow(high[part], vmin=0, vmax=1)
axes[0].set_title("the original $y$")
axes[1].imshow(missing[part], vmin=-0.25, vmax=0.25)
axes[1].set_title("what is missing, $r = y - x$ (grey: 0)")
for ax in axes[:2]:
    ax.axis("off")
edges = np.linspace(-0.5, 1, 91)
for name, values in {"$y$": high, "$r$": missing}.items():
    axes[2].hist(values.ravel(), edges, density=True, label=name, alpha=0.75)
axes[2].set(title="how often each value occurs", yscale="log", xlabel="value")
axes[2].tick_params(axis="y", which="both", left=False, labelleft=False)
axes[2].set_xticks([-0.5, 0, 0.5, 1])
axes[2].legend()
plt.show()
print(f"variance of y {high.var():.4f}, of r {missing.var():.5f}: {missing.var() / high.var():.1%}")

# %% [markdown]
# So let the layers compute $r$ alone, and *add the input* at the end: $y = x + r$. That is the
# residual of VDSR. Since most of $r$ is nearly zero, a network that has learned nothing and returns
# zero is already as good as bicubic interpolation. If the last layer starts small (in this package,
# at a fiftieth of He's size), training begins there. Here are the same six layers with and without
# the addition, trained by Adam:


# %%
def centred(last):
    """Return six He layers with zero-mean first filters and the last layer times `last`."""
    p = started(6, 8, None)
    p["W1"] -= p["W1"].mean(axis=(1, 2, 3), keepdims=True)
    p["W6"] *= last
    return p


courses = {}
for name, residual, last in (
    ("without", False, 1), ("with residual", True, 1), ("with, last layer small", True, 0.02)
):  # fmt: skip
    p = centred(last)
    courses[name] = trained(p, Adam(p, 2e-3), 240, residual)
plot(courses, ylim=(22, 35))
for name, (_, quality) in courses.items():
    print(f"{name:<24} {quality[-1] - decibels(other_low):+.2f} dB against bicubic")

# %% [markdown]
# This one addition is worth more than all the training steps without it. (These six layers of 8
# maps gain little in a second of training. Twenty layers of 64 gain 3 dB on Set5, in the paper's
# four hours on a GPU of its time.)
#
# (The first filters have a mean of zero here. Otherwise brightness alone would open or shut their
# ReLU. `docs/paper.md` has more about that.)
#
# It is often said that the addition lets gradients through to the first layers. In VDSR it does
# not. The gradient passes *beside* all layers to the input, which nobody trains; each layer still
# gets its own gradient through all the layers after it. What has changed is what the layers have to
# learn, and where they start from. In EDSR and SRResNet, which add the input of every *two* layers
# to their output, gradients do have a way past the layers.
#
# ## A limit to the step
#
# The third improvement is for speed. VDSR trains with a rate of 0.1, a thousand to ten thousand
# times the rates of SRCNN. With such a rate some steps are too large, and one is enough: the error
# explodes, as in walkthrough 4. So VDSR *clips* each gradient $g$ before the step, to
#
# $$
# -\theta / \eta \;\le\; g \;\le\; \theta / \eta,
# $$
#
# with the current rate $\eta$. Why divide by the rate? Because then no gradient moves a weight by
# more than $\eta \cdot \theta / \eta = \theta$, whatever the rate. A fixed limit on $g$ that is
# right at first would, once the rate has fallen to a hundredth, cut off gradients that would have
# done no harm:

# %%
g = np.linspace(0, 0.5, 200)
fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
for rate in (0.1, 0.03, 0.01):
    axes[0].plot(g, rate * np.clip(g, -0.05, 0.05), label=f"rate {rate}")
    axes[1].plot(g, rate * np.clip(g, -0.005 / rate, 0.005 / rate), label=f"rate {rate}")
axes[0].set(title=r"$g$ clipped to 0.05", xlabel="gradient $g$", ylabel="how far a weight moves")
axes[1].set(title=r"$g$ clipped to $\theta / \eta$, $\theta = 0.005$", xlabel="gradient $g$")
axes[1].legend(loc="lower right")
plt.show()

# %%
courses = {}
for rate, clip in ((0.3, 0), (3, 0), (3, 0.001)):
    p = centred(0.02)
    name = f"rate {rate}" + (f", theta {clip}" if clip else "")
    courses[name] = trained(p, SGD(p, rate, clip=clip), 240, residual=True)
    steps, quality = courses[name]
    end = f"{quality[-1] - decibels(other_low):+.2f} dB against bicubic"
    print(f"{name:<24} {end if steps[-1] == 240 else f'lost at step {steps[-1]:.0f}'}")
plot(courses, ylim=(32.4, 33.2))

# %% [markdown]
# At a rate of 3, training diverges after a few steps (the cross). With the limit it survives the
# same rate, and gains more than with the small one: no gradient moves a weight by more than 0.001,
# and so, with a momentum of 0.9, no step moves it by more than 0.01. (A rate belongs to a loss.
# Ours is a mean over pixels, VDSR's is half of a sum over 41 x 41 of them, so its 0.1 corresponds
# to 84 for ours; VDSR also uses weight decay. Its paper does not give $\theta$. The recipe
# `vdsr-paper` of this package uses 0.001.)
#
# ## Write it yourself
#
# You have read the backward pass of three layers (walkthrough 3). Now write that of VDSR, for any
# depth, without looking at `pysrcnn/networks/vdsr.py`. Write a function of `low` and `high` (both
# (N, 1, H, W)) and the dict `p` of `W1`, `B1`, ..., that returns the mean squared error and a dict
# of the gradients: `dW1`, `dB1`, ... (or `W1`, `B1`, ...; both names are accepted), and `dlow`,
# that of the input. Two things differ from walkthrough 3. There are N samples, and the gradients of
# weights and biases are sums over them. And every layer pads with zeros: a padded zero is a
# constant, not a copy of a pixel, so its gradient is cut off and added to nothing. Then ask:
#
# ```python
# from pysrcnn.gradcheck import gradcheck
#
# print(gradcheck(my_loss_and_gradients, "vdsr", depth=5))
# ```
#
# It calls your function with small arrays, and compares everything you return with the right
# numbers in float64. If something is wrong, it searches for the mistake that gives exactly your
# numbers. You can use any language: `pysrcnn gradcheck --write case.npz --network vdsr --depth 5`
# writes the arrays, and `pysrcnn gradcheck mine.npz --network vdsr --depth 5` reads your answer.
#
# Stop here until you have written yours. Below is somebody's first attempt.


# %%
def first_attempt(low, high, p):
    """Return the loss and all gradients. Are they right?"""
    depth = len(p) // 2
    inputs = [low]
    for k in range(1, depth):
        inputs.append(reference.conv_relu(inputs[-1], p[f"W{k}"], p[f"B{k}"]))
    out = low + reference.conv2d_same(inputs[-1], p[f"W{depth}"], p[f"B{depth}"])
    g = {}
    dout = dh = 2 / out.size * (out - high)
    for k in reversed(range(1, depth + 1)):
        x = inputs[k - 1]
        dh, g[f"dW{k}"], g[f"dB{k}"] = reference.conv2d_same_backward(dh, x, p[f"W{k}"])
    g["dlow"] = dh + dout
    return np.mean((out - high) ** 2), g


report = gradcheck(first_attempt, "vdsr", depth=5)
print(report)
assert not report.ok and "mask of the ReLU" in report.diagnosis[0]

# %% [markdown]
# Read it from the top. The loss is right, so the forward pass is right. The last layer's gradients
# are right, and everything before it is wrong. So the mistake is on the way from layer 5 to
# layer 4, where a line is indeed missing.


# %%
def second_attempt(low, high, p):
    """Apply the mask of ReLU where a gradient passes from a layer to the one before."""
    depth = len(p) // 2
    inputs = [low]
    for k in range(1, depth):
        inputs.append(reference.conv_relu(inputs[-1], p[f"W{k}"], p[f"B{k}"]))
    out = low + reference.conv2d_same(inputs[-1], p[f"W{depth}"], p[f"B{depth}"])
    g = {}
    dh = 2 / out.size * (out - high)
    for k in reversed(range(1, depth + 1)):
        x = inputs[k - 1]
        dh, g[f"dW{k}"], g[f"dB{k}"] = reference.conv2d_same_backward(dh, x, p[f"W{k}"])
        if k > 1:
            dh = dh * (x > 0)  # x came out of a ReLU
    g["dlow"] = dh
    return np.mean((out - high) ** 2), g


report = gradcheck(second_attempt, "vdsr", depth=5)
print(report)
assert [row.name for row in report.rows if not row.ok] == ["dlow"]

# %% [markdown]
# Almost right. The gradients of all weights are right, and the network would train as it should.
# Only the gradient of the input is wrong. The input goes into the layers *and* into the sum at the
# end, so two gradients come back to it, and the second attempt left out one of them. The weights do
# not notice, for the reason given above: the gradient that goes past the layers reaches none of
# them.


# %%
def third_attempt(low, high, p):
    """Add the gradient that goes past the layers."""
    loss, g = second_attempt(low, high, p)
    out = vdsr.forward(low, p, reference)
    return loss, {**g, "dlow": g["dlow"] + 2 / out.size * (out - high)}


report = gradcheck(third_attempt, "vdsr", depth=5)
print(report)
assert report.ok

# %% [markdown]
# Now compare yours with `backward` in `pysrcnn/networks/vdsr.py`.
#
# <details><summary>
# <b>Question.</b> If a network's gradients are right to sixteen digits, is it sure to train well?
# </summary>
#
# No. All trainings on this page had right gradients, including the one that diverged and those that
# learned only the mean. The check covers one half of what can go wrong; initialisation, rates and
# data are the other half.
# </details>
#
# Twenty layers have twenty times the weights of one. The network of the next walkthrough applies
# one of its five layers up to sixteen times.
