# %% [markdown]
# # 10. What SRCNN left open
#
# SRCNN showed in 2014 that three convolutions, trained as a whole, beat every earlier method of
# super-resolution. As the first network of its kind, it left much open: what to minimise, where to
# enlarge, how deep to go, what to learn, for which scales, from how large a neighbourhood, and for
# which pictures. Each of these questions can be studied by measurements with this package, and the
# answer to each became known by a name.
#
# You need: some of the earlier walkthroughs. Time: twenty minutes.

# %%
import json
import time
from pathlib import Path

import imageio.v3 as imageio
import matplotlib.pyplot as plt
import numpy as np

import pysrcnn
from pysrcnn import kernels
from pysrcnn.data import degrade, luma, modcrop
from pysrcnn.evaluate import mean_psnr
from pysrcnn.pictures import read_picture
from pysrcnn.training import read_log

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
results = here / ".." / "benchmarks" / "results" / "paper"
scale = 3
names = "coffee", "astronaut", "cat"
photographs = {  # sides are multiples of 12, so that 2, 3 and 4 divide them
    name: modcrop(luma(read_picture(here / "pictures" / f"{name}.png")), 12) for name in names
}
highs = list(photographs.values())
lows = [degrade(high, scale) for high in highs]
network = pysrcnn.load("9-1-5", scale)


def pair(low, high):
    """Return (low, high) in the form that the network and `mean_psnr` take."""
    return low[None].astype(np.float32), high[None].astype(np.float32)


