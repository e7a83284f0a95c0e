# %% [markdown]
# # 4. Overfit one patch
#
# Before you train any network on anything, give it a *single* example, and see whether it can learn
# that by heart. It takes seconds, and if it fails, nothing larger will work: the gradient, the
# learning rate or the initial weights are wrong. Here is gradient descent written out, on one patch
# of 33 x 33 pixels.
#
# You need: what a gradient is (walkthrough 3). Time: fifteen minutes.

# %%
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices are not worth two threads

import matplotlib.pyplot as plt
import numpy as np

from pysrcnn import SRCNN, reference
from pysrcnn.data import pair
from pysrcnn.pictures import read_picture
from pysrcnn.training.optim import SGD

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
scale, side, margin = 3, 33, 6


def patch(name, i, j):
    """Return a 33 x 33 patch of the bicubic picture, and the 21 x 21 pixels it should become."""
    low, high = pair(read_picture(here / "pictures" / f"{name}.png"), scale)
    inner = np.s_[None, :, i + margin : i + side - margin, j + margin : j + side - margin]
    return low[None, :, i : i + side, j : j + side], high[inner]


def middle(low):
    """Return the part of a 33 x 33 patch that shows the 21 x 21 pixels."""
    return low[:, :, margin:-margin, margin:-margin]


def show(pictures):
    """Show grey pictures in a row, with their titles."""
    fig, axes = plt.subplots(1, len(pictures), figsize=(2.3 * len(pictures), 2.6))
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(picture[0, 0], vmin=0, vmax=1)
        ax.set_title(title)
        ax.axis("off")
    plt.show()


low, high = patch("coffee", 253, 121)
bicubic_loss = reference.mse(middle(low), high)
print(f"low {low.shape}, high {high.shape}, loss of bicubic interpolation {bicubic_loss:.5f}")
show({"the whole of low": low, "low, where high is": middle(low), "high": high})

# %% [markdown]
# It shows a piece of a spoon. The network is trained without padding, so 33 x 33 pixels become
# 21 x 21: each layer removes its filter size minus one.
#
# The network is a small 9-1-5, with 16 and 8 filters instead of 64 and 32. How many parameters can
# it adjust, and how many pixels does it have to get right?


# %%
def new_network(init="identity"):
    """Return a small 9-1-5, computed by the reference."""
    return SRCNN(9, 16, 1, 8, 5, init=init, seed=0, ops=reference)


network = new_network()
count = sum(array.size for array in network.parameters.values())
print(f"{count} parameters, {high.size} pixels")
print(f"loss at the start: {network.loss_and_gradients(low, high)[0]:.5f}")

# %% [markdown]
# There are more unknowns than equations, so it should be able to. Its initial loss is nearly that
# of bicubic interpolation, because we initialise it as the *identity*: one path of filters passes
# the picture on unchanged, and the others are random and contribute little at first.
#
# ## Gradient descent
#
# The gradient $\partial L / \partial W$ points to where the loss $L$ grows fastest. So go the
# opposite way, by a step proportional to it:
#
# $$
# W \leftarrow W - \eta \, \frac{\partial L}{\partial W}
# $$
#
# for each array of weights and biases. $\eta$ is the *learning rate*. That is all.


# %%
def descend(network, rate, steps, momentum=0.0, spoil=None):
    """Train by gradient descent on the patch; return the loss before each step."""
    losses = []
    velocity = {name: np.zeros_like(array) for name, array in network.parameters.items()}
    for _ in range(steps):
        loss, gradients = network.loss_and_gradients(low, high)
        losses.append(loss)
        if not loss < 10:  # it has diverged
            break
        if spoil:
            spoil(gradients)
        for name, gradient in gradients.items():
            velocity[name] = momentum * velocity[name] - rate * gradient
            network.parameters[name] += velocity[name]
    return losses


def plot(curves, title=""):
    """Plot losses, on a logarithmic scale, against steps."""
    fig, ax = plt.subplots(figsize=(6.8, 3.6))
    for name, losses in curves.items():
        ax.semilogy(losses, label=name)
    ax.axhline(bicubic_loss, color="gray", ls=":", label="bicubic")
    ax.set(xlabel="step", ylabel="loss", title=title)
    ax.legend()
    plt.show()


