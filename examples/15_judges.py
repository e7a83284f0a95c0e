# %% [markdown]
# # 15. What a picture is judged by
#
# Many large pictures shrink to the same small one, and a network must answer with just one of them.
# Which one it chooses depends on its judge: the loss it is trained with. The squared error asks for
# the mean of all possibilities and the absolute error for their median. A feature distance, or a
# second network that learns to tell real pictures from generated ones, asks for something else.
# Here are all four on a picture of two pixels, where you can see everything, and a small SRGAN that
# trains while you wait.
#
# You need: to know what a gradient is (walkthrough 3). Time: half an hour.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment

from pysrcnn import reference
from pysrcnn.reference import conv2d_same, leaky_relu, max_pool, relu
from pysrcnn.training.optim import Adam

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
share = 0.6  # of hairs that lie in the left pixel


def real(n, rng):
    """Return pictures (n, 2, 1, 1) of two pixels with a hair in one, more often the left one."""
    left = rng.random((n, 1)) < share
    x = np.where(left, [1.0, 0.0], [0.0, 1.0]) + rng.normal(0, 0.06, (n, 2))
    return x[:, :, None, None]


# %% [markdown]
# ## Two pixels
#
# Take a bright hair on a dark ground, one pixel wide. When the picture is shrunk by two, two pixels
# become one that is half as bright. It says that there is a hair, but not in which of the two
# pixels it was. Suppose that in 60 of 100 pictures it is in the left one.
#
# A picture of two pixels is a point in a plane. All pictures that exist lie in two clouds (the
# light varies a little). The dashed line holds all pictures that shrink to the right small picture.

# %%
rng = np.random.default_rng(15)
pictures = real(400, rng)
mean = np.array([share, 1 - share])


def draw_plane(ax, title):
    """Draw the real pictures in their plane."""
    ax.plot(*pictures[:, :, 0, 0].T, ".", color="0.6", ms=3, zorder=1)
    ax.plot([-0.4, 1.4], [1.4, -0.4], "--", color="0.6", lw=0.8, zorder=0)
    ax.set(xlim=(-0.4, 1.4), ylim=(-0.4, 1.4), aspect="equal", title=title)
    ax.set(xlabel="left pixel", ylabel="right pixel")


def inset(ax, place, answer):
    """Draw the two pixels of an answer at a place of the plane."""
    small = ax.inset_axes([place[0] - 0.13, place[1] - 0.07, 0.26, 0.13], transform=ax.transData)
    small.imshow([answer], vmin=0, vmax=1)
    small.set(xticks=[], yticks=[])
    small.spines[:].set(color="C0", lw=0.6)


fig, ax = plt.subplots(figsize=(4.4, 4))
draw_plane(ax, "all pictures of a hair, and three answers")
for answer, place, name in (
    ((1, 0), (0.58, -0.2), "left"),
    ((0, 1), (-0.2, 1.22), "right"),
    (tuple(mean), (0.85, 0.62), "the mean"),
):
    ax.plot(*answer, "o", color="C1", zorder=3)
    inset(ax, place, answer)
    ax.text(place[0], place[1] + 0.1, name, ha="center", fontsize=8)
plt.show()

# %% [markdown]
# ## Squared: the mean. Absolute: the median
#
# A loss that looks at each pixel by itself asks about the left pixel: it is 1 with probability $p$
# and 0 otherwise, so what value $v$ should I answer? The expected losses are
#
# $$
# p\,(1 - v)^2 + (1 - p)\,v^2 \qquad \text{and} \qquad p\,|1 - v| + (1 - p)\,|v| .
# $$
#
# The first is least where its derivative, $2v - 2p$, is zero: at $v = p$, the *mean*. The
# derivative of the second is $1 - 2p$ everywhere between 0 and 1, so the best answer lies at one
# end: at 1 if $p > \frac12$, otherwise at 0. That is the *median*, the value with half of the cases
# on either side.

# %%
v = np.linspace(-0.2, 1.2, 141)
squared, absolute = (
    share * abs(1 - v) ** power + (1 - share) * abs(v) ** power for power in (2, 1)
)
fig, axes = plt.subplots(1, 2, figsize=(8, 2.9))
for name, losses in (("squared", squared), ("absolute", absolute)):
    (line,) = axes[0].plot(v, losses, label=name)
    axes[0].plot(v[losses.argmin()], losses.min(), "o", color=line.get_color())