def side_by_side(pictures, width=7):
    """Show grey pictures in a row, with titles."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(width, width / len(pictures) + 0.35))
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(picture, vmin=0, vmax=1)
        ax.set_title(title)
        ax.axis("off")
    plt.show()


# %% [markdown]
# ## The loss: the mean of all possibilities
#
# Take six pictures: stripes of one white and two black pixels, vertical or horizontal, in three
# positions each. Stripes of period 3 are exactly what vanishes when a picture is reduced by 3.

# %%
stripe = np.arange(48) % 3
candidates = [np.tile(stripe == k, (48, 1)).astype(float) for k in range(3)]
candidates += [c.T for c in candidates]
inside = np.s_[12:-12, 12:-12]  # far from the edge of the picture
inputs = [degrade(c, scale) for c in candidates]
values = np.unique(np.round([x[inside] for x in inputs], 9))
print("all values in the six inputs of the network:", values)

mean = np.mean(candidates, axis=0)
answer = network.forward(inputs[0][None, None])[0, 0]
median = np.median(candidates, axis=0)
side_by_side(
    {
        "possible": candidates[0][inside],
        "possible, too": candidates[5][inside],
        "the input": inputs[0][inside],
        "the network's answer": answer[inside],
    }
)
print("answer                 squared error   absolute error   (mean over the six)")
for name, x in {
    "one of the six": candidates[0],
    "their mean": mean,
    "the network's": answer,
    "their median": median,
}.items():
    difference = np.array([(x - c)[inside] for c in candidates])
    print(f"{name:<22} {np.mean(difference**2):.4f}          {np.abs(difference).mean():.4f}")

# %% [markdown]
# All six give the same grey input, so whatever the network answers, it gives that answer to all
# six. By squared error the best answer is grey: the mean of the six, which is none of them. A sharp
# answer would be wrong five times in six, and costs twice as much on average.
#
# <details><summary>
# <b>Question.</b> Would the absolute error be better?
# </summary>
#
# It asks for the median instead of the mean, pixel by pixel. Here that is black, since each pixel
# is black in four of the six candidates. Black has the least absolute error in the table, and is no
# picture with stripes either. As long as the loss judges each pixel alone, it cannot produce
# texture.
# </details>
#
# In photographs the same happens, less drastically. Take a place in the cat's fur, and search all
# three pictures for the places that look most like it *in the enlargement*. What do the originals
# look like at these places?

# %%
shape = 11, 11


def windows(x):
    """Return all windows of that shape centred on pixels of the small picture."""
    return np.lib.stride_tricks.sliding_window_view(x, shape)[2::3, 2::3].reshape(-1, *shape)


seen = np.concatenate([windows(low) for low in lows])
detail = np.concatenate([windows(h - low) for h, low in zip(highs, lows, strict=True)])
pattern = seen - seen.mean((1, 2), keepdims=True)  # brightness does not matter
learned = windows(network.forward(np.float32(lows[2])[None, None])[0, 0] - lows[2])
cat = len(seen) - len(learned)  # the first window of the cat, the last of the pictures


def alike(k, many=20):
    """Return the other windows whose input is most like that of window k."""
    distance = ((pattern - pattern[k]) ** 2).sum((1, 2))
    return np.argsort(distance)[1 : many + 1]


lively = cat + np.flatnonzero(detail[cat:].std((1, 2)) > 0.04)  # where much is missing
place = lively[1043]
others = alike(place)
titles = ["here", "alike, 1", "2", "3", "mean of 20", "here, network"]
figure, axes = plt.subplots(2, 6, figsize=(7, 2.6))
mean_of_20 = pattern[others].mean(0), detail[others].mean(0)
inputs = [pattern[k] for k in (place, *others[:3])] + [mean_of_20[0], pattern[place]]
details = [detail[k] for k in (place, *others[:3])] + [mean_of_20[1], learned[place - cat]]
for row, pictures, name in zip(axes, (inputs, details), ("input", "missing"), strict=True):
    row[0].set_ylabel(name)
    for ax, picture in zip(row, pictures, strict=True):
        ax.imshow(picture, vmin=-0.15, vmax=0.15)
        ax.set(xticks=[], yticks=[], frame_on=False)
for ax, title in zip(axes[0], titles, strict=True):
    ax.set_title(title)
plt.show()

guessed = "nothing (bicubic)", "that of the most alike", "the mean of twenty", "the network's"
errors = {name: [] for name in guessed}
for k in np.random.default_rng(0).choice(lively, 300, replace=False):
    others = alike(k)
    guesses = 0, detail[others[0]], detail[others].mean(0), learned[k - cat]
    for name, guess in zip(guessed, guesses, strict=True):
        errors[name].append(np.mean((detail[k] - guess)[4:7, 4:7] ** 2))
print("what is added                rms error at 300 places of the cat, levels of 255")
for name, e in errors.items():
    print(f"{name:<28} {255 * np.sqrt(np.mean(e)):.2f}")

# %% [markdown]
# The inputs are alike, but the originals are not: each has its own hairs. Adding the sharp detail
# of the most similar place is worse than adding nothing. The mean of twenty is better than nothing,
# and soft. A network that minimises the squared error learns such a mean over many more examples.
# Its results are soft not because it needs more training, but because that is what the loss asks
# for.
#
# *What came of it:* losses that compare features instead of pixels, and a second network that
# judges whether a picture looks real (SRGAN).
#
# ## Enlarging first: the work of the large picture
#
# SRCNN enlarges at the start and does all its work on the large picture, where eight of nine pixels
# hold nothing new. The same layers could run on the small picture, with a last layer that makes
# nine pictures, one for each of the nine large pixels that a small one becomes. These nine are then
# interleaved.


# %%
def count(layers):
    """Return the number of multiplications per pixel."""
    return sum(w.size for w, _ in layers)


def shuffled(nine, s=scale):
    """(1, s * s, H, W) to (1, 1, s * H, s * W): the sub-pixel shuffle."""
    _, _, h, w = nine.shape
    return nine.reshape(s, s, h, w).transpose(2, 0, 3, 1).reshape(1, 1, s * h, s * w)


rng = np.random.default_rng(0)
last = rng.normal(0, 0.01, (9, 32, 5, 5)).astype(np.float32), np.zeros(9, np.float32)
at_the_end = [*network.layers[:2], last]  # not trained: only its time is wanted
small = rng.random((1, 1, 240, 320), dtype=np.float32)
large = rng.random((1, 1, 720, 960), dtype=np.float32)


def seconds(work):
    """Return the shortest time of four runs, after one that compiles."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times[1:])


first = seconds(lambda: kernels.forward(large, network.layers, "replicate"))
end = seconds(lambda: shuffled(kernels.forward(small, at_the_end, "replicate")))
print("                 multiplications for a pixel of the result    time")
print(f"enlarged first   {count(network.layers):>10}                              {first:.3f} s")
print(f"enlarged last    {count(at_the_end) / 9:>10.0f}                              {end:.3f} s")