# %% [markdown]
# (`velocity` and `spoil` are for later: with `momentum` 0, the velocity is $-\eta$ times the
# gradient.) What should $\eta$ be? Let us try three values.

# %%
curves = {rate: descend(new_network(), rate, 300) for rate in (0.002, 0.05, 0.5)}
plot({f"learning rate {rate}": losses for rate, losses in curves.items()})
for rate, losses in curves.items():
    print(f"rate {rate:<6} {len(losses):3} steps, last loss {losses[-1]:.5f}")

# %% [markdown]
# If it is too small, the direction is right, but you would wait forever. If it is too large, the
# loss explodes within a few steps; this is the usual cause when "the loss is NaN". In between it
# works.
#
# ## How large is too large?
#
# Take a loss with one weight, a parabola $L = \frac12 \lambda w^2$. Its gradient is $\lambda w$,
# and a step turns $w$ into $(1 - \eta\lambda) w$. For $\eta < 1/\lambda$, $w$ shrinks; up to
# $2/\lambda$ it jumps from side to side, ever closer to zero; above that, every jump is larger than
# the one before.

# %%
curve = np.linspace(-2, 2, 100)
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharey=True)
for ax, rate in zip(axes, (0.1, 0.9, 1.9, 2.1), strict=True):
    w = 1.0 * (1 - rate) ** np.arange(8)  # lambda is 1
    ax.plot(curve, curve**2 / 2, color="gray")
    ax.plot(w, w**2 / 2, "o-", ms=4)
    ax.set(title=rf"$\eta = {rate} / \lambda$", xlim=(-2.1, 2.1), ylim=(0, 2.1), xlabel="w")
plt.show()

# %% [markdown]
# A network has thousands of weights, and near a point its loss is a parabola along each of as many
# directions (the eigenvectors of the matrix of second derivatives), each with its own curvature
# $\lambda$. The steepest direction decides: $\eta$ must be below $2/\lambda_{\max}$. We can measure
# that. The change of the gradient along a direction $v$, divided by the length of the step, is that
# matrix times $v$. Repeat this again and again, and $v$ turns towards the steepest direction.

# %%
start = new_network().astype("float64")
v = {name: np.random.default_rng(0).normal(size=a.shape) for name, a in start.parameters.items()}


def gradient_at(t):
    """Return the gradients after a step t along v."""
    moved = start.astype("float64")  # a copy
    for name, array in moved.parameters.items():
        array += t * v[name]
    return moved.loss_and_gradients(low, high)[1]


for _ in range(40):
    length = np.sqrt(sum(np.sum(a**2) for a in v.values()))
    v = {name: a / length for name, a in v.items()}
    ahead, behind, h = gradient_at(1e-5), gradient_at(-1e-5), 1e-5
    v = {name: (ahead[name] - behind[name]) / (2 * h) for name in v}
steepest = np.sqrt(sum(np.sum(a**2) for a in v.values()))
print(f"largest curvature {steepest:.2f}, so the rate should be below {2 / steepest:.3f}")

length, moved = 1e-4, start.astype("float64")
for name, array in moved.parameters.items():
    array += length / steepest * v[name]
change = moved.forward(low, "valid") - start.forward(low, "valid")
print(f"along it, the output changes by {change.mean() / length:.3f} on average, "
      f"with a deviation of {change.std() / length:.3f}")  # fmt: skip

# %%
edge = 2 / steepest
curves = {f"{k} of the limit": descend(new_network(), k * edge, 60) for k in (0.5, 0.9, 1.1, 2)}
plot(curves, "close to the largest learning rate")

