# %% [markdown]
# # 14. What batch normalisation does to colours, and why EDSR threw it out
#
# SRResNet normalises the output of nearly every convolution: each map is brought to a mean and a
# standard deviation of its own. That made deep networks trainable, and in recognition it is a
# blessing, as a cat is a cat in any light. A network that enlarges has to return the light as well.
# EDSR took all normalisation out and came out ahead. Here you normalise by hand, forward and
# backward, see what normalisation takes from a picture, and measure what it costs.
#
# You need: backpropagation (walkthrough 3). Time: half an hour.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pysrcnn import reference
from pysrcnn.networks import SRResNet, srresnet
from pysrcnn.pictures import read_picture
from pysrcnn.reference import batch_norm, conv2d_same, moments, relu
from pysrcnn.training.optim import Adam

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
names = "coffee", "astronaut", "cat"
photographs = {  # (3, H, W) in 0..1, of even sides
    name: read_picture(here / "pictures" / f"{name}.png")[:288, :282].transpose(2, 0, 1) / 255
    for name in names
}
rng = np.random.default_rng(14)


# %%
def rows(pictures, labels, titles=(), width=5.4):
    """Show pictures (3, H, W) in rows, clipped to 0..1."""
    shape = len(pictures), len(pictures[0])
    height = width / shape[1] * shape[0] + 0.3
    fig, axes = plt.subplots(*shape, figsize=(width, height), squeeze=False)
    for row, some, label in zip(axes, pictures, labels, strict=True):
        row[0].set_ylabel(label)
        for ax, picture in zip(row, some, strict=True):
            ax.imshow(np.clip(picture.transpose(1, 2, 0), 0, 1))
            ax.set(xticks=[], yticks=[], frame_on=False)
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title)
    plt.show()


def normalised(x):
    """Subtract from each channel of a batch its mean, and divide by its standard deviation."""
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


def shown(x):
    """Bring a mean of 0 and a standard deviation of 1 into the visible range."""
    return 0.47 + 0.2 * x


cat = photographs["cat"][:, 40:184, 60:204]
given = {
    "as it is": cat,
    "faint": 0.5 + 0.25 * (cat - 0.5),
    "dark": 0.35 * cat,
    "warm": cat * np.array([1.15, 0.85, 0.5])[:, None, None],
    "cold": cat * np.array([0.55, 0.85, 1.2])[:, None, None],
}
batch = np.array(list(given.values()))
alone = np.concatenate([normalised(x[None]) for x in batch])
together = normalised(batch)
rows([batch, shown(alone), shown(together)], ["given", "each alone", "in one batch"], given)
print(f"normalised each alone, they differ by {np.abs(alone - alone[0]).max():.3f} at most, of a")
print(f"standard deviation of {alone[0].std():.3f};", end=" ")
print(f"in one batch by {np.ptp(together, axis=0).max():.1f}")
assert np.abs(alone - alone[0]).max() < 0.05 and np.ptp(together, axis=0).max() > 2

# %% [markdown]
# The top row shows one cat in five lights. In the middle row, each is normalised by its own three
# means and standard deviations. They have become the *same* picture, and nothing tells which light
# it was. (The small difference that is left comes from the $10^{-5}$ in the root, which prevents a
# division by zero for a flat map.) In the bottom row, all five are normalised as one batch. They
# stay different, since all are changed alike, but now the brightness of each depends on the other
# four.
#
# These are the two effects that this walkthrough is about. Normalisation removes what a batch has
# in common: its light, its contrast, its colour. And it makes the result of a picture depend on the
# other pictures in the batch.
#
# ## Forward
#
# Ioffe and Szegedy (2015) apply this to every map $x$ of a network. Its $m$ values are those of all
# samples and pixels of a batch:
#
# $$
# \begin{gathered}
# \mu = \frac1m \sum_i x_i, \qquad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2, \\
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y_i = \gamma\, \hat x_i + \beta.
# \end{gathered}
# $$
#
# $\gamma$ and $\beta$ are learned, one of each for every map. So a map may have any mean and any
# standard deviation after all. But they are *always the same*, whatever the batch.

