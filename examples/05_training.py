# %% [markdown]
# # 5. Train a small SRCNN on a few pictures, and watch the filters appear
#
# We train on two photographs and test on a third, in seconds instead of hours. The last walkthrough
# forced a network to learn one patch by heart; this one has to learn something that holds for
# pictures it has never seen. Its filters begin as noise, and nobody tells them what to become.
#
# You need: what a convolution and a gradient are (walkthroughs 2 and 3). Time: fifteen minutes.

# %%
from pathlib import Path

import imageio.v3 as imageio
import matplotlib.pyplot as plt
import numpy as np

import pysrcnn
from pysrcnn.data import pair
from pysrcnn.evaluate import mean_psnr
from pysrcnn.pictures import read_picture
from pysrcnn.training import RECIPES, RandomCrops, Recipe, Training
from pysrcnn.training.optim import SGD

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
scale = 3


def pairs(*names):
    """Return (low, high) for each picture: the network's input, and its target."""
    return [pair(read_picture(here / "pictures" / f"{name}.png"), scale) for name in names]


learned, unseen = pairs("coffee", "astronaut"), pairs("cat")
bicubic = {"learned": mean_psnr(None, learned, scale), "unseen": mean_psnr(None, unseen, scale)}
for what, db in bicubic.items():
    print(f"bicubic interpolation, {what}: {db:.2f} dB")

# %% [markdown]
# `pair` makes the question from the answer: `high` is the luminance of a photograph, and `low` is
# the same, shrunk by 3 and enlarged back by bicubic interpolation, so both have the same size.
# Nobody had to label anything, which is why training data for super-resolution are so easy to get.
#
# ## What the network sees
#
# The network does not see whole pictures but small squares, cut out at random places and randomly
# flipped and turned. A square of 33 x 33 pixels goes in, and since the convolutions of a 9-1-5
# without padding remove 6 pixels on each side, a square of 21 x 21 comes out. Here are some, and
# what is missing in them.

# %%
sampler = RandomCrops(learned, size=33, margin=6, seed=2)
low, high = sampler.batch(step=0, size=8)
print("low", low.shape, " high", high.shape)

figure, axes = plt.subplots(3, 8, figsize=(7, 2.9))
for column, x, y in zip(axes.T, low[:, 0, 6:-6, 6:-6], high[:, 0], strict=True):
    for ax, picture, middle in zip(column, (x, y, y - x), (0.5, 0.5, 0), strict=True):
        ax.imshow(picture, vmin=middle - 0.5, vmax=middle + 0.5)
        ax.set(xticks=[], yticks=[])
for ax, name in zip(axes[:, 0], ("low", "high", "high - low"), strict=True):
    ax.set_ylabel(name)
plt.show()

# %% [markdown]
# The last row is everything the network has to learn: lines along the edges, with a bright and a
# dark side.
#
# ## All of training in five lines
#
# Take a batch of squares, run the network forward and backward, and take a step downhill. This is
# stochastic gradient descent: *stochastic*, because each batch is a random sample of the pictures.
# We start with a network that returns the bicubic picture: in each layer one filter passes the
# picture on, and the others are noise and contribute little (`init="identity"`).

# %%
network = pysrcnn.SRCNN(f1=9, n1=16, f2=1, n2=8, f3=5, init="identity", seed=0)
print(sum(p.size for p in network.parameters.values()), "weights and biases")
print(f"at the start  {mean_psnr(network, unseen, scale) - bicubic['unseen']:+.2f} dB")

optimizer = SGD(network.parameters, learning_rate=0.01, momentum=0.9)
for step in range(300):
    low, high = sampler.batch(step, 16)
    loss, gradients = network.loss_and_gradients(low, high)
    optimizer.step(gradients)
print(f"300 steps     {mean_psnr(network, unseen, scale) - bicubic['unseen']:+.2f} dB")