axes[0].set(xlabel="answer for the left pixel", ylabel="expected loss", ylim=(0, 1))
axes[0].set_title(f"p = {share}")
axes[0].legend()
p = np.linspace(0, 1, 201)
axes[1].plot(p, p, label="squared")
axes[1].plot(p, p > 0.5, label="absolute")
axes[1].set(xlabel="p, how often it is bright", ylabel="best answer")
axes[1].legend()
plt.show()


# %%
def descend(backward, many, steps=3000):
    """Find by gradient descent the one answer to all these pictures that has the least loss."""
    answer = np.full((1, *many.shape[1:]), 0.5)
    for step in range(steps):
        dout = backward(np.broadcast_to(answer, many.shape), many)
        answer = answer - 0.5 * (1 - step / steps) * dout.sum(axis=0, keepdims=True)
    return answer[0, :, 0, 0]


def places(n, rng):
    """Return pictures (n, 4, 1, 1) with a hair in one of four pixels, equally likely."""
    return np.eye(4)[rng.integers(4, size=n)][:, :, None, None]


answers = {}
for name, many in ("two places, 60 : 40", pictures), ("four places", places(400, rng)):
    for loss in "mse", "l1":
        answer = descend(getattr(reference, f"{loss}_backward"), many)
        answers[name, loss] = answer
        print(f"{name:<20} {loss:<4} " + " ".join(f"{a:5.2f}" for a in answer))
assert np.allclose(answers["two places, 60 : 40", "mse"], pictures.mean(0).ravel(), atol=1e-3)
assert np.allclose(answers["two places, 60 : 40", "l1"], np.median(pictures, 0).ravel(), atol=0.02)
assert np.abs(answers["four places", "l1"]).max() < 0.01

# %% [markdown]
# For two places, the absolute error sides with the majority: the result is a sharp hair. For four,
# each single pixel is dark in three of four cases. The median is dark everywhere, and the hair is
# *gone*. Both losses treat each pixel by itself, but a single pixel does not make a hair. (`mse`
# and `l1` are the losses of VDSR and EDSR. Walkthrough 10 shows the same with stripes.)
#
# <details><summary>
# <b>Question.</b> Trained with the absolute error, EDSR reached a <i>higher</i> PSNR than with the
# squared error, which is what PSNR measures. How can that be?
# </summary>
#
# With the best possible weights, it could not. But weights are what training arrives at in a given
# time, and the gradient of the squared error is weak where errors are small, which is nearly
# everywhere. Also, where the possibilities lie symmetrically around their middle, mean and median
# are the same.
# </details>
#
# ## Features
#
# So compare something that does not depend on the exact pixel: *features*, the maps of a network.
# SRGAN takes those of VGG, which was trained to name what is in a photograph. The smallest network
# that does the same for hairs has two filters that find vertical and horizontal lines, ReLU, and
# the maximum of each 2 x 2 values.

# %%
lines = np.zeros((2, 1, 3, 3))
lines[0, 0, 1] = lines[1, 0, :, 1] = [-0.5, 1, -0.5]  # brighter than both sides
no_bias = np.zeros(2)


def features(x):
    """Say where there are lines, in squares of 2 x 2 pixels."""
    return max_pool(relu(conv2d_same(x, lines, no_bias)))


def features_backward(dout, x):
    """Return dx, back through the three operations."""
    z = conv2d_same(x, lines, no_bias)
    dz = reference.relu_backward(reference.max_pool_backward(dout, relu(z)), relu(z))
    return reference.conv2d_same_backward(dz, x, lines)[0]


left, right = np.zeros((2, 1, 1, 8, 8))
left[..., 4], right[..., 5] = 1, 1
candidates = {"left": left, "right": right, "the mean": share * left + (1 - share) * right}
candidates["nothing"] = 0 * left
print("expected        squared   absolute   features")
costs = {}
for name, x in candidates.items():
    pairs = (share, left), (1 - share, right)
    costs[name] = [
        sum(q * np.mean((x - truth) ** 2) for q, truth in pairs),
        sum(q * np.mean(abs(x - truth)) for q, truth in pairs),
        sum(q * np.mean((features(x) - features(truth)) ** 2) for q, truth in pairs),
    ]
    print(f"{name:<15} " + "   ".join(f"{cost:.4f}" for cost in costs[name]))
