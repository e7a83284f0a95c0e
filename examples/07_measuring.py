# %% [markdown]
# # 7. PSNR, SSIM, and why people get the wrong number
#
# Somebody implements the paper, trains, measures, and comes out a decibel or two below its
# tables. Very often nothing is wrong with the network. The number depends on a dozen things
# around it: which luminance, which bicubic, what happens at the borders, what is averaged. This
# walkthrough defines the two measures, then makes every one of these mistakes on purpose and
# measures what it costs.
#
# You need: what a mean and a variance are; a rough idea of SRCNN (walkthrough 2). Time: twenty
# minutes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from scipy import ndimage

import pysrcnn
from pysrcnn import color, data, evaluate, kernels
from pysrcnn.pictures import read_picture

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
names = ["cat", "coffee", "astronaut"]
pictures = [read_picture(here / "pictures" / f"{name}.png") for name in names]  # uint8 RGB
scale = 3
network = pysrcnn.load("9-1-5", scale)
print({name: picture.shape for name, picture in zip(names, pictures, strict=True)})

# %% [markdown]
# ## PSNR: a mean squared error on another scale
#
# Two pictures $a$ and $b$ with levels from 0 to 255. The *mean squared error* is
#
# $$
# \mathrm{MSE} = \frac{1}{HW} \sum_{i,j} (a_{ij} - b_{ij})^2 ,
# $$
#
# and the *peak signal-to-noise ratio* compares it with the square of the largest level, in
# decibels (ten times the decimal logarithm of a ratio):
#
# $$
# \mathrm{PSNR} = 10 \log_{10} \frac{255^2}{\mathrm{MSE}} .
# $$
#
# That is all. There is nothing about seeing in it.


# %%
def psnr(a, b, shave=0):
    """PSNR of levels 0..255, without `shave` pixels on each side."""
    inner = np.s_[shave : a.shape[0] - shave, shave : a.shape[1] - shave]
    mse = np.mean((a[inner].astype(float) - b[inner].astype(float)) ** 2)
    return 10 * np.log10(255**2 / mse)


y = data.luma(pictures[2])  # luminance in 0..1
bicubic = data.degrade(y, scale)  # shrunk by 3 and enlarged back
a, b = 255 * y, 255 * bicubic
print(f"by hand {psnr(a, b, 3):.6f} dB, pysrcnn.psnr {pysrcnn.psnr(a, b, shave=3):.6f} dB")

for db in (48.13, 40, 30, 20):
    print(f"{db:5} dB: rms error {255 * 10 ** (-db / 20):5.2f} levels of 255")
print(f"1 dB more: rms error times {10 ** (-1 / 20):.3f}, MSE times {10 ** (-1 / 10):.3f}")

# %% [markdown]
# A decibel is a tenth of the error, more or less, wherever you start. What is that to the eye? We
# take the error of bicubic interpolation and make it smaller, one decibel at a time.


# %%
def row(pictures, titles, width=1.7, bar=False, **show):
    """Pictures side by side, on one scale of grey."""
    show = {"vmin": 0, "vmax": 255, **show}
    high = width * pictures[0].shape[0] / pictures[0].shape[1] + 0.35
    size = (width * len(pictures) + bar, high)
    figure, axes = plt.subplots(1, len(pictures), figsize=size)
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        drawn = ax.imshow(picture, **show)
        ax.set_title(title)
        ax.set(xticks=[], yticks=[])
    if bar:
        figure.colorbar(drawn, ax=axes)
    plt.show()


face = np.s_[48:148, 76:176]
steps = [a + 10 ** (-db / 20) * (b - a) for db in (0, 1, 2, 4)]
row([x[face] for x in [*steps, a]], [f"{psnr(x, a):.1f} dB" for x in steps] + ["original"],
    width=1.5)  # fmt: skip

# %% [markdown]
# One decibel is hard to see, even side by side; four are plain. In tables of super-resolution,
# methods that took years to find lie a few tenths apart. That is meaningful, as a mean over many
# pictures measured in just one way. It also means that a slip in measuring easily drowns it.
#
# ## Same PSNR, different pictures
#
# PSNR does not care where an error is or what it looks like. So let us spoil a picture in five
# ways, each with just the strength that gives 24 dB (found by halving intervals).

