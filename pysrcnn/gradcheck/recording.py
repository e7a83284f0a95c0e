"""Record what each operation of a pass gives, and when, and reuse results of earlier passes.

Hundreds of passes differ in one operation; those before it need not be computed again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..networks.composed import Composed
from ..reference import im2col
from .changes import Change

__all__ = ["Arrays", "Recording"]

Arrays = dict[str, np.ndarray]

_SMALL = 2**16  # bytes up to which arrays are identified by their contents


class Recording(Composed):
    """Runs operations by name, with changes, and records values by name.

    Parameters
    ----------
    p : dict of arrays, the parameters
    changes : sequence of (operation, layer, change)
    known : dict
        Results, keyed by the changes and arrays they were computed from, so that passes that differ
        in one operation share those before it. Entries hold references to these arrays, so that no
        id is reused; "held" is the set of ids of all results.
    keep : bool
        Whether to add this pass's results to `known`.
    report : function of (name, array)
        Called with each value as it is computed; may raise `Enough`.

    Attributes
    ----------
    values : dict of arrays
    first, last : dict
        When each (operation, layer) ran for the first and for the last time: 1, 2, ...
    when : dict
        The number of the operation after which each value was known.
    """

    def __init__(
        self,
        p: Arrays,
        changes: Sequence[Change] = (),
        *,
        known: dict | None = None,
        keep: bool = False,
        report: Callable[[str, np.ndarray], None] | None = None,
    ):
        self.values: Arrays = {}
        self.first: dict[tuple[str, int], int] = {}
        self.last: dict[tuple[str, int], int] = {}
        self.when: dict[str, int] = {}
        self._names = {id(array): name for name, array in p.items()}
        self._known = {} if known is None else known
        self._keep, self._report = keep, report
        self._clock = 0  # operations run
        self._changes: dict[tuple[str, int], tuple[Callable, ...]] = {}
        for operation, k, change in changes:
            self._changes[operation, k] = (*self._changes.get((operation, k), ()), change)

    def _run(self, operation: str, k: int, right: Callable, *arguments: Any) -> Any:
        self._clock += 1
        self.first.setdefault((operation, k), self._clock)
        self.last[operation, k] = self._clock
        changes = self._changes.get((operation, k), ())
        key = operation, k, changes, *map(self._key, arguments)
        if key in self._known:
            return self._known[key][0]
        for change in changes:
            right = partial(change, right)
        result = right(*arguments)
        if self._keep:
            self._known[key] = result, arguments
            self._known.setdefault("held", set()).add(id(result))
        return result

    def _key(self, argument: Any) -> Any:
        """An argument's key: its id; the contents of small arrays made anew in each pass (sums)."""
        at = id(argument)
        held = at in self._known.get("held", ()) or at in self._names
        if held or not isinstance(argument, np.ndarray) or argument.nbytes > _SMALL:
            return at
        return argument.shape, argument.tobytes()

    def _name(self, parameter: np.ndarray) -> str:
        """The name of a parameter; "" for other arrays, as biases before batch normalisation."""
        return self._names.get(id(parameter), "")

    def _tell(self, name: str, value: np.ndarray) -> None:
        if name not in self.values:
            self.values[name], self.when[name] = value, self._clock
            if self._report:
                self._report(name, value)

    def _columns(self, x: np.ndarray, f: int) -> np.ndarray:
        key = "columns", id(x), f
        if key in self._known:
            return self._known[key][0]
        result = im2col(x, f)
        if self._keep and result.nbytes < 2**26:
            self._known[key] = result, x
        return result