# %% [markdown]
# It works, but slowly. The numbers are dB above bicubic interpolation, on the unseen cat.
# `pysrcnn.training.Training` is faster: it is the same loop with these additions.
#
# - *Muon* instead of plain steps, for the first layers: it makes steps as large in the directions
#   where the gradient is small as where it is large.
# - *A schedule*: the learning rate rises at first, then falls to zero along a cosine. Large steps
#   cover the distance, small ones settle.
# - *A running average* of the weights, which removes the jitter of the last steps.
# - *Kept means*: the sum of each filter of layer 1 stays zero (except for the one that passes the
#   picture on), so that the filters look for structure and not for brightness.
#
# A `Recipe` holds everything that a training run depends on. At certain steps we record the PSNR of
# the learned pictures and of the unseen one, and keep a copy of the filters.


# %%
def train(recipe, pictures, moments, shave=scale):
    """Train; at certain steps record samples, PSNR gains in dB, and the filters of layer 1."""
    training = Training(recipe, pictures, scale=scale)
    losses, notes = [], []
    for progress in training.run():
        losses.append(progress.loss)
        if progress.step in moments:
            now = training.result()
            notes.append(
                {
                    "samples": progress.step * recipe.batch,
                    "learned": mean_psnr(now, pictures, shave) - mean_psnr(None, pictures, shave),
                    "unseen": mean_psnr(now, unseen, scale) - bicubic["unseen"],
                    "filters": now.parameters["W1"][:, 0].copy(),
                }
            )
    return training.result(), np.array(losses), notes


steps = 2500
moments = {1, 10, 20, 30, 40} | {round(m) for m in np.geomspace(50, steps, 30)}
small = {"filters": (16, 8), "size": 33, "learning_rate": 0.03, "average": 0.99, "seed": 1}
recipe = Recipe(steps=steps, **small)
network, losses, notes = train(recipe, learned, moments)
print({what: f"{notes[-1][what]:+.2f} dB" for what in ("learned", "unseen")})


# %%
def column(notes, what):
    """Return one of the recorded values, at all moments."""
    return [note[what] for note in notes]


figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4))
left.semilogx(column(notes, "samples"), column(notes, "learned"), label="the learned pictures")
left.semilogx(column(notes, "samples"), column(notes, "unseen"), label="the unseen picture")
left.axhline(0, color="gray", ls=":", label="bicubic interpolation")
left.set(xlabel="samples", ylabel="PSNR above bicubic (dB)")
left.legend()
smooth = np.convolve(losses, np.ones(100) / 100, "valid")
right.loglog(np.arange(1, steps + 1) * 16, losses, ".", ms=1, color="silver", label="a batch")
right.loglog(np.arange(100, steps + 1) * 16, smooth, label="mean of 100 batches")
right.set(xlabel="samples", ylabel="training loss", ylim=(3e-4, 4e-3))
right.legend()
plt.show()

# %% [markdown]
# The left plot shows what we want, the right one what is minimised. The loss of a batch says more
# about the batch than about the network: a piece of the blurred background is easy, a piece of the
# wooden table is not. Only the mean of many batches shows that the loss falls.
#
# ## Watch the filters appear
#
# Here are the 16 filters of layer 1 at six steps, one row for each. Grey is zero, white is
# positive, black is negative, and each filter has its own scale.


# %%
def draw(axes, filters):
    """Draw filters in a row of axes."""
    for ax, f in zip(axes, filters, strict=True):
        largest = np.abs(f).max()
        ax.imshow(f, vmin=-largest, vmax=largest)
        ax.set(xticks=[], yticks=[])


chosen = [
    min(notes, key=lambda n: abs(n["samples"] - 16 * s)) for s in (1, 100, 200, 400, 800, steps)
]
figure, axes = plt.subplots(len(chosen), 16, figsize=(9, 4))
for row, note in zip(axes, chosen, strict=True):
    draw(row, note["filters"])
    row[0].set_ylabel(
        f"step {note['samples'] // 16}", rotation=0, ha="right", va="center", fontsize=9
    )
plt.show()

# %% [markdown]
# The first filter, a dot, passes the picture on, as it was initialised to. All others were noise.
# At first nothing seems to happen to them: the PSNR rises because the later layers learn to use
# what the random filters give. Then the noise recedes, and bars, edges and arcs in several
# directions appear, and dots with a ring. Here is the same as an animation:

# %%
figure, axes = plt.subplots(2, 8, figsize=(5.6, 1.75), dpi=80, layout="none")
figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.86, wspace=0.06, hspace=0.06)
draw(axes.ravel(), notes[0]["filters"])
frames = []
for note in notes:
    for ax, f in zip(axes.ravel(), note["filters"], strict=True):
        ax.images[0].set(data=f, clim=(-np.abs(f).max(), np.abs(f).max()))
    figure.suptitle(f"{note['samples']:,} samples: {note['unseen']:+.2f} dB", fontsize=9, y=0.985)
    figure.canvas.draw()
    grey = np.asarray(figure.canvas.buffer_rgba())[:, :, 0]
    frames.append(grey // 16 * 17)  # sixteen greys, for a small file
plt.close(figure)
durations = [120] * (len(frames) - 1) + [2500]  # milliseconds
imageio.imwrite(here / "filters.gif", frames, duration=durations, loop=0)
print(len(frames), "frames of", frames[0].shape, "in filters.gif")

# %% [markdown]
# ![The filters of layer 1 while they are learned](pictures/filters.gif)
#
# (This animation was made when the notebook was rendered. Yours is in `filters.gif`, beside the
# script.)
#
# <details><summary>
# <b>Question.</b> Why do the filters become smooth at all? Nothing in the loss asks for smooth
# filters.
# </summary>
#
# The input is smooth: bicubic enlargement by 3 leaves little above 1/6 cycles per pixel
# (walkthrough 1). A fine checkerboard in a filter meets nothing in the input, so it gets almost no
# gradient. The useful part of a filter grows with every step, while the useless part stays as it
# was, and is soon small by comparison. It is not removed: look closely, and a little noise is still
# there.
# </details>
#
# <details><summary>
# <b>Question.</b> If you start again with another seed, do the same filters appear?
# </summary>
#
# The same kinds appear, but not the same filters. Any order of the filters gives the same network
# if layer 2 is reordered accordingly, and the initial noise decides which filter grows into which
# edge.
# </details>
#
# ## Before and after

# %%
eye = np.s_[78:174, 96:192]
low, high = unseen[0]
after = network.forward(low[None])[0]
figure, axes = plt.subplots(2, 3, figsize=(6.6, 4.7))
for ax, (name, picture) in zip(
    axes[0], {"original": high, "bicubic x3": low, "16-8 filters": after}.items(), strict=True
):
    ax.imshow(picture[0][eye], vmin=0, vmax=1)
    ax.set_title(name)
for ax, (name, picture) in zip(
    axes[1],
    {"missing": high - low, "what it adds": after - low, "still missing": high - after}.items(),
    strict=True,
):
    ax.imshow(picture[0][eye], vmin=-0.15, vmax=0.15)
    ax.set_title(name)
for ax in axes.ravel():
    ax.axis("off")
plt.show()

# %% [markdown]
# The second row is the better judge. What the network adds has the right shape at the edges, where
# a bright and a dark line are missing, but it is too faint, and about single hairs the network
# knows little.
#
# ## Is it overfitting?
#
# The gain on the learned pictures is several times that on the unseen one. That looks like
# *overfitting*: learning the examples by heart instead of what they have in common. But is it? The
# cat may just have less to gain. We can ask a third party: the network 9-1-5 that comes with this
# package, which has seen none of the three pictures.

# %%
shipped = pysrcnn.load("9-1-5", scale)
print("dB above bicubic            learned  unseen  ratio")
for name, n in {"16-8 filters, 2 pictures": network, "64-32, 370 other pictures": shipped}.items():
    gains = [mean_psnr(n, p, scale) - mean_psnr(None, p, scale) for p in (learned, unseen)]
    print(f"{name:<27} {gains[0]:+.2f}    {gains[1]:+.2f}   {gains[0] / gains[1]:.1f}")

# %% [markdown]
# For this network, too, coffee and astronaut gain more, and in about the same ratio. They are
# easier to improve for any network, so most of the gap comes from the pictures. Compare two
# networks on the same pictures, or a network before and after, but never gains on different
# pictures.
#
# To see overfitting, we take almost everything away: the same network is trained on one square of
# the coffee picture, 45 x 45 pixels of the spoon. (It is measured without the outermost 6 pixels of
# the square, which are never the target of a crop.)

# %%
spoon = np.s_[:, 180:225, 235:280]
tiny = [tuple(np.ascontiguousarray(x[spoon]) for x in learned[0])]
_, _, overfitted = train(Recipe(steps=1500, **small), tiny, moments, shave=6)

figure, (picture, ax) = plt.subplots(1, 2, figsize=(8.6, 3.2), width_ratios=[1, 2.2])
picture.imshow(tiny[0][1][0], vmin=0, vmax=1)
picture.set_title("all it is trained on")
picture.axis("off")
ax.semilogx(column(overfitted, "samples"), column(overfitted, "learned"), label="that square")
ax.semilogx(column(overfitted, "samples"), column(overfitted, "unseen"), label="the unseen picture")
ax.axhline(0, color="gray", ls=":", label="bicubic interpolation")
ax.set(xlabel="samples", ylabel="PSNR above bicubic (dB)")
ax.legend()
plt.show()
best = max(overfitted, key=lambda note: note["unseen"])
print(f"unseen: best {best['unseen']:+.2f} dB, at {best['samples']:,} samples", end="; ")
print(f"at the end {overfitted[-1]['unseen']:+.2f} dB")

# %% [markdown]
# There it is. At first, what helps the square also helps the cat. Then the two part: the network
# goes on to learn the square, and unlearns the rest. The training loss cannot show this; only a
# picture that is not trained on can. Checking on such a picture is called *validation*.
#
# <details><summary>
# <b>Question.</b> You stop training where the unseen picture is best, and report its
# PSNR there. What is wrong with that?
# </summary>
#
# You have used it to choose, so it is no longer unseen, and the number is a little too good. Use
# one picture to decide when to stop, and report another.
# </details>
#
# ## The paper's recipe
#
# The authors started all weights from a normal distribution with standard deviation 0.001, and used
# gradient descent with momentum at fixed learning rates, 128 samples at a time. How far does that
# get with the same number of samples?

# %%
paper = RECIPES["paper"].as_dict() | {"filters": (16, 8), "steps": steps * 16 // 128}
paper["sizes"] = tuple(paper["sizes"])
grey_one, _, plain = train(Recipe(**paper), learned, moments)
figure, ax = plt.subplots(figsize=(6.4, 3.2))
for name, run in {"this package's recipe": notes, "the paper's": plain}.items():
    ax.semilogx(
        column(run, "samples"), np.add(column(run, "unseen"), bicubic["unseen"]), label=name
    )
ax.axhline(bicubic["unseen"], color="gray", ls=":", label="bicubic interpolation")
ax.set(xlabel="samples", ylabel="PSNR, unseen (dB)")
ax.legend(loc="center left")
plt.show()

answer = grey_one.forward(unseen[0][0][None])
print(f"what it makes of the cat: values from {answer.min():.3f} to {answer.max():.3f}")
low, high = sampler.batch(step=0, size=16)
print("largest gradient of W1 at the start:")
for init in ("paper", "he", "identity"):
    start = pysrcnn.SRCNN(n1=16, n2=8, init=init)
    _, gradients = start.loss_and_gradients(low, high)
    print(f"  {init:<9} {np.abs(gradients['W1']).max():.0e}")

# %% [markdown]
# It has learned how bright pictures are on average, in the last bias, and nothing else yet: its
# answer is a grey rectangle. The gradients show the reason: what reaches layer 1 on the way back
# has been multiplied by the weights of layers 3 and 2, which are nearly zero. This is no dead end.
# The weights grow, each helping the others, faster and faster; with the paper's network and 91
# pictures the recipe passes bicubic interpolation after some 800,000 samples (`docs/paper.md`), and
# the authors went on to 800 million. Initial weights of the right size save more than patience.
#
# <details><summary>
# <b>Question.</b> Why does the paper's recipe not start from exactly zero?
# </summary>
#
# It would never learn: with all weights zero, every gradient except that of the last bias is zero.
# And if all filters started from the same numbers, they would have the same gradients and stay
# alike. Noise is what makes them different.
# </details>
#
# That was sixteen filters and two pictures. The next walkthrough opens a network with 64 filters
# that has seen 370 pictures.