assert min(costs, key=lambda name: costs[name][0]) == "the mean"
assert costs["left"][2] == costs["right"][2] == 0 < costs["the mean"][2]

# %% [markdown]
# To the features, a hair on the left and one on the right are the same, and either is perfect; a
# pale, broad one is not. So the best answer is sharp. But is it the only one? Start at the mean,
# with a little noise, and descend on the picture itself.

# %%
x = candidates["the mean"] + np.random.default_rng(1).normal(0, 0.02, left.shape)
start, wanted = x, features(left)
for _ in range(1500):
    dfeatures = 2 * (features(x) - wanted) / wanted.size
    x = x - 4 * features_backward(dfeatures, x)
found = x
fig, axes = plt.subplots(2, 4, figsize=(6.6, 3.5))
shown = {"left": left, "right": right, "where it starts": start, "by features": found}
for (top, bottom), (name, picture) in zip(axes.T, shown.items(), strict=True):
    top.imshow(picture[0, 0], vmin=-0.3, vmax=1)
    top.set_title(name)
    bottom.imshow(features(picture)[0, 0], vmin=0, vmax=1, cmap="Blues")
    for ax in (top, bottom):
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("picture")
axes[1, 0].set_ylabel("vertical lines")
plt.show()
before, after = (np.mean((features(a) - wanted) ** 2) for a in (start, found))
print(f"distance of features {before:.4f} -> {after:.1e}, ", end="")
print(f"squared error to the left hair {np.mean((found - left) ** 2):.3f}")
assert after < before / 100

# %% [markdown]
# The features match, but the picture is none that exists: a sharp hair, with shreds beside it that
# the maximum of four does not see, on a ground that is darker wherever that helps the filter.
# Nothing in the loss forbids that. With the features of VGG, the same effect appears as a fine
# pattern in areas that should be smooth. Such a judge is easy to please in ways that its maker did
# not think of.
#
# <details><summary>
# <b>Question.</b> Name a picture whose features are exactly those of the left hair, and that
# differs from it in every pixel.
# </summary>
#
# The same picture with any number added to all pixels, since the filters' weights add up to zero.
# (This does not quite hold at the border, which is surrounded by zeros.) Features do not know how
# bright a place is. What keeps SRGAN near the right colours is the training that came before; other
# networks add a small part of the absolute error.
# </details>
#
# ## A judge that learns
#
# Goodfellow et al. (2014) proposed not to write down what real pictures are like, but to *learn*
# it. A second network, the discriminator $D$, is given real and generated pictures, and is trained
# to say which is which, by the cross-entropy of its single output, a logit. The generator is
# trained to make $D$ say "real", by the gradient that comes back *through* $D$. The two are trained
# in turn. Here $D$ has two hidden layers of 24, and begins 150 steps before the generator does.

# %%
SLOPE = 0.2  # of LeakyReLU


def dense_network(sizes, rng):
    """Return weights of dense layers of these sizes."""
    p = {}
    for k, (i, o) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        p[f"W{k}"], p[f"B{k}"] = rng.normal(0, np.sqrt(2 / i), (o, i, 1, 1)), np.zeros(o)
    return p


def forward(x, p):
    """Return the result, and the input and pre-activation output of each layer."""
    kept, last = [], len(p) // 2 - 1
    for k in range(last + 1):
        z = reference.dense(x, p[f"W{k}"], p[f"B{k}"])
        kept.append((x, z))
        x = z if k == last else leaky_relu(z, SLOPE)
    return x, kept


def backward(dout, p, kept):
    """Return dx and the gradients of the weights."""
    g, last = {}, len(kept) - 1
    for k in range(last, -1, -1):
        x, z = kept[k]
        dz = dout if k == last else reference.leaky_relu_backward(dout, z, SLOPE)
        dout, g[f"W{k}"], g[f"B{k}"] = reference.dense_backward(dz, x, p[f"W{k}"])
    return dout, g


