# %% [markdown]
# # 3. Backprop by hand
#
# Training changes every weight a little, in the direction that makes the error smaller. For that we
# need the derivative of the error with respect to every weight: the *gradient*. For 8032 weights
# that sounds like a lot of work, but it takes only one pass backwards through the network. Here you
# derive each of its steps, compute it, and check it by a method that knows nothing of derivations.
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
high = rng.random((1, 1, 7, 7))  # the target

# %% [markdown]
# The network is small, and its pictures are random numbers: a correct derivative is correct for any
# input. Every number is a float64 with about 16 digits, because a check needs precision.
#
# ## The whole as a graph
#
# The network is a chain of steps, and each step knows only its own input and output. At the end is
# one number, the loss $L$: the mean of the squared errors.


# %%
def draw_graph(names):
    """Draw boxes in a row: values go to the right, gradients come back."""
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
# Values (black) go from left to right, gradients (red) from right to left. We write `dx` for
# $\partial L / \partial x$, an array of the shape of $x$ that says how fast $L$ grows with each
# element. Every box is given `dout`, the gradient for its output, by its right neighbour. From it,
# the box has to compute two things: `dx`, the gradient for its input, which it hands on to the
# left; and `dW` and `dB`, the gradients for its own weights and biases.
#
# ## Measuring a derivative
#
# A derivative can also be measured. Move one number by a small $h$ in both directions:
#
# $$
# \frac{\partial L}{\partial x} \approx \frac{L(x + h) - L(x - h)}{2h},
# $$
#
# which is called the *central difference*. It takes two passes through the network for *each*
# number. That is too slow for training, but it cannot be wrong in the same way as a derivation.


# %%
def measured(function, x, h=1e-6):
    """Return the gradient of function() with respect to the array x, by central differences."""
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
# Here $p$ is the prediction and $t$ the target. Only one term of the sum contains $p_i$.

# %%
prediction = rng.random((1, 1, 7, 7))
dprediction = 2 / prediction.size * (prediction - high)
check("loss", dprediction, measured(lambda: np.mean((prediction - high) ** 2), prediction))

# %% [markdown]
# ## ReLU
#
# $\max(0, x)$ has slope 1 where $x$ is positive, and 0 where it is negative. So each element of
# `dout` either passes or is stopped.
#
# To measure the gradient of a step whose output is not a single number, we need a loss after it. We
# take a random `dout` and $L = \sum \text{dout} \cdot \text{out}$, so that `dout` is the derivative
# of $L$.

# %%
x = rng.normal(size=(1, 4, 9, 9))
dout = rng.normal(size=x.shape)
dx = np.where(x > 0, dout, 0)
check("ReLU", dx, measured(lambda: np.sum(dout * relu(x)), x))

# %% [markdown]
# ## The convolution
#
# With the patches as columns, the convolution is a matrix product (walkthrough 2), for filter $o$
# and place $p$:
#
# $$
# \begin{gathered}
# \text{out} = W \cdot \text{cols} + b, \\
# \text{out}_{op} = \sum_k W_{ok} \, \text{cols}_{kp} + b_o.
# \end{gathered}
# $$
#
# The bias $b_o$ is added at all places. If it moves a little, all of row $o$ of $\text{out}$ moves
# with it, and the effects add up. The weight $W_{ok}$ appears in row $o$ at each place $p$,
# multiplied by $\text{cols}_{kp}$. And $\text{cols}_{kp}$ appears in column $p$ for each filter
# $o$, multiplied by $W_{ok}$:
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
# If you forget which factor is transposed: the shapes fit in only one way.

