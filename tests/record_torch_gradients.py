"""Record losses and gradients of PyTorch for small networks in ``torch_gradients.npz``.

Run once, by hand, where PyTorch is installed; the tests only read the file:

    python tests/record_torch_gradients.py

For each network ("case") the file holds low, high, W1, B1, W2, B2, W3, B3 (float32, so that both
float32 and float64 start from just these numbers) and, computed in float64, loss and dW1 ... dB3
of the mean squared error over all elements. Names are "<case>/<array>".

Seeds are tried until no value comes near the kink of ReLU: there, rounding decides whether a
gradient passes, and float32 would rightly differ from float64.
"""

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


def main():
    """Write the file beside this script."""
    recorded = {}
    for sizes, filters, c, n, shape in CASES:
        for seed in range(1000):
            case = arrays(sizes, filters, c, n, shape, seed)
            result, nearest = gradients(case)
            if nearest > KINK:
                break
        else:
            raise RuntimeError(f"every seed brings {sizes} too near the kink of ReLU")
        name = f"{'-'.join(map(str, sizes))} n={filters[0]},{filters[1]} c={c} N={n}"
        recorded |= {f"{name}/{key}": array for key, array in (case | result).items()}
        print(f"{name}: seed {seed}, loss {result['loss']:.6f}")
    path = Path(__file__).with_name("torch_gradients.npz")
    np.savez_compressed(path, **recorded)
    print(f"{path.name}: {path.stat().st_size} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
