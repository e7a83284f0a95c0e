# %% [markdown]
# # 16. Motion: what a neighbour knows
#
# A video shows nearly the same thing again and again, and each frame samples it at other places. So
# what is missing in one frame may be in the next, provided that one knows to a fraction of a pixel
# where it has moved. Here you move a picture by a flow, derive the gradients of that operation,
# find a motion by gradient descent, and combine four small frames into a large one.
#
# You need: backpropagation (walkthrough 3). It helps to know what a frequency is (walkthrough 1).
# Time: half an hour.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

import pysrcnn
from pysrcnn import reference
from pysrcnn.data import luma
from pysrcnn.networks import VESPCN
from pysrcnn.pictures import read_picture
from pysrcnn.reference import pixel_shuffle, warp, warp_backward
from pysrcnn.training.optim import Adam

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")
cat = luma(read_picture(here / "pictures" / "cat.png"))  # (288, 408), in 0..1
rng = np.random.default_rng(16)

# %% [markdown]
# ## A flow, and what it does
#
# A *flow* has two numbers for each pixel: how far to the right, and how far down. To *warp* a
# picture by it, look up where the flow points for each pixel of the result, and take the value
# found there. (Pushing pixels along the flow would not work: some places would get two of them, and
# some none.)

# %%
part = cat[40:168, 60:188]
i, j = np.mgrid[:128, :128] - 63.5
angle, zoom = np.deg2rad(14), 0.8  # each pixel looks along a circle, and nearer to the middle
to_i = zoom * (np.cos(angle) * i - np.sin(angle) * j)
to_j = zoom * (np.sin(angle) * i + np.cos(angle) * j)
flow = np.stack([to_j - j, to_i - i])[None]  # (1, 2, H, W): to the right, down
turned = warp(part[None, None], flow)[0, 0]

fig, axes = plt.subplots(1, 3, figsize=(8.4, 3))
axes[0].imshow(part)
axes[0].set_title("picture")
axes[1].imshow(part, alpha=0.45)
some = np.s_[8::16, 8::16]
axes[1].quiver(j[some] + 63.5, i[some] + 63.5, flow[0, 0][some], flow[0, 1][some], color="C3",
               angles="xy", scale_units="xy", scale=1, width=0.007)  # fmt: skip
axes[1].set_title("where each pixel looks")
axes[2].imshow(turned)
axes[2].set_title("warped")
for ax in axes:
    ax.axis("off")
plt.show()

# %% [markdown]
# Most flows point between pixels. There the picture is interpolated *bilinearly* from the four
# surrounding pixels: at a fraction $a$ of the way to the right and $b$ of the way down, its value
# is
#
# $$
# (1 - b)\,[(1 - a)\, x_{00} + a\, x_{01}] + b\,[(1 - a)\, x_{10} + a\, x_{11}] .
# $$
#
# Each weight is the area of the rectangle on the *opposite* side.

# %%
four, a, b = part[20:22, 30:32], 0.7, 0.4
weights = np.array([[(1 - b) * (1 - a), (1 - b) * a], [b * (1 - a), b * a]])
by_hand = np.sum(weights * four)
pointing = np.zeros((1, 2, 128, 128))
pointing[0, :, 10, 10] = 20 + a, 10 + b  # pixel (10, 10) looks at row 20.4, column 30.7
taken = warp(part[None, None], pointing)[0, 0, 10, 10]
print(f"by hand {by_hand:.12f}, warp {taken:.12f}")
assert abs(by_hand - taken) < 1e-12

fig, ax = plt.subplots(figsize=(3.5, 3.3))
for (k, n), weight in np.ndenumerate(weights):
    left, width = (a, 1 - a) if n == 0 else (0, a)  # the rectangle on the other side
    top, height = (b, 1 - b) if k == 0 else (0, b)
    area = plt.Rectangle((left, top), width, height, fc=f"C{2 * k + n}", alpha=0.35, ec="white")
    ax.add_patch(area)
    ax.text(left + width / 2, top + height / 2, f"{weight:.2f}", ha="center", va="center")
    ax.plot(n, k, "o", ms=16, color=f"C{2 * k + n}")
    ax.text(n, k + (0.17 if k else -0.17), f"$x_{{{k}{n}}}$", ha="center", va="center")
