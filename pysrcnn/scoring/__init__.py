"""Score any program's results by the papers' protocol, and explain numbers that are off.

    from pysrcnn.scoring import score_results

    print(score_results("results/", "Set5/", scale=3))

Nothing is guessed. Each usual slip is undone, and named if that brings the results closer to the
originals (`slips`, `geometry`). The originals are shrunk in each usual way to see how the small
pictures were made (`shrinking`). A number from another script is compared with what each usual slip
in measuring gives (`claims`). Correct results raise no complaint.
"""

from .matching import match
from .report import Finding, Report, score_results

__all__ = ["Finding", "Report", "match", "score_results"]
