"""Repair 10: the sub-pixel shuffle. One mistake is in here, made twice; find it.

    out[n, c, s i + a, s j + b] = x[n, c s^2 + s a + b, i, j]      0 <= a, b < s

x is (N, C s^2, H, W), out (N, C, s H, s W). (Full definition: exercise 7.)

Each function undoes the other, and grey pictures came out well. Colours did not.
"""


def pixel_shuffle(x, s):
    """Small maps to a large one."""
    n, maps, h, w = x.shape
    c = maps // s**2
    x = x.reshape(n, s, s, c, h, w)
    return x.transpose(0, 3, 4, 1, 5, 2).reshape(n, c, s * h, s * w)


def pixel_shuffle_backward(dout, s):
    """dx, (N, C s^2, H, W)."""
    n, c, height, width = dout.shape
    h, w = height // s, width // s
    dout = dout.reshape(n, c, h, s, w, s)
    return dout.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * s**2, h, w)
