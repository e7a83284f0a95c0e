# %% [markdown]
# # 3. Backprop by hand
#
# Training changes every weight a little, in the direction that makes the error smaller. For that
# one needs the derivative of the error with respect to every weight: the *gradient*. For 8032
# weights that sounds like a lot of work. It is one pass through the network, backwards, and here
# you derive each of its steps, compute it, and check it by a method that knows nothing of
# derivations.
#
# You need: the chain rule, and walkthrough 2. Time: twenty minutes.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pysrcnn import reference
from pysrcnn.reference import col2im, conv2d, im2col, relu

here = Path(__file__).parent if "__file__" in globals() else Path()
plt.style.use(here / "walkthroughs.mplstyle")

rng = np.random.default_rng(11)
low = rng.random((1, 1, 11, 11))  # the input: one picture, one channel, 11 x 11
shapes = [(4, 1, 3, 3), (3, 4, 1, 1), (1, 3, 3, 3)]  # a 3-1-3 network, 4 and 3 filters
layers = [(rng.normal(0, 0.5, shape), rng.normal(0, 0.1, shape[0])) for shape in shapes]
high = rng.random((1, 1, 7, 7))  # what should come out

# %% [markdown]
# A small network, with random numbers for pictures: a derivative is right for any numbers or for
# none. Each number is a float64, of some 16 digits; a check needs digits.
#
# ## The whole as a graph
#
# The network is a chain of steps, and each knows only its own input and output. At the end is one
# number, the loss $L$: the mean of the squared errors.


# %%
def draw_graph(names):
    """Boxes in a row: the values go to the right, the gradients come back."""
    fig, ax = plt.subplots(figsize=(9, 2.3))
    for k, name in enumerate(names):
        box = {"boxstyle": "round", "fc": "C1" if "conv" in name else "0.9", "alpha": 0.6}
        ax.text(2 * k, 0, name, ha="center", va="center", bbox=box, fontsize=9)
        if k:
            ax.annotate("", (2 * k - 0.6, 0.35), (2 * k - 1.4, 0.35), arrowprops={"fc": "k"})
            back = {"ec": "C3", "fc": "C3"}
            ax.annotate("", (2 * k - 1.4, -0.35), (2 * k - 0.6, -0.35), arrowprops=back)
        if "conv" in name:
            ax.text(2 * k, 1, "W, B", ha="center", fontsize=9)
            ax.text(2 * k, -1.2, "dW, dB", ha="center", color="C3", fontsize=9)
            ax.plot([2 * k, 2 * k], [0.45, 0.9], "k-", lw=1)
            ax.plot([2 * k, 2 * k], [-0.85, -0.45], "C3", ls="-", lw=1)
    ax.set(xlim=(-1, 2 * len(names) - 1), ylim=(-1.4, 1.5))
    ax.axis("off")
    plt.show()


draw_graph(["low", "conv 1", "ReLU", "conv 2", "ReLU", "conv 3", "loss", "L"])

# %% [markdown]
# Black: values, from left to right. Red: gradients, from right to left. We write `dx` for
# $\partial L / \partial x$, an array of the shape of $x$: by how much $L$ grows for a little more
# of each element. Every box gets `dout`, for its output, from its right neighbour. It has to
# answer two questions: what is `dx`, for its input (to be handed on to the left), and what are
# `dW` and `dB`, for its own weights?
#
# ## The judge
#
# A derivative can also be measured. Move one number by a small $h$ both ways:
#
# $$
# \frac{\partial L}{\partial x} \approx \frac{L(x + h) - L(x - h)}{2h},
# $$
#
# the *central difference*. It takes two passes through the network for *each* number: too slow to
# train by, but it cannot be wrong in the same way as a derivation.


# %%
def measured(function, x, h=1e-6):
    """The gradient of function() with respect to the array x, by central differences."""
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        keep = x[place]
        x[place] = keep + h
        ahead = function()
        x[place] = keep - h
        behind = function()
        x[place] = keep
        gradient[place] = (ahead - behind) / (2 * h)
    return gradient


def check(name, derived, numerical):
    """Print how far two gradients are apart."""
    off = np.abs(derived - numerical).max()
    print(f"{name:<14} {derived.shape!s:<15} up to {np.abs(derived).max():6.3f}, off by {off:.0e}")


