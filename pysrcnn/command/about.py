"""Describe a file of weights: its network, its card, its scores."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._printing import known
from ..networks import TRAINED, Network
from ..training.recipe import Recipe
from ..training.recipes import RECIPES

__all__ = ["described", "psnr"]


def described(network: Network, path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and value of each row; cards from elsewhere may contain anything."""
    card, scales = network.card, network.scales or (network.scale,)
    yield "network", repr(network).strip("<>")
    yield "channels", "1, luminance" if network.c == 1 else f"{network.c}, RGB"
    yield "scale", ", ".join(f"x{s}" for s in scales if s) or "unknown: give it with --scale"
    weights = sum(math.prod(p.shape) for p in network.parameters.values())
    yield "weights", f"{weights:,} numbers, {path.stat().st_size:,} bytes in the file"
    if not card:
        yield "card", "none, so the above is what the shapes say"
        return
    recipe = card.get("recipe")
    if isinstance(recipe, dict):
        yield from _recipe(recipe, network)
    for name, value in {
        "trained on": card.get("data"),
        "started from": card.get("start"),
        "features": card.get("features"),
        "sharpness": _sharpness(network),
        "minutes": card.get("minutes"),
        "scores": "; ".join(f"{name} {value:.2f} dB" for name, value in psnr(card).items()),
        "pysrcnn": card.get("version"),
    }.items():
        if value or name in ("trained on", "scores"):
            yield name, known(value)
    notes = card.get("notes")
    for note in notes if isinstance(notes, list) else ():
        yield "note", known(note)


def _sharpness(network: Network) -> str | None:
    """Return the range of sharpness to choose from, or the value that was chosen."""
    if network.start is not None:
        return "0 to 1, from what it started from to the result of the training"
    chosen = network.card.get("sharpness")
    return None if chosen is None else known(chosen)


def psnr(card: dict) -> dict[str, float]:
    """Return PSNR by name of the test set from a card, which may contain anything."""
    scores = card.get("scores")
    found = {}
    for name, score in scores.items() if isinstance(scores, dict) else ():
        value = score.get("PSNR") if isinstance(score, dict) else None
        if isinstance(value, (int, float)) and abs(value) < 1000:
            found[known(name)] = value
    return found


def _recipe(card: dict[str, Any], network: Network) -> Iterator[tuple[str, str]]:
    """Yield the nearest recipe for this kind of network, and the settings that differ from it."""
    recipes = {n: r for n, r in RECIPES.items() if TRAINED[r.network] is type(network)}
    others = {name: _changed(card, recipe) for name, recipe in recipes.items()}
    if others:
        nearest = min(others, key=lambda n: (len(others[n]), n != network.default_recipe))
        apart = ("degradation", "adversarial")  # these have rows of their own
        changed = _listed({n: v for n, v in others[nearest].items() if n not in apart})
        yield "recipe", nearest + (f", but {changed}" if changed else "")
    else:  # no recipe trains this kind of network
        yield "recipe", _listed(card) or "unknown"
    for name, usual in ("degradation", "photo"), ("adversarial", "srgan"):
        if isinstance(part := card.get(name), dict):
            ours = RECIPES[usual].as_dict()[name]
            changed = _listed({n: v for n, v in part.items() if v != ours.get(n)})
            yield name, usual + (f", but {changed}" if changed else "")


def _changed(card: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Return the card's settings that the recipe lacks or sets differently."""
    ours = recipe.as_dict()
    return {name: value for name, value in card.items() if ours.get(name) != value}


def _listed(settings: dict[str, Any]) -> str:
    """Format settings: "depth 16, filters 64-32"."""
    return ", ".join(f"{known(name)} {_value(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(known(one) for one in value)
    return {None: "none", True: "yes", False: "no"}[value] if _is_flag(value) else known(value)


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)