# %%
rng = np.random.default_rng(0)
noise, chance = rng.normal(size=a.shape), rng.random(a.shape)
dots = np.where(noise > 0, 255, 0)
ways = {  # name: largest strength, its unit, what is done to the picture
    "brighter": (40, "levels", lambda t: a + t),
    "shifted right": (4, "pixels", lambda t: ndimage.shift(a, (0, t), mode="nearest")),
    "salt and pepper": (10, "% of pixels", lambda t: np.where(chance < t / 100, dots, a)),
    "noise": (40, "levels rms", lambda t: a + t * noise),
    "blurred": (8, "pixels rms", lambda t: ndimage.gaussian_filter(a, t)),
}
spoilt = {"original": a}
for name, (high, unit, way) in ways.items():
    low = 0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if psnr(way(middle), a) > 24 else (low, middle)
    spoilt[name] = way(low)
    print(f"{name:<16} {low:5.2f} {unit:<12} PSNR {psnr(spoilt[name], a):.2f} dB")

part = np.s_[40:150, 70:180]
for three in (["original", "brighter", "shifted right"], ["salt and pepper", "noise", "blurred"]):
    row([spoilt[name][part] for name in three], three)

# %% [markdown]
# The brighter one and the shifted one look perfect; you would not know without the original. Dots
# and noise lie on top of a picture that is all there. The blurred one has lost what mattered. All
# the same to PSNR.
#
# ## SSIM: means, contrasts, structure
#
# The *structural similarity* of Wang, Bovik, Sheikh and Simoncelli (2004) looks through a small
# window, 11 x 11 pixels with Gaussian weights, and compares three things at each position: the
# means $\mu$, the variances $\sigma^2$, and the covariance $\sigma_{ab}$, that is whether the two
# go up and down together:
#
# $$
# \mathrm{SSIM} = \frac{2\mu_a\mu_b + C_1}{\mu_a^2 + \mu_b^2 + C_1} \cdot \frac{2\sigma_{ab} +
# C_2}{\sigma_a^2 + \sigma_b^2 + C_2} .
# $$
#
# Both factors are 1 if the windows are equal, and less otherwise. $C_1$ and $C_2$ are small
# constants, there for windows that are black or flat, where one would divide zero by zero. The
# number that is reported is the mean over all positions.


# %%
def ssim_map(a, b):
    """SSIM at each position of an 11 x 11 Gaussian window, levels 0..255."""
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2  # 11 x 11, sum 1

    def mean(x):
        patches = np.lib.stride_tricks.sliding_window_view(x, (11, 11))
        return np.einsum("ijuv,uv->ij", patches, window)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    cov = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance * (2 * cov + c2) / (var_a + var_b + c2)


print(f"by hand {ssim_map(a, b).mean():.10f}, pysrcnn.ssim {pysrcnn.ssim(a, b):.10f}\n")
for name, x in spoilt.items():
    print(f"{name:<16} PSNR {pysrcnn.psnr(x, a):5.2f} dB   SSIM {pysrcnn.ssim(x, a):.3f}")

# %% [markdown]
# SSIM forgives a change of brightness nearly everywhere. Noise it likes least, most of all where
# the picture is flat: there the noise is all the structure there is. The shift, which no eye
# would notice, it punishes as well, since things no longer go up and down at the same place. So
# it is another opinion, not the truth.

# %%
three = ["brighter", "noise", "blurred"]
maps = [ssim_map(spoilt[name], a)[part] for name in three]
row(maps, [f"SSIM, {name}" for name in three], bar=True, vmin=0, vmax=1)

