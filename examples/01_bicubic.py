# %% [markdown]
# # 1. Why bicubic interpolation is not enough
#
# A small picture has to be made larger. Unless told otherwise, every program does this by *bicubic
# interpolation*, and the result is always soft. Is that a weakness of bicubic interpolation that a
# better formula would not have? This walkthrough measures what is lost and where, and asks whether
# any formula could bring it back.
#
# You need: a little Python. Time: ten minutes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pysrcnn
from pysrcnn.data import luma
from pysrcnn.pictures import read_picture

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
cat = read_picture(here / "pictures" / "cat.png")  # (288, 408, 3), uint8
y = luma(cat)  # (288, 408), luminance in 0..1
scale = 3

small = pysrcnn.imresize(y, scale=1 / scale)  # every third pixel each way, after a blur
bicubic = pysrcnn.imresize(small, scale=scale)
print(f"{y.shape} -> {small.shape} -> {bicubic.shape}: one pixel of {scale**2} was kept")


# %%
def side_by_side(pictures, titles, **show):
    """Show grey pictures in a row, all on the same grey scale."""
    show = {"vmin": 0, "vmax": 1, **show}
    figure, axes = plt.subplots(1, len(pictures), figsize=(3.2 * len(pictures), 3.2))
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture, **show)
        ax.set_title(title)
        ax.axis("off")
    plt.show()


eye = np.s_[78:174, 96:192]  # 96 x 96 pixels
eye_small = np.s_[26:58, 32:64]  # the same place in the small picture
side_by_side(
    [y[eye], small[eye_small], bicubic[eye]], ["original", "the small picture", "bicubic x3"]
)

# %% [markdown]
# ## What an interpolation is: one filter
#
# Between two pixels, bicubic interpolation takes a weighted sum of the four nearest pixels in each
# direction. The weights come from one curve, Keys's cubic. To enlarge by 3, then: put two zeros
# between neighbouring pixels, slide that curve along, and at each place add up the pixels under it,
# each times its weight. Such a sliding sum is called a *convolution* (the next walkthrough computes
# some by hand), and the weights are called a *filter*. It is the same filter for every picture and
# at every place.
#
# Let us look at its weights. For an impulse, a single 1 among zeros, the result is the filter
# itself.

# %%
impulse = np.zeros((1, 15))
impulse[0, 7] = 1
weights = pysrcnn.imresize(impulse, shape=(1, 45))[0]
print("sum of the weights:", weights.sum().round(12))
print("the negative ones: ", weights[weights < 0].round(4))

# %% [markdown]
# The sum is 3, because the two zeros between pixels dilute the picture by 3. Some weights are
# negative. They make edges steeper than linear interpolation does, and they also cause the next
# effect.
#
# ## Ringing
#
# What does this filter make of an edge?

# %%
edge = np.repeat([[0.2] * 10 + [0.8] * 10], 4, axis=0)
enlarged = pysrcnn.imresize(edge, scale=3)[0]
over = (enlarged.max() - 0.8) / 0.6
fig, ax = plt.subplots(figsize=(6, 2.6))
ax.plot(np.arange(20) * 3 + 1, edge[0], "o", label="the pixels of the small picture")
ax.plot(enlarged, ".-", label="bicubic x3")
ax.axhline(0.8, color="gray", lw=0.5)
ax.axhline(0.2, color="gray", lw=0.5)
ax.set_xlabel("column")
ax.legend(loc="upper left")
plt.show()
print(f"overshoot: {over:.1%} of the edge's height, on both sides")

# %% [markdown]
# There is a dark line on the dark side of the edge, and a bright line on the bright side: this is
# *ringing*. The edge itself has become a slope several pixels wide. The result is soft and rings at
# the same time, and no choice of the curve's parameter removes both: less of one means more of the
# other.
#
# <details><summary>
# <b>Question.</b> Linear interpolation has no negative weights. What does it do at
# this edge?
# </summary>
#
# It does not overshoot, because every result is a mean of two pixels with weights that are never
# negative. It draws a straight slope from the last dark pixel to the first bright one. In
# photographs it looks softer than bicubic interpolation.
# </details>
#
# ## What is lost, in frequencies
#
# Every picture is a sum of waves. A small picture that has one pixel where there were three cannot
# hold waves shorter than six of the old pixels: its Nyquist frequency is half its sampling rate,
# 1/6 cycles per old pixel. Shorter waves had to be blurred away before pixels were dropped;
# otherwise they would have come back as false long waves (aliasing).
#
# So let us look at the spectrum: how strong is each frequency, averaged over all directions?


