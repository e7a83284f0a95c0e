"""Convert arrays between our names and those of networks' authors and of common programs.

SRCNN in .mat files: weights_conv1 (f1*f1, n1) or, for RGB, (3, f1*f1, n1); weights_conv2 (n1,
f2*f2, n2); weights_conv3 (n2, f3*f3) or (n2, f3*f3, 3); biases_conv1..3. The f*f values of a filter
are in MATLAB's order: down the columns first.

VDSR in .mat files: model.weight{1} to {D}, (f, f, C, O), and model.bias.

EDSR in PyTorch, by its authors (head.0, body.0.body.0, ..., tail.1) and by BasicSR (conv_first,
body.0.conv1, ..., conv_last). Its values are 0..255, seldom 0..1, minus the mean colour of DIV2K.
"""

import re
from pathlib import Path

import numpy as np

from .. import reference
from ..formats import Arrays, Refused, shown
from .edsr import EDSR
from .residual import blocks_of, ups
from .values import GREYS, is_picture
from .vdsr import VDSR

__all__ = ["check_adds", "complete_edsr", "edsr_of", "from_matlab", "to_matlab", "vdsr_from_matlab"]

_SIDE = 24  # pixels of the pictures that tell whether a network is a VDSR
_MOST_NOISE = 0.6  # the part of noise that a VDSR may add to it: 0.4 does that of its authors
_CLEAR = 0.03  # error of greys from which another residual scale may be the right one
DIV2K = (0.4488, 0.4371, 0.4040)  # its mean red, green and blue, in 0..1

# Names in PyTorch, without .weight and .bias; {} is a number, which our names count from 1.
_EDSR = {
    r"head\.0|conv_first": "_head",
    r"body\.([0-9]{1,4})\.(?:body\.0|conv1)": "{}_1",
    r"body\.([0-9]{1,4})\.(?:body\.2|conv2)": "{}_2",
    r"body\.([0-9]{1,4})|conv_after_body": "_body",
    r"tail\.0\.([0-9]{1,4})|upsample\.([0-9]{1,4})": "_up{}",
    r"tail\.1|conv_last": "_tail",
}


def from_matlab(arrays: Arrays, path: Path, others: str) -> Arrays:
    """Return W1, B1, W2, B2, W3, B3 of the authors' arrays; `others` ends the error message.

    Raises
    ------
    Refused
        If one of them is missing or has another shape.
    """
    parameters = {}
    for k in (1, 2, 3):
        try:
            weights, biases = arrays[f"weights_conv{k}"], arrays[f"biases_conv{k}"]
        except KeyError as error:
            names = ", ".join(map(shown, list(arrays)[:8])) or "nothing"
            raise Refused(
                f"{path} has no {error}, but {names}: the authors' files hold weights_conv1 to "
                f"weights_conv3 and biases_conv1 to biases_conv3, and {others}"
            ) from None
        for name, array in ((f"weights_conv{k}", weights), (f"biases_conv{k}", biases)):
            if not np.issubdtype(array.dtype, np.floating):
                raise Refused(f"{path}: {name} holds {array.dtype}, not floating point numbers")
        # To (input channels, f*f, filters). A single channel is an axis that MATLAB dropped.
        if weights.ndim == 2:
            weights = weights[None] if k == 1 else weights[:, :, None]
        if weights.ndim != 3:
            raise Refused(
                f"{path}: weights_conv{k} has the shape {weights.shape}, wanted two or three axes"
            )
        channels, area, filters = weights.shape
        f = round(area**0.5)
        if f * f != area or f == 0:
            raise Refused(
                f"{path}: weights_conv{k} has {area} values a filter, which is not a square"
            )
        # The axis of f*f values splits into (column, row), since MATLAB counts rows fastest.
        w = weights.reshape(channels, f, f, filters).transpose(3, 0, 2, 1)
        parameters[f"W{k}"] = np.ascontiguousarray(w)
        parameters[f"B{k}"] = biases.reshape(-1).copy()
    return parameters


def to_matlab(parameters: Arrays) -> Arrays:
    """Convert three layers to the authors' arrays."""
    arrays = {}
    for k in (1, 2, 3):
        w = parameters[f"W{k}"].astype(np.float64)
        filters, channels, f, _ = w.shape
        columns = w.transpose(1, 3, 2, 0).reshape(channels, f * f, filters)
        if k == 1 and channels == 1:
            columns = columns[0]
        arrays[f"weights_conv{k}"] = columns[:, :, 0] if k == 3 and filters == 1 else columns
        arrays[f"biases_conv{k}"] = parameters[f"B{k}"].astype(np.float64)[:, None]
    return arrays


