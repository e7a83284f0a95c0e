"""Small VDSR, DRCN, EDSR, SRResNet and VESPCN for a case, and the loss they are trained with."""

from collections.abc import Callable, Sequence

import numpy as np

from .. import reference
from ..checks import is_real
from ..networks import DRCN, EDSR, LOSSES, VDSR, VESPCN, Network, SRResNet

__all__ = ["DEEP", "deep_network"]


def _vdsr(width: int, c: int, scale: int | None, depth: int = 5) -> Network:
    if scale is not None:
        raise ValueError(f"scale is {scale}, and vdsr takes enlarged pictures: leave it out")
    return VDSR(depth, width, c, ops=reference)


def _drcn(width: int, c: int, scale: int | None, depth: int = 3) -> Network:
    if scale is not None:
        raise ValueError(f"scale is {scale}, and drcn takes enlarged pictures: leave it out")
    return DRCN(depth, width, c, ops=reference)


def _edsr(
    width: int,
    c: int,
    scale: int | None,
    depth: int = 2,
    short_tail: bool = False,
    residual_scale: float = 1.0,
    picture: bool = False,
    mean: Sequence[float] = (),
) -> Network:
    return EDSR(
        2 if scale is None else scale, depth, width, c, short_tail=short_tail,
        residual_scale=residual_scale, picture=picture, mean=mean, ops=reference,
    )  # fmt: skip


def _srresnet(
    width: int,
    c: int,
    scale: int | None,
    depth: int = 2,
    batch_norm: bool = True,
    training: bool = True,
    picture: bool = False,
) -> Network:
    if not isinstance(training, bool):
        raise ValueError(f"training is {training!r}, wanted True or False")
    made = SRResNet(
        2 if scale is None else scale, depth, width, c, batch_norm=batch_norm, picture=picture,
        ops=reference,
    )  # fmt: skip
    made.options["training"] = training
    return made


def _vespcn(
    width: int,
    c: int,
    scale: int | None,
    depth: int = 3,
    frames: int = 3,
    fusion: str = "early",
    picture: bool = False,
) -> Network:
    if c != 1:
        raise ValueError(f"c is {c}, and vespcn takes luminance alone, 1: leave it out")
    return VESPCN(
        2 if scale is None else scale, frames, depth, width, fusion=fusion, picture=picture,
        ops=reference,
    )  # fmt: skip


DEEP: dict[str, Callable[..., Network]] = {
    "vdsr": _vdsr,
    "drcn": _drcn,
    "edsr": _edsr,
    "srresnet": _srresnet,
    "vespcn": _vespcn,
}
_OPTIONS = {
    "vdsr": ("depth",),
    "drcn": ("depth",),
    "edsr": ("depth", "short_tail", "residual_scale", "picture", "mean"),
    "srresnet": ("depth", "batch_norm", "training", "picture"),
    "vespcn": ("depth", "frames", "fusion", "picture"),
}


def deep_network(
    name: str,
    filters: tuple[int, ...] | None = None,
    c: int = 1,
    scale: int | None = None,
    *,
    loss: str | None = None,
    alpha: float | None = None,
    **options: object,
) -> tuple[Network, str, float]:
    """Make a deep network in float64, and return it with its loss and DRCN's alpha.

    Parameters
    ----------
    name : "vdsr", "drcn", "edsr", "srresnet" or "vespcn"
    filters : tuple of one int, optional
        Feature maps of all layers; 6 by default.
    c, scale : int
        Channels; and the scale of EDSR, SRResNet and VESPCN, 2 by default.
    loss : "mse", "l1" or "charbonnier", optional
        By default "l1" for EDSR, as in the paper, and "mse" for the others.
    alpha : float, optional
        For DRCN, the share of the loss for the pictures after each recursion; 0.6 by default.
    **options
        With defaults in parentheses. VDSR: depth, layers (5). DRCN: depth, recursions (3). EDSR and
        SRResNet: depth, residual blocks (2); picture (False: none is added, as in the papers).
        EDSR: short_tail (False), residual_scale (1) and mean (none), see `networks.edsr.forward`.
        SRResNet: batch_norm (True); training (True: batch statistics; False: running ones).
        VESPCN: depth, layers after the motion (3); frames (3); fusion ("early"); picture (False);
        the loss here is that of the result alone, without the warping error and the roughness of
        the flows.

    Raises
    ------
    TypeError, ValueError
        If an option is unknown, or a value is out of range.
    """
    if filters is not None and len(filters) != 1:
        raise ValueError(f"filters are {filters}, wanted one number for all layers of {name}")
    if alpha is not None and name != "drcn":
        raise ValueError(f"only drcn takes alpha; the network is {name}")
    if alpha is not None and not (is_real(alpha) and 0 <= alpha <= 1):
        raise ValueError(f"alpha is {alpha!r:.60}, wanted 0 to 1")
    if loss not in (None, *LOSSES):
        raise ValueError(f"loss is {loss!r}, wanted one of {', '.join(LOSSES)}")
    known = _OPTIONS[name]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(f"{unknown[0]} is no option of {name}; those are {', '.join(known)}")
    net = DEEP[name](6 if filters is None else filters[0], c, scale, **options)
    alpha = (0.6 if alpha is None else alpha) if name == "drcn" else 0.0
    return net.astype(np.float64), loss or ("l1" if name == "edsr" else "mse"), alpha
