"""Memory layout, for `fused`, of a chain of layers and of the maps of a strip of a picture.

Axes: C channels, O filters; layers 1..K, maps 0..K.
"""

import functools
from collections import namedtuple

import numpy as np

from . import blocks, parts, winograd
from .rows import pack_weights
from .vectors import ROWS, VECTOR_BYTES

Stack = namedtuple(
    "Stack",
    "group weights at_weights bias at_bias channels height width taps margin shift lead begin "
    "slots start plane scratch size activation zeros fold hidden",
)
Stack.__doc__ = """A network and the memory it works in, as flat arrays, for `fused`.

group: rows of each map that are made at a time, and pixels of a row that lie in planes of their own
("phases"): those of a tile where a layer is computed by `winograd`, else 1.
weights, bias: of all layers; at_*[k]: where those of layer k + 1 begin.
height, width [k]: of the filters of layer k + 1 (the last: 1, f, if it is done in two halves).
taps [k]: of the transform of layer k + 1, or 0 for the direct sum.
channels, slots [k]: of map k; margin [k]: its columns on either side of the output's; shift [k]:
how many of them lie before the first that map k + 1 reads.
lead, begin [k]: while row i of the output is made, map k is at row i + lead[k]; for the output's
row 0 it has to be made from row begin[k] + lead[k] on.
start, plane [k]: where map k's ring begins, and elements a plane; scratch: where `blocks` and
`parts` work; size: of all together.
activation: the epilogue of all layers but the last. zeros: whether there are zeros beyond the edges
of the picture; then every ring has one slot more, which holds a row of them. fold: how many partial
sums make an output. hidden: filters of a first layer whose output is kept nowhere, since a layer of
1 x 1 follows at once (`parts.convolve_parts`), or 0; such a pair counts as one layer, and what
belongs to its second comes last in weights and biases.
"""


def group_of(layers):
    """Return how many rows and columns are computed together: see `Stack`.

    A convolution alone keeps the order of its sums, because the bits of sparse coding depend on it.
    """
    fast = len(layers) > 1 and any(winograd.taps(w) for w, _ in layers)
    return winograd.OUTPUTS if fast else 1


def is_in_parts(w):
    """Whether `parts` computes a layer with weights w of a chain."""
    return 0 < winograd.taps(w) < w.shape[2]


# Most columns of the first feature map in a strip, by direct sums alone or with a transform. Wider
# strips repeat less, but what they keep of all maps should fit into the second-level cache.
WIDE = 1152, 704