# %% [markdown]
# Each layer but the last costs nine times less. The last makes nine pictures and costs the same. In
# addition, a filter of 9 x 9 pixels on the small picture sees as much as one of 27 x 27 on the
# enlarged one. And the network then learns how to enlarge, instead of relying on Keys's cubic.
#
# *What came of it:* the sub-pixel convolution (ESPCN), for video in real time.
#
# ## Depth
#
# In recognition, experience said "deeper is better". The paper tried four layers and found no gain.
# We trained the same networks by three recipes (`docs/paper.md`): the paper's; the paper's with
# He's initialisation and suitable learning rates; and that of this package. Each saw 160,000
# samples.

# %%
depth = {
    line["name"]: line["psnr"]["Y"]
    for line in json.loads((results / "depth.json").read_text(encoding="utf-8"))["lines"]
}
networks = "9-1-5", "9-1-1-5", "9-3-1-5", "9-3-3-5"
recipes = {"the paper's": " paper", "with He's start": " He", "this package's": ""}
fig, ax = plt.subplots(figsize=(7, 3))
for k, (recipe, suffix) in enumerate(recipes.items()):
    bars = ax.bar(np.arange(4) + 0.27 * (k - 1), [depth[n + suffix] for n in networks], 0.25)
    ax.bar_label(bars, fmt="%.1f", fontsize=8, padding=-11, color="white")
    bars.set_label(recipe)
head, _ = read_log(results / "depth" / "9-1-5.log")
ax.axhline(head["bicubic_psnr"], color="gray", ls=":", label="bicubic")
ax.set(xticks=range(4), xticklabels=networks, ylabel="PSNR on Set5, x3 (dB)", ylim=(10, 38))
ax.legend(ncols=4, fontsize=8, loc="upper center")
plt.show()

# %% [markdown]
# After the same number of samples, the paper's recipe has the three layers under way, while the
# four-layer networks have not begun (12.6 dB, the same for all three, is a grey rectangle). With
# initial weights of the right size all have begun, and with the recipe of this package each extra
# layer gains something or costs nothing. So depth was not useless. It was out of reach of the
# optimisation.
#
# *What came of it:* twenty layers (VDSR), with He's initialisation and the next idea.
#
# ## Learning what is missing
#
# The result of SRCNN must contain its input: three layers have to learn to pass it on before they
# can add to it. How much is there to add?

# %%
for name, high, low in zip(photographs, highs, lows, strict=True):
    print(f"{name:<10} what is missing has {np.var(high - low) / np.var(high):.1%} of the variance")

figure, ax = plt.subplots(figsize=(6.4, 3.2))
for name in ("He, Adam", "identity, Adam"):
    head, points = read_log(results / "recipe" / f"{name.replace(' ', '_')}.log")
    ax.plot([p["samples"] for p in points], [p["psnr"] for p in points], label=name)
ax.axhline(head["bicubic_psnr"], color="gray", ls=":", label="bicubic")
ax.set(xlabel="samples", ylabel="PSNR on Set5, x3 (dB)", ylim=(29, 33))
ax.legend()
plt.show()

# %% [markdown]
# It is a few hundredths, and they have to be found while all the rest is carried through. The plot
# shows two trainings of a 9-5-5 from `docs/paper.md`: from random weights of the right size (He),
# and from weights that pass the picture on (identity). The second starts where the first arrives
# after thousands of samples. (The dip of the first is a collapse from which it recovered. To
# compare the end points, one would have to repeat both with other seeds.)
#
# *What came of it:* adding the input to the output, so that the network learns only the difference
# (VDSR); later, such skips around every two layers (SRResNet, EDSR).
#
# ## One network for one scale
#
# The weights for x3 were trained on pictures enlarged by 3. What do they do with other scales? Rows
# are the weights and columns the enlargement of the input; the numbers are dB above bicubic
# interpolation, as means over the three pictures.

# %%
pairs = {s: [pair(degrade(high, s), high) for high in highs] for s in (2, 3, 4)}
print("weights   input x2   input x3   input x4")
for weights in (2, 3, 4):
    n = pysrcnn.load("9-1-5", weights)
    gains = [mean_psnr(n, p, s) - mean_psnr(None, p, s) for s, p in pairs.items()]
    print(f"   x{weights}   " + "".join(f"{gain:+10.2f} " for gain in gains))