def cross_entropy_gradient(logits, labels):
    """Return the gradient of the cross-entropy with respect to the logits."""
    return reference.sigmoid_cross_entropy_backward(logits, labels)


def train(dice, content=0.0, steps=1000, n=64):
    """Return generator, discriminator, the early discriminator, the mean answer at each step.

    `dice` is 1 if the generator gets two random numbers for each answer, 0 if it gets zeros.
    `content` is the weight of the squared error beside the discriminator.
    """
    rng = np.random.default_rng(0)
    d, g = dense_network([2, 24, 24, 1], rng), dense_network([2, 24, 24, 2], rng)
    g["W2"] *= 0.1
    g["B2"][:] = mean  # begins with the answer of the squared error, as SRGAN does
    of_d, of_g = Adam(d, 2e-3, beta1=0.5), Adam(g, 2e-3, beta1=0.5)
    labels, path = np.repeat([1.0, 0.0], n)[:, None, None, None], []
    for step in range(-150, steps):
        if step == 0:
            early = {name: a.copy() for name, a in d.items()}
        made, _ = forward(dice * rng.normal(size=(n, 2, 1, 1)), g)
        logits, kept = forward(np.concatenate([real(n, rng), made]), d)
        of_d.step(backward(cross_entropy_gradient(logits, labels), d, kept)[1])
        if step < 0:
            continue

        made, kept = forward(dice * rng.normal(size=(n, 2, 1, 1)), g)
        logits, through = forward(made, d)
        dmade, _ = backward(cross_entropy_gradient(logits, np.ones_like(logits)), d, through)
        dmade = dmade + content * 2 / n * (made - real(n, rng))
        of_g.step(backward(dmade, g, kept)[1])
        path.append(made[:, :, 0, 0].mean(axis=0))
    return g, d, early, np.array(path)


def answers_of(g, dice, n=400):
    """Return n answers of a generator, (n, 2)."""
    rng = np.random.default_rng(7)
    return forward(dice * rng.normal(size=(n, 2, 1, 1)), g)[0][:, :, 0, 0]


one, _, early, path = train(dice=0)
many, late, _, _ = train(dice=1)

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.6, 4))
grid = np.linspace(-0.4, 1.4, 61)
plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2, 1, 1)
for ax, d, title in (
    (axes[0], early, "one answer, discriminator at the start"),
    (axes[1], late, "with dice, discriminator at the end"),
):
    draw_plane(ax, title)
    says_real = reference.sigmoid(forward(plane, d)[0]).reshape(61, 61)
    levels = np.linspace(0, 1, 11)
    drawn = ax.contourf(grid, grid, says_real, levels, cmap="RdBu", alpha=0.5, zorder=-1)
axes[0].plot(*path.T, "-", color="k", lw=0.8)
axes[0].plot(*path[0], "o", color="k", ms=5)
axes[0].plot(*path[-1], "*", color="C1", ms=12, mec="k", mew=0.5)
axes[1].plot(*answers_of(many, 1).T, "o", color="C1", ms=3, mec="k", mew=0.2)
fig.colorbar(drawn, ax=axes, label="D: probability of being real", shrink=0.8)
plt.show()
made = answers_of(many, 1)
lefts = np.mean(made[:, 0] > made[:, 1])
print(f"one answer: from {path[0].round(2)} to {path[-1].round(2)}")
print(f"with dice: {lefts:.0%} have it on the left; ", end="")
print(f"left + right is {made.sum(1).mean():.2f}, give or take {made.sum(1).std():.2f}")
assert path[-1, 0] > 0.8 and path[-1, 1] < 0.2 and 0.3 < lefts < 0.8

# %% [markdown]
# Left: a generator with only one answer, like SRGAN's, starts at the mean (the dot). There $D$ has
# seen only generated pictures, and its slope leads out of the grey middle, uphill, to a sharp hair
# at one of the two places (the star). The answer does not rest there: $D$ goes on looking for a
# difference, and moves as well. And it need not be the right place. In 40 of 100 pictures it is
# not, and a sharp hair in the wrong place costs more than a pale one in both.
#
# Right: a generator that also gets random numbers (dice) learns both places, and roughly how often
# each occurs. A few answers lie between the clouds, because a continuous function of the dice has
# to cross over somewhere.
#
# ## The plane of distortion and perception
#
# So which answer is best? Blau and Michaeli (2018) say that these are two questions. *Distortion*:
# how far is an answer from the truth, on average, $D = E|\hat x - x|^2$? *Perception*: how far is
# the *cloud* of all answers from the cloud of all real pictures? To measure the second, move one
# cloud onto the other: pair the points so that the mean squared distance is least. (This is called
# the squared Wasserstein distance; SciPy finds the pairs.) At 0, nobody could tell the clouds
# apart.


