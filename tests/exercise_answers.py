"""Right answers to the exercises, as a student may write them; and wrong ones, with what is said.

They share no code with the package.
"""

from pathlib import Path

import pysrcnn

TEMPLATES = Path(pysrcnn.__file__).parent / "exercises" / "templates"
HOLE = '    raise NotImplementedError("write this, and remove this line")\n'
OF_NETWORK = HOLE.replace("write this", "write what fills gradients")

_PSNR = """
    if shave:
        a, b = a[shave:-shave, shave:-shave], b[shave:-shave, shave:-shave]
    mse = ((a.astype(np.float64) - b.astype(np.float64)) ** 2).mean()
    return np.inf if mse == 0 else 20 * np.log10(peak) - 10 * np.log10(mse)
"""
_IM2COL = """
    n, c, h, w = x.shape
    h, w = h - f + 1, w - f + 1
    cols = np.empty((n, c, f, f, h, w), x.dtype)
    for u in range(f):
        for v in range(f):
            cols[:, :, u, v] = x[:, :, u : u + h, v : v + w]
    return cols.reshape(n, c * f * f, h * w)
"""
_RELU = """
    return np.where(x > 0, dout, 0)
"""
_COL2IM = """
    n, c, height, width = shape
    h, w = height - f + 1, width - f + 1
    x = np.zeros(shape, cols.dtype)
    for k in range(f * f * c):
        channel, u, v = k // f**2, k // f % f, k % f
        x[:, channel, u : u + h, v : v + w] += cols[:, k].reshape(n, h, w)
    return x
"""
_NETWORK = """
    g = gradients
    d3 = 2 * (f3 - high) / high.size
    d2, g["W3"], g["B3"] = conv2d_backward(d3, f2, p["W3"])
    d1, g["W2"], g["B2"] = conv2d_backward(d2 * (f2 > 0), f1, p["W2"])
    _, g["W1"], g["B1"] = conv2d_backward(d1 * (f1 > 0), low, p["W1"])
"""
_SGD = """
    delta = momentum * delta - learning_rate * gradient
    return w + delta, delta
"""
_SHUFFLE = """
    n, c, h, w = x.shape
    out = np.empty((n, c // s**2, s * h, s * w), x.dtype)
    for a in range(s):
        for b in range(s):
            out[:, :, a::s, b::s] = x[:, s * a + b :: s * s]
    return out
"""
_SHUFFLE_BACKWARD = """
    n, c, h, w = dout.shape
    dx = np.empty((n, c * s**2, h // s, w // s), dout.dtype)
    for a in range(s):
        for b in range(s):
            dx[:, s * a + b :: s * s] = dout[:, :, a::s, b::s]
    return dx
"""
_BLOCK = """
    return x + conv2d_same(np.maximum(conv2d_same(x, w1, b1), 0), w2, b2)
"""
_BLOCK_BACKWARD = """
    a = np.maximum(conv2d_same(x, w1, b1), 0)
    da, dw2, db2 = conv2d_same_backward(dy, a, w2)
    dx, dw1, db1 = conv2d_same_backward(da * (a > 0), x, w1)
    return dx + dy, dw1, db1, dw2, db2
"""
FILLED = {
    "psnr": [_PSNR],
    "im2col": [_IM2COL],
    "relu_backward": [_RELU],
    "col2im": [_COL2IM],
    "network": [_NETWORK],
    "sgd": [_SGD],
    "pixel_shuffle": [_SHUFFLE, _SHUFFLE_BACKWARD],
    "residual_block": [_BLOCK, _BLOCK_BACKWARD],
}
# What is to be replaced by what; and what is said of it before.
REPAIRED = {
    "repair_01": ([("np.log10(1 / mse)", "np.log10(peak**2 / mse)")], "the peak is 1, whatever"),
    "repair_02": ([("dout > 0", "x > 0")], "is taken from the gradient's sign, wanted that of x"),
    "repair_03": ([("= difference / diff", "= 2 * difference / diff")], "a factor of 2 is missing"),
    "repair_04": ([("-momentum", "momentum")], "momentum has the wrong sign"),
    "repair_05": (
        [("dout[0].sum(axis=(1, 2))", "dout.sum(axis=(0, 2, 3))")],
        "dB in layer 2 is computed from the first sample alone",
    ),
    "repair_06": (
        [("(0, 1, 4, 5, 3, 2)", "(0, 1, 4, 5, 2, 3)")],
        "the axes are in the order channels, rows of the patch, columns of the patch, columns of "
        "places, rows of places",
    ),
    "repair_07": ([("np.mean(", "np.sum(")], "dW in layer 2 is averaged over the samples"),
    "repair_08": (
        [("[:, :, :h, :width]\n", "[:, :, p : p + h, p : p + width]\n")],
        "is shifted one row down and one column right",
    ),
    "repair_09": (
        [("w.transpose", "w[:, :, ::-1, ::-1].transpose")],
        "back through the kernels in layer 2 in the wrong orientation",
    ),
    "repair_10": (
        [("(n, s, s, c, h, w)", "(n, c, s, s, h, w)"), ("(0, 3, 4, 1, 5, 2)", "(0, 1, 4, 2, 5, 3)"),
         ("(0, 3, 5, 1, 2, 4)", "(0, 1, 3, 5, 2, 4)")],
        "with the maps of one sub-pixel together, channel by channel (as TensorFlow's",
    ),
    "repair_11": (
        [("return dx, dw1", "return dx + dy, dw1")],
        "the gradient that goes back along the skip from the input to the output is dropped",
    ),
    "repair_12": (
        [("dh = dout\n", "dh, dw, db = dout, 0, 0\n"),
         ("dh, dw, db = _conv_backward(dz, maps[d], w)\n",
          "dh, *more = _conv_backward(dz, maps[d], w)\n"
          "        dw, db = dw + more[0], db + more[1]\n")],
        "that of the first use (recursion) alone: overwritten on the way back",
    ),
}  # fmt: skip