ax.plot(a, b, "k*", ms=10)
ax.set(xlim=(-0.3, 1.3), ylim=(1.3, -0.3), aspect="equal")
ax.axis("off")
plt.show()

# %% [markdown]
# ## Backward
#
# For the picture: each of the four pixels gets `dout` times its weight. Several pixels of the
# result may look at the same place, and then their contributions add up. So the backward pass is
# the *adjoint* of warping, and must pass the dot-product test of walkthrough 3.
#
# For the flow: how does the result change if the flow points a little further to the right? From
# the formula above, the derivative by $a$ is
#
# $$
# (1 - b)\,(x_{01} - x_{00}) + b\,(x_{11} - x_{10}),
# $$
#
# the difference to the right, interpolated between the two rows. The derivative by $b$ is similar.
# Motion is learned from the slopes of the picture, and where the picture is flat, nothing can be
# learned.


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


x, field = rng.random((1, 2, 6, 7)), rng.uniform(-1.8, 1.8, (1, 2, 6, 7))
dout = rng.normal(size=x.shape)


def loss():
    """Return a loss behind the warp whose derivative is dout."""
    return np.sum(dout * warp(x, field))


dx, dfield = warp_backward(dout, x, field)
for name, derived, number in (
    ("dx", dx, measured(loss, x)),
    ("dflow", dfield, measured(loss, field)),
):
    off = np.abs(derived - number).max()
    print(f"{name:<6} up to {np.abs(derived).max():.3f}, off by {off:.0e}")
    assert off < 1e-7
other = rng.random(x.shape)
left, right = np.sum(warp(other, field) * dout), np.sum(other * dx)
print(f"dot products {left:.12f} and {right:.12f}")
assert abs(left - right) < 1e-12
outside = (np.arange(7) + field[0, 0] < 0) | (np.arange(7) + field[0, 0] > 6)
print(f"{outside.sum()} of {outside.size} point past the left or right edge: ", end="")
print(f"their gradient along it is {np.abs(dfield[0, 0][outside]).max()}")
assert (dfield[0, 0][outside] == 0).all()

# %% [markdown]
# A pixel that looks outside gets the nearest pixel of the edge, whichever way its flow changes, and
# learns nothing.
#
# <details><summary>
# <b>Question.</b> Where a flow points exactly at a pixel, what is the derivative?
# </summary>
#
# There is none: it is a kink, like that of ReLU at zero. On the right, the slope is the one to the
# next pixel; on the left, the one from the previous pixel. `warp_backward` takes the former. This
# matters more than with ReLU, as a flow of zero, from which one starts, points exactly at pixels
# everywhere.
# </details>
#
# ## A motion, found by descending
#
# Take two small frames of the cat. Between them it has moved 5 pixels of the large picture to the
# right and 2 up, so by $\frac53$ and $-\frac23$ of the small ones. Now we forget that, and look for
# one flow, the same for all pixels, that warps the second frame onto the first. Its gradient is the
# sum of the gradients of all pixels.

# %%
large, size = 3, 56
true = np.array([5, -2]) / large


def frame(right, down):
    """Return what a camera sees after moving so far: its pixels are means of 3 x 3."""
    top, left = 45 + down, 75 + right
    seen = cat[top : top + large * size, left : left + large * size]
    return seen.reshape(size, large, size, large).mean(axis=(1, 3))[None, None]


first, second = frame(0, 0), frame(-5, 2)  # a camera further left sees things further right


def constant(motion, like):
    """Return the flow with this motion at every pixel."""
    return np.broadcast_to(np.reshape(motion, (1, 2, 1, 1)), (1, 2, *like.shape[2:])).copy()


def missed(motion, first, second):
    """Return the squared error after warping, and its gradient by the two numbers."""
    flow = constant(motion, first)
    warped = warp(second, flow)
    dwarped = reference.mse_backward(warped, first)
    return reference.mse(warped, first), warp_backward(dwarped, second, flow)[1].sum(axis=(0, 2, 3))