# %%
x = rng.normal(0.3, 2, (3, 2, 4, 5))  # three samples, two maps
gamma, beta = np.array([1.5, 0.5]), np.array([0.2, -1.0])
mean, variance = moments(x)
out = batch_norm(x, gamma, beta, mean, variance)
by_hand = gamma[:, None, None] * normalised(x) + beta[:, None, None]
print("as by hand:", np.allclose(out, by_hand, rtol=0, atol=1e-14))
print("means of the result ", out.mean((0, 2, 3)).round(6), " beta  ", beta)
print("standard deviations ", out.std((0, 2, 3)).round(4), "  gamma ", gamma)
assert np.allclose(out, by_hand, rtol=0, atol=1e-14)

# %% [markdown]
# ## Backward: three paths
#
# How does the loss change if one $x_i$ is moved? $x_i$ is in $\hat x_i$ directly. It is also in the
# mean and in the variance, and these are in *all* the $\hat x$. This is the graph:


# %%
def draw_paths():
    """Draw what depends on what (black), and how the gradient comes back (red)."""
    places = {"x": (0, 0), r"$\mu$": (1.6, 2), r"$\sigma^2$": (4.4, 2), r"$\hat x$": (6, 0)}
    places |= {"y": (8, 0), "L": (10, 0)}
    links = ["x", r"$\mu$"], ["x", r"$\sigma^2$"], [r"$\mu$", r"$\sigma^2$"]
    links += [r"$\mu$", r"$\hat x$"], [r"$\sigma^2$", r"$\hat x$"], ["x", r"$\hat x$"]
    links += [r"$\hat x$", "y"], ["y", "L"]
    fig, ax = plt.subplots(figsize=(8, 3))
    for name, place in places.items():
        colour = "C1" if "mu" in name or "sigma" in name else "0.9"
        circle = {"boxstyle": "circle", "fc": colour, "alpha": 0.6}
        ax.text(*place, name, ha="center", va="center", bbox=circle, fontsize=12)
    for start, end in links:
        (a, b), (c, d) = places[start], places[end]
        length = np.hypot(c - a, d - b)
        across, up = (c - a) / length, (d - b) / length
        near, far, aside = 0.6, length - 0.6, 0.09
        for side, colour, ends in ((1, "black", (near, far)), (-1, "C3", (far, near))):
            p, q = (
                (a + t * across - side * aside * up, b + t * up + side * aside * across)
                for t in ends
            )
            if (start, end) == (r"$\mu$", r"$\sigma^2$") and side < 0:
                continue
            ax.annotate("", q, p, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.2})
    words = {(3, -0.5): "1: directly", (6.4, 1.2): "2: by the variance"}
    words[-0.2, 1.2] = "3: by the mean"
    for place, text in words.items():
        ax.text(*place, text, color="C3", fontsize=9, ha="center")
    ax.text(7, -0.75, r"$\gamma, \beta$", ha="center", fontsize=11)
    ax.set(xlim=(-1.4, 10.6), ylim=(-1, 2.6), aspect="equal")
    ax.axis("off")
    plt.show()


draw_paths()

# %% [markdown]
# Write `dout` for $\partial L / \partial y$, and $s = 1 / \sqrt{\sigma^2 + \epsilon}$. The gradient
# of each number is the sum over everything that it enters:
#
# $$
# \begin{aligned}
# d\beta &= \sum_i \text{dout}_i, &
# d\gamma &= \sum_i \text{dout}_i\, \hat x_i, \\
# d\mu &= -\gamma s \sum_i \text{dout}_i, &
# d\sigma^2 &= -\tfrac12 \gamma s^3 \sum_i \text{dout}_i\, (x_i - \mu),
# \end{aligned}
# $$
#
# $$
# dx_i = \underbrace{\gamma s\, \text{dout}_i}_{1}
# + \underbrace{\tfrac2m (x_i - \mu)\, d\sigma^2}_{2} + \underbrace{\tfrac1m\, d\mu}_{3}.
# $$
#
# (The mean is in the variance as well, but that link carries no gradient back:
# $\partial \sigma^2 / \partial \mu = -\frac2m \sum (x_i - \mu) = 0$. Hence there is no red arrow.)
# Now compute all of it, and measure all of it.


