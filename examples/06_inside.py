# %% [markdown]
# # 6. Open the shipped network
#
# This walkthrough takes apart a fully trained network: the 9-1-5 for x3 that comes with this
# package. The last walkthrough watched filters appear. What do these filters look for? Which of
# them matter? How far does the network look? And what would be left of it without the
# non-linearity?
#
# You need: the three layers (walkthrough 2) and the chain rule (walkthrough 3). Time: twenty
# minutes.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

import pysrcnn
from pysrcnn import reference
from pysrcnn.data import pair
from pysrcnn.evaluate import mean_psnr
from pysrcnn.pictures import read_picture

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
scale = 3
network = pysrcnn.load("9-1-5", scale)
pictures = {
    name: pair(read_picture(here / "pictures" / f"{name}.png"), scale)  # low, high
    for name in ("coffee", "astronaut", "cat")
}
for name, parameter in network.parameters.items():
    print(f"{name}  {parameter.shape!s:<15} {parameter.size:>5} numbers")
print("trained on", network.card["data"])
for name, two in pictures.items():
    db = [mean_psnr(n, [two], scale) for n in (None, network)]
    print(f"{name:<10} bicubic {db[0]:.2f} dB, network {db[1]:.2f} dB")


# %%
def show(rows, names=None, titles=(), width=7, **style):
    """Show pictures in rows, each on its own scale unless told otherwise."""
    across, (height, breadth) = max(map(len, rows)), rows[0][0].shape
    tall = width / across * len(rows) * height / breadth + (0.3 if titles else 0)
    figure, axes = plt.subplots(len(rows), across, figsize=(width, tall), squeeze=False)
    for k, (line, row) in enumerate(zip(axes, rows, strict=True)):
        for ax, picture in zip(line, row, strict=True):
            largest = np.abs(picture).max()
            ax.imshow(picture, **({"vmin": -largest, "vmax": largest} | style))
            ax.set(xticks=[], yticks=[], frame_on=False)
        if names:
            line[0].set_ylabel(names[k], rotation=0, ha="right", va="center", fontsize=9)
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title)
    plt.show()


filters = network.parameters["W1"][:, 0]  # (64, 9, 9)
show(list(filters.reshape(4, 16, 9, 9)))

# %%
first, sums = filters[0], filters.sum((1, 2))
beside = np.delete(first.ravel(), 40)  # all but the middle
print(f"first filter: {first[4, 4]:.2f} in the middle, others from {beside.min():.2f} to ", end="")
print(f"{beside.max():.2f}, sum {sums[0]:.3f}")
print(f"the other 63: sums of {np.abs(sums[1:]).max():.0e} at most")
(low, _), (w, b) = pictures["cat"], network.layers[0]
its_map = reference.conv2d(reference.pad_replicate(low[None], 4), w[:1], b[:1])
change = 255 * (its_map[0, 0] - low[0])
print(f"first map, less the input: {change.mean():+.1f} levels on average ", end="")
print(f"(bias: {255 * b[0]:+.1f}), deviation {change.std():.1f}")

# %% [markdown]
# The first filter *carries the picture*. Training began with a 1 in its middle and zeros around it,
# which passes the picture on unchanged. During training, the sum of each filter's weights was held
# fixed (the kept means of walkthrough 5): at 1 for this filter, at 0 for all others. How that 1 is
# spread over the weights was free to change, and it did: the dot now has a surround. Its map is
# still the picture, but at another level, because of the bias, and slightly different in its
# details.
#
# The other 63 look noisy. But are they noisy where it matters?
#
# ## What the picture sees of a filter
#
# The input is a bicubic enlargement by 3, and has hardly anything finer than 1/6 cycles per pixel
# (walkthrough 1). Whatever is finer than that in a filter meets nothing in the input. It is a
# remnant of the random start, which training had no reason to remove. So we blur it away, gently,
# to see what the filter *does*.
#
# Then we sort the filters by two numbers. How *odd* is a filter: does it change sign when turned by
# 180 degrees, as an edge does (bright on one side, dark on the other), or not, as a line or a dot?
# And how *directed* is it: is its energy in one direction, as for an edge or a line, or in all, as
# for a dot?


# %%
def oddness(f):
    """Return the share of a filter's energy that changes sign when it is turned by 180 degrees."""
    odd = (f - f[::-1, ::-1]) / 2
    return (odd**2).sum() / (f**2).sum()