def descend(start, first, second, steps=80):
    """Return the path of the descent from there, (steps + 1, 2)."""
    p = {"motion": np.array(start, float)}
    adam, way = Adam(p, 0.25), [p["motion"].copy()]
    for step in range(steps):
        _, dmotion = missed(p["motion"], first, second)
        adam.step({"motion": dmotion}, 1 - step / steps)
        way.append(p["motion"].copy())
    return np.array(way)


def coarse(x):
    """Reduce the resolution to an eighth at the same size."""
    return pysrcnn.imresize(pysrcnn.imresize(x[0, 0], scale=1 / 8), scale=8)[None, None]


starts = (0, 0), (-6, 5), (6.5, 3), (-5, -6.5)
grid = np.linspace(-8, 8, 33)
fig, axes = plt.subplots(1, 2, figsize=(8.2, 3.7))
ends = {}
for ax, name, pair in (
    (axes[0], "the frames as they are", (first, second)),
    (axes[1], "at an eighth of the resolution", (coarse(first), coarse(second))),
):
    valley = [[reference.mse(warp(pair[1], constant((u, v), first)), pair[0]) for u in grid]
              for v in grid]  # fmt: skip
    ax.contourf(grid, grid, np.sqrt(valley), 16, cmap="Blues_r")
    ends[name] = []
    for k, start in enumerate(starts):
        way = descend(start, *pair)
        ends[name].append(way[-1])
        ax.plot(*way.T, color=f"C{k % 2 * 2 + 1}", ls="-", lw=1.2)
        ax.plot(*way[0], "o", color=f"C{k % 2 * 2 + 1}", ms=5, mec="k", mew=0.4)
    ax.plot(*true, "*", color="white", ms=11, mec="k", mew=0.6)
    ax.set(xlabel="to the right (pixels)", title=name, aspect="equal")
    ax.set(xlim=(-8, 8), ylim=(8, -8))
axes[0].set_ylabel("down (pixels)")
plt.show()
for name, some in ends.items():
    print(f"{name}, it ends at\n    " + "  ".join(f"({u:.2f}, {v:.2f})" for u, v in some))
then = descend(ends["at an eighth of the resolution"][1], first, second)[-1]
print(f"from the second of these on the frames: ({then[0]:.3f}, {then[1]:.3f}), ", end="")
print(f"truth ({true[0]:.3f}, {true[1]:.3f})")
assert np.abs(then - true).max() < 0.1

# %% [markdown]
# The star is the true motion. Starting nearby, the descent finds it to within a few hundredths of a
# pixel. Starting farther away, it gets stuck in a ripple, where some hairs happen to lie on others.
# At an eighth of the resolution there are no hairs, and one wide valley leads to about the right
# place. So first descend coarsely, then finely from there. *That is the reason for VESPCN's two
# estimates*, and most methods of optical flow do the same.
#
# ## A flow for each pixel
#
# If each pixel has a flow of its own, things can move apart. In this scene an eye moves right and
# down, and the fur behind it moves left. We descend on all 2 x 48 x 48 numbers.

# %%
size = 48
round_piece = np.hypot(*(np.mgrid[:96, :96] - 47.5)) < 24


def scene(step):
    """Return the scene at half resolution; per step, the ground moves 3 left, the piece 4, 2."""
    ground = cat[:96, 170 + 3 * step : 266 + 3 * step]
    piece = np.roll(cat[62:158, 80:176], (2 * step, 4 * step), (0, 1))
    where = np.roll(round_piece, (2 * step, 4 * step), (0, 1))
    picture = np.where(where, piece, ground)
    return picture.reshape(size, 2, size, 2).mean(axis=(1, 3))[None, None]


first, second = scene(0), scene(1)
inside = round_piece[::2, ::2]
truth = np.where(inside, np.reshape([2, 1], (2, 1, 1)), np.reshape([-1.5, 0], (2, 1, 1)))