# %%
def measured(function, x, h=1e-6):
    """Return the gradient of function() with respect to the array x, by central differences."""
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        keep = x[place]
        x[place] = keep + h
        ahead = function()
        x[place] = keep - h
        gradient[place] = (ahead - function()) / (2 * h)
        x[place] = keep
    return gradient


dout = rng.normal(size=x.shape) + 0.7 * x + 1  # a gradient with a trend, to be seen below


def loss():
    """Return a loss after the normalisation whose derivative is dout."""
    return np.sum(dout * batch_norm(x, gamma, beta, *moments(x)))


def each(v):
    """Give one number per map the shape that broadcasts over its pixels."""
    return v[:, None, None]


s = 1 / np.sqrt(variance + 1e-5)
dbeta = dout.sum((0, 2, 3))
dgamma = (dout * each(s) * (x - each(mean))).sum((0, 2, 3))
dmean = -gamma * s * dbeta
dvariance = -gamma * s**3 / 2 * (dout * (x - each(mean))).sum((0, 2, 3))
m = x.size // 2
paths = {
    "1: directly": each(gamma * s) * dout,
    "2: by the variance": 2 / m * (x - each(mean)) * each(dvariance),
    "3: by the mean": each(dmean / m) + 0 * x,
}
dx = sum(paths.values())
truth = measured(loss, x)
for name, derived, number in (
    ("dx", dx, truth),
    ("dgamma", dgamma, measured(loss, gamma)),
    ("dbeta", dbeta, measured(loss, beta)),
):
    off = np.abs(derived - number).max()
    print(f"{name:<8} up to {np.abs(derived).max():7.3f}, off by {off:.0e}")
    assert off < 1e-6
print()
for name, path in paths.items():
    print(f"without path {name:<20} dx is off by {np.abs(dx - path - truth).max():.3f}")

theirs = reference.batch_norm_backward(dout, x, gamma, mean, variance)
again = theirs[0] + reference.moments_backward(theirs[3], theirs[4], x, mean)
print("\nas in pysrcnn.reference:", np.allclose(again, dx, rtol=0, atol=1e-13))
assert np.allclose(again, dx, rtol=0, atol=1e-13)

# %% [markdown]
# Each path matters. There is also a geometric picture. Put $d\mu$ and $d\sigma^2$ into $dx$:
#
# $$
# dx_i = \gamma s \left( \text{dout}_i - \tfrac1m d\beta - \tfrac1m d\gamma\, \hat x_i \right).
# $$
#
# The $\hat x$ have mean 0 and mean square 1. So $\frac1m d\beta + \frac1m d\gamma\, \hat x$ is the
# *straight line* that fits `dout` best as a function of $\hat x$, by least squares, and $dx$ is, up
# to the factor $\gamma s$, what the line leaves over.

# %%
x_hat, line = normalised(x)[:, 0].ravel(), np.linspace(-2.3, 2.3)
fig, axes = plt.subplots(1, 2, figsize=(7.4, 2.9), sharey=True)
axes[0].plot(x_hat, dout[:, 0].ravel(), "o", ms=4)
axes[0].plot(line, (dbeta[0] + dgamma[0] * line) / m, "C1-", label="best line")
axes[0].set(title="dout, of the first map", xlabel=r"$\hat x$")
axes[0].legend()
axes[1].plot(x_hat, (dx[:, 0] / (gamma * s)[0]).ravel(), "o", ms=4, color="C3")
axes[1].axhline(0, color="C1")
axes[1].set(title=r"what it leaves: dx, over $\gamma s$", xlabel=r"$\hat x$")
plt.show()
slope, level = np.polyfit(x_hat, dout[:, 0].ravel(), 1)
print(f"fitted by NumPy: {level:.5f} + {slope:.5f} x, here: ", end="")
print(f"{dbeta[0] / m:.5f} + {dgamma[0] / m:.5f} x")
print(f"sum of dx {dx[:, 0].sum():.0e}, sum of dx times x {np.sum(dx * x):.0e}")
assert np.allclose([level, slope], [dbeta[0] / m, dgamma[0] / m], atol=1e-4)