# %% [markdown]
# This limit holds at the start. The curvature changes on the way, and a network that is thrown out
# of one valley may land in a flatter one. But it gives the order of magnitude. It also explains why
# descent is slow: a rate that the steepest direction can just tolerate is tiny for all the flat
# ones. Here the steepest direction mostly makes all pixels brighter (or darker) at once, while
# details lie along flatter ones.
#
# A learning rate belongs to one *normalisation* of the loss. Ours is the mean over pixels. The
# paper's released network takes half the sum over the 21 x 21 pixels of a sample. Its gradients are
# 220 times larger than ours, so the paper's $10^{-4}$ is 0.022 for us.
#
# ## Momentum
#
# Eq. 5 of the paper does not take the step itself, but keeps a *velocity* to which each step adds:
#
# $$
# \Delta \leftarrow 0.9\,\Delta - \eta\,\frac{\partial L}{\partial W}, \quad
# W \leftarrow W + \Delta
# $$
#
# Where successive gradients agree, the steps add up, to ten times a single step: the sum
# $1 + 0.9 + 0.9^2 + \dots$ is 10. Where they disagree, they cancel.

# %%
rate = 0.05
curves = {f"momentum {m}": descend(new_network(), rate, 300, m) for m in (0, 0.9, 0.95)}
plot(curves, f"learning rate {rate}")

by_hand, by_package = new_network(), new_network()
descend(by_hand, rate, 20, 0.9)
optimiser = SGD(by_package.parameters, rate, momentum=0.9)
for _ in range(20):
    optimiser.step(by_package.loss_and_gradients(low, high)[1])
differences = [np.abs(by_hand.parameters[n] - a).max() for n, a in by_package.parameters.items()]
print(f"ours and pysrcnn.training.optim.SGD, after 20 steps: {max(differences):.0e}")

# %% [markdown]
# ## Where to start
#
# The paper starts with random weights from a normal distribution with standard deviation 0.001.
# *He's* initialisation is random too, but scaled to each layer's size, so that values keep their
# magnitude from layer to layer.

# %%
curves = {}
for init in ("identity", "he", "paper"):
    _, gradients = new_network(init).loss_and_gradients(low, high)
    sizes = [f"{np.sqrt(np.mean(gradients[f'W{k}'] ** 2)):.0e}" for k in (1, 2, 3)]
    print(f"{init:<9} size of the gradients of W1, W2, W3: {', '.join(sizes)}")
    curves[init] = descend(new_network(init), rate, 300, 0.9)
plot(curves, "three starts")
print(f"variance of high: {high.var():.5f}, the paper's start ends at {curves['paper'][-1]:.5f}")

# %% [markdown]
# From the paper's start, the loss swings down and then stays on a *plateau*. Its height is the
# variance of the patch: the network has learned a single number, the mean, in the bias of its last
# layer. Everything else gets almost no gradient, because the gradient of layer 1 is a product with
# the weights of layers 2 and 3, 0.001 each. Leaving the plateau takes long: the paper trained with
# $8 \cdot 10^8$ samples. The identity begins where bicubic interpolation ends.
#
# <details><summary>
# <b>Question.</b> Why not start with all weights at zero?
# </summary>
#
# Then the gradients of all weights are zero: that of W3 because F2 is zero, and the others because
# they contain a product with W3. Only the last bias moves. It is hardly better to start all filters
# of a layer with the same numbers: they get the same gradients and stay the same forever.
# </details>
#
# ## To nearly zero
#
# Now let it run, and meanwhile watch the loss on a patch that it is *not* trained on, a piece of
# the cat's eye.

# %%
other_low, other_high = patch("cat", 105, 130)
network, losses, others = new_network(), [], []
optimiser = SGD(network.parameters, rate, momentum=0.95)
for step in range(2001):
    loss, gradients = network.loss_and_gradients(low, high)
    losses.append(loss)
    others.append(reference.mse(network.forward(other_low, "valid"), other_high))
    if step in (0, 10, 100, 1000, 2000):
        print(f"step {step:4}: loss {loss:.5f}, {loss / bicubic_loss:7.2%} of bicubic")
    optimiser.step(gradients)

other_bicubic = reference.mse(middle(other_low), other_high)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
for ax, loss, level, title in (
    (axes[0], losses, bicubic_loss, "the patch it is trained on"),
    (axes[1], others, other_bicubic, "another patch"),
):
    ax.plot(loss)
    ax.axhline(level, color="gray", ls=":", label="bicubic")
    ax.set(xlabel="step", ylabel="loss", title=title, ylim=0)
    ax.legend()
