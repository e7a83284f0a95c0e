"""Record losses and gradients of PyTorch for small networks, in a file for each kind.

Run once, by hand, where PyTorch is installed; the tests only read the files:

    python tests/record_torch_gradients.py

``torch_gradients.npz`` is of SRCNN, ``torch_gradients_espcn.npz`` of ESPCN and
``torch_gradients_srresnet.npz`` of SRResNet; those of VDSR, DRCN and EDSR are recorded by
`record_torch_deep`. For each network ("case") a file holds low, high and the parameters by our
names (float32, so that both float32 and float64 start from just these numbers) and, computed in
float64, loss and the gradients dW1, ... of the mean squared error over all elements; but for SRCNN,
dlow too. Of SRResNet, afterM1_1, ... are the running statistics after a forward pass in training.
Names are "<case>/<array>".

Seeds are tried until no value comes near the kink of ReLU: there, rounding decides whether a
gradient passes, and float32 would rightly differ from float64.
"""

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

# (f1, f2, f3), (n1, n2), c, samples, height and width of the result
CASES = [
    ((9, 1, 5), (6, 4), 1, 1, (5, 8)),
    ((9, 1, 5), (6, 4), 3, 3, (7, 5)),
    ((9, 3, 5), (6, 4), 1, 2, (5, 7)),
    ((9, 3, 5), (6, 4), 3, 1, (4, 3)),
    ((9, 5, 5), (6, 4), 1, 3, (3, 6)),
    ((9, 5, 5), (6, 4), 3, 2, (5, 3)),
    ((9, 5, 5), (9, 8), 1, 3, (5, 7)),
    ((9, 1, 5), (9, 8), 3, 2, (3, 5)),
]
# scale, activation, padding; 5-3-3 with 4 and 3 filters, 2 samples of 4 x 5, c = 1 and 3 in turn
ESPCN_CASES = list(itertools.product((2, 3), ("tanh", "relu"), ("zeros", "replicate")))
KINK = 1e-5


def arrays(sizes, filters, c, n, shape, seed):
    """Random input, target and parameters; weights as He et al. would start them."""
    rng = np.random.default_rng(seed)
    margin = sum(f - 1 for f in sizes)
    case = {
        "low": rng.random((n, c, shape[0] + margin, shape[1] + margin)),
        "high": rng.random((n, c, *shape)),
    }
    channels = (c, *filters, c)
    for k, f in enumerate(sizes, 1):
        inputs, outputs = channels[k - 1], channels[k]
        case[f"W{k}"] = rng.normal(0, np.sqrt(2 / (inputs * f * f)), (outputs, inputs, f, f))
        case[f"B{k}"] = rng.normal(0, 0.1, outputs)
    return {name: array.astype(np.float32) for name, array in case.items()}


def gradients(case):
    """Loss and gradients in float64, and how near the kink of ReLU the network comes."""
    tensors = {name: torch.from_numpy(array).double() for name, array in case.items()}
    parameters = {n: t.requires_grad_() for n, t in tensors.items() if n[0] in "WB"}
    x, nearest = tensors["low"], np.inf
    for k in (1, 2, 3):
        x = F.conv2d(x, parameters[f"W{k}"], parameters[f"B{k}"])
        if k < 3:
            nearest = min(nearest, x.detach().abs().min().item())
            x = F.relu(x)
    loss = F.mse_loss(x, tensors["high"])
    loss.backward()
    result = {"loss": np.array(loss.item())}
    result |= {f"d{name}": parameter.grad.numpy() for name, parameter in parameters.items()}
    return result, nearest


def espcn_arrays(scale, c, seed):
    """Random input, target and parameters of an ESPCN."""
    rng = np.random.default_rng(seed)
    n, (height, width) = 2, (4, 5)
    case = {
        "low": rng.random((n, c, height, width)),
        "high": rng.random((n, c, scale * height, scale * width)),
    }
    channels = (c, 4, 3, c * scale**2)
    for k, f in enumerate((5, 3, 3), 1):
        inputs, outputs = channels[k - 1], channels[k]
        case[f"W{k}"] = rng.normal(0, np.sqrt(2 / (inputs * f * f)), (outputs, inputs, f, f))
        case[f"B{k}"] = rng.normal(0, 0.1, outputs)
    return {name: array.astype(np.float32) for name, array in case.items()}


