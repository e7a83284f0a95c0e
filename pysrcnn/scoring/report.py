"""Score each picture, and say in sentences what is wrong with the results."""

import math
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

from .._printing import counted, fitted
from ..checks import memory_for
from ..data import PICTURE_ERRORS
from ..evaluate import Score, average
from .claims import Claim, claim, decibels
from .findings import SMALL, Finding, of_results, of_small_pictures
from .looks import Look, look_at
from .matching import match

__all__ = ["Finding", "Report", "score_results"]

_FAR = 16.0  # dB below which a result may show another picture
_CLEAN = 50.0  # dB above which no error is visible
_UNSURE = 1.0  # dB that undoing slips may lose


@dataclass
class Report:
    """What `score_results` found; print it for a table and some sentences.

    Attributes
    ----------
    scale : int
    scores : list of Score
        One for each picture, of the result as it is.
    findings : list of Finding
        What is wrong with the results; empty if nothing was found.
    notes : list of str
        Other remarks on the results.
    unexplained : list of str
        Names of results that score below bicubic interpolation for no known reason.
    claim : Claim, optional
        What was found about the claimed number.
    """

    scale: int
    scores: list[Score] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    claim: Claim | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with the results or with the claimed number."""
        fine = self.claim is None or self.claim.words == [""]
        return fine and not self.findings and not self.unexplained

    def sentences(self) -> list[str]:
        """Sentences on what is wrong and what it costs, then on the claim, then the notes."""
        said = [_of_finding(finding, len(self.scores)) for finding in self.findings]
        notes = [note if note.endswith("?") else f"{note}." for note in self.notes]
        return said + _of_claim(self.claim) + notes

    def __str__(self) -> str:
        lines = [f"{'':<20} {'bicubic':>17} {'these':>17}"]
        rows = [*self.scores, average(self.scores)] if self.scores else []
        for s in rows:
            values = f"{s.bicubic_psnr:>9.2f}{s.bicubic_ssim:>9.4f}{s.psnr:>9.2f}{s.ssim:>9.4f}"
            lines.append(f"{fitted(s.picture, 20):<20} {values}")
        for sentence in self.sentences():
            lines += ["", *textwrap.wrap(sentence, 80)]
        return "\n".join(lines)


def score_results(
    results: str | os.PathLike,
    truth: str | os.PathLike,
    scale: int,
    claimed: str | None = None,
    *,
    on_error: Callable[[Exception], object] | None = None,
    on_score: Callable[[Score], object] | None = None,
) -> Report:
    """Score any program's results by the papers' protocol, and say what is wrong with them.

    Parameters
    ----------
    results, truth : path of a folder or of a file
        The enlarged pictures and the originals, paired by `match`. Results may be colour or grey;
        grey is taken to be Y.
    scale : int
        The scale by which they were enlarged.
    claimed : str, optional
        The average PSNR that another program reported for them, with its digits: "32.39".
    on_error : function of an exception, optional
        Called with the error of a picture, which is then left out, instead of raising it.
    on_score : function of a Score, optional
        Called with each score as soon as it is known.

    Returns
    -------
    report : Report

    Raises
    ------
    FileNotFoundError, ValueError, TypeError, OSError
        If there are no such files, names do not match, or `claimed` is not a number; and, unless
        `on_error` is given, if an original has no result, a picture cannot be read, or sizes cannot
        be compared.
    """
    if claimed is not None:
        decibels(claimed)  # raise before any picture is scored
    report = Report(scale)
    pairs, alone = match(results, truth, scale)
    for sentence in alone:
        _told(ValueError(sentence), on_error)
    looked: list[Look] = []
    for paths in pairs:
        try:
            with memory_for(paths[0]):
                score, look = look_at(*paths, scale, claimed is not None)
        except PICTURE_ERRORS as error:
            _told(error, on_error)
            continue
        report.scores.append(score)
        looked.append(look)
        if on_score:
            on_score(score)
    if looked:
        report.findings += [*of_results(looked, scale), *of_small_pictures(looked, scale)]
        report.unexplained += _unexplained(report, looked)
        report.notes += _notes(report, looked)
        if claimed is not None:
            report.claim = claim(claimed, [look.errors for look in looked])
    return report


def _told(error: Exception, on_error: Callable[[Exception], object] | None) -> None:
    if on_error is None:
        raise error
    on_error(error)


# ----------------------------------------------------------------------------------- in sentences


def _unexplained(report: Report, looked: list[Look]) -> list[str]:
    """Name the results that score below bicubic interpolation by more than the slips found cost.

    Above `_CLEAN`, being below bicubic does not matter.
    """
    unknown = []
    for score, look in zip(report.scores, looked, strict=True):
        costs = [f.cost for f in report.findings if look.name in f.pictures and f.kind == SMALL]
        least = _UNSURE + sum(costs) if look.found or costs else 0.05
        if look.behind > least and score.psnr < _CLEAN:
            unknown.append(look.name)
    return unknown


def _names(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _notes(report: Report, looked: list[Look]) -> list[str]:
    notes = []
    for note in dict.fromkeys(look.note for look in looked if look.note):
        names = [look.name for look in looked if look.note == note]
        notes.append(f"{_names(names)}: {note}")
    as_bicubic = [look.as_bicubic for look in looked]
    closer = [a > s.psnr + 3 for a, s in zip(as_bicubic, report.scores, strict=True)]
    if min(as_bicubic) > 48 and any(closer):  # on smooth pictures all methods agree
        notes.append(
            "The results are bicubic interpolation, nearly to the level: no network is seen"
        )
    exact = [score for score in report.scores if math.isinf(score.psnr)]
    same = [score.picture for score in exact if math.isfinite(score.bicubic_psnr)]
    if same:
        notes.append(f"The originals themselves, without any error: {_names(same)}")
    low = [score for score in report.scores if score.picture in report.unexplained]
    seen = {name for finding in report.findings for name in finding.pictures}
    still = [score.picture for score in low if score.picture in seen]
    low = [score for score in low if score.picture not in seen]
    far, near = ([s.picture for s in low if (s.psnr < _FAR) == is_far] for is_far in (True, False))
    if still:
        notes.append(f"Below bicubic interpolation even without the slips named: {_names(still)}")
    if far:
        notes.append(f"Far from the original: {_names(far)}; is it the same picture?")
    if near:
        notes.append(
            "Below bicubic interpolation, by no slip that is known here: " + ", ".join(near)
        )
    return notes


def _of_finding(finding: Finding, pictures: int) -> str:
    text = finding.words
    if finding.kind == SMALL:
        text += ", which costs bicubic interpolation "
        text += f"{finding.cost:.2f} dB" if finding.cost >= 0.05 else "little, and networks more"
    elif finding.cost >= 0.005:  # a cost that shows in the result
        text = f"{finding.cost:.2f} dB low: {text}"
    if len(finding.pictures) < pictures:
        few = f"{len(finding.pictures)} of {counted(pictures, 'picture')}"
        text += f" ({few}: {_names(finding.pictures)})"
    return text[0].upper() + text[1:] + "."


def _of_claim(found: Claim | None) -> list[str]:
    if found is None:
        return []
    off = found.value - found.protocol
    value = f"{found.value:g} dB"
    if found.words == [""]:
        return [f"{value} is what the protocol gives."]
    value += f" is {abs(off):.2f} dB {'low' if off < 0 else 'high'}"
    if not found.words:
        return [f"{value}, and no way of measuring that is known here gives it."]
    many = " The number does not tell these apart." if len(found.words) > 1 else ""
    return [f"{value}: {'; or '.join(found.words)}.{many}"]