def direction(f):
    """Return 0 for energy in all directions, up to 1 for one, from the moments of the spectrum."""
    power = np.abs(np.fft.fft2(f, (32, 32))) ** 2
    y, x = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    xx, xy, yy = ((power * m).sum() for m in (x * x, x * y, y * y))
    return np.hypot(xx - yy, 2 * xy) / (xx + yy)


def blurred(filters):
    """Return each filter without detail that is finer than the input."""
    return np.array([gaussian_filter(f, 0.9, mode="constant") for f in filters])


seen = blurred(filters[1:])
noise = blurred(np.random.default_rng(0).normal(size=(1000, 9, 9)))
fig, ax = plt.subplots(figsize=(5.4, 3.6))
for name, group, style in (("noise", noise, "."), ("layer 1", seen, "o")):
    ax.plot([oddness(f) for f in group], [direction(f) for f in group], style, ms=4, label=name)
ax.set(xlabel="oddness", ylabel="direction")
ax.legend()
plt.show()

# %% [markdown]
# Noise that is blurred in the same way lies in the lower middle: half odd, hardly directed. Many of
# the filters lie above it: they are more directed than noise is by chance. Here are the extremes of
# the plot, seven of each kind:

# %%
odd, directed = np.array([oddness(f) for f in seen]), np.array([direction(f) for f in seen])
kinds = {
    "edges": odd + directed,
    "lines": directed - odd,
    "dots, rings": -odd - directed,
}
show([seen[np.argsort(-score)[:7]] for score in kinds.values()], list(kinds), width=5.5)
outside = np.mean(directed > np.percentile([direction(f) for f in noise], 95))
print(f"more directed than 95 % of noise: {outside:.0%} of the filters")

# %% [markdown]
# *Edges*, bright on one side and dark on the other, respond where brightness changes: they are
# derivatives of first order. *Lines* and stripes are derivatives of second order in one direction,
# or detectors of a texture if they have several stripes. *Dots* with a ring of the opposite sign
# are like the Laplacian, second order in all directions: they respond to what stands out. The
# paper's Figure 5 names the same kinds. Nobody asked for derivatives; but derivatives tell where a
# blurred picture used to be sharp.
#
# ## What the layers do to a picture

# %%
low, high = pictures["cat"]
eye = np.s_[70:180, 80:200]