# %% [markdown]
# ## The loss
#
# $$
# L = \frac1n \sum_i (p_i - t_i)^2, \qquad
# \frac{\partial L}{\partial p_i} = \frac{2}{n} (p_i - t_i)
# $$
#
# for the prediction $p$ and the target $t$: only one term of the sum contains $p_i$.

# %%
prediction = rng.random((1, 1, 7, 7))
dprediction = 2 / prediction.size * (prediction - high)
check("loss", dprediction, measured(lambda: np.mean((prediction - high) ** 2), prediction))

# %% [markdown]
# ## ReLU
#
# $\max(0, x)$ has slope 1 where $x$ is positive, and 0 where it is negative. So `dout` passes or
# is stopped, element by element.
#
# To measure the gradient of something whose output is not one number, we need a loss behind it.
# We take a random `dout`, and $L = \sum \text{dout} \cdot \text{out}$, of which `dout` is the
# derivative.

# %%
x = rng.normal(size=(1, 4, 9, 9))
dout = rng.normal(size=x.shape)
dx = np.where(x > 0, dout, 0)
check("ReLU", dx, measured(lambda: np.sum(dout * relu(x)), x))

# %% [markdown]
# ## The convolution
#
# With the patches as columns it is a matrix product (walkthrough 2), for filter $o$ and place
# $p$:
#
# $$
# \begin{gathered}
# \text{out} = W \cdot \text{cols} + b, \\
# \text{out}_{op} = \sum_k W_{ok} \, \text{cols}_{kp} + b_o.
# \end{gathered}
# $$
#
# The bias $b_o$ is added at all places. Moving it by a little moves all of $\text{out}_{op}$ in
# row $o$, and the effects add up. The weight $W_{ok}$ appears in row $o$ at each place $p$, with
# $\text{cols}_{kp}$ as its factor. And $\text{cols}_{kp}$ appears in column $p$ for each filter
# $o$, with $W_{ok}$ as its factor:
#
# $$
# \begin{gathered}
# db_o = \sum_p \text{dout}_{op}, \\
# dW_{ok} = \sum_p \text{dout}_{op} \, \text{cols}_{kp}, \\
# d\text{cols}_{kp} = \sum_o W_{ok} \, \text{dout}_{op}.
# \end{gathered}
# $$
#
# The last two are matrix products again:
#
# $$
# dW = \text{dout} \cdot \text{cols}^T, \qquad d\text{cols} = W^T \cdot \text{dout}.
# $$
#
# If you forget which one is transposed: only one way do the shapes fit.