def estimate(smooth, steps=200):
    """Find the flow of each pixel by Adam; `smooth` is the weight of its roughness."""
    p = {"flow": np.zeros((1, 2, size, size))}
    adam = Adam(p, 0.1)
    for step in range(steps):
        warped = warp(second, p["flow"])
        dflow = warp_backward(reference.mse_backward(warped, first), second, p["flow"])[1]
        dflow = dflow + smooth * reference.smoothness_backward(p["flow"])
        adam.step({"flow": dflow}, 1 - step / steps)
    return p["flow"]


found = {f"weight {w:g}": estimate(w) for w in (0, 0.003, 0.3)}
flows = {"truth": truth, **{name: f[0] for name, f in found.items()}}
fig, axes = plt.subplots(2, 5, figsize=(9, 3.5))
for ax, (name, picture) in zip(axes[:, 0], {"first": first, "second": second}.items(), strict=True):
    ax.imshow(picture[0, 0], vmin=0, vmax=1)
    ax.set_title(name)
for column, (name, flow) in zip(axes[:, 1:].T, flows.items(), strict=True):
    for ax, part, text in zip(column, flow, ("to the right", "down"), strict=True):
        drawn = ax.imshow(part, cmap="RdBu", vmin=-2.5, vmax=2.5)
        ax.set_title(f"{name}\n{text}" if text != "down" else text)
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])
fig.colorbar(drawn, ax=axes, label="pixels", shrink=0.85)
plt.show()
off = {}
print("roughness     rms error after warping   flow off by, in the mean")
for name, flow in found.items():
    off[name] = np.hypot(*(flow[0] - truth))[4:-4, 4:-4].mean()
    rms = 255 * np.sqrt(reference.mse(warp(second, flow), first))
    print(f"{name:<14}{rms:14.2f} levels {off[name]:19.2f} pixels")
assert off["weight 0.003"] < 0.75 * min(off["weight 0"], off["weight 0.3"])

# %% [markdown]
# With nothing but the error, each pixel takes whatever fits: the error is small and the flow is
# nonsense, because a single pixel has one brightness and two unknowns. With too much weight on
# smoothness, everything moves alike. In between, each thing moves more or less as one, with an edge
# around it. The loss of VESPCN has the same two parts. Its penalty, $\sqrt{0.01 + |\nabla|^2}$,
# grows with a difference and not with its square, so that one sharp edge costs no more than a
# gradual slope.
#
# <details><summary>
# <b>Question.</b> Beside the eye, on the side towards which it moves, the ground of the first frame
# is covered in the second. What should the flow be there?
# </summary>
#
# There is no right flow: what is there in the first frame is nowhere in the second. Any flow brings
# something wrong, and whoever uses the warped frame has to notice. A network that sees both frames
# can: where they do not agree, it had better trust its own frame.
# </details>
#
# ## Why two frames hold more than one
#
# A frame samples the world at its pixels. A wave that goes up and down more than once in two pixels
# cannot be told from a slower one by these samples: this is *aliasing*. With one more sample,
# between the pixels, it can.

# %%
t = np.linspace(0, 8, 801)
at, between = np.arange(9), np.arange(8) + 0.5


def wave(t):
    """Return a wave of 0.7 periods per pixel."""
    return np.cos(2 * np.pi * 0.7 * t + 0.4)


def slow(t):
    """Return a wave of 0.3 periods, backwards: the same at all whole numbers."""
    return np.cos(2 * np.pi * 0.3 * t - 0.4)


fig, ax = plt.subplots(figsize=(7.6, 2.6))
ax.plot(t, wave(t), "C0-", lw=1, label="the world")
ax.plot(t, slow(t), "C1--", label="what one frame makes of it")
ax.plot(at, wave(at), "o", color="C1", ms=7, label="one frame")
ax.plot(between, wave(between), "s", color="C2", ms=6, label="another, half a pixel off")
ax.set(xlabel="pixels", ylim=(-1.2, 1.9), yticks=[-1, 0, 1])
ax.legend(ncols=4, loc="upper center")
plt.show()
print(f"at the pixels the two waves differ by {np.abs(wave(at) - slow(at)).max():.0e}, ", end="")
print(f"between them by up to {np.abs(wave(between) - slow(between)).max():.2f}")
assert np.allclose(wave(at), slow(at)) and np.abs(wave(between) - slow(between)).max() > 1

