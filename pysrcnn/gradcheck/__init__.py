"""Check the gradients of your own implementation of a network: which are wrong, where, and why.

    from pysrcnn.gradcheck import case, gradcheck

    print(gradcheck(my_loss_and_gradients, "9-5-5"))

`case` makes a small batch, weights, and everything that a training step computes from them, in
float64 by `pysrcnn.reference`; `gradcheck` compares your numbers with it and looks for the mistake
that produces them (`mistakes`, `diagnosis`). ``docs/gradients.md`` shows both at work.

Conventions are those of `reference_case`; above all, the loss is the mean over all elements.
"""

from .comparison import gradcheck
from .reference_case import LAYOUTS, PADDINGS, WEIGHTS, Case, case, rounding, write_case
from .report import Report, Row

__all__ = [
    "LAYOUTS",
    "PADDINGS",
    "WEIGHTS",
    "Case",
    "Report",
    "Row",
    "case",
    "gradcheck",
    "rounding",
    "write_case",
]
