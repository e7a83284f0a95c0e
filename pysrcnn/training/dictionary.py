"""Dictionaries for sparse coding, learned from pictures.

``python -m pysrcnn.training.dictionary FOLDER -o SC.npz`` learns them.

Each part is learned separately, for an objective of its own; this sets sparse coding apart from
SRCNN:

1. P: the principal components of patches of derivatives, which reduce 324 numbers to 32 (Zeyde,
   Elad, Protter, 2010), each divided by the square root of its standard deviation: strong
   components still weigh more than weak ones, but less so.
2. D_l and a first D_h jointly, so that one sparse code represents a patch in low and in high
   resolution (Yang, Wright, Huang, Ma, 2010, Section III-B). Over all patches, with N entries in
   high resolution and M features each::

       min over D_h, D_l, Z of 1/N |X - D_h Z|^2 + 1/M |Y - D_l Z|^2 + penalty |Z|_1

   In turns: Z by FISTA, then the dictionary by least squares, its columns normalised.
3. D_h again, by least squares, for the codes that D_l alone gives in the few steps it will be used
   with: unlike those of step 2, they do not know the patch in high resolution (Zeyde et al.).

X is the difference between the picture and its bicubic enlargement (Zeyde et al.; Yang et al. use
the picture minus the mean of the patch). In place of 1/N and 1/M, X and Y are each scaled so that
the squared norm of a patch is 1 on average.

Axes: D features, A atoms, g x g the patch in high resolution, n patches.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .. import kernels
from .._files import check_apart, check_place
from .._printing import any_text, printable, say
from .._signals import ended_in_order
from ..data import Pair, read_pairs
from ..evaluate import average, evaluate
from ..networks.sparse import DERIVATIVES, SparseCoding, fista
from ..pictures import list_pictures

__all__ = ["DictionaryRecipe", "learn", "main", "principal", "sampled"]


@dataclass(frozen=True)
class DictionaryRecipe:
    """Settings for learning dictionaries.

    The defaults were chosen by PSNR on every tenth picture of T91, held back while dictionaries
    were learned from the others. The shipped dictionaries were then learned from all pictures.

    Attributes
    ----------
    atoms, features : int
        Numbers of atoms and of principal components.
    f, g : int
        Sides of the patches of derivatives and of those in high resolution, odd.
    penalty : float
        Penalty of the codes, for features whose squared norm is 1 on average.
    steps : int
        Steps of FISTA when the dictionaries are used.
    whiten : float
        Principal components are divided by this power of their variance.
    patches, fitted : int
        Numbers of patches sampled for steps 1 and 2, and for step 3.
    kept : float
        Share of `patches` that is learned from: those with the strongest derivatives.
    rounds, iterations : int
        Rounds of step 2, and iterations of FISTA in each.
    seed : int
        Seed of the random numbers.
    """

    atoms: int = 512
    features: int = 32
    f: int = 9
    g: int = 5
    penalty: float = 0.08
    steps: int = 10
    whiten: float = 0.25
    patches: int = 150_000
    kept: float = 0.4
    rounds: int = 20
    iterations: int = 30
    fitted: int = 400_000
    seed: int = 0

    def __post_init__(self):
        if self.f < 1 or self.g < 1 or self.f % 2 == 0 or self.g % 2 == 0:
            raise ValueError(f"f is {self.f} and g {self.g}, wanted odd numbers")
        if not 1 <= self.atoms <= self.kept * self.patches:
            raise ValueError(
                f"atoms is {self.atoms}, wanted 1 to {self.kept * self.patches:.0f}, the number of "
                f"patches that are learned from"
            )


def sampled(
    pairs: list[Pair], count: int, recipe: DictionaryRecipe, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sample patches at random places, equally many from each picture.

    Returns
    -------
    derivatives : float32 array (4*f*f, n)
    differences : float32 array (g*g, n)
        High minus low, around the same pixels.
    """
    f, g = recipe.f, recipe.g
    margin = max(f // 2 + 2, g // 2)
    each = -(-count // len(pairs))
    derivatives = np.empty((4, f, f, each * len(pairs)), np.float32)
    differences = np.empty((g, g, each * len(pairs)), np.float32)
    for k, (low, high) in enumerate(pairs):
        at = slice(k * each, (k + 1) * each)
        maps = kernels.conv2d(low[None], DERIVATIVES.astype(np.float32), np.zeros(4, np.float32))
        rows, columns = (rng.integers(margin, n - margin, each) for n in low.shape[1:])
        windows = sliding_window_view(maps[0], (f, f), axis=(1, 2))
        corner = f // 2 + 2  # `maps` has lost 2 pixels on each side
        derivatives[..., at] = windows[:, rows - corner, columns - corner].transpose(0, 2, 3, 1)
        windows = sliding_window_view((high - low)[0], (g, g))
        differences[..., at] = windows[rows - g // 2, columns - g // 2].transpose(1, 2, 0)
    return derivatives.reshape(4 * f * f, -1), differences.reshape(g * g, -1)


def principal(derivatives: np.ndarray, recipe: DictionaryRecipe) -> np.ndarray:
    """Step 1: P (D, 4*f*f), scaled so that the squared norm of P derivatives is 1 on average."""
    covariance = _product(derivatives, derivatives) / derivatives.shape[1]
    variances, components = np.linalg.eigh(covariance)
    strongest = np.argsort(variances)[::-1][: recipe.features]
    variances, components = variances[strongest], components[:, strongest]
    scales = variances**-recipe.whiten
    scales /= np.sqrt(np.sum(variances * scales**2))
    return (components * scales).T.astype(np.float32)


def learn(
    pairs: list[Pair], recipe: DictionaryRecipe, say: Callable[[str], object] | None = None
) -> SparseCoding:
    """Learn dictionaries from pairs of (low, high), as `data.read_pairs` returns them.

    `say` is called with a line after each round of step 2.
    """
    rng = np.random.default_rng(recipe.seed)
    derivatives, differences = sampled(pairs, recipe.patches, recipe, rng)
    order = np.argsort(-np.square(derivatives).sum(axis=0), kind="stable")
    strongest = np.sort(order[: int(recipe.kept * derivatives.shape[1])])
    derivatives, differences = derivatives[:, strongest], differences[:, strongest]
    projection = principal(derivatives, recipe)

    low = projection @ derivatives
    high = differences / np.sqrt(np.square(differences).sum(axis=0).mean())
    both = _alternated(np.concatenate([low, high]), recipe, rng, say)
    dictionary = both[: recipe.features]
    dictionary /= np.linalg.norm(dictionary, axis=0)

    momentum = fista(recipe.steps)
    codes_squared = np.zeros((recipe.atoms, recipe.atoms))
    products = np.zeros((len(differences), recipe.atoms))
    for _ in range(-(-recipe.fitted // 50_000)):
        derivatives, differences = sampled(pairs, min(recipe.fitted, 50_000), recipe, rng)
        codes = kernels.sparse_codes(projection @ derivatives, dictionary, recipe.penalty, momentum)
        codes_squared += _product(codes, codes)
        products += _product(differences, codes)
    parameters = {
        "P": projection.reshape(-1, 4, recipe.f, recipe.f),
        "D_l": dictionary,
        "D_h": _least_squares(codes_squared, products).astype(np.float32),
    }
    parameters = {name: np.ascontiguousarray(p) for name, p in parameters.items()}
    card = {"penalty": recipe.penalty, "steps": recipe.steps, "recipe": dataclasses.asdict(recipe)}
    return SparseCoding(parameters, card)


def _alternated(
    x: np.ndarray, recipe: DictionaryRecipe, rng: np.random.Generator, say: Callable | None
) -> np.ndarray:
    """Step 2: learn a dictionary, with columns of norm 1, for sparse codes of the columns of x."""
    penalty = recipe.penalty * np.sqrt(2)  # low and high together have a norm larger by this
    dictionary = x[:, rng.choice(x.shape[1], recipe.atoms, replace=False)]
    dictionary /= np.linalg.norm(dictionary, axis=0)
    momentum = fista(recipe.iterations)
    for k in range(recipe.rounds):
        codes = kernels.sparse_codes(x, dictionary, penalty, momentum)
        errors = np.square(x - dictionary @ codes).sum(axis=0)
        size = np.abs(codes).sum(axis=0)
        if say:
            loss = np.mean(errors / 2 + penalty * size)
            count = np.mean(np.count_nonzero(codes, axis=0))
            say(f"round {k + 1}/{recipe.rounds}: {loss:.5f}, {count:.1f} atoms a patch")
        codes_squared = _product(codes, codes)
        dictionary = _least_squares(codes_squared, _product(x, codes))
        # Atoms that no patch uses are replaced by patches that the others represent badly.
        used = np.diag(codes_squared) > 1e-6 * np.trace(codes_squared) / recipe.atoms
        worst = np.argsort(-errors, kind="stable")[: 10 * recipe.atoms]
        dictionary[:, ~used] = x[:, rng.choice(worst, np.sum(~used), replace=False)]
        dictionary = (dictionary / np.linalg.norm(dictionary, axis=0)).astype(np.float32)
    return dictionary


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a b^T, summed in float64 over blocks of 4096 patches."""
    step = 4096
    parts = range(0, a.shape[1], step)
    return sum((a[:, k : k + step] @ b[:, k : k + step].T).astype(np.float64) for k in parts)


def _least_squares(codes_squared: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The dictionary D that minimises |x - D codes|^2, from codes codes^T and x codes^T."""
    atoms = len(codes_squared)
    slight = 1e-6 * np.trace(codes_squared) / atoms  # bounds atoms that are hardly used
    return np.linalg.solve(codes_squared + slight * np.eye(atoms), products.T).T


def main(arguments: list[str] | None = None) -> int:
    """Run the command: learn from a folder of pictures, score on another, write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m pysrcnn.training.dictionary",
        description="Learn dictionaries for sparse coding.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="training pictures; those that cannot be used are named and left out, and the exit "
        "code is then 2",
    )  # fmt: skip
    parser.add_argument("-s", "--scale", type=int, choices=(2, 3, 4), default=3)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SC.npz")
    parser.add_argument(
        "--score", type=Path, metavar="FOLDER",
        help="evaluate on these pictures at the end and put the averages into the card",
    )  # fmt: skip
    for field in dataclasses.fields(DictionaryRecipe):
        name = f"--{field.name}"
        parser.add_argument(name, type=type(field.default), default=field.default)
    with any_text():
        try:
            with ended_in_order():
                options = parser.parse_args(arguments)
                given = {
                    x.name: getattr(options, x.name) for x in dataclasses.fields(DictionaryRecipe)
                }
                return _run(options, DictionaryRecipe(**given))
        except (ValueError, OSError) as problem:
            parser.error(printable(str(problem)))
        except KeyboardInterrupt:
            say("pysrcnn: interrupted", sys.stderr)
            return 130


def _run(options: argparse.Namespace, recipe: DictionaryRecipe) -> int:
    failed = []

    def bad(error: Exception) -> None:
        failed.append(error)
        say(str(error), sys.stderr)

    check_place(options.output)
    if options.output.exists() and options.output.stat().st_size:
        raise ValueError(
            f"{options.output} would be replaced: give the weights another name, or move what is "
            f"there"
        )
    for folder in filter(None, (options.folder, options.score)):
        check_apart([options.output], list_pictures(folder), "one of the pictures")
    smallest = 2 * max(recipe.f // 2 + 2, recipe.g // 2) + 1
    pairs = read_pairs(options.folder, options.scale, smallest=smallest, on_error=bad)
    if not pairs:
        raise ValueError("none of the training pictures can be used: give others")
    began = time.perf_counter()
    model = learn(pairs, recipe, say)
    model.scale = options.scale
    model.card |= {
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "data": f"{options.folder.resolve().name}, {len(pairs)} pictures",
        "scores": {},
    }
    scores = (
        list(evaluate(options.score, model, options.scale, on_error=bad)) if options.score else []
    )
    if scores:
        mean = average(scores)
        model.card["scores"][options.score.resolve().name] = mean.for_card()
        say(f"{options.score}: {mean.psnr:.2f} dB, bicubic {mean.bicubic_psnr:.2f} dB")
    model.save(options.output)
    say(f"{options.output}: {model!r}")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