# %% [markdown]
# How much more is it, exactly? A frame is linear in the large picture, so it is a matrix with a row
# for each pixel of the frame. Several frames are several such matrices stacked on top of one
# another, and the *rank* is the number of independent things that they say. Take a large picture of
# 8 x 8, which is 64 numbers, and small ones of 4 x 4 from two cameras: the pixels of one are
# points, and those of the other average the light over their square.


# %%
def points(y):
    """Take every second pixel."""
    return y[..., ::2, ::2]


def squares(y):
    """Take the mean of each 2 x 2 pixels."""
    return (y[..., ::2, ::2] + y[..., 1::2, ::2] + y[..., ::2, 1::2] + y[..., 1::2, 1::2]) / 4


def seen(y, camera, shifts):
    """Return the frames of a camera that moves by (down, right) pixels of y, which is periodic."""
    return [camera(np.roll(y, (-down, -right), (-2, -1))) for down, right in shifts]


four = [(0, 0), (0, 1), (1, 0), (1, 1)]
sets = {
    "one frame": four[:1],
    "two, half a pixel apart": four[:2],
    "four, half a pixel apart": four,
    "four, whole pixels apart": [(0, 0), (0, 2), (2, 0), (2, 2)],
}
one_each = np.eye(64).reshape(64, 8, 8)
print("rank, of 64                 points   squares")
ranks = {}
for name, shifts in sets.items():
    ranks[name] = [
        np.linalg.matrix_rank(
            np.concatenate([s.reshape(64, 16) for s in seen(one_each, camera, shifts)], axis=1)
        )
        for camera in (points, squares)
    ]
    print(f"{name:<28}{ranks[name][0]:6}{ranks[name][1]:10}")
assert ranks["four, half a pixel apart"] == [64, 49]
assert ranks["four, whole pixels apart"] == ranks["one frame"] == [16, 16]

# %% [markdown]
# Four frames of points contain all of the large picture: their samples interleave. For squares a
# little is missing. (49 is 7 x 7. A pattern that alternates from pixel to pixel, along rows or
# columns, averages to zero over two pixels, wherever they lie.) Frames that are whole pixels apart
# add nothing, except that noise averages out.
#
# ## Four frames, put together
#
# Now the cat. The samples of the four frames go to the places where they belong, which is exactly
# the sub-pixel shuffle (walkthrough 11). What is left is the blur of the camera's pixels. It is the
# same everywhere, so it multiplies each frequency by a factor $B$, which we find by showing the
# camera a single bright pixel. To undo it, multiply by $\bar B / (|B|^2 + \epsilon)$, which is
# about $1 / B$ where $B$ is large, and zero where $B$ is zero. The third camera is the bicubic
# shrinking of all the other walkthroughs. It blurs *more*, so that there is little aliasing.


# %%
def bicubic(y):
    """Shrink by 2 as MATLAB does."""
    return pysrcnn.imresize(y, scale=1 / 2)


def combined(frames):
    """Interleave the four frames into one picture."""
    return pixel_shuffle(np.array(frames)[None], 2)[0, 0]


def sharpened(picture, camera, epsilon=0.003):
    """Undo the blur of that camera; a constant brightness stays as it is."""
    impulse = np.zeros(picture.shape)
    impulse[100, 100] = 1
    b = np.fft.fft2(np.roll(combined(seen(impulse, camera, four)), (-100, -100), (0, 1)))
    factor = (1 + epsilon) * b.conj() / (abs(b) ** 2 + epsilon)
    return np.fft.ifft2(np.fft.fft2(picture) * factor).real


def enlarged(small, offset):
    """Enlarge one frame by cubic interpolation; its pixels are off the large ones by `offset`."""
    places = np.meshgrid(*((np.arange(2 * n) - offset) / 2 for n in small.shape), indexing="ij")
    return ndimage.map_coordinates(small, places, order=3, mode="nearest")


def levels(x):
    """Round to 256 levels, as a file does."""
    return np.round(255 * np.clip(x, 0, 1)) / 255


