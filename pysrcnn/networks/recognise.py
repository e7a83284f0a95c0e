"""Recognise the network in a file, whether ours or of other programs, under whatever names.

Files of other programs say nothing about what is between the layers, unless they hold a graph
(Keras, ONNX). An SRCNN is then taken to have ReLU, and an ESPCN tanh and zeros beyond the edge, as
in its paper and in programs after it. The last layer tells them apart: one filter for each channel
of the picture, or one for each sub-pixel.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import kernels
from ..formats import Arrays, Refused, Weights, shown
from .authors import (
    check_adds,
    complete_edsr,
    edsr_of,
    from_matlab,
    vdsr_from_matlab,
    vdsr_of,
    without_prefix,
)
from .authors_srresnet import check_greys, srresnet_of
from .dictionaries import check_dictionaries
from .drcn import DRCN
from .edsr import EDSR
from .espcn import ACTIVATIONS, ESPCN
from .graphs import GraphChain, chain_of
from .layers import OTHER_NETWORKS, check, numbered, stack
from .network import START, Network
from .parameters import check_shapes
from .sparse import SparseCoding
from .srcnn import SRCNN
from .srresnet import SRResNet
from .values import BEYOND, as_plain, check_numbers, check_sense, folded, left_out, shuffle_of
from .vdsr import VDSR
from .vespcn import VESPCN
from .vgg_files import NETWORK as VGG_CARD

__all__ = ["is_ours", "network_of"]

# Parts of the names of layers that none of our networks has.
_NAMES_OF_OTHERS = re.compile(
    r"(?<![a-z])p_?re_?lu|leaky|(?<![a-z])l_?relu|threshold|(?<![a-z])[sgc]?elu|swish|sigmoid|up_?sampl|resiz|"
    r"transpose|residual|skip|shortcut|attention|separable|dilat|atrous|"
    r"depth(?!_?to_?space)|pool|norm|lambda|concat|reshape|permute|flatten|dense|deconv|locally|"
    r"(?<![a-z])(add|subtract|multiply|average|maximum|minimum|merge|dot|bn|soft[a-z]*)"
    r"(?![a-z])"
)
_NAMES_OF_ESPCN = re.compile(r"shuffle|sub_?pixel|depth|(?<![a-z])tanh(?![a-z])")
# The last layer and the weights of the sum, as jiny2001 calls them, with ":0" or without.
_DRCN_TF = re.compile(r"(^|/)(WD2_conv(_\d+)?(/conv_W_\d+)?|LayerWeights|layer_weight)(:0)?$")
_PARTS_OF_DRCN = re.compile(r"embed|recurs|inference|reconstruct")
_OURS = tuple("WBwAGMV")  # first letters of parameters of deep networks
_SKIPPED = re.compile(r"[WG](\d+_[12]|_body)")  # layers of deep networks with a skip around them
_ENLARGES = "an enlargement before the first layer"
_Kind = type[EDSR | VDSR | DRCN | SRResNet | VESPCN]
_DEEP: dict[str, _Kind] = {kind.name: kind for kind in (EDSR, VDSR, DRCN, SRResNet, VESPCN)}


def is_ours(weights: Weights) -> bool:
    """Whether the file is ours: in our own format with a card, or in another, written by `save`."""
    card = weights.card
    return "version" in card or (weights.format == "npz" and bool(card.keys() - {"notes"}))


def network_of(
    weights: Weights, path: Path, *, activation: str | None = None, ops: ModuleType = kernels
) -> Network:
    """Return the network that a file holds, in the dtype of its tensors.

    Parameters
    ----------
    weights : Weights
        From `formats.read_weights`.
    path : Path
        For error messages.
    activation : "tanh" or "relu", optional
        For an ESPCN of another program: replaces what the file states, if anything.
    ops : module

    Returns
    -------
    network : Network
        With its card; its scale is set if its layers determine it.

    Raises
    ------
    ValueError
        If the file holds none of our networks.
    """
    if "D_l" in weights.tensors or "D_h" in weights.tensors:
        if activation is not None:
            raise ValueError(f"{path} holds dictionaries, which have no activation")
        if ops is not kernels:
            raise ValueError(
                f"{path} holds dictionaries, with which pysrcnn.kernels alone computes: leave out "
                f"{ops.__name__}"
            )
        check_dictionaries(weights.tensors, weights.card, path)
        return SparseCoding(weights.tensors, dict(weights.card))
    if weights.card.get("network") == VGG_CARD:
        raise Refused(f"{path} holds a VGG, which enlarges nothing: give it as features")
    deep = _deep_in(weights, path)
    if deep:
        if activation is not None:
            own = "prelu" if deep.kind is SRResNet else "relu"
            raise ValueError(
                f"{path} holds {deep.kind.__name__}, whose activation is {own}: leave it out"
            )
        return _deep(deep, weights, path, ops)
    said = weights.card.get("network") if is_ours(weights) else None
    found = _chain_in(weights, path)
    enlarges = shuffle_of(found.parameters) > 1
    if said is not None and (said == ESPCN.name) != enlarges:
        raise Refused(
            f"{path} is damaged: its card says network {said!r:.60}, and "
            f"its layers are those of {'an ESPCN' if enlarges else 'an SRCNN'}"
        )
    if enlarges:
        return _espcn(found, path, activation, ops, is_ours(weights))
    return _srcnn(found, path, activation, ops, is_ours(weights))


@dataclass
class _Deep:
    """A deep network, with its parameters by our names."""

    kind: _Kind
    parameters: Arrays
    options: dict[str, Any] = field(default_factory=dict)
    start: Arrays = field(default_factory=dict)
    whites: tuple[float, ...] = ()  # what white may be in an EDSR of others


def _deep_in(weights: Weights, path: Path) -> _Deep | None:
    """Return the deep network that the card, or names and shapes of tensors, indicate, if any."""
    tensors, card = weights.tensors, weights.card
    said = card.get("network") if is_ours(weights) else None
    if isinstance(said, str) and said in _DEEP:
        kind = _DEEP[said]
        # A graph has constants besides the parameters.
        ours = {name: array for name, array in tensors.items() if name[:1] in _OURS}
        for name in ours:
            if name[0] == "A" and ours[name].ndim == 3:  # slopes as in a graph, (C, 1, 1)
                ours[name] = ours[name].ravel()
        options = {name: card[name] for name in kind.saved_options if name in card}
        start = {n.removeprefix(START): a for n, a in tensors.items() if n.startswith(START)}
        return _Deep(kind, ours, options, start)
    if is_ours(weights) or weights.graph is not None:
        return None
    if sum(bool(_DRCN_TF.search(name)) for name in tensors) > 1:
        raise Refused(
            f"{path} is a DRCN of the program deeply-recursive-cnn-tf, which is not read: its last "
            f"layer takes the input as one more channel, and whether ReLU follows it, an option of "
            f"the program, the file does not say"
        )
    if weights.format == "mat" and "model.weight{1}" in tensors:
        return _Deep(VDSR, vdsr_from_matlab(tensors, path))
    parts = {found[0]: n for n in tensors if (found := _PARTS_OF_DRCN.search(n.lower()))}
    if len(parts) > 1:
        raise Refused(
            f"{path} has layers of a DRCN, such as {shown(min(parts.values()))}: DRCN is read from "
            f"files of this package alone, as others do not say how their parts are put together"
        )
    tensors = without_prefix(tensors)
    if edsr := edsr_of(tensors):
        parameters, mean, whites = edsr
        return _Deep(EDSR, parameters, {"picture": False, "mean": mean}, whites=whites)
    if srresnet := srresnet_of(tensors, path):
        return _Deep(SRResNet, srresnet, {"picture": False})
    if vdsr := vdsr_of(tensors, weights.ordered):
        return _Deep(VDSR, vdsr)
    return None


def _deep(deep: _Deep, weights: Weights, path: Path, ops: ModuleType) -> Network:
    for name, array in [*deep.parameters.items(), *deep.start.items()]:
        if array.ndim not in (1, 4) or array.size == 0:
            raise Refused(f"{path} is damaged: {shown(name)} has the shape {array.shape}")
        check_numbers(name, array, path)
        check_sense(name, array, path, bool(_SKIPPED.fullmatch(name)))
    try:
        network = deep.kind.from_parameters(deep.parameters, ops=ops, **deep.options)
        if deep.start:
            check_shapes(deep.start, {name: p.shape for name, p in network.parameters.items()})
            begun = deep.kind.from_parameters(deep.start, ops=ops, **deep.options)
            network.start = begun.parameters
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise Refused(f"{path} is damaged: {error}") from None
    network.card = dict(weights.card)
    if isinstance(network, SRResNet) and not is_ours(weights):
        check_greys(network, path)
    if isinstance(network, EDSR) and not is_ours(weights):
        complete_edsr(network, deep.whites, path)
    if isinstance(network, VDSR) and not is_ours(weights):
        check_adds(network, path)
    said = network.card.get("scale")
    if network.scale is not None and said not in (None, network.scale):
        raise Refused(
            f"{path} is damaged: its card says scale {said!r:.60}, and its layers enlarge by "
            f"{network.scale}"
        )
    return network


@dataclass
class _Found:
    """A chain of layers, with its activation and padding if the file states them."""

    parameters: Arrays
    card: dict[str, Any]
    activation: str | None = None
    padding: str | None = None
    shifted: bool = False  # whether black was not 0


def _espcn(
    found: _Found, path: Path, activation: str | None, ops: ModuleType, ours: bool
) -> Network:
    notes = [*found.card.get("notes", [])]
    if ours and activation not in (None, found.activation):
        raise ValueError(
            f"{path} says that its activation is {found.activation}, and it was trained with that: "
            f"leave {activation} out"
        )
    options = {"activation": activation or found.activation or "tanh"}
    options["padding"] = found.padding or "zeros"
    if options["activation"] not in ACTIVATIONS:
        raise Refused(
            f"{path} has the activation {options['activation']!r:.60}, wanted "
            f"{' or '.join(ACTIVATIONS)}"
        )
    if options["padding"] not in ("zeros", "replicate"):
        notes.append(
            f"layers see {options['padding']!r:.60} beyond the edge of the picture, and here they "
            f"see zeros, so edges may differ a little"
        )
        options["padding"] = "zeros"
    if options["padding"] == "zeros" and found.shifted:
        notes.append(BEYOND)
        options["padding"] = "replicate"
    network = ESPCN.from_parameters(found.parameters, **options, ops=ops)
    said = found.card.get("scale")
    if said not in (None, network.scale):
        raise Refused(
            f"{path} is damaged: its card says scale {said!r:.60}, and its last layer has "
            f"{len(found.parameters[f'B{len(network.sizes)}'])} filters"
        )
    network.card = {**found.card, **({"notes": notes} if notes else {})}
    return network


def _srcnn(
    found: _Found, path: Path, activation: str | None, ops: ModuleType, ours: bool
) -> Network:
    if (activation or found.activation or "relu") != "relu":
        raise Refused(
            f"{path} has the activation {activation or found.activation}, and an SRCNN has relu "
            f"after each layer but the last"
        )
    padding = (found.padding if ours else None) or "replicate"
    if padding not in SRCNN.choices["padding"]:
        raise Refused(f"{path} has the padding {padding!r:.60}, wanted replicate or zeros")
    network = SRCNN.from_parameters(found.parameters, ops=ops, padding=padding)
    network.card = found.card
    return network


def _chain_in(weights: Weights, path: Path) -> _Found:
    """Return the layers, W1, B1, W2, B2, ..., and what the file states about them."""
    chain = None if weights.graph is None else chain_of(weights, path)
    card = dict(weights.card)
    if weights.format == "npz":
        parameters = weights.tensors
    elif weights.format == "mat":
        parameters = from_matlab(weights.tensors, path, OTHER_NETWORKS)
    elif chain and chain.layers and all(w is not None for w, _ in chain.layers):
        parameters = numbered([(w, b) for w, b in chain.layers if w is not None], path)
    else:
        parameters = stack(weights.tensors, path, weights.ordered)
    check(parameters, path)
    s = shuffle_of(parameters)
    card |= _check_names(weights.layers, path, s > 1)
    if weights.format == "keras" and chain is None and s > 1:
        parameters = _by_channels(parameters, s)
    if chain is None:
        ours = is_ours(weights)
        activation, padding = (card.get(n) if ours else None for n in ("activation", "padding"))
        return _Found(parameters, card, activation, padding)
    return _of_graph(parameters, card, chain, path)


def _of_graph(parameters: Arrays, card: dict, chain: GraphChain, path: Path) -> _Found:
    """Fold what a graph does to values into the layers; add what is between them."""
    s = shuffle_of(parameters)
    if (s > 1) != bool(chain.shuffle) or chain.block not in (None, s):
        c, filters = parameters["W1"].shape[1], len(parameters[f"B{len(parameters) // 2}"])
        by = f" by {chain.block}" if chain.block else ""
        raise Refused(
            f"{path} has {filters} filters in its last layer, for {c} channels, and behind it "
            f"{'a' if chain.shuffle else 'no'} sub-pixel shuffle{by}: {OTHER_NETWORKS}"
        )
    hidden = sorted(set(chain.activations[:-1]))
    if len(hidden) > 1:
        raise Refused(f"{path} has the activations {' and '.join(hidden)}: wanted one of them")
    if chain.shuffle == "DCR":
        parameters = _by_channels(parameters, s)
    if chain.enlarges:
        if s > 1:
            raise Refused(f"{path} enlarges twice: by {chain.enlarges}, and by its last layer")
        card |= left_out(f"{chain.enlarges}, {_ENLARGES}", chain.times)
    if s > 1 and chain.residual:
        raise Refused(f"{path} adds its input to a larger picture: {OTHER_NETWORKS}")
    if chain.residual and hidden not in ([], ["relu"]):
        raise Refused(f"{path} adds its input to the result of a network with {hidden[0]}")
    parameters = folded(parameters, chain.before, chain.after, path)
    parameters = as_plain(parameters, residual=chain.residual)
    padding = _padding(parameters, chain.paddings)
    shifted = bool(np.any(chain.before.b != 0))
    return _Found(parameters, card, hidden[0] if hidden else None, padding, shifted)


def _padding(parameters: Arrays, paddings: list[str]) -> str | None:
    """Return the padding of all layers except 1 x 1, which need none; None if it is unknown."""
    sizes = [w.shape[2] for name, w in parameters.items() if name[0] == "W"]
    if len(sizes) != len(paddings):
        return None
    seen = {padding for f, padding in zip(sizes, paddings, strict=True) if f > 1}
    return " and ".join(sorted(seen)).replace("edge", "replicate") or None


def _by_channels(parameters: Arrays, s: int) -> Arrays:
    """Return the last layer's filters in PyTorch's order, given those in TensorFlow's.

    Sub-pixel k of channel c is of filter k C + c in TensorFlow, of c s^2 + k in PyTorch.
    """
    last, c = len(parameters) // 2, parameters["W1"].shape[1]
    turned = np.arange(c * s * s).reshape(s * s, c).T.ravel()
    return parameters | {
        f"{kind}{last}": np.ascontiguousarray(parameters[f"{kind}{last}"][turned]) for kind in "WB"
    }


def _check_names(layers: tuple[tuple[str, bool], ...], path: Path, enlarges: bool) -> dict:
    """Raise if names of layers, all that is known, are not those of our networks; return a card.

    An enlargement before all layers is left out, and the card says so.
    """
    card: dict[str, Any] = {}
    front = True
    for name, has_tensors in layers:
        front = front and not has_tensors
        if front and re.search(r"up_?sampl", name.lower()):
            card = left_out(f"{shown(name)}, {_ENLARGES}", None)
            continue
        names = (_NAMES_OF_OTHERS, _NAMES_OF_ESPCN)[: 1 if enlarges else 2]
        if any(some.search(name.lower()) for some in names):
            kind = "ESPCN" if enlarges else "SRCNN"
            raise Refused(f"{path} has the layer {shown(name)}, whose name is not one of an {kind}")
    return card