# %% [markdown]
# It has to be so. Adding the same number to all $x_i$ does not change the result, and neither does
# stretching them, so the gradient along these two directions must be zero. Whatever the loss has to
# say about the brightness or contrast of a map reaches $\beta$ and $\gamma$, and *stops there*. The
# layers below never hear of it.
#
# <details><summary>
# <b>Question.</b> A convolution before batch normalisation has biases. What do they learn?
# </summary>
#
# Nothing. A bias adds the same number to all values of a map, and subtracting the mean removes it
# again; its gradient is the sum of `dx`, which is zero. That is why SRResNet's convolutions have no
# biases there, and $\beta$ takes their place. The scale of the weights has no effect either: all
# weights of a filter times two give the same result. Their gradient is at right angles to the
# weights, so each step of plain gradient descent makes them longer.
# </details>
#
# ## In training and in inference
#
# In inference there may be a single picture, and its result must not depend on what else is
# enlarged that day. So mean and variance are fixed by then. They are *running* statistics: each
# batch in training replaces a tenth of them by its own. Here are those of crops of our pictures,
# four in a batch.


# %%
def crop(size):
    """Return a crop of a random photograph at a random place."""
    picture = photographs[names[rng.integers(3)]]
    i, j = (rng.integers(n - size + 1) for n in picture.shape[1:])
    return picture[:, i : i + size, j : j + size]


steps, kept, running = 120, [], np.ones(3)
for _ in range(steps):
    _, variance = moments(np.array([crop(24) for _ in range(4)]))
    running += 0.1 * (variance - running)
    kept.append((variance[1], running[1]))
of_batch, followed = np.sqrt(kept).T
many = np.sqrt(moments(np.array([crop(24) for _ in range(2000)]))[1][1])

sizes = 1, 2, 4, 8, 16, 32, 64
scatter = []
for n in sizes:
    some = [1 / np.sqrt(moments(np.array([crop(24) for _ in range(n)]))[1][1]) for _ in range(60)]
    scatter.append(np.std(some) / np.mean(some))

fig, axes = plt.subplots(1, 2, figsize=(8, 2.9))
axes[0].plot(of_batch, "-", lw=0.8, color="C0", label="of each batch")
axes[0].plot(followed, "-", color="C1", label="running")
axes[0].axhline(many, color="gray", ls=":", label="of 2000 crops")
axes[0].set(xlabel="step", ylabel="standard deviation of green", ylim=(0, 0.6))
axes[0].legend(loc="upper right")
axes[1].loglog(sizes, np.array(scatter) * 100, "o-", ms=4)
axes[1].set(xlabel="crops in a batch", ylabel="% by which the factor scatters")
ticks = 5, 10, 20, 50, 100, 200
axes[1].set(xticks=sizes, xticklabels=sizes, yticks=ticks, yticklabels=ticks)
axes[1].minorticks_off()
plt.show()
print(f"the factor scatters by {scatter[0]:.0%} of one crop, {scatter[-1]:.0%} of 64")
assert scatter[0] > 4 * scatter[-1]

# %% [markdown]
# In the left plot, batches differ, and the running value, which began at 1, follows at a distance.
# The right plot shows the factor $1 / \sqrt{\sigma^2 + \epsilon}$ by which everything in a batch is
# multiplied. For a single crop its scatter is larger than the factor itself, as some crops are
# nearly flat; for sixteen crops it is still a tenth, by pure chance. And super-resolution trains on
# a few small crops. For a network that says "cat", such noise is even useful: it must learn not to
# depend on contrast. A network that returns pictures sees a wrong contrast, and a different one
# each time.
#
# ## Folded away
#
# With fixed statistics, batch normalisation is a multiplication and an addition for each map. A
# convolution contains such operations already. So both are one convolution:
#
# $$
# W' = \gamma s\, W, \qquad b' = \beta - \gamma s\, \mu.
# $$