# %%
def cloud(rng):
    """Return 400 real pictures, (400, 2), exactly 240 of which have the hair on the left."""
    left = np.arange(400)[:, None] < 400 * share
    return np.where(left, [1.0, 0.0], [0.0, 1.0]) + rng.normal(0, 0.06, (400, 2))


truths, others = cloud(np.random.default_rng(3)), cloud(np.random.default_rng(4))
middle = truths.mean(axis=0)


def distortion(made):
    """Return the mean squared distance to all truths, which the small picture cannot tell apart."""
    return np.mean(((made[:, None] - truths) ** 2).sum(axis=2))


def perception(made):
    """Return the mean squared distance between the two clouds with the best pairing."""
    ways = ((made[:, None] - truths) ** 2).sum(axis=2)
    return ways[linear_sum_assignment(ways)].mean()


least = distortion(np.tile(middle, (400, 1)))
points = {
    "the mean (squared)": np.tile(middle, (400, 1)),
    "always left (absolute)": np.tile([1.0, 0.0], (400, 1)),
    "nothing": np.zeros((400, 2)),
    "another real one": others,
    "GAN, one answer": answers_of(one, 0),
    "GAN, dice": made,
}
for content in (0.3, 3, 100):
    points[f"GAN, dice, content {content:g}"] = answers_of(train(1, content)[0], 1)
fig, ax = plt.subplots(figsize=(8, 3.9))
p = np.linspace(0, least, 200)
line = least + (np.sqrt(least) - np.sqrt(p)) ** 2
ax.plot(np.append(p, 2), np.append(line, least), "k-", lw=1, label="nothing lies below")
ax.fill_between(np.append(p, 2), 0, np.append(line, least), color="0.92")
blends = [middle + t * (others - middle) for t in np.linspace(0, 1, 9)]
ax.plot([perception(b) for b in blends], [distortion(b) for b in blends], "k.", ms=5,
        label="blends of 1 and 4")  # fmt: skip
print("                              distortion   perception")
where = {}
for k, (name, answers) in enumerate(points.items(), 1):
    x, y = where[name] = perception(answers), distortion(answers)
    print(f"{k}  {name:<27}{y:10.3f} {x:12.3f}")
    marker, colour = ("s", "C1") if "dice" in name else ("o", "C0")
    ax.plot(x, y, marker, color=colour, ms=6, ls="", label=f"{k}  {name}")
    aside = (-9, 9) if "dice" in name else (9, 7)
    ax.annotate(k, (x, y), aside, textcoords="offset points", ha="center", va="center", fontsize=9)
ax.set(xlabel="perception: how far the cloud is from that of real pictures", ylim=(0.3, 1.15))
ax.set(ylabel="distortion: how far from the truth", xlim=(-0.03, 1.1))
fig.legend(loc="outside right upper")
plt.show()
for x, y in where.values():
    assert y > least + max(0, np.sqrt(least) - np.sqrt(x)) ** 2 - 1e-9
assert where["GAN, dice"][0] < 0.1 < where["always left (absolute)"][0]