def espcn_gradients(case, scale, activation, padding):
    """Loss and gradients in float64, and how near the kink of ReLU the network comes."""
    tensors = {name: torch.from_numpy(array).double() for name, array in case.items()}
    wanted = {n: t.requires_grad_() for n, t in tensors.items() if n[0] in "WBl"}
    x, nearest = tensors["low"], np.inf
    for k in (1, 2, 3):
        w = wanted[f"W{k}"]
        mode = {"zeros": "constant", "replicate": "replicate"}[padding]
        x = F.conv2d(F.pad(x, [w.shape[2] // 2] * 4, mode=mode), w, wanted[f"B{k}"])
        if k < 3 and activation == "relu":
            nearest = min(nearest, x.detach().abs().min().item())
        if k < 3:
            x = getattr(torch, activation)(x)
    loss = F.mse_loss(F.pixel_shuffle(x, scale), tensors["high"])
    loss.backward()
    result = {"loss": np.array(loss.item())}
    return result | {f"d{name}": tensor.grad.numpy() for name, tensor in wanted.items()}, nearest


# scale, channels, samples, whether it is in training, with batch normalisation, slopes, picture
SRRESNET_CASES = [
    (2, 3, 2, True, True, 1, False),
    (3, 1, 3, True, True, 2, True),
    (4, 1, 1, False, True, 1, True),
    (2, 1, 2, False, False, 2, False),
]


def srresnet_arrays(case, seed):
    """Random input, target and parameters of an SRResNet of 2 blocks of 2 maps."""
    scale, c, n, _, batch_norm, slopes, _ = case
    rng, width, (height, columns) = np.random.default_rng(seed), 2, (4, 5)
    found = {
        "low": rng.random((n, c, height, columns)),
        "high": rng.random((n, c, scale * height, scale * columns)),
    }
    ups = {2: [2], 3: [3], 4: [2, 2]}[scale]
    inner = ["1_1", "1_2", "2_1", "2_2", "_body"]
    layers = {"_head": (c, width, 9)} | dict.fromkeys(inner, (width, width, 3))
    layers |= {f"_up{k}": (width, width * s * s, 3) for k, s in enumerate(ups, 1)}
    for name, (i, o, f) in (layers | {"_tail": (width, c, 9)}).items():
        found[f"W{name}"] = rng.normal(0, np.sqrt(2 / (i * f * f)), (o, i, f, f))
        found[f"B{name}"] = rng.normal(0, 0.1, o)
        if batch_norm and name in inner:
            found[f"G{name}"] = rng.normal(1, 0.2, o)
            found[f"M{name}"] = rng.normal(0, 0.1, o)
            found[f"V{name}"] = rng.uniform(0.5, 1.5, o)
    for name in ["_head", "1", "2", *(f"_up{k}" for k in range(1, len(ups) + 1))]:
        found[f"A{name}"] = rng.uniform(0.1, 0.4, slopes)
    return {name: array.astype(np.float32) for name, array in found.items()}


def srresnet_gradients(found, case):
    """Loss, gradients and running statistics in float64, and how near the kink of PReLU it is."""
    scale, _, _, training, batch_norm, _, picture = case
    tensors = {name: torch.from_numpy(array).double() for name, array in found.items()}
    wanted = {n: t.requires_grad_() for n, t in tensors.items() if n[0] in "WBGAl"}
    nearest = np.inf

    def conv(x, name):
        w = wanted[f"W{name}"]
        if f"G{name}" not in wanted:
            return F.conv2d(x, w, wanted[f"B{name}"], padding=w.shape[2] // 2)
        z = F.conv2d(x, w, padding=w.shape[2] // 2)
        running = tensors[f"M{name}"], tensors[f"V{name}"]
        return F.batch_norm(z, *running, wanted[f"G{name}"], wanted[f"B{name}"], training)

    def prelu(x, name):
        nonlocal nearest
        nearest = min(nearest, x.detach().abs().min().item())
        return F.prelu(x, wanted[f"A{name}"])

    h = h0 = prelu(conv(wanted["low"], "_head"), "_head")
    for k in ("1", "2"):
        h = conv(prelu(conv(h, f"{k}_1"), k), f"{k}_2") + h
    h = conv(h, "_body") + h0
    for k, s in enumerate({2: [2], 3: [3], 4: [2, 2]}[scale], 1):
        h = prelu(F.pixel_shuffle(conv(h, f"_up{k}"), s), f"_up{k}")
    out = conv(h, "_tail")
    if picture:
        out = out + F.interpolate(wanted["low"], scale_factor=scale, mode="nearest")
    loss = F.mse_loss(out, tensors["high"])
    loss.backward()
    result = {"loss": np.array(loss.item())}
    result |= {f"d{name}": tensor.grad.numpy() for name, tensor in wanted.items()}
    if training:
        result |= {f"after{n}": t.numpy() for n, t in tensors.items() if n[0] in "MV"}
    return result, nearest


def srresnet():
    """All cases of SRResNet."""
    found = {}
    for case in SRRESNET_CASES:
        scale, c, n, training, batch_norm, slopes, picture = case
        words = "training" if training else "use"
        name = f"x{scale} c={c} N={n} {words} norm={batch_norm} slopes={slopes} picture={picture}"
        make = partial(srresnet_arrays, case)
        found |= recorded(name, make, partial(srresnet_gradients, case=case))
    return found


def recorded(name, make, compute):
    """Arrays and results of the first seed that stays away from the kink, by their full names."""
    for seed in range(1000):
        case = make(seed)
        result, nearest = compute(case)
        if nearest > KINK:
            break
    else:
        raise RuntimeError(f"every seed brings {name} too near the kink of ReLU")
    print(f"{name}: seed {seed}, loss {result['loss']:.6f}")
    return {f"{name}/{key}": array for key, array in (case | result).items()}


def write(file, arrays):
    """Write a file beside this script."""
    path = Path(__file__).with_name(file)
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size} bytes, torch {torch.__version__}")


def main():
    """Write the files of SRCNN, ESPCN and SRResNet."""
    found = {}
    for sizes, filters, c, n, shape in CASES:
        name = f"{'-'.join(map(str, sizes))} n={filters[0]},{filters[1]} c={c} N={n}"
        make = partial(arrays, sizes, filters, c, n, shape)
        found |= recorded(name, make, gradients)
    write("torch_gradients.npz", found)
    found = {}
    for number, (scale, activation, padding) in enumerate(ESPCN_CASES):
        c = (1, 3)[(number + number // 2) % 2]
        compute = partial(espcn_gradients, scale=scale, activation=activation, padding=padding)
        name = f"espcn x{scale} {activation} {padding} c={c}"
        found |= recorded(name, partial(espcn_arrays, scale, c), compute)
    write("torch_gradients_espcn.npz", found)
    write("torch_gradients_srresnet.npz", srresnet())


if __name__ == "__main__":
    main()