# %%
w, none = rng.normal(size=(2, 3, 3, 3)), np.zeros(2)
x_in, mean, variance = rng.random((1, 3, 20, 20)), rng.normal(size=2), rng.random(2) + 0.5
two = batch_norm(conv2d_same(x_in, w, none), gamma, beta, mean, variance)
s = 1 / np.sqrt(variance + 1e-5)
one = conv2d_same(x_in, w * (gamma * s)[:, None, None, None], beta - gamma * s * mean)
print(f"two operations and one differ by {np.abs(two - one).max():.0e}")
assert np.abs(two - one).max() < 1e-13

# %% [markdown]
# They are the same up to rounding. In use, batch normalisation costs nothing and *is* nothing:
# `network.folded()` turns one of our SRResNets into a network without it. It has its effect in
# training.
#
# <details><summary>
# <b>Question.</b> The maps are padded with zeros. If the normalisation came <i>before</i> the
# convolution, could it still be folded?
# </summary>
#
# Not exactly. The addition would come before the padding, so a filter would meet shifted maps
# inside the picture, and zeros that were not shifted at the border. One set of biases cannot be
# right for both.
# </details>
#
# ## Half the contrast
#
# What should a network do with a picture of half the contrast? It should enlarge it as before, at
# half the contrast: $f(a x) = a f(x)$. Convolutions without biases and ReLU do that exactly, as
# $\max(0, a x) = a \max(0, x)$ for positive $a$. A residual block adds something to its input,
# $h + f(h)$. How strong is what it adds?

# %%
width = 16
w_head = rng.normal(0, np.sqrt(2 / 27), (width, 3, 3, 3))
w1, w2 = rng.normal(0, np.sqrt(2 / (9 * width)), (2, width, width, 3, 3))
ones, zeros = np.ones(width), np.zeros(width)


def added(h, norm):
    """Return what a residual block adds: convolution, `norm`, ReLU, convolution, `norm`."""
    a = relu(norm(conv2d_same(h, w1, zeros), 0))
    return norm(conv2d_same(a, w2, zeros), 1)


def by_batch(z, _):
    """Normalise as in training."""
    return normalised(z)


h = conv2d_same(cat[None], w_head, zeros)
running = []


def noted(z, _):
    """Normalise as in training, and keep the statistics."""
    running.append(moments(z))
    return by_batch(z, _)


added(h, noted)  # "trained" on this very picture
ways = {
    "no normalisation": lambda z, _: z,
    "of the batch": by_batch,
    "running ones": lambda z, k: batch_norm(z, ones, zeros, *running[k]),
}
contrasts = 1, 0.5, 0.25, 0.1
print("strength of what is added, over that of the input\ncontrast         ", end="")
print("".join(f"{a:8}" for a in contrasts))
strength = {}
for name, norm in ways.items():
    strength[name] = [added(a * h, norm).std() / (a * h).std() for a in contrasts]
    print(f"{name:<17}" + "".join(f"{r:8.2f}" for r in strength[name]))
assert np.ptp(strength["no normalisation"]) < 1e-12 and strength["of the batch"][-1] > 5

# %% [markdown]
# Without normalisation the row is constant: half the picture, half the detail. With the statistics
# of the batch, the block adds *the same* whatever the contrast, and so adds ten times too much
# detail to a picture at a tenth of the contrast. With running statistics, the result is as in
# training for the picture they were taken from. For fainter pictures the ratio is wrong as well:
# the means that are subtracted stay the same while the picture fades.
#
# ## What it costs
#
# Now with training. We take a small network modelled on SRResNet, for colour pictures, that
# enlarges by 2: a convolution, two residual blocks, a convolution with a filter for each sub-pixel,
# and the shuffle (walkthrough 11). Each sub-pixel is added to the pixel it belongs to. We train it
# once with batch normalisation and once without. The crops have all contrasts down to a tenth, as
# do places in photographs.


