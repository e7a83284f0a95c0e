"""Checkpoints: the state of a training as arrays, and the identity of that training."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._files import written_whole
from ..formats import Arrays, read_arrays, read_json
from .recipe import as_now

__all__ = ["read", "write"]

_STATE = 1 << 20  # most bytes of a checkpoint besides its arrays
_HEADERS = 512  # most bytes of an array besides its values: headers in the file and of the zip


def write(
    path: str | os.PathLike, identity: dict[str, Any], step: int, seconds: float, arrays: Arrays
) -> None:
    """Write a checkpoint, whole or not at all; `identity`, for JSON, says of which training."""
    state = {"recipe": identity, "step": step, "seconds": seconds}
    every: dict[str, Any] = {"state": np.array(json.dumps(state)), **arrays}
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **every)


def read(
    path: Path, identity: dict[str, Any], steps: int, mine: Arrays
) -> tuple[Arrays, int, float]:
    """Return the arrays, step and seconds of a checkpoint.

    Parameters
    ----------
    path : Path
    identity : dict
        Identity of the training that it must belong to.
    steps : int
        Number of steps of the whole training.
    mine : dict of arrays
        Arrays with the names, shapes and dtypes that it must hold.

    Raises
    ------
    FileNotFoundError, ValueError
        As `Training.load` does.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: start without resuming")
    try:
        most = sum(a.nbytes + _HEADERS for a in mine.values()) + _STATE
        arrays = read_arrays(path, most)
        state = read_json(str(arrays.pop("state")), path)
        theirs = as_now(state["recipe"])
        step, seconds = state["step"], state["seconds"]
    except ValueError as error:
        raise ValueError(f"{path} is damaged or not a checkpoint ({error})") from None
    except Exception:  # an array, or an entry of the state, is missing
        raise ValueError(
            f"{path} is damaged or not a checkpoint (it does not say what was trained)"
        ) from None
    differing = "; ".join(_differences(theirs, identity))
    if differing:
        raise ValueError(f"{path} was made with another recipe: {differing}")
    fault = _fault(arrays, mine, step, seconds, steps)
    if fault:
        raise ValueError(f"{path} is damaged or not a checkpoint ({fault})")
    return arrays, step, float(seconds)


def _differences(theirs: dict, mine: dict, where: str = "") -> Iterator[str]:
    """Yield the entries of `mine` that differ, of dictionaries in it only those that do."""
    for name, now in mine.items():
        then = theirs.get(name)
        if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
            yield from _differences(then, now, f"{where}{name}.")
        elif then != now:
            yield f"{where}{name} {then!r:.60}, now {now!r:.60}"


def _fault(arrays: Arrays, mine: Arrays, step: Any, seconds: Any, steps: int) -> str:
    """Return what is wrong with a checkpoint, or ""; its arrays must be like `mine`."""
    kinds, wanted = (
        {name: (array.shape, array.dtype) for name, array in some.items()}
        for some in (arrays, mine)
    )
    if kinds != wanted:
        return "it lacks arrays of this training"
    whole = type(step) is int and 0 <= step <= steps
    if not whole or type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        return f"it says step {step!r:.60} of {steps}, after {seconds!r:.60} seconds"
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return "it holds infinite numbers"
    counts = [array for name, array in arrays.items() if name.endswith(".steps")]  # of optimisers
    # A generator's optimiser waits while the discriminator learns alone.
    fits = all(0 <= count <= step for count in counts) and any(count == step for count in counts)
    return "" if fits else f"its steps are not {step}"
