"""Initial weights of a chain of convolutions."""

import numpy as np

from ..checks import check_whole
from .reach import Layers

__all__ = ["initialise"]


def initialise(layers: Layers, c: int, how: str, seed: int = 0) -> None:
    """Set all parameters to their values before training, in place; biases to 0.

    Parameters
    ----------
    layers : list of (weights, biases)
        From c channels to c, or to c s^2 sub-pixels.
    c : int
        Channels of the picture.
    how : str
        "paper": weights from N(0, 0.001^2), Section 3.3 of the paper of SRCNN.
        "he": from N(0, 2 / (C f f)), which keeps the size of the values through layers with
        ReLU (He et al., 2015).
        "identity": as "he", but the first filter of each layer (for RGB, the first three) passes
        the picture on unchanged; the other filters of all layers but the last have a mean of zero,
        so that brightness alone does not silence them; and the last layer's other weights are
        divided by 50. So the untrained network nearly returns its input, or each pixel of it s x s
        times, and learns the rest.
    seed : int

    Raises
    ------
    ValueError
        If `how` is unknown, the seed is invalid, or a layer has too few filters to pass each
        channel on.
    """
    check_whole("seed", seed, 0)
    rng = np.random.default_rng(seed)
    if how not in ("paper", "he", "identity"):
        raise ValueError(f'init is "paper", "he" or "identity", got {how!r}')
    filters = tuple(len(w) for w, _ in layers[:-1])
    if how == "identity" and min((c, *filters)) < c:
        raise ValueError(
            f'"identity" needs at least {c} filters in each layer, one for each channel, '
            f"got {filters}"
        )
    for k, (w, b) in enumerate(layers, 1):
        deviation = 0.001 if how == "paper" else np.sqrt(2 / w[0].size)
        w[...] = rng.normal(0, deviation, w.shape)
        b[...] = 0
        if how == "identity":
            _hand_on(w, c, k == 1, k == len(layers))


def _hand_on(w: np.ndarray, c: int, first: bool, last: bool) -> None:
    """Make the first c filters of a layer, or all of the last, pass the picture on."""
    if not first:
        w[:, :c] = 0  # no other filter reads the picture that is passed on
    if last:
        w *= 0.02
    else:
        w[:c] = 0
        others = w[c:, 0 if first else c :]
        if others.size:
            others -= others.mean(axis=(1, 2, 3), keepdims=True)
    centre, handing = w.shape[2] // 2, len(w) if last else c
    for o in range(handing):
        channel = o * c // handing
        w[o, :c] = 0
        w[o, channel, centre, centre] = 1
