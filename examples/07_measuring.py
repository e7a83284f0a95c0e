# %% [markdown]
# # 7. PSNR, SSIM, and why people get the wrong number
#
# Somebody implements the paper, trains, measures, and ends up a decibel or two below its tables.
# Very often nothing is wrong with the network. The number depends on a dozen choices around it:
# which luminance, which bicubic interpolation, what happens at the borders, what is averaged. This
# walkthrough defines the two measures, then makes every one of these mistakes on purpose and
# measures what it costs.
#
# You need: means and variances; a rough idea of SRCNN (walkthrough 2). Time: twenty minutes.

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
# Take two pictures $a$ and $b$ with levels from 0 to 255. Their *mean squared error* is
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
# That is all. Nothing in it is about how we see.


# %%
def psnr(a, b, shave=0):
    """Return PSNR of levels 0..255, without `shave` pixels on each side."""
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
# A decibel is about a tenth of the error, wherever you start. How much is that to the eye? We take
# the error of bicubic interpolation and make it smaller, one or two decibels at a time.


# %%
def row(pictures, titles, width=1.7, bar=False, **show):
    """Show pictures side by side, all on the same grey scale."""
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
# One decibel is hard to see, even side by side; four are obvious. In the tables of super-resolution
# papers, methods that took years to find lie a few tenths apart. Such differences mean something
# when they are averaged over many pictures, all measured in exactly the same way. But a slip in
# measuring easily drowns them.
#
# ## Same PSNR, different pictures
#
# PSNR does not care where an error is or what it looks like. So let us spoil a picture in five
# ways, each just strong enough to give 24 dB (found by bisection).

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
# The brighter picture and the shifted one look perfect; you would not notice without the original.
# Dots and noise lie on top of a picture that is still complete. The blurred one has lost what
# mattered. To PSNR they are all the same.
#
# ## SSIM: means, contrasts, structure
#
# The *structural similarity* of Wang, Bovik, Sheikh and Simoncelli (2004) looks through a small
# window, 11 x 11 pixels with Gaussian weights, and compares three things at each position: the
# means $\mu$, the variances $\sigma^2$, and the covariance $\sigma_{ab}$, which says whether the
# two pictures go up and down together:
#
# $$
# \mathrm{SSIM} = \frac{2\mu_a\mu_b + C_1}{\mu_a^2 + \mu_b^2 + C_1} \cdot \frac{2\sigma_{ab} +
# C_2}{\sigma_a^2 + \sigma_b^2 + C_2} .
# $$
#
# Both factors are 1 if the windows are equal, and less otherwise. $C_1$ and $C_2$ are small
# constants for windows that are black or flat, where one would otherwise divide zero by zero. The
# number reported is the mean over all positions.


# %%
def ssim_map(a, b):
    """Return SSIM at each position of an 11 x 11 Gaussian window, levels 0..255."""
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
# SSIM forgives a change of brightness almost everywhere. It dislikes noise most of all, above all
# where the picture is flat: there the noise is the only structure. It also punishes the shift,
# which no eye would notice, because things no longer go up and down at the same place. So it is
# another opinion, not the truth.

# %%
three = ["brighter", "noise", "blurred"]
maps = [ssim_map(spoilt[name], a)[part] for name in three]
row(maps, [f"SSIM, {name}" for name in three], bar=True, vmin=0, vmax=1)

# %% [markdown]
# (White is 1. The brighter picture loses most in the dark parts, where the same number of levels is
# a larger part of the mean.)
#
# <details><summary>
# <b>Question.</b> Which would a network trained on the mean squared error prefer to output: a
# slightly blurred hair, or a sharp one that is one pixel off?
# </summary>
#
# The blurred one. A sharp hair in the wrong place costs twice: once where it is and should not be,
# and once where it should be and is not. A blurred hair costs a little wherever the true hair is.
# When the position is unknown, blurring is the safer bet. PSNR rewards exactly that, and
# walkthroughs 10 and 15 come back to it.
# </details>
#
# ## The protocol
#
# Now the part that papers rarely spell out. The tables of the SRCNN paper, and of papers before and
# after it, come from the following procedure. Here it is as one function, with everything that can
# go wrong as an argument:
#
# 1. luminance by BT.601 in *studio range*, black at 16 and white at 235, rounded to whole levels;
# 2. height and width cropped to multiples of the scale (*modcrop*);
# 3. shrunk by MATLAB's `imresize`, bicubic, *with antialiasing*, and not rounded;
# 4. enlarged back to the size of step 2, bicubic, and the network applied to that;
# 5. clipped and rounded to whole levels;
# 6. *shaved*: as many pixels as the scale are left out on each side;
# 7. PSNR with peak 255 for each picture; then the mean over the pictures.


# %%
def luminance(picture):
    """Return Y of BT.601 in studio range, rounded to levels, in 0..1."""
    return np.floor(255 * color.rgb_to_luma(picture / 255) + 0.5) / 255


