"""The recipes that ship, by the names that `pysrcnn train --recipe` takes."""

from dataclasses import replace

from .adversarial import Adversarial
from .degradation import Degradation
from .recipe import Recipe

__all__ = ["RECIPES"]

# At a rate of 1e-2, held for thousands of steps, blocks fell silent one after the other: Muon moves
# weights equally far however small their gradient is, and a block that adds only noise is silenced.
_RESIDUAL = Recipe(
    network="edsr", sizes=(), filters=(), depth=8, width=48, init="he", loss="l1", keep_means=False,
    keep_ends=False, learning_rate=4e-3, last_learning_rate=5e-4, bias_learning_rate=2e-4,
    warmup=300, steps=20_000, size=32,
)  # fmt: skip

_GENERATOR = replace(
    _RESIDUAL, network="srresnet", batch_norm=True, loss="mse", c=3, steps=10_000, size=24
)

RECIPES = {
    "modern": Recipe(),
    "espcn": Recipe(
        network="espcn",
        sizes=(5, 3, 3),
        learning_rate=1e-2,
        last_learning_rate=2e-2,
        bias_learning_rate=2e-3,
        by_adam=0,
        size=32,
    ),
    "vdsr": replace(
        _RESIDUAL,
        network="vdsr",
        depth=20,
        width=64,
        init="identity",
        keep_means=True,
        by_adam=2,
        steps=60_000,
        batch=8,
        size=48,
    ),
    "drcn": replace(
        _RESIDUAL,
        network="drcn",
        depth=9,
        width=64,
        by_adam=2,
        steps=40_000,
        batch=8,
        size=48,
    ),
    "edsr-s": _RESIDUAL,
    "edsr": replace(_RESIDUAL, depth=16, width=64, reduced=(0.85, 0.7, 0.55)),
    "photo": replace(_RESIDUAL, c=3, steps=40_000, degradation=Degradation()),
    "srresnet": replace(
        _RESIDUAL, network="srresnet", depth=16, width=64, batch_norm=True, loss="mse"
    ),
    "srresnet-s": _GENERATOR,
    "srgan": replace(
        _GENERATOR,
        optimizer="adam",
        learning_rate=1e-4,
        last_learning_rate=1e-4,
        bias_learning_rate=None,
        warmup=0,
        cosine=False,
        drop=0.5,  # half of the steps at 1e-4 and half at 1e-5, as in the paper
        steps=10_000,
        batch=8,
        size=16,
        adversarial=Adversarial(),
    ),
    "vespcn": replace(
        _RESIDUAL,
        network="vespcn",
        depth=9,
        width=24,
        frames=3,
        fusion="subpixel",
        beta=20.0,
        loss="mse",
        steps=40_000,
    ),
    "paper": Recipe(
        init="paper",
        keep_means=False,
        keep_ends=False,
        optimizer="sgd",
        learning_rate=1e-4,
        last_learning_rate=1e-5,
        paper_loss=True,
        warmup=0,
        cosine=False,
        steps=6_250_000,  # 8e8 samples
        batch=128,
        size=33,
        stride=14,
        average=0.0,
    ),
    "vdsr-paper": replace(
        _RESIDUAL,
        network="vdsr",
        depth=20,
        width=64,
        init="he",
        loss="mse",
        optimizer="sgd",
        learning_rate=0.1,
        last_learning_rate=0.1,
        bias_learning_rate=None,
        clip=1e-3,  # not in the paper; at 1e-2 the loss jumped in the first steps
        weight_decay=1e-4,
        paper_loss=True,
        warmup=0,
        cosine=False,
        drop=0.25,
        steps=9_960,
        batch=64,
        size=41,
        stride=41,
        average=0.0,
    ),
}