# %%
def spectrum(picture):
    """Return frequencies in cycles per pixel, and the mean power at each."""
    window = np.hanning(picture.shape[0])[:, None] * np.hanning(picture.shape[1])
    power = np.abs(np.fft.fft2((picture - picture.mean()) * window)) ** 2
    fy, fx = np.fft.fftfreq(picture.shape[0])[:, None], np.fft.fftfreq(picture.shape[1])
    ring = np.round(np.hypot(fy, fx) * 100).astype(int)  # hundredths of a cycle per pixel
    mean = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    return np.arange(51) / 100, mean[:51]


network = pysrcnn.load("9-5-5", scale)
srcnn = network.forward(bicubic[None, None].astype(np.float32))[0, 0]

fig, ax = plt.subplots(figsize=(6.4, 3.4))
for name, picture in {"original": y, "bicubic x3": bicubic, "SRCNN x3": srcnn}.items():
    ax.semilogy(*spectrum(picture), label=name)
ax.axvline(1 / 6, color="gray", ls=":", label="1/6: what the small picture can hold")
ax.set_xlabel("cycles per pixel")
ax.set_ylabel("mean power")
ax.legend()
plt.show()

# %% [markdown]
# Below 1/6, the small picture still holds what the original had, though near 1/6 the bicubic filter
# already removes too much. Above 1/6, the bicubic result has little, and what it has does not come
# from the original: it is what remains of the copies of the spectrum that the two zeros between
# pixels create, which the filter damps but does not remove. SRCNN restores what the filter removed
# below 1/6, and adds detail above it.
#
# ## Would a better formula help?
#
# Now back to the question from the beginning. Take the original, and add to it something that
# disappears when the picture is shrunk.

# %%
rng = np.random.default_rng(0)
noise = rng.normal(0, 0.1, y.shape)


def shrink(picture):
    """Shrink 288 x 408 pixels to 96 x 136, as above."""
    return pysrcnn.imresize(picture, scale=1 / scale)


# Subtract from the noise whatever survives shrinking, again and again, until nothing does.
invisible = noise.copy()
for _ in range(60):
    invisible -= pysrcnn.imresize(shrink(invisible), scale=scale)
other = y + invisible

print(f"the two large pictures differ by  {np.abs(other - y).mean():.4f} on average")
print(f"the two small pictures differ by  {np.abs(shrink(other) - small).max():.1e} at most")
side_by_side(
    [y[eye], other[eye], shrink(other)[eye_small]], ["a cat", "another", "either, shrunk by 3"]
)

# %% [markdown]
# Two different large pictures give the same small picture, up to differences far below the levels
# of a file. No method that sees only the small picture can tell which of the two it came from. So
# the answer is *no*: what is lost is lost, whatever the formula.
#
# And yet you would bet on the left one. You have seen fur before, and you know that pictures of the
# world are not arbitrary: edges continue, textures repeat, and noise like that in the second
# picture is rare. Such knowledge is called a *prior*. Bicubic interpolation has one too, though a
# poor one: the world is smooth. Learned super-resolution takes its prior from examples: show a
# function many pairs of small and large pictures, and let it find out which small patterns usually
# belong to which large ones.
#
# ## What a learned prior is worth

# %%
for name, picture in {"bicubic": bicubic, "SRCNN 9-5-5": srcnn}.items():
    db = pysrcnn.psnr(255 * y, 255 * picture, shave=scale)
    print(f"{name:<12} {db:.2f} dB,  rms error {255 * 10 ** (-db / 20):.2f} levels of 255")
side_by_side([y[eye], bicubic[eye], srcnn[eye]], ["original", "bicubic x3", "SRCNN x3"])
side_by_side(
    [(bicubic - y)[eye], (srcnn - y)[eye]],
    ["bicubic - original", "SRCNN - original"],
    vmin=-0.2, vmax=0.2,
)  # fmt: skip

# %% [markdown]
# The errors of bicubic interpolation trace the picture: they lie along every edge and hair. So do
# the network's errors, since no method can recover everything, but they are fainter.
#
# The network was not trained on this picture. The next walkthrough shows how three convolutions can
# hold a prior.
#
# <details><summary>
# <b>Question.</b> Why are the results of a network that minimises the mean squared error always too
# soft?
# </summary>
#
# Where several large pictures could have given the same small one, the answer with the smallest
# expected squared error is their mean, and the mean of many sharp possibilities is soft.
# Walkthroughs 10 and 15 come back to this.
# </details>
#
# <details><summary>
# <b>Question.</b> In the plot of the spectrum, why does shrinking not cut off sharply at 1/6?
# </summary>
#
# A filter with a perfectly sharp cut-off (the sinc function) is infinitely long, and rings at every
# edge. The cubic is four pixels wide, stretched by 3 when shrinking: it damps a little below 1/6
# and lets a little through above it.
# </details>