# %%
def layer(x, k, p, kept, training):
    """Compute a convolution, and its normalisation if there is a gamma for it."""
    z = conv2d_same(x, p[f"W{k}"], p[f"B{k}"])
    if f"G{k}" not in p:
        kept.append((x,))
        return z
    mean, variance = moments(z) if training else (p[f"M{k}"], p[f"V{k}"])
    kept.append((x, z, mean, variance))
    return batch_norm(z, p[f"G{k}"], 0 * mean, mean, variance) + each(p[f"B{k}"])


def layer_backward(dout, k, p, kept, g):
    """Return dx; also fill g, and update the running statistics."""
    x, *normal = kept.pop()
    if normal:
        z, mean, variance = normal
        dz, g[f"G{k}"], g[f"B{k}"], dmean, dvariance = reference.batch_norm_backward(
            dout, z, p[f"G{k}"], mean, variance
        )
        dz = dz + reference.moments_backward(dmean, dvariance, z, mean)
        p[f"M{k}"] += 0.1 * (mean - p[f"M{k}"])
        p[f"V{k}"] += 0.1 * (variance - p[f"V{k}"])
        dx, g[f"W{k}"], _ = reference.conv2d_same_backward(dz, x, p[f"W{k}"])
    else:
        dx, g[f"W{k}"], g[f"B{k}"] = reference.conv2d_same_backward(dout, x, p[f"W{k}"])
    return dx


def forward(x, p, kept, training):
    """Enlarge the picture by 2: layer 0, two blocks (layers 1 to 4), layer 5."""
    h = conv2d_same(x, p["W0"], p["B0"])
    kept.append(x)
    for k in (1, 3):
        a = relu(layer(h, k, p, kept, training))
        kept.append(a)
        h = h + layer(a, k + 1, p, kept, training)
    kept.append(h)
    sub_pixels = conv2d_same(h, p["W5"], p["B5"]) + reference.repeat(x, 4)
    return reference.pixel_shuffle(sub_pixels, 2)


def backward(dout, p, kept):
    """Return the gradients of all weights: the lines of `forward`, last to first."""
    g = {}
    dout = reference.pixel_shuffle_backward(dout, 2)
    dh, g["W5"], g["B5"] = reference.conv2d_same_backward(dout, kept.pop(), p["W5"])
    for k in (3, 1):
        da = reference.relu_backward(layer_backward(dh, k + 1, p, kept, g), kept.pop())
        dh = dh + layer_backward(da, k, p, kept, g)
    _, g["W0"], g["B0"] = reference.conv2d_same_backward(dh, kept.pop(), p["W0"])
    return g