# %% [markdown]
# Only the diagonal is worth having. Weights for a larger factor oversharpen what is already sharp,
# and end below bicubic interpolation; weights for a smaller factor do little. The filters have
# learned one blur, that of their training.
#
# *What came of it:* one network trained on several scales (VDSR), or a shared body with an entrance
# and an exit for each scale (MDSR, in the paper of EDSR).
#
# ## From how far?
#
# A pixel of 9-1-5 depends on 13 x 13 pixels of its input, a pixel of 9-5-5 on 17 x 17. Is that
# enough? We make two measurements. First, over what distance are pictures, and what is missing in
# them, correlated? Second, how good is the best single linear filter as it grows? (It is fitted by
# least squares, as in walkthrough 6, to places in coffee and astronaut.)


# %%
def correlation(x, distance):
    """Return the correlation of pixels at that distance in a row or a column."""
    x = x - x.mean()
    across, down = x[:, distance:] * x[:, :-distance], x[distance:] * x[:-distance]
    return (across.mean() + down.mean()) / 2 / x.var()


distances = np.arange(1, 41)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
for name, x in {"picture": highs[0], "what is missing": highs[0] - lows[0]}.items():
    left.plot(distances, [correlation(x, d) for d in distances], label=name)
left.axhline(0, color="gray", lw=0.5)
left.set(xlabel="distance (pixels)", ylabel="correlation")
left.legend()

size = 21
gram, right_side = np.zeros((size**2, size**2)), np.zeros(size**2)
for high, low in zip(highs[:2], lows[:2], strict=True):
    all_windows = np.lib.stride_tricks.sliding_window_view(low, (size, size))
    i, j = (rng.integers(n, size=15000) for n in all_windows.shape[:2])
    a = all_windows[i, j].reshape(len(i), -1)
    gram, right_side = gram + a.T @ a, right_side + a.T @ (high - low)[i + 10, j + 10]
