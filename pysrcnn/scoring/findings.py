"""Turn the slips found in single pictures into findings on all results, in sentences."""

from dataclasses import dataclass

import numpy as np

from .geometry import Place
from .looks import Look

__all__ = ["SMALL", "Finding", "of_results", "of_small_pictures"]

SMALL = "small pictures"  # the kind of what is said of these
_CLEARLY = 0.3  # dB by which another way to shrink must agree better than the protocol's


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, a sentence, and its average cost over all pictures in dB.

    `pictures` names the pictures that have it.
    """

    kind: str
    words: str
    cost: float
    pictures: list[str]


def of_results(looked: list[Look], scale: int) -> list[Finding]:
    """List what is wrong with the results; a slip in several pictures is one finding."""
    moved = _moved(looked, scale)
    together: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for look, why in zip(looked, moved, strict=True):
        for slip, gain in look.found:
            words = why if slip.place else slip.words
            together.setdefault((slip.kind, words), []).append((look.name, gain))
    return [
        Finding(kind, words, sum(gain for _, gain in rows) / len(looked), [n for n, _ in rows])
        for (kind, words), rows in together.items()
    ]


def _moved(looked: list[Look], scale: int) -> list[str]:
    """Say of each result why it is displaced against its original; "" if it is not."""
    places = [
        next((slip.place for slip, _ in look.found if slip.place), Place(0, 0, 0, 0))
        for look in looked
    ]
    if not any(map(any, places)):
        return [""] * len(places)
    for words, by in _CROPS.items():
        shifts = [(look.over[0] // by, 0, look.over[1] // by, 0) for look in looked]
        if all(place.is_at(*shift) for place, shift in zip(places, shifts, strict=True)):
            return [words] * len(places)
    moved = [place for place in places if any(place)]
    if usual := _resized(moved, scale):
        return [usual] * len(places)
    groups: dict[tuple[float, ...], list[Place]] = {}  # by place, rounded to halves of a pixel
    for place in moved:
        groups.setdefault(tuple(np.round(2 * np.array(place))), []).append(place)
    words_of = {
        place: _resized(group, scale) or _in_pixels(Place(*np.median(group, axis=0).tolist()))
        for group in groups.values()
        for place in group
    }
    return [words_of.get(place, "") for place in places]


def _resized(places: list[Place], scale: int) -> str:
    """The usual way of resizing that displaces all results like this; "" if there is none."""
    half = (scale - 1) / 2
    for words, (shift, stretch) in _RESIZERS.items():
        at = half * shift, half * stretch
        if all(place.is_at(*at, *at) for place in places):
            return words.format(half=_pixels(half), s=scale)
    return ""


# The excess over a multiple of the scale, divided by this, is cut off the upper and left edges.
_CROPS = {
    "the originals were cropped at the upper and left edges, wanted the lower and right ones": 1,
    "the originals were cropped on all sides, wanted the lower and right edges": 2,
}

# Shift and stretch along both axes, in units of (scale - 1) / 2 pixels.
_RESIZERS = {
    "the results are shifted by {half} right and down: their small pictures hold the upper "
    "left of {s} x {s} pixels, as x[::{s}, ::{s}] does, and were enlarged as if it were the middle":
    (-1, 0),
    "the results are shifted by {half} left and up: pixel i is that at i / {s} of the small "
    "picture, wanted (i + 1/2) / {s} - 1/2": (1, 0),
    "the results are stretched: they were enlarged with corners aligned (align_corners=True, "
    "scipy.ndimage.zoom), wanted edges aligned": (0, -1),
    "the results are squeezed: their small pictures were made with corners aligned "
    "(align_corners=True, scipy.ndimage.zoom), wanted edges aligned": (0, 1),
}  # fmt: skip


def _pixels(number: float) -> str:
    return f"{number:.2g} pixel{'' if number == 1 else 's'}"


def _in_pixels(place: Place) -> str:
    """Describe a displacement that no usual cause explains."""
    parts = []
    for shift, back, forward in ((place.shift_y, "up", "down"), (place.shift_x, "left", "right")):
        if abs(shift) >= 0.05:
            parts.append(f"{_pixels(abs(shift))} {back if shift > 0 else forward}")
    words = f"the results are shifted by {' and '.join(parts)}" if parts else ""
    most = max(place.stretch_y, place.stretch_x, key=abs)
    if abs(most) >= 0.05:
        words = f"{words}, and" if words else "the results are"
        words += f" {'squeezed' if most > 0 else 'stretched'} by {_pixels(abs(most))} at the edges"
    return words


def of_small_pictures(looked: list[Look], scale: int) -> list[Finding]:
    """Say how the small pictures were made, if all agree that it was not by the protocol.

    Results far from their originals, for which there are no agreements, are left out.
    """
    looked = [look for look in looked if look.agreements]
    rows = [look.agreements for look in looked]
    if not rows:
        return []
    words = [way for way, _, _ in rows[0]]
    agreements, costs = (np.array([[way[k] for way in row] for row in rows]) for k in (1, 2))
    better = agreements - agreements[:, :1]
    best = int(np.argmax(better.mean(0)))
    if better[:, best].mean() < _CLEARLY or better[:, best].min() <= 0:
        return []
    text = f"the small pictures were made {words[best]}, wanted antialiased bicubic"
    return [Finding(SMALL, text, float(costs[:, best].mean()), [x.name for x in looked])]