def vdsr_from_matlab(arrays: Arrays, path: Path) -> Arrays:
    """Return W1, B1, ... of a VDSR from its authors' arrays.

    Raises
    ------
    Refused
        If an array is missing or has another shape.
    """
    depth = sum(name.startswith("model.weight{") for name in arrays)
    parameters = {}
    for k in range(1, depth + 1):
        w, b = (arrays.get(f"model.{kind}{{{k}}}") for kind in ("weight", "bias"))
        if w is None or b is None or w.ndim not in (3, 4) or w.dtype.kind != "f":
            raise Refused(f"{path} is damaged: layer {k} of {depth} has no weights and biases")
        w = w.reshape(*w.shape, 1) if w.ndim == 3 else w  # an axis of one that MATLAB dropped
        parameters[f"W{k}"] = np.ascontiguousarray(w.transpose(3, 2, 0, 1))
        parameters[f"B{k}"] = b.reshape(-1).copy()
    return parameters


def edsr_of(tensors: Arrays) -> tuple[Arrays, tuple[float, ...], tuple[float, ...]] | None:
    """Return an EDSR's parameters and mean colour from others' tensors, or None if it is none.

    The third result is what white may be there: 255, 1, or both where the file does not tell. See
    `complete_edsr`.
    """
    found: Arrays = {}
    layers = {name.rpartition(".")[0] for name in tensors} - {"sub_mean", "add_mean"}
    names = {layer: _our_name(layer) for layer in layers}
    ups = sorted((layer for layer in layers if names[layer] == "_up"), key=_numbers)
    names |= {layer: f"_up{k}" for k, layer in enumerate(ups, 1)}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if layer in ("sub_mean", "add_mean"):
            continue
        if names[layer] is None or kind not in ("weight", "bias"):
            return None
        found[f"{'W' if kind == 'weight' else 'B'}{names[layer]}"] = tensor
    if "W_head" not in found:
        return None
    mean: tuple[float, ...] = DIV2K if found["W_head"].shape[1:2] == (3,) else ()
    whites: tuple[float, ...] = 255.0, 1.0
    shift, spread = tensors.get("sub_mean.bias"), tensors.get("sub_mean.weight")
    if shift is not None and spread is not None and (shift.shape, shift.dtype.kind) == ((3,), "f"):
        if shift.any():
            whites = (1.0,) if np.abs(shift).max() <= 1 else (255.0,)
        mean = tuple(float(-m) / whites[0] for m in shift)
    return found, mean, whites


def complete_edsr(network: EDSR, whites: tuple[float, ...], path: Path) -> None:
    """Convert an EDSR of others to 0..1, with the residual scale that leaves greys alone, or raise.

    Their network computes W_head * (white (x - mean)) and so on. Here everything is divided by
    white, which passes through ReLU: so only the biases change. No file states the residual scale:
    it is 1, or 0.1 in the paper's large network, of which 1 makes numbers beyond all bounds.
    """
    flat = {
        name: p.sum(axis=(2, 3), dtype=np.float64) if name[0] == "W" else p[:, None]
        for name, p in network.parameters.items()
    }
    scales = 1.0, 0.1
    results = [[_on_greys(network, flat, t, white) for white in whites] for t in scales]
    errors = [[np.abs(x - GREYS).max() for x in some] for some in results]
    # The first of each, where it is not clear.
    whitest = [int(len(whites) > 1 and some[0] > 4 * some[1]) for some in errors]
    whole, tenth = (some[k] for some, k in zip(errors, whitest, strict=True))
    least = int(whole > max(4 * tenth, _CLEAR))
    t, best = scales[least], whitest[least]
    if not is_picture(results[least][best]):
        made = [", ".join(f"{x:.3g}" for x in some[0].mean(axis=0)) for some in results]
        raise Refused(
            f"{path} makes no picture: of greys of {', '.join(f'{x:.2f}' for x in GREYS)} it makes "
            f"{made[0]}, or {made[1]} with a tenth of each block's result, as in the large EDSR "
            f"of the paper. It has another residual scale, or is not trained"
        )
    for name, p in network.parameters.items():
        if name[0] == "B":
            p /= whites[best]
    notes = list(network.card.get("notes", []))
    if t != 1:
        network.options["residual_scale"] = t
        notes.append(
            f"the file does not say so, but a residual scale of {t:g} is assumed, as in the large "
            f"EDSR of the paper: with 1, greys do not stay greys"
        )
    if best > 0:
        notes.append(
            "the file does not say so, but its values are taken to be 0..1, not 0..255: so greys "
            "change less"
        )
    network.card |= {"notes": notes} if notes else {}


def _on_greys(network: EDSR, flat: Arrays, t: float, white: float) -> np.ndarray:
    """Return an EDSR's outputs for flat greys, (c, 3), in 0..1; `flat` are the sums of its filters.

    All maps are constant until the tail, which is linear: there, means of sub-pixels are enough.
    """

    def layer(name: str, h: np.ndarray) -> np.ndarray:
        return flat[f"W{name}"] @ h + flat[f"B{name}"] / white

    mean = np.reshape(network.options["mean"] or [0.0] * network.c, (-1, 1))
    with np.errstate(all="ignore"):
        h = h0 = layer("_head", np.tile(GREYS, (network.c, 1)) - mean)
        for k in blocks_of(network.parameters):
            h = h + t * layer(f"{k}_2", np.maximum(layer(f"{k}_1", h), 0))
        h = layer("_body", h) + h0
        for w, _, s in ups(network.parameters):
            h = layer(w[1:], h).reshape(-1, s * s, len(GREYS)).mean(axis=1)
        out = layer("_tail", h).reshape(network.c, -1, len(GREYS)).mean(axis=1) + mean
    return np.nan_to_num(out, nan=np.inf)