# %% [markdown]
# (On both axes, less is better.) Nothing lies below the line, and two steps show why. The answer
# depends on the truth only through the small picture, which is the same for all; so
#
# $$
# E|\hat x - x|^2 = E|x - \mu|^2 + E|\hat x - \mu|^2 ,
# $$
#
# with the mean $\mu$ of all real pictures. The first part is what nobody can know, $D^*$. Moving
# the answers' cloud to the point $\mu$ takes a distance $d$, the root of the second part. Moving
# the real cloud there takes $\sqrt{D^*}$. It can also go by way of the answers, so
# $\sqrt{D^*} \le \sqrt P + d$. That gives the line, $D = D^* + (\sqrt{D^*} - \sqrt P)^2$. Perfect
# perception, at its left end, costs *twice* the least distortion, 3 dB, and no more. (Blau and
# Michaeli prove a trade-off of this kind for any distortion; the line is due to Freirich, Michaeli
# and Meir, 2021.)
#
# The points tell us more.
#
# - The mean has the least distortion, and its cloud, a single point, is far from any real picture.
# - "Always left" looks like a real picture each time. As a *cloud* it is even farther away than the
#   mean, as 40 of 100 real pictures have to come all the way. It also has more distortion. The
#   generator with one answer is near it.
# - With dice, the generator comes near to perfect perception, at nearly twice the distortion of
#   the mean.
# - With the squared error (*content*) beside the discriminator, one could hope to move down along
#   the line. A little of it hardly reduces the distortion, and costs perception. With more, the
#   generator ignores its dice: one fixed answer has less squared error than one that jumps, and
#   still looks real. With much more, it is the mean again.
#
# The points on the line can be reached all the same: the dots are blends of the mean and a real
# picture, pixel by pixel. ESRGAN blends the *weights* of two networks in a similar way. In SRGAN,
# the adversarial loss has a weight of 0.001 beside a content loss on features.
#
# ## A small SRGAN
#
# Now with larger pictures: 8 x 8 pixels, with a hair across them, vertical or horizontal, at any
# place. After shrinking by two it may have been in either of two lines, 50 : 50. The generator is a
# small ESPCN: two convolutions and a shuffle (walkthrough 11). The discriminator has two
# convolutions with a stride, like SRGAN's, and a dense layer. First we train with the squared error
# alone, then with the discriminator as well.


# %%
def hairs(n, rng):
    """Return pictures (n, 1, 8, 8), each with a bright line and a little noise."""
    x = rng.normal(0, 0.03, (n, 1, 8, 8))
    x[np.arange(n), 0, :, rng.integers(8, size=n)] += 1
    turned = rng.random(n) < 0.5
    x[turned] = x[turned].swapaxes(2, 3)
    return x


def shrunk(x):
    """Replace each 2 x 2 pixels by their mean."""
    return x.reshape(len(x), 1, 4, 2, 4, 2).mean(axis=(3, 5))


def he(shape, rng):
    """Return random weights of the right size."""
    return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)


rng = np.random.default_rng(5)
g = {"W1": he((12, 1, 3, 3), rng), "B1": np.zeros(12), "W2": he((4, 12, 3, 3), rng)}
g["B2"] = np.zeros(4)
d = {"W1": he((12, 1, 3, 3), rng), "B1": np.zeros(12), "W2": he((16, 12, 3, 3), rng)}
d |= {"B2": np.zeros(16), "W3": he((1, 16, 2, 2), rng), "B3": np.zeros(1)}


def generate(low):
    """Return the enlargement, and what the backward pass needs."""
    z = conv2d_same(low, g["W1"], g["B1"])
    a = leaky_relu(z, SLOPE)
    sub_pixels = conv2d_same(a, g["W2"], g["B2"]) + reference.repeat(low, 4)
    return reference.pixel_shuffle(sub_pixels, 2), (low, z, a)


def generate_backward(dout, kept):
    """Return the gradients of the generator's weights."""
    low, z, a = kept
    dsub = reference.pixel_shuffle_backward(dout, 2)
    da, dw2, db2 = reference.conv2d_same_backward(dsub, a, g["W2"])
    dz = reference.leaky_relu_backward(da, z, SLOPE)
    _, dw1, db1 = reference.conv2d_same_backward(dz, low, g["W1"])
    return {"W1": dw1, "B1": db1, "W2": dw2, "B2": db2}


def discriminator(x):
    """Return a logit for each picture, and what the backward pass needs."""
    z1 = reference.conv2d_strided(x, d["W1"], d["B1"], 2)
    a1 = leaky_relu(z1, SLOPE)
    z2 = reference.conv2d_strided(a1, d["W2"], d["B2"], 2)
    a2 = leaky_relu(z2, SLOPE)
    return reference.dense(a2, d["W3"], d["B3"]), (x, z1, a1, z2, a2)


