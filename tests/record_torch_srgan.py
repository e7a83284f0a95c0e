"""Record losses and gradients of PyTorch for what trains SRGAN, in two files.

Run once, by hand, where PyTorch is installed; the tests only read the file:

    python tests/record_torch_srgan.py

The networks are written here from their papers, with `torch.nn.functional` alone. For each small
discriminator ("case") ``torch_gradients_srgan.npz`` holds real and made pictures and the parameters
by our names (float32) and, computed in float64: loss, the discriminator's, and its gradients, dW1,
...; logits of both batches, real first; adversarial, the generator's loss, and dmade, its gradient
by the made pictures. Batch normalisation is in training mode. Names are "<case>/<array>".

``torch_gradients_features.npz`` is of a small VGG, four convolutions with PyTorch's names of its
parameters: made and target, pictures; the perceptual loss between their maps, and dmade.

Seeds are tried until no value comes near the kink of LeakyReLU, see `record_torch_gradients`.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from record_torch_gradients import recorded, write

# side of the pictures, width, channels, pictures in a batch
CASES = [(17, 2, 3, 2), (20, 1, 1, 3)]


def arrays(case, seed):
    """Random pictures and parameters."""
    size, width, c, n = case
    rng = np.random.default_rng(seed)
    found = {name: rng.random((n, c, size, size)) for name in ("real", "made")}
    i, side = c, size
    for k in range(1, 9):
        o = width * 2 ** ((k - 1) // 2)
        found[f"W{k}"] = rng.normal(0, np.sqrt(2 / (9 * i)), (o, i, 3, 3))
        if k > 1:
            found[f"G{k}"] = rng.normal(1, 0.2, o)
        found[f"B{k}"] = rng.normal(0, 0.1, o)
        i, side = o, (side + 1) // 2 if k % 2 == 0 else side
    many = 16 * width
    found["W_dense"] = rng.normal(0, np.sqrt(2 / (i * side**2)), (many, i, side, side))
    found["B_dense"] = rng.normal(0, 0.1, many)
    found["W_out"] = rng.normal(0, np.sqrt(2 / many), (1, many, 1, 1))
    found["B_out"] = rng.normal(0, 0.1, 1)
    return {name: array.astype(np.float32) for name, array in found.items()}


def gradients(found):
    """Losses and gradients in float64, and how near the kink of LeakyReLU they come."""
    t = {name: torch.from_numpy(array).double() for name, array in found.items()}
    learned = {n: tensor.requires_grad_() for n, tensor in t.items() if n[0] in "WGB"}
    t["made"].requires_grad_()
    nearest = np.inf

    def leaky(z):
        nonlocal nearest
        nearest = min(nearest, z.detach().abs().min().item())
        return F.leaky_relu(z, 0.2)

    def logits(pictures):
        h = leaky(F.conv2d(pictures * 2 - 1, t["W1"], t["B1"], padding=1))
        for k in range(2, 9):
            z = F.conv2d(h, t[f"W{k}"], padding=1, stride=1 + (k + 1) % 2)
            h = leaky(F.batch_norm(z, None, None, t[f"G{k}"], t[f"B{k}"], training=True))
        h = leaky(F.linear(h.flatten(1), t["W_dense"].flatten(1), t["B_dense"]))
        return F.linear(h, t["W_out"].flatten(1), t["B_out"])[:, 0]

    def loss(z, label):
        return F.binary_cross_entropy_with_logits(z, torch.full_like(z, label))

    real, made = logits(t["real"]), logits(t["made"])
    whole, adversarial = loss(real, 1.0) + loss(made, 0.0), loss(made, 1.0)
    found = torch.autograd.grad(whole, learned.values(), retain_graph=True)
    result = {f"d{name}": g.numpy() for name, g in zip(learned, found, strict=True)}
    (dmade,) = torch.autograd.grad(adversarial, t["made"])
    result |= {"loss": np.array(whole.item()), "adversarial": np.array(adversarial.item())}
    result |= {"dmade": dmade.numpy(), "logits": torch.stack([real, made]).detach().numpy()}
    return result, nearest


def vgg_arrays(seed):
    """Pictures of odd sides and the first layers of a narrow VGG."""
    rng, found, c = np.random.default_rng(seed), {}, 3
    for name in ("made", "target"):
        found[name] = rng.random((2, 3, 9, 7))
    for number, o in ((0, 2), (2, 3), (5, 4), (7, 2)):
        found[f"features.{number}.weight"] = rng.normal(0, np.sqrt(2 / (9 * c)), (o, c, 3, 3))
        found[f"features.{number}.bias"] = rng.normal(0, 0.1, o)
        c = o
    return {name: array.astype(np.float32) for name, array in found.items()}


def vgg_gradients(found):
    """The loss on maps that are divided by 12.75, its gradient, and how near a kink it comes."""
    t = {name: torch.from_numpy(array).double() for name, array in found.items()}
    made, nearest = t["made"].requires_grad_(), np.inf
    mean, deviation = (
        torch.tensor(v, dtype=torch.float64).reshape(3, 1, 1)
        for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def maps(x):
        nonlocal nearest
        h = (x - mean) / deviation
        for number in (0, 2, 5, 7):
            if number == 5:
                h = F.max_pool2d(h, 2)
            layer = f"features.{number}"
            h = F.conv2d(h, t[f"{layer}.weight"], t[f"{layer}.bias"], padding=1)
            nearest = min(nearest, h.detach().abs().min().item())
            h = F.relu(h)
        return h / 12.75

    loss = F.mse_loss(maps(made), maps(t["target"]))
    loss.backward()
    return {"loss": np.array(loss.item()), "dmade": made.grad.numpy()}, nearest


def main():
    """Write the files."""
    found = {}
    for case in CASES:
        size, width, c, n = case
        name = f"size={size} width={width} c={c} N={n}"
        found |= recorded(name, partial(arrays, case), gradients)
    write("torch_gradients_srgan.npz", found)
    write("torch_gradients_features.npz", recorded("vgg", vgg_arrays, vgg_gradients))


if __name__ == "__main__":
    main()