# %%
x, w, b = rng.normal(size=(1, 2, 6, 6)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
dout = rng.normal(size=(1, 3, 4, 4))
rows, cols, dout_rows = w.reshape(3, 18), im2col(x, 3)[0], dout.reshape(3, 16)

db = dout_rows.sum(axis=1)
dw_rows = dout_rows @ cols.T
dcols = rows.T @ dout_rows


# %%
def draw_product(a, b, c, names):
    """Three matrices as pictures: a times b is c."""
    widths = [m.shape[1] for m in (a, b, c)]
    fig, axes = plt.subplots(1, 3, figsize=(7, 2.6), width_ratios=widths)
    for ax, m, name in zip(axes, (a, b, c), names, strict=True):
        far = np.abs(m).max()
        ax.imshow(m, vmin=-far, vmax=far)
        ax.set_title(f"{name}\n{m.shape[0]} x {m.shape[1]}")
        ax.set(xticks=[], yticks=[])
    plt.show()


draw_product(rows, cols, rows @ cols, ["W", "times cols", "is out (without b)"])
draw_product(dout_rows, cols.T, dw_rows, ["dout", "times cols, transposed", "is dW"])
draw_product(rows.T, dout_rows, dcols, ["W, transposed", "times dout", "is dcols"])

# %% [markdown]
# ## From the patches back to the pixels
#
# `dcols` has a gradient for each element of each *patch*. But the elements of patches are copies
# of pixels: one pixel is in up to nine patches. Moving it moves all its copies, so their
# gradients add up. That is `col2im`: put each column back where it was taken from, and add.
#
# There is a better way to see it. `im2col` only copies numbers, so it is linear: a matrix of
# zeros and ones times all pixels. For a 5 x 5 picture and 3 x 3 patches, a matrix of 81 rows and
# 25 columns. And $\text{cols} = M x$ gives $dx = M^T d\text{cols}$, by the same argument as
# above. The transposed matrix is called the *adjoint*. `col2im` is the adjoint of `im2col`.

# %%
pixels = np.eye(25).reshape(25, 1, 5, 5)  # 25 pictures, each with a single pixel of 1
M = im2col(pixels, 3).reshape(25, 81).T
elements = np.eye(81).reshape(81, 9, 9)  # 81 matrices, each with a single element of 1
M_adjoint = col2im(elements, (81, 1, 5, 5), 3).reshape(81, 25).T
count = col2im(im2col(np.ones((1, 1, 5, 5)), 3), (1, 1, 5, 5), 3)[0, 0]
print("col2im is im2col, transposed:", np.array_equal(M_adjoint, M.T))

fig, axes = plt.subplots(1, 3, figsize=(9, 3), width_ratios=[2.4, 1, 1.3])
axes[0].imshow(M.T, cmap="Greys")
axes[0].set(title="col2im: 25 pixels from 81 elements", xlabel="element", ylabel="pixel")
axes[1].imshow(M, cmap="Greys")
axes[1].set(title="im2col", xlabel="pixel", ylabel="element")
axes[2].imshow(count, cmap="Blues", vmax=14)
for (i, j), value in np.ndenumerate(count):
    axes[2].text(j, i, f"{value:g}", ha="center", va="center")
axes[2].set(title="patches a pixel is in", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Nobody writes such a matrix down for a real picture. And one need not, to check an adjoint. For
# *all* $x$ and $y$, the dot products $\langle Mx, y \rangle$ and $\langle x, M^T y \rangle$ are
# the same number. So take random ones, apply both functions, and compare: the *dot-product test*.
# It needs no step size, and is exact up to rounding.

# %%
a, y = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(2, 27, 30))
left, right = np.sum(im2col(a, 3) * y), np.sum(a * col2im(y, a.shape, 3))
print(f"im2col, col2im:   {left:.12f}  {right:.12f}")

y = rng.normal(size=(2, 3, 12, 11))
left = np.sum(reference.pad_replicate(a, 2) * y)
right = np.sum(a * reference.pad_replicate_backward(y, 2))
print(f"pad_replicate:    {left:.12f}  {right:.12f}")
print(f"if it only cut:   {left:.12f}  {np.sum(a * y[:, :, 2:-2, 2:-2]):.12f}")

# %% [markdown]
# The last line is a mistake that is easily made: the backward of padding is not to cut the
# padding off. What came into the copies has to go back to the border's pixels. The test sees it
# at once.
#
# Now all three gradients of a convolution:

# %%
dx = col2im(dcols[None], x.shape, 3)


def loss_behind():
    """A loss behind the convolution, of which dout is the derivative."""
    return np.sum(dout * conv2d(x, w, b))


check("bias", db, measured(loss_behind, b))
check("weights", dw_rows.reshape(w.shape), measured(loss_behind, w))
check("input", dx, measured(loss_behind, x))
ours, theirs = (dx, dw_rows.reshape(w.shape), db), reference.conv2d_backward(dout, x, w)
print("as reference.conv2d_backward:", all(map(np.array_equal, ours, theirs)))

# %% [markdown]
# Is there a filter in this? A pixel has been *collected* by filters around it; the gradient is
# *spread* back. That is a convolution with the flipped filters, the roles of channels and filters
# swapped, on a `dout` with zeros around it:

# %%
around = np.pad(dout, ((0, 0), (0, 0), (2, 2), (2, 2)))
swapped = np.ascontiguousarray(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
again = conv2d(around, swapped, np.zeros(2))
print(f"{around.shape} -> {again.shape}, differs from dx by {np.abs(again - dx).max():.0e}")

# %% [markdown]
# ## The whole, in a dozen lines
#
# Forward, keeping what each layer was given, then backward. Going from right to left, `dout` is
# multiplied by one matrix after the other, and nothing is computed twice: that is all there is to
# *backpropagation*.


# %%
def loss_and_gradients(low, high, layers):
    """Of one picture; all that was derived above."""
    x, inputs, gradients = low, [], []
    for k, (w, b) in enumerate(layers):
        inputs.append(x)
        x = conv2d(x, w, b)
        x = relu(x) if k < len(layers) - 1 else x
    dout = 2 / x.size * (x - high)
    for x_in, (w, _) in zip(reversed(inputs), reversed(layers), strict=True):
        rows, dout = w.reshape(len(w), -1), dout.reshape(1, len(w), -1)  # one picture
        dw = dout[0] @ im2col(x_in, w.shape[2])[0].T
        gradients.insert(0, (dw.reshape(w.shape), dout[0].sum(axis=1)))
        dx = col2im(rows.T @ dout, x_in.shape, w.shape[2])
        dout = np.where(x_in > 0, dx, 0)  # x_in is the output of a ReLU
    return np.mean((x - high) ** 2), gradients


loss, gradients = loss_and_gradients(low, high, layers)
their_loss, their_gradients = reference.loss_and_gradients(low, high, layers)
print(f"loss {loss:.6f}, reference.loss_and_gradients {their_loss:.6f}")
for k, (ours, theirs) in enumerate(zip(gradients, their_gradients, strict=True), 1):
    print(f"layer {k}: differ by {max(np.abs(a - b).max() for a, b in zip(ours, theirs)):.0e}")


# %%
def current_loss():
    """The network and the loss by the package's functions."""
    return reference.mse(reference.forward(low, layers, "valid"), high)


for k, (parameters, derived) in enumerate(zip(layers, gradients, strict=True), 1):
    for name, array, gradient in zip("WB", parameters, derived, strict=True):
        check(f"{name}{k}", gradient, measured(current_loss, array))

# %% [markdown]
# <details><summary>
# <b>Question.</b> At the end of the loop, <code>dout</code> is computed for the input of
# layer 1 as well. What could that be good for?
# </summary>
#
# For nothing in training, where the picture is not changed. (And as the picture is not the output
# of a ReLU, the last line should be left out for it; `reference` does.) The gradient with
# respect to the picture says which pixels the loss depends on, and how.
# </details>
#
# ## The step
#
# The derived gradients are good to some $10^{-16}$; the measured ones differ by a million times
# that. Is that the step $h$? Move *all* weights at once along a random direction $v$, and compare
# the measured slope with the derived one, $\langle \text{gradient}, v \rangle$, for many $h$.
# (This is also how to check a network of any size, by two passes only.)

# %%
direction = [tuple(rng.normal(0, 0.3, p.shape) for p in layer) for layer in layers]


def moved(t, dtype=np.float64):
    """The layers after t steps in that direction."""
    pairs = [zip(layer, v, strict=True) for layer, v in zip(layers, direction, strict=True)]
    return [tuple((p + t * v).astype(dtype) for p, v in pair) for pair in pairs]


def along(t, dtype=np.float64):
    """The loss there, all of it computed in that dtype."""
    out = reference.forward(low.astype(dtype), moved(t, dtype), "valid")
    return float(np.mean(np.square(out - high.astype(dtype))))


def slope(t):
    """Its derivative there, by backpropagation."""
    _, gradients = reference.loss_and_gradients(low, high, moved(t))
    return sum(np.sum(g * v) for gs, vs in zip(gradients, direction, strict=True)
               for g, v in zip(gs, vs, strict=True))  # fmt: skip


steps = np.logspace(-12, 0, 97)
errors = {
    "one-sided": [(along(h) - along(0)) / h - slope(0) for h in steps],
    "central, float32": [
        (along(h, np.float32) - along(-h, np.float32)) / (2 * h) - slope(0) for h in steps
    ],
    "central": [(along(h) - along(-h)) / (2 * h) - slope(0) for h in steps],
}
fig, ax = plt.subplots(figsize=(7, 4))
for name, error in errors.items():
    ax.loglog(steps, np.abs(error), marker=".", lw=1, ms=4, label=name)
ax.loglog(steps, np.finfo(float).eps / steps, "k:", lw=1, label="eps / h")
ax.loglog(steps[40:80], steps[40:80] ** 2, "k--", lw=1, label="$h^2$")
ax.set(xlabel="step h", ylabel="error of the measured slope", ylim=(1e-13, 10))
ax.legend()
plt.show()
best = np.argmin(np.abs(errors["central"]))
print(f"slope {slope(0):.4f}, best h {steps[best]:.0e}, error {abs(errors['central'][best]):.0e}")

# %% [markdown]
# A V, and a cliff on its right. The V has two sides, each with a reason:
#
# - *Too large* a step measures the slope of a chord and not of the curve. By Taylor's series,
#   $\frac{L(h) - L(-h)}{2h} = L' + \frac{h^2}{6} L^{(3)} + \dots$: the error grows as $h^2$.
#   One-sided, $\frac{L(h) - L(0)}{h} = L' + \frac{h}{2} L'' + \dots$ is much worse: it grows as
#   $h$.
# - *Too small* a step subtracts two nearly equal numbers. Each is rounded, and off by about
#   $\epsilon = 2 \cdot 10^{-16}$ times its size; divided by $2h$, that is an error of about
#   $\epsilon / h$.
#
# The sum $\epsilon / h + h^2$ is least where both are about equal, near
# $h = \epsilon^{1/3} \approx 6 \cdot 10^{-6}$. There it is some
# $\epsilon^{2/3} \approx 4 \cdot 10^{-11}$. Ours is better, and the plot shows why: on the right,
# the errors lie far below the dashed line, so the factor before $h^2$, which is $L^{(3)} / 6$, is
# small along our direction. The sum is then least at a larger $h$, and smaller.
#
# In larger networks sums are longer, and rounded more often, so expect $10^{-9}$ of the gradient.
# A real mistake, a forgotten factor or a flipped filter, is mostly off by as much as the gradient
# itself. And in float32, with $\epsilon = 10^{-7}$, nothing can be checked well: check in float64,
# whatever you train in.
#
# <details><summary>
# <b>Question.</b> Move a single weight, and not all: how does the error of central differences
# grow with <i>h</i> then?
# </summary>
#
# It does not. Each layer is linear in its weights, and so the prediction is linear in a *single*
# weight (as long as no ReLU switches), and the loss a parabola. $L^{(3)}$ is zero. Central
# differences are exact for parabolas, up to rounding. Along a direction in the weights of all
# three layers the loss is a polynomial of degree 6.
# </details>
#
# ## Kinks
#
# And the cliff? ReLU has no derivative at zero: there is a kink. If it lies between $-h$ and $h$,
# the chord goes over it, and its slope belongs to neither side. For a single ReLU:

# %%
h = 1e-3
for x in (0.3 * h, 2 * h, 0.0):
    numerical = (relu(x + h) - relu(x - h)) / (2 * h)
    backward = reference.relu_backward(np.ones(1), np.array([x]))[0]
    print(f"x = {x:.4f}: measured {numerical:.2f}, derived {backward:.2f}")

# %% [markdown]
# Our network has some hundreds of ReLUs: one for each filter of the first two layers and each
# place. As we move along, one after the other switches. Where are they?


# %%
def active(t):
    """Which ReLUs let pass, of all."""
    layers = moved(t)
    first = relu(conv2d(low, *layers[0]))
    second = conv2d(first, *layers[1])
    return np.concatenate([first.ravel() > 0, second.ravel() > 0])


print(f"{active(0).size} ReLUs, {active(0).sum()} of them active")
print("   h      switched   error of the measured slope")
for h, error in list(zip(steps, errors["central"], strict=True))[48::8]:
    print(f"{h:.0e}   {np.sum(active(h) != active(-h)):7}   {abs(error):.0e}")

ts = np.linspace(-0.02, 0.02, 801)
fig, axes = plt.subplots(2, 1, figsize=(7, 4.2), sharex=True)
axes[0].plot(ts, [along(t) for t in ts])
axes[0].set_ylabel("loss")
axes[1].plot(ts, [slope(t) for t in ts], ".", ms=2)
axes[1].set(xlabel="t, along the direction", ylabel="derived slope")
plt.show()

# %% [markdown]
# The loss looks smooth. Its slope jumps wherever a ReLU switches, and the cliff is where the
# first one comes within reach of $h$. So an error in a check of gradients can have three causes:
#
# - It is $10^{-9}$ or less, relative to the gradient: rounding. All is well.
# - It goes away with a smaller $h$, or with other random numbers: a kink.
# - It stays: a mistake in the derivation.
#
# <details><summary>
# <b>Question.</b> At <i>x</i> = 0 exactly, the measured slope was 0.5, the derived one 0.
# Does it matter?
# </summary>
#
# Hardly: any slope between 0 and 1 would do there, and a sum of products of real pixels is zero
# exactly about never. But beware in checks. With black pixels, zero weights or zero biases it
# *is* zero exactly, at many places, and a correct gradient looks wrong. Hence the random biases
# above.
# </details>
#
# <details><summary>
# <b>Question.</b> Why is a <code>dout</code> of ones a poor choice for checking a convolution's
# backward?
# </summary>
#
# It is the same flipped or transposed. A backward that mixes up rows and columns of `dout`, or
# spreads it by filters that are not flipped, may get away with it: away from the border, `dx` is
# just the sum of each filter's weights. Random numbers are not symmetric in any way.
# </details>
#
# Now you have, for each weight, the direction in which the loss grows. The next walkthrough goes
# in the other one.