def without_prefix(tensors: Arrays) -> Arrays:
    """Return tensors without what all names begin with: "module.", "model.generator."."""
    names = [name.split(".") for name in tensors]
    while names and all(len(name) > 2 and name[0] == names[0][0] for name in names):
        names = [name[1:] for name in names]
    return dict(zip(map(".".join, names), tensors.values(), strict=True))


def vdsr_of(tensors: Arrays, ordered: bool) -> Arrays | None:
    """Return W1, B1, ... of a PyTorch VDSR: filters 3 x 3, one layer from the picture, one to it.

    The other layers have the same shape, so they are taken in the order of their numbers, if their
    names differ in nothing else, or else in that of the file, if it is meaningful. None if the
    tensors do not fit, or if they turn grey into grey without the input added: then they are a
    chain.
    """
    weights, biases = ({name.removesuffix(end): tensor for name, tensor in tensors.items()
                        if name.endswith(end)} for end in (".weight", ".bias"))  # fmt: skip
    if any(tensor.dtype.kind != "f" for tensor in tensors.values()):
        return None
    shapes = {name: w.shape for name, w in weights.items()}
    fours = all(len(s) == 4 and 0 not in s for s in shapes.values())
    flat = all(name in shapes and b.shape == shapes[name][:1] for name, b in biases.items())
    if len(weights) + len(biases) != len(tensors) or len(weights) < 4 or not fours or not flat:
        return None
    width, c = max(s[0] for s in shapes.values()), min(s[1] for s in shapes.values())
    ends = (width, c, 3, 3), (c, width, 3, 3)
    first, last = ([n for n, s in shapes.items() if s == end] for end in ends)
    middle = [name for name, shape in shapes.items() if shape == (width, width, 3, 3)]
    if len(first) != 1 or len(last) != 1 or len(middle) != len(weights) - 2:
        return None
    if not ordered or len({re.sub("[0-9]+", "#", name) for name in middle}) == 1:
        middle.sort(key=_numbers)
    found: Arrays = {}
    h = np.full(c, 0.5)
    for k, name in enumerate([*first, *middle, *last], 1):
        w = weights[name]
        b = found[f"B{k}"] = biases.get(name, np.zeros(len(w), w.dtype))
        found[f"W{k}"] = w
        h = w.sum(axis=(2, 3), dtype=np.float64) @ h + b
        h = h if name in last else np.maximum(h, 0)
    return found if np.abs(h).max() < 0.15 else None


def check_adds(network: VDSR, path: Path) -> None:
    """Raise if what a network adds to its input softens edges, or is mostly noise of the input.

    A denoiser, such as a DnCNN, may have the same layers, and its result is subtracted.
    """
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    hard = np.where(columns + rows / 2 > _SIDE * 3 / 4, 0.7, 0.3)
    weights = np.exp(-((columns - columns.T) ** 2) / (2 * 1.2**2))  # a blur as if enlarged by 3
    blur = weights / weights.sum(axis=1, keepdims=True)
    soft = blur @ hard @ blur.T
    noise = np.random.default_rng(0).normal(0, 0.05, hard.shape)
    wanted = np.stack([hard - soft, noise])
    x = np.repeat(np.stack([soft, 0.5 + noise])[:, None], network.c, axis=1).astype(network.dtype)
    slow = VDSR.from_parameters(network.parameters, ops=reference)
    with np.errstate(all="ignore"):  # NaN is refused below
        added = (slow.forward(x) - x).mean(axis=1, dtype=np.float64)
    inner = np.s_[:, 4:-4, 4:-4]
    shares = (added * wanted)[inner].sum(axis=(1, 2)) / (wanted**2)[inner].sum(axis=(1, 2))
    if not (shares[0] > 0 and shares[1] < _MOST_NOISE):
        why = (
            f"its result is {shares[1]:.0%} of noise that is in its input"
            if shares[0] > 0
            else "its result, added to a soft edge, makes that softer"
        )
        raise Refused(
            f"{path} has the layers of a VDSR, but {why}: it is perhaps a denoiser, such as a "
            f"DnCNN, whose result is subtracted, or not trained, and it is not read"
        )


def _numbers(name: str) -> list[int]:
    return [int(n) for n in re.findall(r"[0-9]{1,9}", name)]


def _our_name(layer: str) -> str | None:
    for pattern, ours in _EDSR.items():
        match = re.fullmatch(pattern, layer)
        if match and ours == "_up{}":
            return "_up"
        if match:
            return ours.format(*(int(n) + 1 for n in match.groups() if n and "{}" in ours))
    return None
