"""Anybody's results scored by the papers' protocol; and where a number is off, why.

    from pysrcnn.scoring import score_results

    print(score_results("results/", "Set5/", scale=3))

Nothing is guessed. What may have gone wrong with the results is undone, and named if they come
closer to the originals (`slips`, `geometry`); how their small pictures were made shows when they
are shrunk again (`shrinking`); and a number that somebody's own script gave is compared with what
each usual slip in measuring gives (`claims`). What is right is not accused of anything.
"""

from .matching import match
from .report import Finding, Report, score_results

__all__ = ["Finding", "Report", "match", "score_results"]