def psnr(x, y=cat):
    """Return the PSNR without the border, where the picture wraps around."""
    return pysrcnn.psnr(255 * x, 255 * y, shave=16)


cameras = {"points": (points, 0), "squares": (squares, 0.5), "bicubic": (bicubic, 0.5)}
print("PSNR (dB)   cubic of one frame   four put together   8 bits, put together")
gain, shown = {}, {"original": cat}
for name, (camera, offset) in cameras.items():
    frames = seen(cat, camera, four)
    one = enlarged(frames[0], offset)
    all_four = sharpened(combined(frames), camera, 1e-5)
    of_files = sharpened(combined([levels(f) for f in frames]), camera)
    gain[name] = psnr(of_files) - psnr(one)
    print(f"{name:<12}{psnr(one):12.2f}{psnr(all_four):21.2f}{psnr(of_files):21.2f}")
    if name == "squares":
        shown |= {"cubic of one": one, "sorted in": combined(frames), "blur undone": of_files}
assert min(gain.values()) > 3

eye = np.s_[88:152, 108:172]
fig, axes = plt.subplots(1, 4, figsize=(8.4, 2.4))
for ax, (name, picture) in zip(axes, shown.items(), strict=True):
    ax.imshow(picture[eye], vmin=0, vmax=1)
    ax.set_title(name)
    ax.axis("off")
plt.show()

# %% [markdown]
# (314 dB means rounding errors only: the result is exact, since the points of a file are already
# whole levels.) The gain is many decibels, with no network and no prior: nothing has been guessed.
# This is the most that four frames can be worth, with ideal motions that are known exactly, and a
# camera that is known too. None of this holds for a video.
#
# How well must the motion be known? Let three of the four frames lie a little off from where we put
# them.

# %%
frequency = np.stack(np.meshgrid(*map(np.fft.fftfreq, cat.shape), indexing="ij"))


def moved(y, distance):
    """Move the picture down and right by that many pixels, also by fractions."""
    factor = np.exp(-2j * np.pi * distance * frequency.sum(axis=0))
    return np.fft.ifft2(np.fft.fft2(y) * factor).real


camera, offset = cameras["squares"]
distances = np.array([0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])  # of pixels of a frame
curves = {"blur undone": [], "blur undone, with care": []}
for distance in distances:
    astray = moved(cat, 2 * distance)
    frames = seen(cat, camera, four[:1]) + seen(astray, camera, four[1:])
    curves["blur undone"].append(psnr(sharpened(combined(frames), camera)))
    curves["blur undone, with care"].append(psnr(sharpened(combined(frames), camera, 0.1)))
alone = psnr(enlarged(squares(cat), offset))
fig, ax = plt.subplots(figsize=(6.6, 3))
for name, values in curves.items():
    ax.plot(distances, values, "o-" if name == "blur undone" else "s--", ms=4, label=name)
ax.axhline(alone, color="gray", ls=":", label="cubic of one frame")
ax.set(xlabel="how far off the motion is (pixels of a frame)", ylabel="PSNR (dB)")
ax.legend()
plt.show()
for name, values in curves.items():
    print(f"{name:<23}" + "".join(f"{value:6.1f}" for value in values))
assert curves["blur undone"][0] > alone + 3 and curves["blur undone"][-1] < alone

# %% [markdown]
# To about a tenth of a pixel. Beyond that, undoing the blur makes four frames worse than one, since
# it increases the differences between neighbouring samples, and here neighbouring samples come from
# different frames. With more care ($\epsilon$ of 0.1), less is gained and less is lost. How much
# care to take, and where, depends on the picture and on how certain the motion is. That is worth
# *learning*.
#
# ## VESPCN
#
# All of this is one network, trained as a whole (Caballero et al., 2017). For each neighbour of the
# middle frame, it makes a first estimate of the flow from maps of a quarter of the size, and warps
# the neighbour by it. A second, finer estimate is made from both frames, the first flow and the
# warped neighbour, and the neighbour is warped by the sum. Then comes an ESPCN (walkthrough 11),
# whose first layer sees three frames in the place of one.


