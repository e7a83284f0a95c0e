"""Convert SRResNets of other PyTorch programs to our names and range of values.

Supported are the names of Lornatang/SRGAN-PyTorch (conv1.0 or conv_block1.0, trunk.0.rcb.0, ...,
upsampling.0.upsample_block.0, conv3) and of twtygqyy/pytorch-SRResNet (conv_input,
residual.0.conv1, ..., upscale4x.0, conv_output), whose PReLU is a leaky ReLU of slope 0.2. Their
convolutions may have biases before batch normalisation: subtracting such a bias from the running
mean gives the same network.

Recognised, but refused, are those that end with a tanh (sgrvinod's tutorial, leftthomas/SRGAN), and
MSRResNet of BasicSR, which has neither batch normalisation nor PReLU.
"""

import re
from pathlib import Path

import numpy as np

from ..formats import Arrays, Refused, shown
from .srresnet import SRResNet
from .values import GREYS, check_numbers, is_picture

__all__ = ["check_greys", "srresnet_of"]

LEAKY = 0.2

# Our names of layers by theirs: a convolution (W), normalisation (G) or slopes (A); {} is a number,
# which ours count from 1.
_NAMES = {
    r"(?:conv|conv_block)1\.0|conv_input": "W_head",
    r"(?:conv|conv_block)1\.1": "A_head",
    r"trunk\.([0-9]{1,4})\.rcb\.0|residual\.([0-9]{1,4})\.conv1": "W{}_1",
    r"trunk\.([0-9]{1,4})\.rcb\.1|residual\.([0-9]{1,4})\.bn1": "G{}_1",
    r"trunk\.([0-9]{1,4})\.rcb\.2": "A{}",
    r"trunk\.([0-9]{1,4})\.rcb\.3|residual\.([0-9]{1,4})\.conv2": "W{}_2",
    r"trunk\.([0-9]{1,4})\.rcb\.4|residual\.([0-9]{1,4})\.bn2": "G{}_2",
    r"(?:conv|conv_block)2\.0|conv_mid": "W_body",
    r"(?:conv|conv_block)2\.1|bn_mid": "G_body",
    r"upsampling\.([0-9]{1,4})\.upsample_block\.0": "W_up{}",
    r"upsampling\.([0-9]{1,4})\.upsample_block\.2": "A_up{}",
    r"upscale4x\.0": "W_up1",
    r"upscale4x\.3": "W_up2",
    r"(?:conv|conv_block)3|conv_output": "W_tail",
}
_OF_NORM = {"weight": "G", "bias": "B", "running_mean": "M", "running_var": "V"}
_TANH = r"(?:net\.)?conv_block1\.conv_block\.0\.weight|block8\.\d+\.conv\.weight"


def srresnet_of(tensors: Arrays, path: Path) -> Arrays | None:
    """Return an SRResNet's parameters from others' tensors, or None if it is none.

    Raises
    ------
    Refused
        If it is a relative of SRResNet that is not read, or lacks running statistics.
    """
    _refuse_relatives(tensors, path)
    found: Arrays = {}
    biases: Arrays = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        ours = _our_name(layer)
        if ours is None:
            return None
        if kind == "num_batches_tracked":
            continue
        if tensor.dtype == np.float16:
            tensor = tensor.astype(np.float32)  # noqa: PLW2901
        if ours[0] == "G" and kind in _OF_NORM:
            found[_OF_NORM[kind] + ours[1:]] = tensor
        elif kind == "weight":
            found[ours] = tensor
        elif ours[0] == "W" and kind == "bias":
            biases[ours[1:]] = tensor
        else:
            return None
    if not {"W_head", "W1_1", "W_body", "W_tail"} <= found.keys():
        return None
    for name in [name for name in found if name[0] == "W"]:
        _complete(found, name[1:], biases.pop(name[1:], None), path)
    found |= {f"B{layer}": bias for layer, bias in biases.items()}  # of no layer: refused later
    if not any(name[0] == "A" for name in found):
        if "conv_input.weight" not in tensors:
            raise Refused(f"{path} has the layers of an SRResNet, but no slopes of its PReLU")
        layers = [name[1:-2] for name in found if re.fullmatch(r"W\d+_1", name)]
        layers += [name[1:] for name in found if name.startswith("W_up")] + ["_head"]
        found |= {f"A{layer}": np.array([LEAKY], np.float32) for layer in layers}
    return found


def _refuse_relatives(tensors: Arrays, path: Path) -> None:
    if any(re.fullmatch(_TANH, name) for name in tensors):
        raise Refused(
            f"{path} is an SRResNet that ends with a tanh, and such networks are not read"
        )
    if {"conv_first.weight", "upconv1.weight", "conv_hr.weight"} <= tensors.keys():
        raise Refused(
            f"{path} is an MSRResNet, by its names: an SRResNet without batch normalisation and "
            f"PReLU, as BasicSR has it, and such networks are not read"
        )


def _complete(found: Arrays, layer: str, bias: np.ndarray | None, path: Path) -> None:
    """Add what the file lacks for a convolution and its normalisation, or raise."""
    filters = found[f"W{layer}"].shape[:1]
    if f"G{layer}" not in found:
        found[f"B{layer}"] = np.zeros(filters, np.float32) if bias is None else bias
        return
    for kind, words in (("B", "no beta"), ("M", "no running mean"), ("V", "no running variance")):
        if f"{kind}{layer}" not in found:
            raise Refused(
                f"{path} has {words} of the batch normalisation of layer {shown(layer)}: save "
                f"the whole state_dict"
            )
    mean = found[f"M{layer}"]
    if bias is None or mean.shape != filters:
        return
    name = f"the bias of layer {shown(layer)}"
    check_numbers(f"M{layer}", mean, path)
    check_numbers(name, bias, path)
    if bias.shape != filters:
        raise Refused(f"{path}: {name} has the shape {bias.shape}, wanted {filters}")
    found[f"M{layer}"] = mean - bias


def _our_name(layer: str) -> str | None:
    for pattern, ours in _NAMES.items():
        if match := re.fullmatch(pattern, layer):
            return ours.format(*(int(n) + 1 for n in match.groups() if n))
    return None


def check_greys(network: SRResNet, path: Path) -> None:
    """Raise unless greys come out nearly unchanged.

    If the output is -1..1, as in the paper, the last layer is changed to return 0..1.
    """
    greys = np.broadcast_to(GREYS[:, None, None, None], (len(GREYS), network.c, 16, 16))
    out = network.forward(greys.astype(network.dtype))
    middle = slice(out.shape[2] // 2 - 2, out.shape[2] // 2 + 2)
    given = out[:, :, middle, middle].mean(axis=(2, 3)).T
    if is_picture((given + 1) / 2):
        p = network.parameters
        p["W_tail"] /= 2
        p["B_tail"][...] = (p["B_tail"] + 1) / 2
    elif not is_picture(given):
        texts = [", ".join(f"{x:.2f}" for x in some) for some in (GREYS, given.mean(axis=0))]
        raise Refused(
            f"{path} makes no picture: of greys of {texts[0]} it makes {texts[1]}. Its values are "
            f"neither of 0..1 nor, of the result, of -1..1, or it is not trained"
        )
