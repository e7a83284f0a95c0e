"""Match results with their originals by name, allowing for what programs add to names."""

import itertools
import os
import re
from pathlib import Path

from ..pictures import list_pictures

__all__ = ["match"]

_ORIGINAL = re.compile(r"[ _.-]*(hr|gt|original|truth)$")  # at the end of an original's name
_FACTOR = re.compile(r"(?:^|[^a-z0-9]|(?<=\d))(?:x([2-9])|([2-9])x|srf_([2-9]))(?![a-z0-9])")


def match(
    results: str | os.PathLike, truth: str | os.PathLike, scale: int
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pair each result with its original.

    ``baby_x3_SRCNN.png`` belongs to ``baby.bmp``, as do ``baby.png``, ``BABY-sr.png``,
    ``babyx3.png`` and ``srcnn_baby.png``; ``img_001_SRF_3_SR.png`` to ``img_001_SRF_3_HR.png``;
    ``img_10.png`` does not belong to ``img_1.png``. Names that mention a factor other than `scale`
    are left out. If both paths are files, they are a pair whatever their names.

    Parameters
    ----------
    results, truth : path of a file or of a folder
    scale : int

    Returns
    -------
    pairs : list of (result, original), in the order of the originals
    alone : list of str
        A sentence for each original without a result; none if `results` is a file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file or folder, nothing matches, or several results belong to one
        original.
    """
    theirs, ours = _pictures(results), _pictures(truth)
    if not Path(results).is_dir() and not Path(truth).is_dir():
        return [(theirs[0], ours[0])], []
    found: dict[Path, list[Path]] = {original: [] for original in ours}
    for result in theirs:
        original = _original(result, ours, scale)
        if original:
            found[original].append(result)
    pairs = []
    for original, several in found.items():
        exact = [path for path in several if path.stem.lower() == original.stem.lower()]
        named = [path for path in several if _factor(path) == scale]
        several = next((c for c in (several, named, exact) if len(c) == 1), several)
        if len(several) > 1:
            names = ", ".join(path.name for path in several[:4])
            raise ValueError(
                f"several results belong to {original.name}: {names}; give a folder with the "
                "results of one program"
            )
        pairs += [(path, original) for path in several]
    if not pairs:
        for result, factor in itertools.product(theirs, range(2, 10)):
            if _original(result, ours, factor):
                raise ValueError(
                    f"{result.name} is named as a result for scale {factor}, and the scale given "
                    f"is {scale}: give {factor}, or rename the results"
                )
        raise ValueError(
            f"no name in {results} goes with one in {truth}: name results like their originals, "
            f"say {ours[0].stem}.png or {ours[0].stem}_x{scale}.png"
        )
    if not Path(results).is_dir():
        return pairs, []
    return pairs, [f"no result for {o.name} in {results}" for o, all_ in found.items() if not all_]


def _pictures(path: str | os.PathLike) -> list[Path]:
    path = Path(path)
    if path.is_dir():
        return list_pictures(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}: check the name")
    return [path]


def _factor(path: Path) -> int | None:
    """The last factor that a name mentions."""
    found = _FACTOR.findall(path.stem.lower())
    return int("".join(found[-1])) if found else None


def _original(result: Path, originals: list[Path], scale: int) -> Path | None:
    """The original with the longest name contained in that of the result; None if there is none."""
    name, best, most = result.stem.lower(), None, 0
    for original in originals:
        stem = original.stem.lower()
        if name == stem:
            return original
        for key in (stem, _ORIGINAL.sub("", stem)):
            if len(key) > most and _belongs(name, key, scale):
                best, most = original, len(key)
    return best


def _belongs(name: str, key: str, scale: int) -> bool:
    """Whether a result's name is an original's with something added before or after it."""
    if name == key:
        return True
    after, before = name.removeprefix(key), name.removesuffix(key)
    rests = []
    if after != name and (not after[0].isalnum() or re.match(r"x[2-9](?![a-z0-9])", after)):
        rests.append(after)
    if before != name and not before[-1].isalnum():
        rests.append(before)
    return any(_factor(Path(rest + ".png")) in (None, scale) for rest in rests)