# %%
x, w, b = rng.normal(size=(1, 2, 6, 6)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
dout = rng.normal(size=(1, 3, 4, 4))
rows, cols, dout_rows = w.reshape(3, 18), im2col(x, 3)[0], dout.reshape(3, 16)

db = dout_rows.sum(axis=1)
dw_rows = dout_rows @ cols.T
dcols = rows.T @ dout_rows


# %%
def draw_product(a, b, c, names):
    """Draw three matrices as pictures: a times b is c."""
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
# `dcols` has a gradient for each element of each *patch*. But the elements of patches are copies of
# pixels, and one pixel is in up to nine patches. Moving the pixel moves all its copies, so their
# gradients add up. That is what `col2im` does: it puts each column back where it was taken from,
# and adds.
#
# There is a better way to see this. `im2col` only copies numbers, so it is linear: a matrix $M$ of
# zeros and ones, applied to all pixels. For a 5 x 5 picture and 3 x 3 patches it has 81 rows and 25
# columns. And $\text{cols} = M x$ gives $dx = M^T d\text{cols}$, by the same argument as above. The
# transposed matrix is called the *adjoint*: `col2im` is the adjoint of `im2col`.

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
# Nobody writes such a matrix down for a real picture, and checking an adjoint does not require it.
# For *all* $x$ and $y$, the dot products $\langle Mx, y \rangle$ and $\langle x, M^T y \rangle$ are
# the same number. So take random ones, apply both functions, and compare: this is the *dot-product
# test*. It needs no step size, and is exact up to rounding.

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
# The last line shows a mistake that is easily made: the backward pass of padding does not just cut
# the padding off. The gradients of the copies have to be added to those of the border pixels they
# were copied from. The test finds the mistake at once.
#
# Now all three gradients of a convolution:

# %%
dx = col2im(dcols[None], x.shape, 3)


def loss_behind():
    """Return a loss after the convolution whose derivative is dout."""
    return np.sum(dout * conv2d(x, w, b))


check("bias", db, measured(loss_behind, b))
check("weights", dw_rows.reshape(w.shape), measured(loss_behind, w))
check("input", dx, measured(loss_behind, x))
ours, theirs = (dx, dw_rows.reshape(w.shape), db), reference.conv2d_backward(dout, x, w)
print("as reference.conv2d_backward:", all(map(np.array_equal, ours, theirs)))

# %% [markdown]
# Can this too be written with filters? In the forward pass, the filters around a pixel *collect*
# from it; in the backward pass, the gradient is *spread* back. That is a convolution with flipped
# filters, with the roles of channels and filters swapped, applied to `dout` with zeros around it:

# %%
around = np.pad(dout, ((0, 0), (0, 0), (2, 2), (2, 2)))
swapped = np.ascontiguousarray(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
again = conv2d(around, swapped, np.zeros(2))
print(f"{around.shape} -> {again.shape}, differs from dx by {np.abs(again - dx).max():.0e}")

# %% [markdown]
# ## All of it in a dozen lines
#
# Run forward, keeping the input of each layer, then run backward. Going from right to left, `dout`
# is multiplied by one matrix after the other, and nothing is computed twice. That is all there is
# to *backpropagation*.


# %%
def loss_and_gradients(low, high, layers):
    """Return the loss of one picture and all its gradients, as derived above."""
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
    """Return the loss, computed by the package's functions."""
    return reference.mse(reference.forward(low, layers, "valid"), high)


for k, (parameters, derived) in enumerate(zip(layers, gradients, strict=True), 1):
    for name, array, gradient in zip("WB", parameters, derived, strict=True):
        check(f"{name}{k}", gradient, measured(current_loss, array))

# %% [markdown]
# <details><summary>
# <b>Question.</b> At the end of the loop, <code>dout</code> is computed for the input of layer 1 as
# well. What is that good for?
# </summary>
#
# In training it is not needed, because the picture is not changed. (The picture is also not the
# output of a ReLU, so the last line should be skipped for it; `reference` does that.) But the
# gradient with respect to the picture says which pixels the loss depends on, and how.
# </details>
#
# ## The step
#
# The derived gradients are accurate to some $10^{-16}$; the measured ones are off by a million
# times that. Is the step $h$ to blame? Move *all* weights at once along a random direction $v$, and
# compare the measured slope with the derived one, $\langle \text{gradient}, v \rangle$, for many
# $h$. (This is also how to check a network of any size, with only two forward passes.)

# %%
direction = [tuple(rng.normal(0, 0.3, p.shape) for p in layer) for layer in layers]


def moved(t, dtype=np.float64):
    """Return the layers, moved by t times that direction."""
    pairs = [zip(layer, v, strict=True) for layer, v in zip(layers, direction, strict=True)]
    return [tuple((p + t * v).astype(dtype) for p, v in pair) for pair in pairs]


def along(t, dtype=np.float64):
    """Return the loss there, computed entirely in the given dtype."""
    out = reference.forward(low.astype(dtype), moved(t, dtype), "valid")
    return float(np.mean(np.square(out - high.astype(dtype))))


def slope(t):
    """Return the derivative of the loss there, by backpropagation."""
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
# The curve is a V with a cliff on its right. Each side of the V has its own cause:
#
# - *Too large* a step measures the slope of a chord instead of the curve. By Taylor's series,
#   $\frac{L(h) - L(-h)}{2h} = L' + \frac{h^2}{6} L^{(3)} + \dots$: the error grows as $h^2$. The
#   one-sided difference, $\frac{L(h) - L(0)}{h} = L' + \frac{h}{2} L'' + \dots$, is much worse: its
#   error grows as $h$.
# - *Too small* a step subtracts two nearly equal numbers. Each is rounded, with an error of about
#   $\epsilon = 2 \cdot 10^{-16}$ times its size; divided by $2h$, that becomes an error of about
#   $\epsilon / h$.
#
# The sum $\epsilon / h + h^2$ is smallest where both terms are about equal, near
# $h = \epsilon^{1/3} \approx 6 \cdot 10^{-6}$, and there it is about
# $\epsilon^{2/3} \approx 4 \cdot 10^{-11}$. Ours is better, and the plot shows why: on the right,
# the errors lie far below the dashed line, so the factor of $h^2$, which is $L^{(3)} / 6$, is small
# along our direction. Which $h$ is best differs from machine to machine: near the minimum it
# depends on which rounding errors happen to cancel.
#
# In larger networks the sums are longer and are rounded more often, so expect errors of $10^{-9}$
# of the gradient. A real mistake, such as a forgotten factor or a flipped filter, is usually as
# large as the gradient itself. In float32, with $\epsilon = 10^{-7}$, nothing can be checked well:
# check in float64, whatever precision you train in.
#
# <details><summary>
# <b>Question.</b> Suppose you move a single weight instead of all. How does the error of central
# differences then grow with <i>h</i>?
# </summary>
#
# It does not. Each layer is linear in its weights, so the prediction is linear in a *single* weight
# (as long as no ReLU switches), and the loss is a parabola: $L^{(3)}$ is zero. Central differences
# are exact for parabolas, up to rounding. Along a direction in the weights of all three layers, the
# loss is a polynomial of degree 6.
# </details>
#
# ## Kinks
#
# And the cliff? ReLU has no derivative at zero, where it has a kink. If the kink lies between $-h$
# and $h$, the chord crosses it, and its slope belongs to neither side. For a single ReLU:

# %%
h = 1e-3
for x in (0.3 * h, 2 * h, 0.0):
    numerical = (relu(x + h) - relu(x - h)) / (2 * h)
    backward = reference.relu_backward(np.ones(1), np.array([x]))[0]
    print(f"x = {x:.4f}: measured {numerical:.2f}, derived {backward:.2f}")

# %% [markdown]
# Our network has some hundreds of ReLUs: one for each place and each filter of the first two
# layers. As we move along the direction, they switch one after the other. Where do they switch?


# %%
def active(t):
    """Say for every ReLU whether it is active."""
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
# The loss looks smooth, but its slope jumps wherever a ReLU switches, and the cliff begins where
# the first of them comes within reach of $h$. So there are three cases when a gradient check finds
# a difference:
#
# - It is $10^{-9}$ of the gradient or less: this is rounding, and all is well.
# - It goes away with a smaller $h$, or with other random numbers: this is a kink.
# - It stays: there is a mistake in the derivation.
#
# <details><summary>
# <b>Question.</b> At exactly <i>x</i> = 0, the measured slope was 0.5 and the derived one 0. Does
# it matter?
# </summary>
#
# Hardly. Any slope between 0 and 1 would do there, and a sum of products of real pixels is almost
# never exactly zero. But beware in checks: with black pixels, zero weights or zero biases it *is*
# exactly zero at many places, and a correct gradient looks wrong. That is why the biases above are
# random.
# </details>
#
# <details><summary>
# <b>Question.</b> Why is a <code>dout</code> of ones a poor choice for checking a convolution's
# backward?
# </summary>
#
# It stays the same when flipped or transposed. A backward pass that mixes up rows and columns of
# `dout`, or that spreads it with filters that are not flipped, may go unnoticed: away from the
# border, `dx` is then just the sum of each filter's weights. Random numbers have no such symmetry.
# </details>
#
# For each weight, you now know the direction in which the loss grows. The next walkthrough goes the
# opposite way.