def columns_of_strips(layers, group, width):
    """Return the columns of output per strip that use tiles well and keep maps in the cache.

    Strips repeat the columns between them, and each is taken to cost one vector more per row. The
    width is chosen by the cost of the first feature map, where most of the work is.
    """
    margin = 2 * _margins(layers, group)[1]
    vector = group * VECTOR_BYTES // layers[0][0].itemsize
    wide = max(WIDE[group > 1], 8 * margin) // vector * vector
    pair = parts.PAIR * vector if is_in_parts(layers[0][0]) else vector

    def cost(columns):
        return -(-(columns + margin) // pair) * pair + vector if columns else 0

    most = min(max(wide - margin, 32), width)
    widths = [most, *(v * vector - margin for v in range(1, wide // vector + 1))]
    fitting = [columns for columns in widths if min(32, most) <= columns <= most]
    return min(fitting, key=lambda c: width // c * cost(c) + cost(width % c))


def _margins(layers, group):
    """Columns that each map needs on either side of the output's, rounded up to whole groups."""
    margins = [0]
    for w, _ in reversed(layers):
        margins.append(-(-(margins[-1] + w.shape[2] // 2) // group) * group)
    return margins[::-1]


def _hides(layers):
    """Whether the second layer is computed along with the first, whose output is not stored."""
    (w, _), (pointwise, _) = layers[0], layers[min(1, len(layers) - 1)]
    return is_in_parts(w) and pointwise.shape[2] == 1 and len(layers) > 2


def _times(height, group):
    """`Stack.lead` and `Stack.begin`, (K + 1,) each, for filters of `height` rows and the fold.

    A group of rows needs rows of the previous map above its own, which are made in whole groups.
    """
    lead, begin = [0], [0]
    for f in reversed(height):
        lead.append(lead[-1] + f // 2)
        begin.append(begin[-1] - -(-2 * (f // 2) // group) * group)
    return np.array(lead[:0:-1]), np.array(begin[:0:-1])


def _packed(w, taps):
    """Return weights, flat, in the order that the kernel chosen by `Stack.taps` reads."""
    return _packed_once(w.tobytes(), w.shape, w.dtype, int(taps))


@functools.lru_cache(maxsize=8)  # layers: their transforms take longer than a small picture
def _packed_once(numbers, shape, dtype, taps):
    w = np.frombuffer(numbers, dtype).reshape(shape)
    if taps == 0:
        return pack_weights(w)
    if taps == w.shape[2]:
        return winograd.filters_at_points(w).reshape(-1)
    return winograd.parts_at_points(w, parts.TOGETHER, parts.FILTERS).reshape(-1)


def kinds_of(stack):
    """Which ways to compute a layer by tiles a stack needs: True, or None to compile nothing.

    In order: `blocks` for 3 x 3 and for 5 x 5 taps, `parts` alone and with a hidden layer.
    """
    ways = list(zip(stack.taps, stack.width, strict=True))
    hidden = stack.hidden > 0
    others = any(0 < taps < size for taps, size in ways[hidden:])
    return tuple(need or None for need in ((3, 3) in ways, (5, 5) in ways, others, hidden))


def stack_of(layers, group, columns, activation, zeros):
    """Return the network as a `Stack`, for strips of `columns` columns of output.

    activation: an epilogue. zeros: whether to pad with zeros.
    """
    dtype = layers[0][0].dtype
    last = layers[-1][0]
    hidden = layers[1:2] if group > 1 and _hides(layers) else []
    layers = layers[:1] + layers[1 + len(hidden) :]
    taps = np.array([winograd.taps(w) if group > 1 else 0 for w, _ in layers])
    few = last.shape[0] < ROWS and not taps[-1]
    fold = last.shape[2] if few or len(layers) == 1 else 1
    weights = [_packed(w, t) for (w, _), t in zip(layers, taps, strict=True)]
    o, c, f, _ = last.shape
    if fold > 1:
        weights[-1] = pack_weights(last.transpose(0, 2, 1, 3).reshape(o * fold, -1))
    bias = [b for _, b in layers[:-1]] + [np.zeros(fold * o)] + [b for _, b in hidden]
    weights += [pack_weights(w) for w, _ in hidden]
    width = np.array([w.shape[2] for w, _ in layers])
    height = width.copy()
    height[-1] //= fold
    margin = np.array(_margins(layers, group))
    lead, begin = _times([*height, fold], group)
    shape = {
        "group": group,
        "channels": np.array([w.shape[1] for w, _ in layers] + [fold * o]),
        "hidden": len(layers[0][0]) if hidden else 0,
        "height": height,
        "width": width,
        "taps": taps,
        "margin": margin,
        "slots": np.append(height, fold) + group - 1,
        "zeros": zeros,
    }
    return Stack(
        weights=np.concatenate(weights).astype(dtype),
        at_weights=np.cumsum([0] + [w.size for w in weights])[:-1],
        bias=np.concatenate(bias).astype(dtype),
        at_bias=np.cumsum([0] + [b.size for b in bias])[:-1],
        activation=activation,
        shift=margin[:-1] - margin[1:] - width // 2,
        lead=lead,
        begin=begin,
        fold=fold,
        **shape,
        **_memory(columns, VECTOR_BYTES // dtype.itemsize, **shape),
    )


def _memory(columns, lanes, *, group, channels, hidden, width, taps, margin, slots, zeros, **_):
    """Return the fields of a `Stack` that say where maps lie in memory, and its total size."""

    def whole(elements):
        return -(-elements // lanes) * lanes

    # A plane has a spare vector: a filter's last tap reads up to f - 1 pixels further.
    plane = whole(-(-(columns + 2 * margin) // group)) + lanes
    maps = (slots + zeros) * channels * group * plane
    starts = np.cumsum([0, *maps])
    scratch = [
        blocks.scratch_of(c, o, t + winograd.OUTPUTS - 1)
        if f == t
        else parts.scratch_of(c * (f // t) ** 2, hidden)
        for c, o, f, t in zip(channels, channels[1:], width, taps, strict=False)
        if t
    ]
    return {
        "start": starts[:-1],
        "plane": plane,
        "scratch": starts[-1],
        # A tile of a single filter may read this far beyond.
        "size": int(starts[-1] + max(scratch, default=0) * lanes + 8 * lanes),
    }