def feature_maps(network, x):
    """Return the maps of each layer except the last, (1, n, H, W) each."""
    maps = []
    for w, b in network.layers[:-1]:
        x = reference.relu(reference.conv2d(reference.pad_replicate(x, w.shape[2] // 2), w, b))
        maps.append(x)
    return maps


first, second = (maps[0] for maps in feature_maps(network, low[None]))
for k, maps in enumerate((first, second), 1):
    liveliest = np.argsort(-maps[1:].std((1, 2)))[:9] + 1
    chosen = [m[eye] for m in (maps[0], *maps[liveliest])]
    answers = np.median((maps > 0).mean((1, 2)))
    print(f"layer {k}: the median map answers at {answers:.0%} of the pixels")
    show([chosen[:5], chosen[5:]], titles=[f"layer {k}"], width=5, vmin=0, vmax=None)

# %% [markdown]
# These are ten of the 64 maps of layer 1 and ten of the 32 of layer 2; black is zero. Each map of
# layer 1 responds to edges of some directions, and only to one sign: ReLU has cut off the other.
# Layer 2, which sees one pixel of all 64 maps, combines them: its maps are sparser and more
# specific.
#
# The last layer adds up 32 pictures, one from each map, so we can split its sum. How much comes
# from the first map, which carries the picture, and how much from all the others?

# %%
w, b = network.layers[-1]
padded = reference.pad_replicate(second[None], 2)
carried = reference.conv2d(padded[:, :1], w[:, :1], b)[0, 0]
added = reference.conv2d(padded[:, 1:], w[:, 1:], 0 * b)[0, 0]
print(f"largest difference of their sum to the network: "
      f"{np.abs(carried + added - network.forward(low[None])[0, 0]).max():.0e}")  # fmt: skip
grey = {"vmin": -0.1, "vmax": 0.1}
titles = "first map, less the input", "the others", "missing"
show([[x[eye] for x in (carried - low[0], added, high[0] - low[0])]], None, titles, 5.2, **grey)

# %% [markdown]
# On the left is the change that the first map makes to the picture it carries: a little sharpening.
# In the middle is what the 31 others add: thin lines along the edges. On the right is what is
# really missing. The lines are there, though fainter than they should be, but almost nothing of the
# hairs is.
#
# ## Which filters matter?
#
# Switch a filter off, and measure what that costs. Its map becomes zero everywhere or, more gently,
# its own average, so that only the information in it is lost and not its share of the brightness.
# We do this for all filters of layer 1, one at a time.

# %%
low, high = pictures["coffee"]
part = tuple(np.ascontiguousarray(x[:, 60:240, 60:390]) for x in (low, high))
whole = mean_psnr(network, [part], scale)
means = feature_maps(network, part[0][None])[0].mean((0, 2, 3))


def cost(filter_number, instead):
    """Return how many dB are lost when a map of layer 1 is the number `instead` everywhere."""
    damaged = network.astype(np.float32)  # a copy
    damaged.parameters["W1"][filter_number] = 0
    damaged.parameters["B1"][filter_number] = instead
    return whole - mean_psnr(damaged, [part], scale)


off = np.array([cost(k, 0) for k in range(64)])
still = np.array([cost(k, means[k]) for k in range(64)])
print(f"without the filter that carries the picture: {off[0]:.1f} dB lost")
order = np.argsort(-off[1:]) + 1
fig, ax = plt.subplots(figsize=(8, 3))
ax.bar(np.arange(63), off[order], label="zero")
ax.plot(still[order], "k.", ms=4, label="its mean")
ax.set(xlabel="filters, by what they cost", ylabel="PSNR lost (dB)")
ax.legend()
plt.show()
print(f"the {np.sum(off[1:] < 0.01)} least important of the others cost less than 0.01 dB each")
for many in (20, 63):
    damaged = network.astype(np.float32)
    damaged.parameters["W1"][order[-many:]] = 0
    damaged.parameters["B1"][order[-many:]] = means[order[-many:]]
    lost = whole - mean_psnr(damaged, [part], scale)
    print(f"the last {many} at once: {lost:.2f} dB lost (with their means)")

# %% [markdown]
# One filter carries the picture. Of the others, some cost a tenth of a dB or more, most only some
# hundredths: the network's knowledge is spread over many filters, and almost any one of them can be
# spared. All of them at once cannot.
#
# Some cost less than zero: without them, this picture would be *better*. They were trained on 370
# pictures, and this one is not the average of those.
#
# <details><summary>
# <b>Question.</b> Why is the mean a gentler replacement than zero, and for which filters does it
# make a great difference?
# </summary>
#
# The later layers are used to a certain brightness of the map. Zero takes that away everywhere, as
# if a bias of layer 2 had been changed. The difference is large for maps that are almost nowhere
# zero; a map that is zero at most places has a mean near zero anyway.
# </details>
#
# ## Dead filters
#
# ReLU gives zero wherever a filter's response is negative, and where it gives zero it lets no
# gradient through. A filter whose response is negative everywhere therefore stops learning: it is
# *dead*. Are there any? For each filter, we count the share of pixels at which it responds.

# %%
for name in ("9-1-5", "9-5-5"):
    opened = pysrcnn.load(name, scale)
    shares = []
    for low, _ in pictures.values():
        shares.append([(m > 0).mean((0, 2, 3)) for m in feature_maps(opened, low[None])])
    for k in range(2):
        share = np.array([s[k] for s in shares])  # (pictures, filters)
        silent = (share < 1 / 500).sum(1)
        print(
            f"{name} layer {k + 1}: silent in " +
            ", ".join(f"{p} {s}" for p, s in zip(pictures, silent, strict=True)) +
            f"; in all three {(share < 1 / 500).all(0).sum()} of {share.shape[1]}"
        )  # fmt: skip

# %% [markdown]
# A filter is *silent* in a picture if it responds at less than one pixel in 500. A filter that is
# silent in one picture may still be a specialist that wakes up in another; it is dead if it is
# silent in all. In layer 1 none is dead, which cannot be taken for granted; in layer 2, where
# nothing holds the means, a few may be. The experiments in `docs/paper.md` trained a 9-5-5 in other
# ways; this is how many of its 64 filters of layer 1 were silent on Set5 afterwards:

# %%
results = here / ".." / "benchmarks" / "results" / "paper" / "recipe.json"
for line in json.loads(results.read_text(encoding="utf-8"))["lines"]:
    print(f"{line['name']:<28} {line['silent']:>2} silent, {line['psnr']['Y']:.2f} dB")

# %% [markdown]
# "Kept means" holds the sum of each filter at zero during training. The next question explains why
# that helps.
#
# <details><summary>
# <b>Question.</b> Why does a filter of layer 1 die easily if its weights do not sum to zero?
# </summary>
#
# A picture is nearly constant over 9 x 9 pixels, so the response of such a filter is mostly its sum
# times the brightness, and depends only a little on its pattern. If the sum is negative and drifts
# further, the response is below zero everywhere, and no gradient ever brings it back. If the sum is
# positive, the response is above zero everywhere, and ReLU does nothing: the filter is linear. With
# a sum of zero, it responds to its pattern, at some places and not at others.
# </details>
#
# ## How far does it look?
#
# A pixel of the result depends on 5 x 5 pixels of the maps of layer 2. These depend on the same
# 5 x 5 of layer 1 (the filters of layer 2 are 1 x 1), and each of those on 9 x 9 pixels of the
# input: 13 x 13 pixels in all. For 9-5-5 it is 17 x 17. That is the *receptive field*: nothing
# outside it can have an influence. But how much influence do the pixels inside have? The answer is
# the derivative of one pixel of the result with respect to each pixel of the input, and `reference`
# has all we need for the chain rule, from the result back to the input.


# %%
def influence(network, patches):
    """Return d result / d input for patches as large as the receptive field: (N, f, f)."""
    inputs, x = [], patches
    for k, (w, b) in enumerate(network.layers):
        inputs.append(x)
        x = reference.conv2d(x, w, b)
        if k < len(network.layers) - 1:
            x = reference.relu(x)
    dout = np.ones_like(x)  # (N, 1, 1, 1): one pixel for each patch
    for k in reversed(range(len(network.layers))):
        dout, _, _ = reference.conv2d_backward(dout, inputs[k], network.layers[k][0])
        if k > 0:
            dout = reference.relu_backward(dout, inputs[k])
    return dout[:, 0]


def patches_of(low, f):
    """Return all f x f patches of a picture that are centred on a pixel of the small picture."""
    patches = reference.im2col(low[None], f)[0].T.reshape(-1, 1, f, f)
    i, j = np.divmod(np.arange(len(patches)), low.shape[2] - f + 1)
    return patches[((i + f // 2) % 3 == 1) & ((j + f // 2) % 3 == 1)]


rng = np.random.default_rng(0)
networks = {"9-1-5": network, "9-5-5": pysrcnn.load("9-5-5", scale)}
influences = {}
for name, opened in networks.items():
    patches = [patches_of(low, 2 * opened.margin + 1) for low, _ in pictures.values()]
    some = np.concatenate([p[rng.choice(len(p), 300, replace=False)] for p in patches])
    influences[name] = influence(opened, some)


def show_influence(influences, titles):
    """Show the mean absolute influence over all places, on a logarithmic scale of colours."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.9))
    for ax, derivative, title in zip(axes, influences, titles, strict=True):
        a = np.abs(derivative).mean(0)
        image = ax.imshow(np.log10(np.maximum(a / a.max(), 1e-3)), "viridis", vmin=-3, vmax=0)
        ax.set(title=title, xticks=[], yticks=[])
    figure.colorbar(image, ax=axes, label="log10 of influence")
    plt.show()


show_influence(
    influences.values(), [f"{n}: {d.shape[1]} x {d.shape[2]}" for n, d in influences.items()]
)

# %% [markdown]
# This is the mean absolute influence over 900 places. Why is it checkered? Because this derivative
# asks what would happen if *one* pixel of the input changed. But no pixel can change alone: the
# input is an enlargement, in which one pixel in nine is free and the others follow. So we continue
# the chain rule through the bicubic enlargement to the pixels of the small picture. The enlargement
# is a linear map, a matrix $E$ for rows and for columns, and a derivative $D$ goes back through its
# transpose, as $E^TDE$.

# %%
enlarging = pysrcnn.imresize(np.eye(11), shape=(33, 11))  # E: 11 small pixels to 33


def to_small(derivatives):
    """Carry derivatives from the input, (N, f, f), to the small picture, (N, 11, 11)."""
    f = derivatives.shape[1]
    margin = (33 - f) // 2
    d = np.pad(derivatives.astype(np.float64), ((0, 0), (margin, margin), (margin, margin)))
    return enlarging.T @ d @ enlarging


show_influence(map(to_small, influences.values()), [f"{name}, small picture" for name in networks])
for name, derivatives in influences.items():
    a = np.abs(to_small(derivatives)).mean(0)
    shares = [a[5 - k : 6 + k, 5 - k : 6 + k].sum() / a.sum() for k in range(6)]
    print(name, ", ".join(f"{2 * k + 1} x {2 * k + 1}: {s:.0%}" for k, s in enumerate(shares)))

# %% [markdown]
# Now it is a hill. Almost half of the influence belongs to the pixel in the middle, which is the
# only one that bicubic interpolation would use here (at the very centre of a small pixel it returns
# that pixel). The rest comes from its neighbours. 9-1-5 hardly looks further than 5 x 5 small
# pixels, though it could; 9-5-5 can look further, and does so a little.
#
# ## What ReLU is for
#
# Without ReLU the three layers would be one: a convolution of a convolution is a convolution, here
# with a single filter of 13 x 13. So what does ReLU contribute? First, let us take it out of the
# trained network.

# %%
low, high = pictures["cat"]
x = low[None]
for w, b in network.layers:
    x = reference.conv2d(reference.pad_replicate(x, w.shape[2] // 2), w, b)
truth = 255 * high[0].astype(float)
linear = 255 * np.clip(x[0, 0], 0, 1).astype(float)
print(f"without ReLU: {pysrcnn.psnr(linear, truth, shave=scale):.2f} dB")

# %% [markdown]
# The result is useless, but that proves little: the weights were trained for a network with ReLU.
# The fair question is how good *any* single filter of 13 x 13 can be. That needs no training:
# minimising a squared error over the weights of one filter is a least-squares problem, which the
# normal equations solve exactly.
#
# $$\hat w = (A^T A)^{-1} A^T b$$
#
# Here each row of $A$ is a 13 x 13 patch of the input (`im2col`), and $b$ holds what is missing at
# its centre. We even let the filter cheat: it is fitted to two of the three pictures on which it is
# then measured.

# %%
gram, right_side = np.zeros((169, 169)), np.zeros(169)
for name in ("coffee", "astronaut"):
    low, high = pictures[name]
    a = reference.im2col(low[None], 13)[0].T.astype(np.float64)
    missing = (high - low)[0, 6:-6, 6:-6].ravel()
    gram, right_side = gram + a.T @ a, right_side + a.T @ missing
# Add a small ridge, because the finest patterns are absent from the input.
best = np.linalg.solve(gram + 1e-3 * np.eye(169), right_side).reshape(13, 13)
best[6, 6] += 1  # the picture itself
only = pysrcnn.SRCNN.from_parameters(
    {"W1": best[None, None].astype(np.float32), "B1": np.zeros(1, np.float32)}
)
print("dB above bicubic       one filter   SRCNN")
for name, two in pictures.items():
    bicubic = mean_psnr(None, [two], scale)
    gains = [mean_psnr(n, [two], scale) - bicubic for n in (only, network)]
    print(f"{name:<22} {gains[0]:+.2f}        {gains[1]:+.2f}")

# %% [markdown]
# On coffee and astronaut, pictures with clean edges, the network gains more than twice as much,
# though the filter was made for them and the network never saw them. On the cat, which is mostly
# fur, the single filter is as good: there the network does no better than sharpening everything in
# the same way.
#
# So what does the network do that one filter cannot? It uses *a different filter at every place*.
# ReLU cuts some maps off. As long as the same maps are cut off, the network is linear, and its
# filter is just the derivative from above. Here it is at four places of the coffee picture:

# %%
low, high = pictures["coffee"]
places = {"table": (19, 331), "rim, left": (76, 133), "rim, top": (19, 214), "handle": (190, 151)}
squares = np.array([low[:, i - 6 : i + 7, j - 6 : j + 7] for i, j in places.values()])
local = to_small(np.concatenate([influence(network, squares), best[None]]))
middle = np.s_[2:9, 2:9]
show([squares[:, 0]], titles=list(places), width=4.8, vmin=0, vmax=1)
show([[f[middle] for f in local]], titles=[*places, "the one filter"], width=6, vmin=-0.3, vmax=0.3)

# %% [markdown]
# Above is what the network sees, 13 x 13 pixels of its input. Below is the filter it uses there, in
# 7 x 7 pixels of the small picture. On the table, where there is nothing to be seen, it is much
# like the single filter: the middle pixel minus its neighbours, which sharpens in all directions.
# At each edge it is another filter, and no longer symmetric. That is what the non-linearity buys.
#
# <details><summary>
# <b>Question.</b> If the network is linear at each place, is its result there the
# local filter times the patch?
# </summary>
#
# Yes, up to a constant: the network is affine there. The biases that get through add a number that
# differs from place to place.
# </details>
#
# Walkthrough 9 shows how close this is to an older method, sparse coding. Before that comes how to
# measure a result without fooling yourself.