# %% [markdown]
# (White is 1. What the brighter picture loses, it loses in the dark parts, where the same number
# of levels is a larger part of the mean.)
#
# <details><summary>
# <b>Question.</b> What would a network trained on the mean squared error rather
# hand in: a hair slightly blurred, or a sharp one, one pixel off?
# </summary>
#
# Blurred. A sharp hair in the wrong place costs twice: once where it is and should not be, once
# where it should be and is not. A blurred one costs a little wherever the hair really is. Without
# knowing where, that is the safer bet. PSNR rewards just that, and walkthroughs 10 and 15
# come back to it.
# </details>
#
# ## The protocol
#
# Now the part that nobody prints. The tables of the SRCNN paper, and of those before and after
# it, come from this procedure; here it is as one function, with everything that can go wrong as
# an argument:
#
# 1. luminance by BT.601 in *studio range*, black at 16 and white at 235, rounded to whole levels;
# 2. height and width cropped to multiples of the scale (*modcrop*);
# 3. shrunk by MATLAB's `imresize`, bicubic, *with antialiasing*, and not rounded;
# 4. enlarged back to the size of 2, bicubic; the network on that;
# 5. clipped and rounded to whole levels;
# 6. as many pixels as the scale left out on each side (*shaved*);
# 7. PSNR with peak 255 for each picture; then the mean over the pictures.


# %%
def luminance(picture):
    """Y of BT.601 in studio range, rounded to levels, in 0..1."""
    return np.floor(255 * color.rgb_to_luma(picture / 255) + 0.5) / 255