# %%
def draw_network():
    """Draw the network for one of the two neighbours, from the frames to the enlarged one."""
    boxes = {
        "neighbour": (0, 2), "middle\nframe": (0, 0), "coarse": (2, 1), "warp ": (4, 2),
        "fine": (6, 1), "warp": (8, 2), "ESPCN": (10, 0), "shuffle": (12, 0),
    }  # fmt: skip
    links = {
        ("neighbour", "coarse"): 0, ("middle\nframe", "coarse"): 0, ("neighbour", "warp "): 0,
        ("coarse", "warp "): 1, ("coarse", "fine"): 1, ("warp ", "fine"): 0,
        ("middle\nframe", "fine"): 0, ("fine", "warp"): 1, ("warp", "ESPCN"): 0,
        ("middle\nframe", "ESPCN"): 0, ("ESPCN", "shuffle"): 0,
    }  # fmt: skip
    fig, ax = plt.subplots(figsize=(8.6, 2.7))
    for name, (x, y) in boxes.items():
        learned = name in ("coarse", "fine", "ESPCN")
        box = {"boxstyle": "round", "fc": "#f3c79b" if learned else "0.93", "ec": "0.3"}
        ax.text(x, y, name, ha="center", va="center", bbox=box, fontsize=9, zorder=3)
    for (start, end), is_flow in links.items():
        arrow = {"arrowstyle": "-|>", "color": "C3" if is_flow else "k", "lw": 1.1,
                 "shrinkA": 22, "shrinkB": 22}  # fmt: skip
        ax.annotate("", boxes[end], boxes[start], arrowprops=arrow, zorder=1)
    from_first = {"arrowstyle": "-|>", "color": "k", "lw": 1.1, "shrinkA": 26, "shrinkB": 18}
    from_first["connectionstyle"] = "arc3,rad=-0.18"
    ax.annotate("", boxes["warp"], boxes["neighbour"], arrowprops=from_first, zorder=1)
    ax.text(10, 2, "and the other\nneighbour likewise", ha="center", va="center", fontsize=8)
    ax.annotate("", boxes["ESPCN"], (10, 1.75), arrowprops={"arrowstyle": "-|>", "shrinkB": 14})
    ax.text(5, 0.62, "flow", color="C3", fontsize=8, ha="center")
    ax.set(xlim=(-1, 12.9), ylim=(-0.6, 3))
    ax.axis("off")
    plt.show()


draw_network()
network = VESPCN(scale=4, ops=reference)
sizes = {}
for name, array in network.parameters.items():
    place = next((k for k in ("coarse", "fine") if k in name), "ESPCN")
    sizes[place] = sizes.get(place, 0) + array.size
for place, count in sizes.items():
    print(f"{place:<8} {count:6} weights")
frames = np.float32([scene(k)[0, 0] for k in (-1, 0, 1)])[None]  # (1, 3, 48, 48)
print(f"three frames {frames.shape} -> one, enlarged: {network.forward(frames).shape}")

# %% [markdown]
# What is learned is orange, and flow is red. The derivative of warping is what makes it one
# network: if the warped neighbour is of no use to the ESPCN, the gradient comes back through it,
# along the slopes of the picture, to the flow and to the weights that estimated it. Nobody has to
# say what the right flow is. (`pysrcnn train clips/ -s 4 --recipe vespcn -o video.npz`
# trains such a network on folders of frames and on videos.)
#
# <details><summary>
# <b>Question.</b> The frames of films and of most cameras are blurred before they are sampled, and
# then compressed. Is there still something to be gained from neighbours?
# </summary>
#
# Less. Aliasing carries the new information. Without it, the frames are samples of one smooth
# function, and more samples of it only reduce the noise. In the table above, the camera that blurs
# most gains least. The paper gains about 0.3 dB from the neighbours, on four clips.
# </details>
#
# <details><summary>
# <b>Question.</b> A camera that stands still on a tripod takes ten frames of a house. What can one
# make of them?
# </summary>
#
# A picture with a third of the noise, but no more detail. If the camera moves a little between the
# frames, more: phones use the shake of the hand for this.
# </details>