def shipped(name):
    return (TEMPLATES / f"{name}.py").read_text(encoding="utf-8")


def filled(name, *bodies):
    """The text of a file with these bodies in its holes."""
    text = shipped(name)
    for body in bodies:
        hole = OF_NETWORK if name == "network" else HOLE
        assert hole in text
        text = text.replace(hole, body.lstrip("\n"), 1)
    return text


def repaired(name):
    text = shipped(name)
    for wrong, right in REPAIRED[name][0]:
        assert text.count(wrong) == 1, (name, wrong)
        text = text.replace(wrong, right)
    return text


def answers():
    """The right text of each file."""
    whole = {name: filled(name, *bodies) for name, bodies in FILLED.items()}
    return whole | {name: repaired(name) for name in REPAIRED}


def changed(name, wrong, right):
    """A right answer with a change."""
    text = answers()[name]
    assert text.count(wrong) == 1, (name, wrong)
    return {name: text.replace(wrong, right)}


# Of one student each, files and what is said of them; what begins with "passed" is right.
STUDENTS = {
    "bob": [
        (changed("psnr", "if shave:", "if False:"), "psnr with shave = 3, peak = 255: psnr is"),
        (changed("im2col", "return", "import os; os._exit(3) #"), "Python itself (exit code 3"),
        (changed("relu_backward", "return", "raise SystemExit #"), "line 35 ends the program"),
        (changed("col2im", "k // f % f", "k // f"), "could not be broadcast"),
        (changed("sgd", "delta = momentum * delta", "delta *= momentum; delta = delta"),
         "sgd changes delta in place: make a new array."),
        (changed("network", "return loss, gradients",
                 "return loss, {n: 1.01 * a for n, a in gradients.items()}"), "1.01 times"),
        (changed("pixel_shuffle", "out[:, :, a::s, b::s] =", "out[:, :, b::s, a::s] ="),
         "with rows and columns of the sub-pixels exchanged"),
        (changed("residual_block", "return x + conv", "return conv"), "output is missing"),
    ],
    "carl": [
        (changed("psnr", "return np.inf", "np.inf"), "psnr returns None (is a `return` missing?)"),
        (changed("im2col", "x.dtype", "np.float32"), "cols is float32, wanted float64, that of"),
        (changed("relu_backward", "where(x > 0", "where(x >= 0"), "0 itself must stop it"),
        (changed("col2im", "+=", "="), "overwrit"),
        (changed("sgd", "return w + delta, delta", "return (w + delta) * 1.01, delta"),
         "100% of w is wrong"),
        (changed("network", "f1 > 0)", "f1 > 0) * np.nan"), "gradients['W1'] is not finite"),
        (changed("pixel_shuffle", "return dx", "return dx.transpose(0, 1, 3, 2)"),
         "dx has the shape (5, 12, 7, 4), wanted (5, 12, 4, 7): were two axes exchanged?"),
        (changed("residual_block", "return dx + dy, dw1, ", "return "),
         "returns 3 results, wanted 5 results: dx, dw1, db1, dw2, db2"),
    ],
    "dora": [
        (changed("psnr", "return np.inf", "print('MSE', mse); return np.inf"), "passed It prints"),
        (changed("im2col", "return cols.", "return np.random.rand() + cols."),
         "im2col, called again with the same, returns something else"),
        ({"relu_backward": "import pysrcnn\n"}, "line 1 imports pysrcnn: write it with NumPy"),
        ({"col2im": "def col2im(cols, shape, f)\n"}, "line 1 raises SyntaxError: expected ':'"),
        ({"sgd": "def step():\n    pass\n"}, "sgd: there is no such function: give it this name"),
        ({"pixel_shuffle": filled("pixel_shuffle", _SHUFFLE)},
         "pixel_shuffle_backward is not written yet."),
        (changed("residual_block", "return dx + dy, dw1, ", "return dx, dw1, "), "skip from the"),
    ],
}  # fmt: skip