plt.show()


# %%
def psnr(a, b):
    """Return PSNR in dB, for values in 0..1: more is better."""
    return -10 * np.log10(reference.mse(a, b))


for x, y in ((low, high), (other_low, other_high)):
    out = network.forward(x, "valid")
    titles = f"bicubic, {psnr(middle(x), y):.1f} dB", f"network, {psnr(out, y):.1f} dB"
    show({titles[0]: middle(x), titles[1]: out, "original": y})

# %% [markdown]
# On its own patch, the network does what no method can do from a small picture alone, because it
# has learned the answer by heart. On the other patch it is worse than bicubic interpolation, which
# it equalled when it started. That is *overfitting*: the error falls on the training data, and
# rises or stays high everywhere else.
#
# A single other patch may be bad luck. So let us take all patches of all three photographs:

# %%
worse, means = [], []
for name in ("coffee", "cat", "astronaut"):
    whole_low, whole_high = pair(read_picture(here / "pictures" / f"{name}.png"), scale)
    out = network.forward(whole_low[None], "valid")[0, 0]
    inner = np.s_[0, margin:-margin, margin:-margin]
    for i in range(0, out.shape[0] - 20, 21):
        for j in range(0, out.shape[1] - 20, 21):
            place = np.s_[i : i + 21, j : j + 21]
            target = whole_high[inner][place]
            means.append([reference.mse(x[place], target) for x in (whole_low[inner], out)])
            worse.append(means[-1][1] > means[-1][0])
bicubic_mean, network_mean = np.mean(means, axis=0)
print(f"{len(worse)} patches, bicubic is better on {np.mean(worse):.0%} of them")
print(f"mean loss: bicubic {bicubic_mean:.5f}, network {network_mean:.5f}")

# %% [markdown]
# The remedy is well known: more patches than the network can learn by heart. Then the only way to a
# small loss is to learn what the patches have in common. And to know whether it helped, one
# measures on pictures that are kept out of training.
#
# ## What this test catches
#
# The point of the exercise is that a mistake shows within seconds. Here are two mistakes, put into
# the gradients by `spoil`: layer 1's filters flipped, as by somebody who confused convolution and
# correlation; and layer 3's gradient with the wrong sign.


# %%
def flip(gradients):
    """Take a convolution for a correlation."""
    gradients["W1"] = gradients["W1"][:, :, ::-1, ::-1]


def negate(gradients):
    """Lose a sign."""
    gradients["W3"] = -gradients["W3"]


curves = {
    "right": descend(new_network(), rate, 300, 0.9),
    "layer 1 flipped": descend(new_network(), rate, 300, 0.9, flip),
    "layer 3 with the wrong sign": descend(new_network(), rate, 300, 0.9, negate),
}
plot(curves, "mistakes")
for name, losses in curves.items():
    print(f"{name:<28} {len(losses):3} steps, last loss {losses[-1]:.5f}")

# %% [markdown]
# The wrong sign is obvious. The flipped filters are not: the loss falls well at first, since layers
# 2 and 3 are right and make up for much. Then it gets stuck and rises again. So a falling loss
# proves little. It has to keep falling, to a few percent of its initial value.
#
# <details><summary>
# <b>Question.</b> Suppose the original is cut out one pixel too far to the right. Does this test
# find that?
# </summary>
#
# No. A network can shift a picture by a pixel, so it learns this patch by heart just as well. The
# test checks gradients, learning rates and initial weights, not whether the data are right. For
# that, look at the data, as we did at the beginning.
# </details>
#
# <details><summary>
# <b>Question.</b> Would the full 9-1-5, with 64 and 32 filters, overfit less?
# </summary>
#
# Not on one patch: it has five times the parameters for the same 441 pixels. What counts is how
# many examples there are for each parameter.
# </details>
#
# In the next walkthrough there are thousands of patches, and the filters begin to take shape.