def crop(y):
    """Remove the last rows and columns, so that the scale divides the height and width."""
    return y[: len(y) // scale * scale, : y.shape[1] // scale * scale]


def shrink(y):
    """Shrink by MATLAB's bicubic, with antialiasing."""
    return pysrcnn.imresize(y, scale=1 / scale)


def enlarge(small, shape):
    """Enlarge by MATLAB's bicubic."""
    return pysrcnn.imresize(small, shape=shape)


def srcnn(low, network=network):
    """Apply the network, which repeats the outermost pixels at the edges."""
    return network.forward(low[None, None].astype(np.float32))[0, 0]


def to_levels(x):
    """Convert 0..1 to levels 0..255, clipped and rounded."""
    return np.floor(255 * np.clip(x, 0, 1).astype(float) + 0.5)


# %%
def measure(
    luminance=luminance, crop=crop, shrink=shrink, enlarge=enlarge,
    srcnn=srcnn, to_levels=to_levels, shave=scale, psnr=psnr,
):  # fmt: skip
    """Return PSNR of the three pictures (rows), bicubic and SRCNN (columns)."""
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
# This agrees with `pysrcnn evaluate`, and with the paper: by this procedure, bicubic interpolation
# has 30.39 dB on Set5 at x3, as in the paper's tables. From here on we change one thing at a time.

# %%
off = {}  # name: how many dB bicubic and SRCNN are off, averaged over the pictures


def mistake(name, **changed):
    """Measure with one thing changed, and print how far the results are off."""
    off[name] = np.round((measure(**changed) - right).mean(axis=0), 2) + 0.0  # no -0.00
    print(f"{name:<34} bicubic {off[name][0]:+6.2f} dB   SRCNN {off[name][1]:+6.2f} dB")


# %% [markdown]
# ## Mistakes in comparing
#
# **The luminance of JPEG.** Most libraries' conversions to YCbCr or grey let Y range from 0 to 255.
# In BT.601's studio range, the same picture has levels from 16 to 235, so all differences are
# smaller by a factor of 219/255, while the peak is still taken to be 255. **RGB**, comparing all
# three channels, has the full range too, and each channel has errors of its own.


# %%
def full_range(picture):
    """Return Y from 0 to 255, as in JPEG files."""
    return np.round(255 * color.rgb_to_ycbcr_full(picture / 255)[:, :, 0]) / 255


def rgb(picture):
    """Return all three channels instead of luminance."""
    return picture / 255


def srcnn_in_colour(low):
    """Enlarge as in the paper: Y by the network, Cb and Cr by bicubic interpolation."""
    ycbcr = color.rgb_to_ycbcr(low)
    ycbcr[:, :, 0] = srcnn(ycbcr[:, :, 0])
    return color.ycbcr_to_rgb(ycbcr)


mistake("full-range Y (JPEG)", luminance=full_range)
mistake("PSNR of RGB", luminance=rgb, srcnn=srcnn_in_colour)
print(f"\nthe range alone: {20 * np.log10(219 / 255):.2f} dB")

# %% [markdown]
# This is the decibel that most people miss. The network is no worse; the ruler is different.
#
# **uint8 minus uint8** stays uint8: 3 - 5 is 254, and squares are taken modulo 256 as well. There
# is no error and no warning, only a plausible number. Then there are the harmless mistakes: borders
# not shaved, results not rounded, the small picture rounded to whole levels as in a file.


# %%
def psnr_wrapping(a, b, shave):
    """Compute PSNR without converting uint8, so that differences wrap around."""
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
# Rounding moves a number by something between -1/2 and 1/2, evenly distributed, with a mean square
# of 1/12. This adds to the MSE, which is 65 at 30 dB. So PSNR falls by
# $10 \log_{10}(1 + 1/(12 \cdot 65))$ = 0.006 dB. At 50 dB it would be half a decibel.
# </details>
#
# ## Mistakes in making the small picture
#
# When it shrinks, MATLAB's `imresize` stretches the cubic by the scale, so that all pixels count:
# this is *antialiasing*. Many other resizers do not stretch it. For each new pixel, they take the
# value of the interpolated picture at one point. At an odd scale that point is a pixel, so all
# "bicubic" shrinking by 3 amounts to keeping the middle pixel of nine. Let us write such a resizer,
# with the cubic's parameter $a$ as an argument: Keys and MATLAB have -0.5, some others -0.75.


# %%
def cubic(t, a):
    """Return the cubic at a distance of t >= 0 pixels."""
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    return np.where(t <= 1, near, np.where(t < 2, a * (t**3 - 5 * t**2 + 8 * t - 4), 0))


def resize(x, shape, a=-0.5, antialias=True):
    """Resize by a bicubic, along columns and then along rows; edges are repeated."""
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
# Of the two small pictures, the one on the right looks sharper, but it is wrong: its edges are
# jagged, and fine texture comes back as false coarse texture. A network trained on antialiased
# pictures has never seen anything like it.


# %%
def cubic_75(small, shape):
    """Enlarge by a bicubic with a = -0.75."""
    return resize(small, shape, -0.75)


def pillow(x, shape):
    """Resize by the bicubic of the library Pillow."""
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
# Without antialiasing, bicubic interpolation loses a decibel, and the network far more: it sharpens
# what it takes for blur, and here that is aliasing. `y[::3, ::3]` is worse: each small pixel now
# stands for the corner of its 3 x 3 square instead of its middle, so the whole result is shifted by
# one pixel. We saw above what a shift does to PSNR. `scipy.ndimage.zoom` aligns the outermost
# pixels of both pictures, which shifts everything else a little, and does not antialias.
#
# A sharper cubic makes the bicubic baseline better and the network, which was trained for the other
# cubic, worse. So the *gain*, which is what one wants to know, is off by more than either. Pillow's
# resizer, on the other hand, antialiases and has $a$ = -0.5: on floating-point arrays it is as good
# as MATLAB's.
#
# ## Mistakes around the network
#
# **Zeros at the edges.** To give a result as large as its input, each layer needs pixels beyond the
# edge. The authors repeat the outermost ones. Most frameworks, unless told otherwise, insert zeros,
# which are black. **Weights for another scale** run without complaint.


# %%
def zero_padded(low):
    """Apply the network, with zeros around the input of each layer."""
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
# **Not cropped.** Shrinking 299 pixels by 3 gives 100, rounded up. Enlarged back to 299, every
# small pixel is 2.99 wide: the picture is squeezed, and the error grows towards the right and the
# bottom. Our pictures have sides divisible by 3, so for this test we take a row and a column off
# each. If the small picture is enlarged by exactly 3 and then cut, there is no harm.


# %%
def one_less(y):
    """Remove a row and a column, so that the sides are no longer multiples of 3."""
    return y[:-1, :-1]


def three_times(small, shape):
    """Enlarge by exactly 3, and cut."""
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
# The pictures show SRCNN's errors in the lower right corner (grey is no error), and the plot shows
# them along the columns of the whole picture (without the rows of the frame). Zeros put a frame of
# errors around it, as wide as the filters reach, which is more than the three pixels that are
# shaved. The picture that was not cropped gets worse from left to right.
#
# ## Mistakes in averaging
#
# The tables give the mean of the pictures' PSNRs. The PSNR of the mean MSE is another number.
# Because the logarithm is concave, it is never larger, and it is dominated by the pictures with
# large errors.

# %%
mean_mse = np.mean(255**2 * 10 ** (-right / 10), axis=0)
of_mean = 10 * np.log10(255**2 / mean_mse)
off["PSNR of the mean MSE"] = of_mean - right.mean(axis=0)
print("mean PSNR:            bicubic {:.2f} dB   SRCNN {:.2f} dB".format(*right.mean(axis=0)))
print("PSNR of the mean MSE: bicubic {:.2f} dB   SRCNN {:.2f} dB".format(*of_mean))

# %% [markdown]
# ## All of them
#
# For each mistake, this shows how far the numbers are off, in the order of its effect on SRCNN's
# number, and what becomes of the gain over bicubic interpolation.

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
# There are three kinds of mistakes, with exceptions.
#
# Mistakes in *comparing* mostly move both columns by about the same amount: the gain survives, but
# the comparison with other people's tables does not. The exceptions are uint8, which spoils
# everything, and the PSNR of the mean MSE, which makes the gain too large: it is dominated by the
# picture with the largest errors, where there is most to gain.
#
# Mistakes in *making the network's input*, that is, in shrinking, enlarging or cropping, hurt the
# network more than bicubic interpolation, if they do any harm at all: the network meets input it
# was not trained for. The sharper cubic even helps bicubic interpolation and hurts the network.
#
# Mistakes *around the network* leave the bicubic column as it is.
#
# So the first thing to check, before any network, is whether bicubic interpolation gives the
# paper's numbers. On Set5 they are 33.66, 30.39 and 28.42 dB at x2, x3 and x4. If it does, the
# measurement is right, and any remaining difference is the network's own.
#
# <details><summary>
# <b>Question.</b> Somebody finds 29.1 dB for bicubic interpolation on Set5 at x3, and 31.0 dB for
# their network. What happened, and what should they have found?
# </summary>
#
# Their bicubic number is 1.3 dB below 30.39, as in the first of our mistakes: full-range Y. With
# BT.601's luminance, both numbers would be about 1.3 dB higher, 30.4 and 32.3. The network is fine.
# </details>
#
# <details><summary>
# <b>Question.</b> And if they find 30.39 dB for bicubic interpolation, but 28.6 dB for a network
# whose results look good on the screen?
# </summary>
#
# The measurement is right. Look at the error as a picture: a frame around it means zeros at the
# edges. If the errors lie along all edges, check that the weights are for this scale, and that the
# network was given the enlarged picture, in 0..1.
# </details>
#
# <details><summary>
# <b>Question.</b> One mistake makes every network look better by decibels. Would you have
# noticed?
# </summary>
#
# It is the subtraction in uint8. The bicubic number gives it away: it is off by decibels too, and
# upwards. (Unshaved borders and unrounded results help as well, but only by hundredths.) Numbers
# that are too good are checked less often than numbers that are too bad.
# </details>
#
# The next walkthrough measures something else: time.