gains = {}
for f in range(3, size + 1, 2):
    edge = (size - f) // 2
    square = np.arange(size**2).reshape(size, size)[edge : size - edge, edge : size - edge].ravel()
    w = np.linalg.solve(
        gram[np.ix_(square, square)] + 1e-3 * np.eye(f * f), right_side[square]
    ).reshape(1, 1, f, f)
    w[0, 0, f // 2, f // 2] += 1
    one = pysrcnn.SRCNN.from_parameters({"W1": np.float32(w), "B1": np.zeros(1, np.float32)})
    gains[f] = mean_psnr(one, pairs[3], 3) - mean_psnr(None, pairs[3], 3)
right.plot(gains.keys(), gains.values(), "o-", ms=4)
right.set(
    xlabel="size of the filter (pixels)",
    ylabel="dB above bicubic",
    ylim=(0, 0.9),
    xticks=list(gains),
)
plt.show()

# %% [markdown]
# What is missing is correlated over only two or three pixels, and a single filter gains hardly
# anything beyond 13 pixels, exactly the size that 9-1-5 has. That seems to be enough. But
# correlation only tells us about linear prediction. A picture's own correlation reaches much
# further: edges go on, textures repeat, and whoever can follow an edge over 40 pixels knows better
# where it runs here. A deep stack can. VDSR's sees 41 x 41 pixels, and its paper reports 33.66 dB
# on Set5 at x3, 0.9 dB above the best SRCNN of the paper and 0.7 dB above ours. It also has more
# weights and residual learning, so the gain is not due to the distance alone.
#
# *What came of it:* depth, again; and one layer applied again and again, which reaches far without
# more weights (DRCN).
#
# ## Pictures as they are
#
# So far, every input came from reducing a clean picture cleanly. Real small pictures have noise, or
# come out of a JPEG file. We add a little of either to the small picture before it is enlarged.


# %%
def of_small(small, high):
    """Return the pair whose input is the enlargement of that small picture."""
    return pair(pysrcnn.imresize(small, shape=high.shape), high)


def as_jpeg(small, quality):
    """Return the picture after a round trip through a JPEG file."""
    pixels = np.round(255 * np.clip(small, 0, 1)).astype(np.uint8)
    file = imageio.imwrite("<bytes>", pixels, extension=".jpg", quality=quality)
    return imageio.imread(file) / 255


noises, qualities = (0, 1, 2, 5, 10), (100, 95, 90, 75, 50, 30)
gains = {"noise": np.zeros(len(noises)), "JPEG": np.zeros(len(qualities))}
for high in highs:
    small = pysrcnn.imresize(high, scale=1 / scale)
    noise = rng.normal(size=small.shape) / 255
    spoilt = {
        "noise": [small + level * noise for level in noises],
        "JPEG": [as_jpeg(small, quality) for quality in qualities],
    }
    for kind, smalls in spoilt.items():
        for k, x in enumerate(smalls):
            p = [of_small(x, high)]
            gains[kind][k] += (mean_psnr(network, p, scale) - mean_psnr(None, p, scale)) / 3
for kind, levels in (("noise", noises), ("JPEG", qualities)):
    print(f"{kind:<6}" + "".join(f"{level:>8}" for level in levels))
    print("dB    " + "".join(f"{gain:+8.2f}" for gain in gains[kind]))

clean, _ = of_small(small, high)
noisy, _ = of_small(small + 2 * noise, high)
before, after = noisy - clean, network.forward(noisy[None]) - network.forward(clean[None])
print(f"\nnoise of 2 levels: {255 * before.std():.1f} in the enlargement, ", end="")
print(f"{255 * after.std():.1f} after the network")

# %%
high = highs[0]
small = pysrcnn.imresize(high, scale=1 / scale)
part = np.s_[150:240, 120:210]
shown = {}
for name, x in {
    "noise of 5": small + 5 / 255 * rng.normal(size=small.shape),
    "JPEG, quality 50": as_jpeg(small, 50),
}.items():
    low, _ = of_small(x, high)
    shown[f"{name}\nbicubic"] = low[0][part]
    shown[f"{name}\nSRCNN"] = network.forward(low[None])[0, 0][part]
side_by_side(shown)

# %% [markdown]
# For "noise", the levels are standard deviations in levels of 255; for "JPEG", they are the
# quality. The results are dB above bicubic interpolation of the same small picture. In its
# training, everything in the input was detail, so the network mistakes noise for detail and
# amplifies it. At 5 levels of noise, or at a JPEG quality between 75 and 50, its gain is gone;
# beyond that it does harm.
#
# *What came of it:* training with noise, blur and JPEG in the small pictures. A network learns what
# it is shown. (`pysrcnn train photos/ -s 2 --recipe photo -o mine.npz` trains in this way.)
#
# <details><summary>
# <b>Question.</b> At x3, the filters of SRCNN must compensate for a blur. Why does that amplify
# noise, whatever the training?
# </summary>
#
# To undo a blur, one multiplies the frequencies that it has damped by more than 1. Noise contains
# all frequencies alike, so its share of them is multiplied too. Only a prior that tells noise from
# detail can do better, and to learn one the network must have seen noise.
# </details>
#
# ## What came next
#
# **ESPCN**, *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
# Convolutional Neural Network*, 2016: works on the small picture; its last layer makes one channel
# for each sub-pixel, and these are shuffled into one large picture.
#
# **VDSR**, *Accurate Image Super-Resolution Using Very Deep Convolutional Networks*, 2016: 20
# layers of 3 x 3 that learn the residual, with high learning rates and clipped gradients; one
# network for several scales.
#
# **DRCN**, *Deeply-Recursive Convolutional Network for Image Super-Resolution*, 2016: one layer,
# applied up to 16 times with the same weights; the result of each recursion is supervised, and has
# a skip from the input.
#
# **EDSR**, *Enhanced Deep Residual Networks for Single Image Super-Resolution*, 2017: residual
# blocks without batch normalisation, more of them and wider; the absolute error as the loss;
# enlarges at the end (walkthrough 14).
#
# **SRGAN**, *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network*,
# 2017: a feature loss, and one from a network that learns to tell real pictures from generated
# ones; sharper to the eye, at a lower PSNR (walkthrough 15).
#
# **VESPCN**, *Real-Time Video Super-Resolution with Spatio-Temporal Networks and Motion
# Compensation*, 2017: several frames of a video, aligned by learned motion compensation and then
# enlarged by an ESPCN (walkthrough 16).
#
# All of them are made of what these walkthroughs took apart: convolutions, ReLU, a loss, the chain
# rule. If you can follow the backward pass of three layers, you can follow that of twenty.
# Walkthroughs 11 to 16 do so: they cover the shuffle of ESPCN, the depth of VDSR, the recursion of
# DRCN, then batch normalisation, losses that see more than pixels, and motion.
