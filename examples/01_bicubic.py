# %% [markdown]
# # 1. Why bicubic interpolation is not enough
#
# A small picture has to become a large one. Every program does it by *bicubic interpolation*
# unless told otherwise, and the result is always soft. Is that a weakness of bicubic
# interpolation, which a better formula would not have? This walkthrough measures what is lost,
# where, and who could know it.
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
    """Grey pictures in a row, on one scale of grey."""
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
# Between two pixels, bicubic interpolation takes a weighted sum of the four nearest in each
# direction. The weights come from one curve, Keys's cubic. So enlarging by 3 is this: put two
# zeros between all pixels, slide that curve along, and add up, at each place, the pixels under it
# times its weights. Such sliding sums are called *convolutions* (the next walkthrough does some by
# hand), and the weights a *filter*. One filter, for every picture, at every place.
#
# Let us look at its weights. An impulse, a single 1 among zeros, comes out as the filter itself.

# %%
impulse = np.zeros((1, 15))
impulse[0, 7] = 1
weights = pysrcnn.imresize(impulse, shape=(1, 45))[0]
print("sum of the weights:", weights.sum().round(12))
print("the negative ones: ", weights[weights < 0].round(4))

# %% [markdown]
# The sum is 3, since the two zeros between the pixels dilute the picture by 3. Some weights are
# negative. That is what makes edges steeper than linear interpolation makes them, and it is also
# what makes the next thing happen.
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
# A dark line beside the dark side, a bright one beside the bright side: *ringing*. And the edge
# itself has become a slope of some pixels. Both at once, soft and ringing, and no choice of the
# curve's parameter gets rid of both: less of one is more of the other.
#
# <details><summary>
# <b>Question.</b> Linear interpolation has no negative weights. What does it do at
# this edge?
# </summary>
#
# It does not overshoot, as every result is a mean of two pixels with weights that are not
# negative. It makes a straight slope between the last dark pixel and the first bright one. In
# photographs it looks softer than bicubic interpolation.
# </details>
#
# ## What is lost, in frequencies
#
# Every picture is a sum of waves. A small picture with a pixel where there were three cannot hold
# waves shorter than six of the old pixels (its own Nyquist frequency, 1/2 of its sampling rate,
# so 1/6 cycles per old pixel): they were blurred away before pixels were left out, or they would
# have come back as false long waves (aliasing).
#
# So we look at the spectrum: how strong is each frequency, averaged over all directions?


# %%
def spectrum(picture):
    """Mean power at each frequency, in cycles per pixel."""
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
# Below 1/6 the small picture still knew what to say; near 1/6 the bicubic filter already takes
# away too much. Above, its result has little, and what it has is not the original's: the remains
# of the copies of the spectrum that two zeros between pixels make, which the filter damps but
# does not stop. SRCNN restores what the filter took below 1/6 and goes on above.
#
# ## Who could know?
#
# Now the question from the beginning: would a better formula do? Take the original, and add to it
# something that shrinking makes vanish.

# %%
rng = np.random.default_rng(0)
noise = rng.normal(0, 0.1, y.shape)


def shrink(picture):
    """From 288 x 408 to 96 x 136, as above."""
    return pysrcnn.imresize(picture, scale=1 / scale)


# What shrinking makes of the noise is taken out of it again, a few times, until nothing is left.
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
# Two different pictures, and one small picture, up to what is far below the levels of a file.
# Nothing that looks only at the small picture can tell which of the two it came from. So the
# answer is *no*: what is lost is lost, whatever the formula.
#
# And yet you would bet on the left one. You have seen fur before. You know that pictures of the
# world are not arbitrary: edges go on, textures repeat, noise like in the second is rare. Such
# knowledge is called a *prior*. Bicubic interpolation has one too, a poor one (the world is
# smooth). The idea of learned super-resolution is to take the prior from examples: show a
# function many pairs of small and large pictures, and let it find what usually belongs to what.
#
# ## What that is worth

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
# The errors of bicubic interpolation draw the picture: they sit at every edge and hair. The
# network's do too, as nobody can know everything, but fainter.
#
# This picture was not among those it was trained on. How three convolutions can hold a prior is
# the next walkthrough.
#
# <details><summary>
# <b>Question.</b> Why is the error of a network that minimises the mean squared error
# always on the soft side?
# </summary>
#
# Where several large pictures are possible for a small one, the answer with the least expected
# squared error is their mean. The mean of many sharp possibilities is soft. Walkthroughs 10
# and 15 come back to it.
# </details>
#
# <details><summary>
# <b>Question.</b> In the plot of the spectrum, why does shrinking not simply cut at
# 1/6?
# </summary>
#
# A filter that cuts exactly is infinitely long (the sinc function), and rings at every edge. The
# cubic has four pixels of support, stretched by 3 when shrinking: it damps a little before 1/6
# and lets a little pass after it.
# </details>
