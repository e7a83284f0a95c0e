"""How a chain of layers and the maps of a strip of a picture lie in memory, for `fused`.

Axes: C channels, O filters, n points; layers 1..K, maps 0..K.
"""

from collections import namedtuple

import numpy as np

from . import winograd
from .rows import pack_weights
from .vectors import ROWS, VECTOR_BYTES

Stack = namedtuple(
    "Stack",
    "phases weights at_weights at_forth at_back bias at_bias channels height width margin shift "
    "slots points start plane start_points plane_points start_products size activation zeros fold",
)
Stack.__doc__ = """A network and the memory it works in, as flat arrays, for `fused`.

phases: pixels 0..phases - 1 of a group lie in planes of their own.
weights, bias: of all layers; at_*[k]: where those of layer k + 1 begin; for a layer by `winograd`
also at_forth, where its matrix B begins, and at_back, where A does.
height, width [k]: of the filters of layer k + 1 (the last: 1, f, if it is done in two halves).
channels, slots [k]: of map k; margin [k]: its columns on either side of the output's; shift [k]:
how many of them lie before the first that map k + 1 reads.
points [k]: n of the transform of layer k + 1, or 0 for the direct sum.
start, plane [k]: where map k's ring begins, and elements a plane; start_points, plane_points [k]
likewise for the transformed rows of map k; start_products: of A's input. size: of all together.
activation: the epilogue of all layers but the last. zeros: whether there are zeros beyond the edges
of the picture; then every ring has one slot more, which holds a row of them. fold: how many partial
sums make an output.
"""

# Filters whose A is applied by one tile: A has 4 rows, a tile ROWS.
TOGETHER = max(1, ROWS // winograd.OUTPUTS)


# At most so many columns of the first feature map a strip; for direct sums only, or by the taps of
# the longest filter that has a transform. Wider strips repeat fewer columns, but what they keep of
# all maps has to fit into the second cache.
WIDE = {0: 1152, 3: 704, 5: 576}


def columns_of_strips(layers, phases, width):
    """Columns of output a strip: at most what WIDE allows, and such that tiles are used well.

    Strips repeat the columns between them, which is taken to cost as much as a vector a row. The
    width is chosen by what the first feature map costs, where the most work is.
    """
    margin = 2 * _margins(layers, phases)[1]
    group = phases * VECTOR_BYTES // layers[0][0].itemsize
    fast = (w.shape[2] for k, (w, _) in enumerate(layers) if _transformed(layers, k, phases))
    wide = WIDE[max(fast, default=0)]

    def cost(columns):
        return -(-(columns + margin) // group) + 1 if columns else 0

    most = min(max(wide - margin, 32), width)
    widths = [most, *(v * group - margin for v in range(1, wide // group + 1))]
    fitting = [columns for columns in widths if min(32, most) <= columns <= most]
    return min(fitting, key=lambda c: width // c * cost(c) + cost(width % c))


def _transformed(layers, k, phases):
    """Whether layer k (from 0) is computed by `winograd`."""
    return phases > 1 and winograd.pays(layers, k)


def _margins(layers, phases):
    """Columns of each map on either side of the output's: what the next layers read, and as many
    more as make whole groups of phases."""
    margins = [0]
    for w, _ in reversed(layers):
        margins.append(-(-(margins[-1] + w.shape[2] // 2) // phases) * phases)
    return margins[::-1]


def stack_of(layers, phases, columns, activation, zeros):
    """The network laid out for strips of so many columns of output.

    activation: an epilogue. zeros: whether padding is by zeros.
    """
    dtype = layers[0][0].dtype
    last = layers[-1][0]
    # A convolution alone keeps the order of its sums: the bits of sparse coding hang on it.
    fold = last.shape[2] if last.shape[0] < ROWS or len(layers) == 1 else 1
    points = np.array(
        [
            len(winograd.matrices(w.shape[2])[2]) if _transformed(layers, k, phases) else 0
            for k, (w, _) in enumerate(layers)
        ]
    )
    weights, places = _packed_layers(layers, points, fold)
    bias = [
        b.repeat(winograd.OUTPUTS) if n else b for (_, b), n in zip(layers, points, strict=True)
    ]
    bias[-1] = np.zeros(fold * len(last))
    width = np.array([w.shape[2] for w, _ in layers])
    height = width.copy()
    height[-1] //= fold
    margin = np.array(_margins(layers, phases))
    shape = {
        "phases": phases,
        "channels": np.array([w.shape[1] for w, _ in layers] + [fold * len(last)]),
        "height": height,
        "width": width,
        "margin": margin,
        "shift": margin[:-1] - margin[1:] - width // 2,
        "slots": np.append(np.where(points, 1, height), fold),
        "points": points,
        "fold": fold,
        "zeros": zeros,
    }
    return Stack(
        weights=weights.astype(dtype),
        at_weights=places[0],
        at_forth=places[1],
        at_back=places[2],
        bias=np.concatenate(bias).astype(dtype),
        at_bias=np.cumsum([0] + [b.size for b in bias])[:-1],
        activation=activation,
        **shape,
        **_memory(columns, VECTOR_BYTES // dtype.itemsize, **shape),
    )


def _packed_layers(layers, points, fold):
    """The weights of all layers, then B and A of each, flat; and where they begin, (3, K)."""
    weights, forth, back = [], [], []
    for (w, _), n in zip(layers, points, strict=True):
        forth.append(np.empty(0))
        back.append(np.empty(0))
        if n:
            a, g, b = winograd.matrices(w.shape[2])
            transformed = np.einsum("iv,ocuv->iocu", g, w.astype(np.float64))
            weights.append(np.concatenate([pack_weights(t) for t in transformed]))
            forth[-1] = pack_weights(b)
            back[-1] = np.concatenate([pack_weights(np.kron(np.eye(m), a)) for m in (TOGETHER, 1)])
        else:
            weights.append(pack_weights(w))
    o, c, f, _ = w.shape
    rows = w.reshape(o, c, fold, f // fold, f).swapaxes(1, 2)
    weights[-1] = pack_weights(rows.reshape(o * fold, -1))
    pieces = [*weights, *forth, *back]
    places = np.cumsum([0] + [piece.size for piece in pieces])[:-1]
    return np.concatenate(pieces), places.reshape(3, len(layers))


def _memory(columns, lanes, *, phases, channels, height, margin, slots, points, zeros, **_):
    """Where everything lies in the memory of a strip, and how much of it there is."""

    def whole(elements):
        return -(-elements // lanes) * lanes

    layers = len(points)
    # A plane has a vector to spare: a filter's last tap reads up to f - 1 pixels further.
    plane = whole(-(-(columns + 2 * margin) // phases)) + lanes
    plane_points = np.where(points, plane[1:] - lanes, 0)
    maps = (slots + zeros) * channels * phases * plane
    transformed = (height + zeros) * channels[:-1] * points * plane_points
    products = channels[1:] * points * plane_points
    starts = np.cumsum([0, *maps, *transformed, *products])
    return {
        "start": starts[: layers + 1],
        "plane": plane,
        "start_points": starts[layers + 1 : 2 * layers + 1],
        "plane_points": plane_points,
        "start_products": starts[2 * layers + 1 : 3 * layers + 1],
        "size": int(starts[-1]) + 8 * lanes,  # a tile of a single filter may read so far
    }