def discriminator_backward(dlogits, kept):
    """Return dx and the gradients of the discriminator's weights."""
    x, z1, a1, z2, a2 = kept
    da2, dw3, db3 = reference.dense_backward(dlogits, a2, d["W3"])
    dz2 = reference.leaky_relu_backward(da2, z2, SLOPE)
    da1, dw2, db2 = reference.conv2d_strided_backward(dz2, a1, d["W2"], 2)
    dz1 = reference.leaky_relu_backward(da1, z1, SLOPE)
    dx, dw1, db1 = reference.conv2d_strided_backward(dz1, x, d["W1"], 2)
    return dx, {"W1": dw1, "B1": db1, "W2": dw2, "B2": db2, "W3": dw3, "B3": db3}


shown = hairs(6, np.random.default_rng(2))
of_g, of_d, n = Adam(g, 5e-3, beta1=0.5), Adam(d, 3e-3, beta1=0.5), 16
labels = np.repeat([1.0, 0.0], n)[:, None, None, None]
for step in range(700):
    high = hairs(n, rng)
    made, kept = generate(shrunk(high))
    dmade = 2 / n * (made - high)
    if step == 300:
        by_error, _ = generate(shrunk(shown))
    if step >= 300:
        logits, seen = discriminator(np.concatenate([hairs(n, rng), made]))
        of_d.step(discriminator_backward(cross_entropy_gradient(logits, labels), seen)[1])
        logits, seen = discriminator(made)
        dlogits = cross_entropy_gradient(logits, np.ones_like(logits))
        dfooled, _ = discriminator_backward(dlogits, seen)
        dmade = 0.4 * dmade + dfooled
    of_g.step(generate_backward(dmade, kept), 0.3 if step >= 300 else 1)
by_gan, _ = generate(shrunk(shown))

fig, axes = plt.subplots(4, 6, figsize=(6.4, 4.4))
rows = {"small": shrunk(shown), "truth": shown, "squared\nerror": by_error, "adversarial": by_gan}
for row, (name, pictures) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(name)
    for ax, picture in zip(row, pictures[:, 0], strict=True):
        ax.imshow(picture, vmin=0, vmax=1 if len(picture) == 8 else 0.6)
        ax.set(xticks=[], yticks=[])
plt.show()


def sharpness(x):
    """Return the mean brightness of the brightest line less that of the second brightest."""
    lines = np.sort(np.concatenate([x.mean(axis=2), x.mean(axis=3)], axis=2)[:, 0], axis=1)
    return np.mean(lines[:, -1] - lines[:, -2])


for name, x in {"truth": shown, "squared error": by_error, "adversarial": by_gan}.items():
    print(f"{name:<14} squared error {np.mean((x - shown) ** 2):.4f}, ", end="")
    print(f"line above the next one {sharpness(x):.2f}")
assert sharpness(by_gan) > 2 * sharpness(by_error)
assert np.mean((by_gan - shown) ** 2) > np.mean((by_error - shown) ** 2)

# %% [markdown]
# The squared error gives a broad pale line, a compromise between the two possible pictures that
# looks like neither. The generator trained with a discriminator ("adversarial") gives one sharp
# line, on one of the two sides. The second and the fourth picture differ in truth but look the same
# when small, so they get the same answer. For one of them it is the wrong line, and costs more than
# the pale one. PSNR punishes what the eye prefers. This is SRGAN, except for a million and a half
# weights, and days of training.
#
# <details><summary>
# <b>Question.</b> A doctor enlarges a scan. Which judge should train the network?
# </summary>
#
# None that invents. The discriminator's answer looks like a real picture, and nothing in it says
# which part was seen and which was made up. The mean is soft exactly where the answer is unknown,
# and so shows what is not known.
# </details>
#
# <details><summary>
# <b>Question.</b> Why does the generator minimise -log <i>D</i>, and not log(1 - <i>D</i>), which
# is what the discriminator maximises?
# </summary>
#
# Where <i>D</i> is sure that a picture is generated, at a logit far below zero, log(1 - D) is flat:
# no gradient comes back exactly when there is most to learn. The gradient of -log D by the logit
# has its largest size there, 1.
# </details>
#
# The next walkthrough takes another way out: to know more, look at more than one picture.
