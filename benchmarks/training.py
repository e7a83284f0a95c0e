"""How long does a training step take, against PyTorch? Forward, backward, SGD with momentum.

Batches are of 33 x 33 sub-images with valid convolutions, as in the paper; for VDSR, 16 crops of
48 x 48. Gradients are compared with the reference's in float64 before anything is timed.
"""

import math

import numpy as np

from pysrcnn import reference
from pysrcnn.networks.vdsr import VDSR
from pysrcnn.training.optim import SGD

from . import engines, harness, networks

NETWORKS = ("9-1-5", "9-5-5", "vdsr")
BATCHES = (16, 128)
SIDE = 33
DEEP = 48  # the side of VDSR's crops
# Tolerance of gradients, at least: for some values before a ReLU, rounding decides whether their
# gradient passes. It may be one of SRCNN's 640,000, and it is some of VDSR's millions.
# PyTorch's errors are as large as ours there, 2e-3 to 5e-3.
KINK, KINKS = 1e-3, 0.02
RATE = 1e-4  # small, so that parameters hardly change, however many steps are timed
CHUNK = 16  # samples of the reference at a time


def expected(network, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """Return the reference's gradients in float64, in the order W1, B1, W2, ...

    The loss is a mean over samples, so its gradient is the average over equal chunks.
    """
    network = network.astype(np.float64)
    network.ops = reference
    total: dict[str, np.ndarray] = {}
    starts = range(0, len(low), CHUNK)
    for i in starts:
        _, gradients = network.loss_and_gradients(low[i : i + CHUNK], high[i : i + CHUNK])
        for name, gradient in gradients.items():
            total[name] = total.get(name, 0) + gradient / len(starts)
    return [total[name] for name in network.parameters]


def operations(layers, side: int, batch: int, valid: bool) -> int:
    """Count the additions and multiplications of a step.

    The forward pass, the gradient of the weights and that of the input each take the same number;
    the gradient of the first layer's input, the picture, is not computed.
    """
    total = 0
    for k, (w, _) in enumerate(layers):
        side -= w.shape[2] - 1 if valid else 0
        total += 2 * w.size * side**2 * batch * (3 if k else 2)
    return total


def one_step(name: str, batch: int, options) -> dict:
    """Validate and time one network with one batch size: one table."""
    network = networks.network(name)
    rng = np.random.default_rng(0)
    residual = name == VDSR.name
    side = DEEP if residual else SIDE
    inner = side - 2 * network.training_margin
    low = rng.random((batch, 1, side, side), np.float32)
    high = rng.random((batch, 1, inner, inner), np.float32)
    optimizer = SGD(network.parameters, RATE)
    gradients = expected(network, low, high)
    # The gradient of a weight is a sum over samples and pixels of sums over patches.
    terms = batch * side**2 + sum(w[0].size for w, _ in network.layers)
    tolerance = harness.rounding(np.finfo(np.float32).eps, terms)
    tolerance = max(tolerance, KINKS if residual else KINK)

    def our_gradients():
        named = network.loss_and_gradients(low, high)[1]
        return [named[name] for name in network.parameters]

    def our_step():
        optimizer.step(network.loss_and_gradients(low, high)[1])

    contenders = [harness.Contender("pysrcnn", our_step, our_gradients, tolerance)]
    if "torch" in engines.installed():
        for layout in ("NCHW", "channels_last"):
            theirs = engines.PyTorchTraining(
                network.parameters, low, high, RATE, options.threads, layout, residual=residual
            )
            contenders.append(
                harness.Contender(f"PyTorch {layout}", theirs.step, theirs.gradients, tolerance)
            )
    title = f"training step {name}, batch {batch} of {side} x {side}"
    count = operations(network.layers, side, batch, not residual)
    return harness.compare(title, contenders, gradients, count, options)


def main() -> None:
    options = harness.parse(__doc__.splitlines()[0], "training", NETWORKS)
    have = tuple(name for name in engines.installed() if name == "torch")
    about = harness.machine(options.threads, have)
    batches = BATCHES[:1] if options.quick else BATCHES
    cases = [
        one_step(name, batch, options)
        for name in options.networks
        for batch in batches
        if name != VDSR.name or batch == BATCHES[0]
    ]
    ratios = [case["fastest rival"]["ratio"] for case in cases if "fastest rival" in case]
    if ratios:
        mean = math.exp(np.mean(np.log(ratios)))
        print(f"\ngeometric mean over all steps: {mean:.2f} times as fast")
    harness.write(options, machine=about, cases=cases)


if __name__ == "__main__":
    main()