def shrunk(high):
    """Replace each 2 x 2 pixels by their mean."""
    c, height, width = high.shape
    return high.reshape(c, height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def train(normal, steps=400):
    """Train the network; return its parameters and the loss at each step."""
    rng = np.random.default_rng(0)
    p, wide = {}, 12
    for k, (o, i) in enumerate([(wide, 3), *4 * [(wide, wide)], (12, wide)]):
        small = 0.1 if k == 5 else 1
        p[f"W{k}"] = np.float32(rng.normal(0, small * np.sqrt(2 / (9 * i)), (o, i, 3, 3)))
        p[f"B{k}"] = np.zeros(o, np.float32)
        if normal and 1 <= k <= 4:
            p[f"G{k}"], p[f"M{k}"], p[f"V{k}"] = np.float32(np.outer([1, 0, 1], np.ones(o)))
    learned = {name: a for name, a in p.items() if name[0] in "WBG"}
    adam, losses = Adam(learned, 3e-3), []
    for step in range(steps):
        pairs = []
        for _ in range(8):
            picture = photographs[names[rng.integers(2)]]  # not the cat
            i, j = (rng.integers((n - 24) // 2) for n in picture.shape[1:])
            high = picture[:, 2 * i : 2 * i + 24, 2 * j : 2 * j + 24]
            strength = 10 ** rng.uniform(-1, 0)
            pairs.append((strength * shrunk(high), strength * high))
        low, high = (np.float32(some) for some in zip(*pairs, strict=True))
        maps = []
        out = forward(low, p, maps, True)
        losses.append(reference.mse(out, high))
        g = backward(reference.mse_backward(out, high), p, maps)
        adam.step({name: g[name] for name in learned}, 0.5 + 0.5 * np.cos(np.pi * step / steps))
    return p, np.array(losses)


without, without_losses = train(False)
with_norm, with_losses = train(True)

# %%
high = np.float32(photographs["cat"])[:, :192, :192]
low = shrunk(high)[None]
ways = {
    "pixels repeated": lambda x: np.repeat(np.repeat(x, 2, 2), 2, 3),
    "without": lambda x: forward(x, without, [], False),
    "with, running": lambda x: forward(x, with_norm, [], False),
    "with, its own": lambda x: forward(x, with_norm, [], True),
}
print("PSNR of the cat, brought back to its contrast (dB)\ncontrast            ", end="")
print("".join(f"{a:8}" for a in contrasts))
found, results = {}, {}
for name, way in ways.items():
    results[name] = [way(np.float32(a) * low)[0] / a for a in contrasts]
    found[name] = [-10 * np.log10(np.mean((x - high) ** 2)) for x in results[name]]
    print(f"{name:<20}" + "".join(f"{db:8.2f}" for db in found[name]))
half = len(with_losses) // 2
print(f"\nlosses of the second half: with {with_losses[half:].mean():.1e}, ", end="")
print(f"without {without_losses[half:].mean():.1e}")
assert without_losses[half:].mean() < with_losses[half:].mean()
assert np.ptp(found["without"]) < 0.2 < 0.8 < found["with, running"][0] - found["with, running"][3]
assert found["with, its own"][-1] < found["pixels repeated"][-1] - 5

eye = np.s_[:, 76:156, 96:176]
rows([[x[eye] for x in (high, *(results[name][k] for name in ways))] for k in (0, 3)],
     ["contrast 1", "a tenth"], ["original", *ways])  # fmt: skip

# %% [markdown]
# "With, running" is how such a network is used. "With, its own" is how it was trained: with the
# statistics of its input, which here is one picture. (The lower pictures were enlarged at a tenth
# of the contrast and then multiplied by ten to make them visible.)
#
# Without normalisation, the network has found by itself that half the picture means half the
# detail: the row is constant. With running statistics it loses more than a decibel on the way to a
# tenth, as they are those of an average picture. With its own statistics, a faint picture gets the
# detail of a strong one. That is the previous table, as a picture. Training uses one kind of
# statistics and inference the other, so what was optimised is not what is used. In the words of
# EDSR's authors, normalisation layers "get rid of range flexibility".
#
# How much of this is chance? We trained with four seeds, and with two of them for 1000 steps. The
# loss was lower without normalisation in all of them, by a fifth in the longer ones. With running
# statistics, a tenth of the contrast cost 0.4 to 1.3 dB each time; without normalisation it cost
# nothing, except for one seed, which lost as much. At full contrast the two are some tenths of a
# decibel apart on the cat, and after 1000 steps the network with normalisation was ahead: its noise
# also helps against learning two photographs by heart. So a toy does not decide which is better.
# The paper's table does: 34.44 dB for SRResNet and 34.55 dB for an EDSR of its size, both trained
# with the absolute error, at x2 on ten pictures of DIV2K.
#
# ## Memory
#
# The backward pass needs what the forward pass computed. A convolution needs its input; batch
# normalisation needs *its* input as well, the map between the two. How much is kept for a training
# step of SRResNet's blocks?

# %%
maps_kept = {}
for normal in (True, False):
    network = SRResNet(2, blocks=8, width=8, c=3, batch_norm=normal)
    kept, picture = [], np.zeros((1, 3, 12, 12), np.float32)
    srresnet.forward(picture, network.parameters, reference, kept, training=True)
    arrays = [a for entry in kept for a in (entry if isinstance(entry, tuple) else (entry,))]
    maps_kept[normal] = sum(a.shape == (1, 8, 12, 12) for a in arrays)
    print(f"{'with' if normal else 'without':<8} {maps_kept[normal]:3} batches of maps in 8 blocks")
less = 1 - maps_kept[False] / maps_kept[True]
print(f"{less:.0%} less without")
assert 0.35 < less < 0.45

# %% [markdown]
# A block with normalisation keeps five batches of maps: its input, the output of the first
# convolution, that output normalised, the same after PReLU, and the output of the second
# convolution. Without normalisation it keeps three. EDSR's authors report about 40% less memory,
# and spent it on a wider network: 256 maps in place of 64.
#
# ## How to do without
#
# But normalisation was there for a reason. A block $h + f(h)$ increases the standard deviation of
# its input. With weights of the right size (He's, which make up for a ReLU), $f(h)$ has twice the
# variance of $h$, as no ReLU follows its second convolution. So the variance triples in every
# block. With batch normalisation, what is added has a variance of 1, and the total grows by 1.
# EDSR's answer is a constant factor: $h + 0.1 f(h)$, called *residual scaling*.

# %%
depth, width, zeros = 32, 24, np.zeros(24)
deviations = {"nothing": [], "batch normalisation": [], "scaled by 0.1": []}
for name, found in deviations.items():
    rng = np.random.default_rng(0)
    h = conv2d_same(cat[None, :, 40:64, 40:64] - 0.4, rng.normal(size=(width, 3, 3, 3)), zeros)
    h /= h.std()
    for _ in range(depth):
        w1, w2 = rng.normal(0, np.sqrt(2 / (9 * width)), (2, width, width, 3, 3))
        found.append(h.std())
        if name == "batch normalisation":
            h = h + added(h, by_batch)
        else:
            h = h + (0.1 if "0.1" in name else 1) * added(h, lambda z, _: z)
    found.append(h.std())
fig, ax = plt.subplots(figsize=(6.4, 3))
for name, found in deviations.items():
    ax.semilogy(found, label=name)
ax.set(xlabel="blocks", ylabel="standard deviation of the maps")
ax.legend()
plt.show()
for name, found in deviations.items():
    print(f"{name:<20} after {depth} blocks {found[-1]:10.3g}")
assert deviations["nothing"][-1] > 1000 > 10 > deviations["batch normalisation"][-1]
assert deviations["scaled by 0.1"][-1] < 2

# %% [markdown]
# With neither, the maps grow by orders of magnitude, and with them the output of the last layer and
# all gradients. Both remedies keep them small. But residual scaling has everything that batch
# normalisation lacks: it depends on no batch, is the same in training and in inference, keeps
# $f(a x) = a f(x)$, and stores nothing. (For the 16 blocks of 64 maps, EDSR did not need even that.
# In the networks of this package, what a block adds starts at a tenth and may grow.)
#
# <details><summary>
# <b>Question.</b> By how much does the standard deviation grow in 32 blocks when scaled by 0.1, and
# by how much without the scaling?
# </summary>
#
# The variance of what is added is 0.01 times 2 times that of the input. 1.02 to the power of 32 is
# 1.9, and the standard deviation is its root, 1.4. Without scaling, it is the root of 3 to the
# power of 32, 43 million. The plot shows one draw of weights, with 1.6 and 60 million.
# </details>
#
# <details><summary>
# <b>Question.</b> Would it help to normalise each picture by its own statistics, and to multiply
# the result by its own standard deviation again?
# </summary>
#
# Yes: then f(ax) = a f(x) again, and no picture depends on another. This is sometimes done with the
# whole picture, outside the network: subtract its mean and divide by its standard deviation, and
# undo both at the end. EDSR only subtracts one mean colour, that of all training pictures, and adds
# it back at the end.
# </details>
#
# The next walkthrough asks which loss such networks should be trained by.