def crop(y):
    """Without the last rows and columns, so that the scale divides what is left."""
    return y[: len(y) // scale * scale, : y.shape[1] // scale * scale]


def shrink(y):
    """MATLAB's bicubic, with antialiasing."""
    return pysrcnn.imresize(y, scale=1 / scale)


def enlarge(small, shape):
    """MATLAB's bicubic."""
    return pysrcnn.imresize(small, shape=shape)


def srcnn(low, network=network):
    """The network, which repeats the outermost pixels at the edges."""
    return network.forward(low[None, None].astype(np.float32))[0, 0]


def to_levels(x):
    """0..1 to levels 0..255, clipped and rounded."""
    return np.floor(255 * np.clip(x, 0, 1).astype(float) + 0.5)


# %%
def measure(
    luminance=luminance, crop=crop, shrink=shrink, enlarge=enlarge,
    srcnn=srcnn, to_levels=to_levels, shave=scale, psnr=psnr,
):  # fmt: skip
    """PSNR of the three pictures (rows), bicubic and SRCNN (columns)."""
    rows = []
    for picture in pictures:
        y = crop(luminance(picture))
        low = enlarge(shrink(y), y.shape[:2])
        rows.append([psnr(to_levels(x), to_levels(y), shave) for x in (low, srcnn(low))])
    return np.array(rows)


right = measure()
scores = [evaluate.score(network, *data.pair(p, scale), scale) for p in pictures]
for name, (ours, theirs), s in zip(names, right, scores, strict=True):
    print(f"{name:<10} bicubic {ours:.2f}  SRCNN {theirs:.2f} dB   pysrcnn.evaluate ", end="")
    print(f"{s.bicubic_psnr:.2f}  {s.psnr:.2f}")

# %% [markdown]
# The same as `pysrcnn evaluate`, and the same as the paper: by this procedure bicubic
# interpolation has 30.39 dB on Set5 at x3, as its tables say. From here on we change one thing at
# a time.

# %%
off = {}  # name: how many dB bicubic and SRCNN are off, averaged over the pictures


def mistake(name, **changed):
    """Measure with something changed, and say how far the results are off."""
    off[name] = np.round((measure(**changed) - right).mean(axis=0), 2) + 0.0  # no -0.00
    print(f"{name:<34} bicubic {off[name][0]:+6.2f} dB   SRCNN {off[name][1]:+6.2f} dB")


# %% [markdown]
# ## Mistakes in comparing
#
# **The luminance of JPEG.** Most libraries' conversion to YCbCr or grey lets Y go from 0 to 255.
# In BT.601's studio range the same picture has levels from 16 to 235, so all differences are
# smaller by 219/255, with the peak still taken to be 255. **RGB**, all three channels compared,
# has the full range too, and each channel errs on its own.


# %%
def full_range(picture):
    """Y from 0 to 255, as in JPEG files."""
    return np.round(255 * color.rgb_to_ycbcr_full(picture / 255)[:, :, 0]) / 255


def rgb(picture):
    """All three channels, and no luminance."""
    return picture / 255


def srcnn_in_colour(low):
    """As in the paper: Y by the network, Cb and Cr bicubic."""
    ycbcr = color.rgb_to_ycbcr(low)
    ycbcr[:, :, 0] = srcnn(ycbcr[:, :, 0])
    return color.ycbcr_to_rgb(ycbcr)


mistake("full-range Y (JPEG)", luminance=full_range)
mistake("PSNR of RGB", luminance=rgb, srcnn=srcnn_in_colour)
print(f"\nthe range alone: {20 * np.log10(219 / 255):.2f} dB")

# %% [markdown]
# There is the decibel that most people miss. It is no worse a network. It is another ruler.
#
# **uint8 minus uint8** stays uint8: 3 - 5 is 254, and squares are taken modulo 256 as well. No
# error, no warning, a plausible number. And then the harmless ones: nothing shaved off the
# borders, results not rounded, the small picture rounded to whole levels as a file would have it.


# %%
def psnr_wrapping(a, b, shave):
    """PSNR by someone who trusts the dtype."""
    a, b = (x.astype(np.uint8)[shave:-shave, shave:-shave] for x in (a, b))
    return 10 * np.log10(255**2 / np.mean((a - b) ** 2))


mistake("uint8 - uint8", psnr=psnr_wrapping)
mistake("borders not shaved", shave=0)
mistake("results not rounded", to_levels=lambda x: 255 * x)
mistake("small picture rounded", shrink=lambda y: np.round(255 * shrink(y)) / 255)

# %% [markdown]
# <details><summary>
# <b>Question.</b> Why does rounding cost anything at all, and why so little?
# </summary>
#
# A rounded number is off by something between -1/2 and 1/2, evenly spread, which has a mean
# square of 1/12. It adds to the MSE, which at 30 dB is 65. So PSNR falls by $10 \log_{10}(1 +
# 1/(12 \cdot 65))$ = 0.006 dB. At 50 dB it would be half a decibel.
# </details>
#
# ## Mistakes in making the small picture
#
# MATLAB's `imresize` stretches the cubic by the scale when it shrinks, so that all pixels count:
# *antialiasing*. Many other resizers do not stretch it. They take the value of the interpolated
# picture at one point for each new pixel. At an odd scale that point is a pixel, so all "bicubic"
# shrinking by 3 comes down to keeping the middle one of nine. Let us write such a resizer, with
# the cubic's parameter $a$ as an argument: Keys and MATLAB have -0.5, some others -0.75.


# %%
def cubic(t, a):
    """The cubic at a distance of t >= 0 pixels."""
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    return np.where(t <= 1, near, np.where(t < 2, a * (t**3 - 5 * t**2 + 8 * t - 4), 0))


def resize(x, shape, a=-0.5, antialias=True):
    """Bicubic, along columns and then along rows; edges repeated."""
    for m in shape:
        n = len(x)
        stretch = max(1, n / m) if antialias else 1
        centre = (np.arange(m) + 0.5) * n / m - 0.5  # of new pixels, in old pixels
        old = np.arange(-20, n + 20)
        w = cubic(np.abs(centre[:, None] - old) / stretch, a)
        matrix = np.zeros((n, m))
        np.add.at(matrix, np.clip(old, 0, n - 1), (w / w.sum(axis=1, keepdims=True)).T)
        x = (matrix.T @ x).T  # transposed, so that the other axis is next
    return x


third = (a.shape[0] // 3, a.shape[1] // 3)
inside = np.s_[4:-4, 4:-4]
print("a = -0.5, antialias, against pysrcnn.imresize: ",
      np.abs(resize(a, third) - shrink(a))[inside].max())  # fmt: skip
print("a = -0.75, no antialias, against a[1::3, 1::3]:",
      np.abs(resize(a, third, -0.75, False) - a[1::3, 1::3]).max())  # fmt: skip

# %%
row([shrink(a), a[1::3, 1::3], np.abs(shrink(a) - a[1::3, 1::3]) * 2],
    ["antialiased", "every third pixel", "difference, twice"])  # fmt: skip

# %% [markdown]
# The one on the right of the two small ones looks sharper, and is wrong: its edges are jagged,
# and fine texture comes back as false coarse texture. No network trained on antialiased pictures
# has seen such.


# %%
def cubic_75(small, shape):
    """Bicubic with another cubic."""
    return resize(small, shape, -0.75)


def pillow(x, shape):
    """Bicubic of the library Pillow."""
    resized = Image.fromarray(x.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(resized, float)


mistake("no antialiasing", shrink=lambda y: y[1::3, 1::3])
mistake("no antialiasing, a = -0.75", shrink=lambda y: y[1::3, 1::3], enlarge=cubic_75)
mistake("corner pixel instead of middle", shrink=lambda y: y[::3, ::3])
mistake("scipy.ndimage.zoom", shrink=lambda y: ndimage.zoom(y, 1 / scale))
mistake("a = -0.75 for enlarging", enlarge=cubic_75)
mistake("Pillow's bicubic, in float",
        shrink=lambda y: pillow(y, (len(y) // scale, y.shape[1] // scale)),
        enlarge=pillow)  # fmt: skip

# %% [markdown]
# Without antialiasing, bicubic interpolation loses a decibel, and the network far more: it
# sharpens what it takes for blurred, and here that is aliasing. `y[::3, ::3]` is worse: each
# small pixel now stands for the corner of its square of nine and not for its middle, and the
# whole result is shifted by one pixel. We saw above what PSNR makes of a shift.
# `scipy.ndimage.zoom` puts the outermost pixels of both pictures onto one another, which shifts
# everything else a little, and does not antialias.
#
# A sharper cubic makes the bicubic baseline better and the network worse, as it was trained for
# the other one: the *gain*, which is what one wants to know, is off by more than either. And
# Pillow's resizer antialiases and has $a$ = -0.5: on arrays of floating point it is as good as
# MATLAB's.
#
# ## Mistakes around the network
#
# **Zeros at the edges.** To give a result as large as its input, each layer needs pixels beyond
# the edge. The authors repeat the outermost ones. Most frameworks put zeros, that is black,
# unless told otherwise. **Weights for another scale** run without complaint.


# %%
def zero_padded(low):
    """The network, with zeros around the input of each layer."""
    x = low[None, None].astype(np.float32)
    for k, (w, b) in enumerate(network.layers):
        p = w.shape[2] // 2
        x = kernels.conv2d(np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))), w, b)
        x = np.maximum(x, 0) if k < 2 else x
    return x[0, 0]


mistake("zeros at the edges", srcnn=zero_padded)
mistake("zeros, and borders not shaved", srcnn=zero_padded, shave=0)
for other in (2, 4):
    weights = pysrcnn.load("9-1-5", other)
    mistake(f"weights for x{other}", srcnn=lambda low, weights=weights: srcnn(low, weights))

# %% [markdown]
# **Not cropped.** 299 pixels shrunk by 3 make 100, rounded up. Enlarged back to 299, every small
# pixel is 2.99 wide: the picture is squeezed, and the error grows towards the right and the
# bottom. Our pictures have sides that 3 divides, so for once we take a row and a column off each.
# Enlarged by exactly 3 and then cut, it does no harm.


# %%
def one_less(y):
    """A side of the picture is no longer a multiple of 3."""
    return y[:-1, :-1]


def three_times(small, shape):
    """Enlarged by just 3, and cut."""
    return pysrcnn.imresize(small, scale=scale)[: shape[0], : shape[1]]


mistake("no crop, resized to the size", crop=one_less)
mistake("no crop, x3 and cut", crop=one_less, enlarge=three_times)

squeezed = enlarge(shrink(one_less(y)), one_less(y).shape)
errors = {
    "zeros at the edges": zero_padded(bicubic) - y,
    "right": srcnn(bicubic) - y,
    "not cropped": srcnn(squeezed) - one_less(y),
}
corner = np.s_[-60:, -60:]
row([255 * e[corner] for e in errors.values()], errors, bar=True, vmin=-60, vmax=60)
fig, ax = plt.subplots(figsize=(6.5, 2.6))
for name, error in errors.items():
    ax.plot(255 * np.sqrt(np.mean(error[20:-20] ** 2, axis=0)), lw=1, label=name)
ax.set(xlabel="column", ylabel="rms error (levels)", ylim=(0, 60))
ax.legend(ncols=3)
plt.show()

# %% [markdown]
# Errors of SRCNN in the lower right corner, grey being none, and along the columns of the whole
# picture (without the rows of the frame). Zeros put a frame around it: as wide as the filters
# reach, which is more than the three pixels that are shaved. The picture that was not cropped
# gets worse from left to right.
#
# ## Mistakes in averaging
#
# The tables have the mean of the PSNRs of the pictures. The PSNR of the mean MSE is another
# number. As the logarithm is concave it is never larger, and the pictures with large errors
# decide it.

# %%
mean_mse = np.mean(255**2 * 10 ** (-right / 10), axis=0)
of_mean = 10 * np.log10(255**2 / mean_mse)
off["PSNR of the mean MSE"] = of_mean - right.mean(axis=0)
print("mean PSNR:            bicubic {:.2f} dB   SRCNN {:.2f} dB".format(*right.mean(axis=0)))
print("PSNR of the mean MSE: bicubic {:.2f} dB   SRCNN {:.2f} dB".format(*of_mean))

# %% [markdown]
# ## All of them
#
# How far each is off, in the order of what it does to SRCNN's number, and what it makes of the
# gain over bicubic interpolation.

# %%
ordered = sorted(off, key=lambda name: off[name][1])
gain = right.mean(axis=0)[1] - right.mean(axis=0)[0]
print(f"{'dB':<34}{'bicubic':>9}{'SRCNN':>9}{'gain':>9}")
print(f"{'right':<34}{right.mean(axis=0)[0]:9.2f}{right.mean(axis=0)[1]:9.2f}{gain:9.2f}")
for name in ordered:
    low, ours = off[name]
    print(f"{name:<34}{low:+9.2f}{ours:+9.2f}{gain + ours - low:9.2f}")

fig, ax = plt.subplots(figsize=(7, 7))
places = np.arange(len(ordered))
for k, (label, colour) in enumerate([("bicubic", "silver"), ("SRCNN", "tab:blue")]):
    values = [off[name][k] for name in ordered]
    bars = ax.barh(places + 0.4 * k - 0.2, values, 0.38, color=colour, label=label)
    ax.bar_label(bars, [f"{v:+.2f}" for v in values], fontsize=7, padding=2)
ax.axvline(0, color="black", lw=0.8)
ax.set_yticks(places, ordered, fontsize=8)
ax.invert_yaxis()
ax.margins(x=0.1)
ax.set_xlabel("dB off")
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# Three kinds can be told apart, with exceptions.
#
# Mistakes in *comparing* mostly move both columns by about the same: the gain survives, the
# comparison with other people's tables does not. The exceptions are uint8, which spoils
# everything, and the PSNR of the mean MSE, which makes the gain too large: it is decided by the
# picture with the largest errors, where there is most to gain.
#
# Mistakes in *making the network's input*, in shrinking, enlarging or cropping, hurt the network
# more than bicubic interpolation, where they do any harm at all: it meets what it was not trained
# for. The sharper cubic even helps the one and hurts the other.
#
# Mistakes *around the network* leave the bicubic column as it is.
#
# So the first thing to check, before any network: does bicubic interpolation come out as in the
# paper? On Set5 it is 33.66, 30.39 and 28.42 dB at x2, x3 and x4. If it does, the measuring is
# right, and what is left is the network's own.
#
# <details><summary>
# <b>Question.</b> Somebody finds 29.1 dB for bicubic interpolation on Set5 at x3,
# and 31.0 for their network. What happened, and what should they have found?
# </summary>
#
# 1.3 dB below 30.39, as in the first of our mistakes: full-range Y. In BT.601's both numbers are
# about 1.3 higher, 30.4 and 32.3. The network is fine.
# </details>
#
# <details><summary>
# <b>Question.</b> And with 30.39 for bicubic interpolation, and 28.6 for a network
# that looks good on the screen?
# </summary>
#
# The measuring is right. Look at the error as a picture: a frame around it means zeros at the
# edges. If errors lie along all edges, compare the scale of the weights, and whether the network
# got the enlarged picture in 0..1.
# </details>
#
# <details><summary>
# <b>Question.</b> One mistake makes every network look better by decibels. Would you have
# noticed?
# </summary>
#
# The subtraction in uint8. The bicubic number gives it away: it is off by decibels too, and
# upwards. (Borders that are not shaved and results that are not rounded help as well, but by
# hundredths.) Numbers that are too good are checked less often than those that are too bad.
# </details>
#
# The next walkthrough measures something else: time.
