"""Dividing pictures into those to train on and those to measure PSNR on, and reading them."""

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._printing import counted, say
from ..clips import find_clips, length, long_scenes, read_run, read_some
from ..data import PICTURE_ERRORS, Pair, read_pair, reduced
from ..networks import TRAINED
from ..pictures import list_pictures, list_unread, not_read
from ..pictures.folders import size_of
from ..scenes import Scene
from ..video import is_video
from .camera import read_moved
from .recipe import Recipe
from .stream import REGION, REGION_OF_RUN, Stream

__all__ = ["IN_MEMORY", "Split", "made_smaller", "read", "split"]

IN_MEMORY = 1000  # training pictures, or frames of clips; more are streamed
IN_MEMORY_PIXELS = 2**29  # in each channel and at each scale, 2.1 GB; more are streamed
WATCHED = 3  # frames of a clip that PSNR is measured on


class Split(NamedTuple):
    """The pictures to train on, each once, and the pictures to measure PSNR on.

    `same` says that they are the same, which they are only if there are no others; `chosen`, that
    those for PSNR come from a folder given for that. `moved` are photographs to make clips from,
    see `camera`.
    """

    trained_on: list[Path]
    watched: list[Path]
    same: bool
    chosen: bool
    moved: Sequence[Path] = ()


def split(
    folders: Sequence[Path],
    validation: Path | None,
    exclude: Iterable[str],
    clips: bool = False,
    moving: Sequence[Path] = (),
) -> Split:
    """Split the pictures of the folders, without excluded ones, for training and validation.

    The pictures in `validation` are held back. Without such a folder, every 20th picture is, or
    every 7th clip, a video as a whole; of more than 400 pictures or 140 clips, fewer, so that at
    most 20 are. The photographs in `moving`, to make clips from, are never held back.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder has no pictures, a pattern excludes none, or all are excluded.
    """
    pictures: dict[Path, Path] = {}
    for folder in folders:
        pictures |= _clips(folder) if clips else _found(folder, recursive=True)
    photographs: dict[Path, Path] = {}
    for folder in moving:
        photographs |= _found(folder, recursive=True)
    for pattern in exclude:
        excluded = [place for place in (*pictures, *photographs) if place.match(pattern)]
        if not excluded:
            raise ValueError(f"exclude: {pattern} is the name of none of the pictures")
        for place in excluded:
            pictures.pop(place, None)
            photographs.pop(place, None)
    if not pictures:
        raise ValueError("exclude leaves no picture to train on")
    if validation is not None:
        watched = _clips(validation) if clips else _found(validation, recursive=False)
    else:
        step = max(7 if clips else 20, -(-len(pictures) // 20))
        watched = dict(itertools.islice(pictures.items(), 0, None, step))
    rest = [path for place, path in pictures.items() if place not in watched]
    return Split(
        rest or list(pictures.values()), list(watched.values()), not rest, validation is not None,
        list(photographs.values()),
    )  # fmt: skip


def _found(folder: Path, recursive: bool) -> dict[Path, Path]:
    """Map the real places of a folder's pictures to their paths; report pictures not read."""
    paths, unread = list_pictures(folder, recursive), list_unread(folder, recursive)
    if unread:
        say(f"{folder}: {not_read(unread)}", sys.stderr)
    return {folder.resolve() / path.relative_to(folder): path for path in paths}


def _clips(folder: Path) -> dict[Path, Path]:
    """Map the real places of a folder's clips to their paths."""
    return {path.resolve(): path for path in find_clips(folder)}


def read(
    pictures: Split,
    recipe: Recipe,
    scales: Sequence[int],
    stream: bool = False,
    on_skipped: Callable[[list[str]], object] | None = None,
) -> tuple[list[Pair] | Stream, list[Pair], list[str]]:
    """Return the pairs to train on and to measure PSNR on, and why pictures were left out.

    Each picture is used at each scale.

    A picture held back for PSNR that cannot be used is replaced by the next one to train on; a
    chosen one is not. If the recipe degrades pictures, the pictures for PSNR are degraded too, each
    in a way that depends only on how many come before it.

    Raises
    ------
    ValueError
        If nothing remains to train on, or to measure PSNR on.
    """
    if recipe.frames > 1:
        return _read_clips(pictures, recipe, max(scales), stream, on_skipped)
    small = TRAINED[recipe.network].small
    scale = max(scales)
    smallest = recipe.size * (scale if small else 1)
    skipped: dict[str, None] = {}  # sentences, each once

    def skip(error: Exception) -> None:
        skipped[str(error)] = None

    streamed = _streamed(stream, pictures.trained_on, recipe, scales)
    rules: dict[str, Any] = {"smallest": 2 * scale + 1}
    if streamed and not pictures.chosen:
        rules = {"smallest": smallest, "largest": REGION, "seed": recipe.seed}
    spare = iter([] if pictures.chosen or pictures.same else pictures.trained_on)
    validation: list[Pair] = []
    taken = set()
    for path in pictures.watched:
        for candidate in itertools.chain([path], spare):
            if not pictures.same:
                taken.add(candidate)
            try:
                found = [read_pair(candidate, s, recipe.c, small=small, **rules) for s in scales]
                validation += [_degraded(p, recipe, len(validation)) for p in found]
                break
            except PICTURE_ERRORS as error:
                skip(error)
    left = [path for path in pictures.trained_on if path not in taken] if validation else []
    data: list[Pair] | Stream
    if streamed and left:
        data = Stream(left, scale, recipe.c, smallest, recipe.seed, small, factors=recipe.reduced)
    else:
        used: list[list[Pair]] = []
        for path in left:
            try:
                used.append([read_pair(path, s, recipe.c, smallest, small=small) for s in scales])
            except PICTURE_ERRORS as error:
                skip(error)
        data = [one for at_a_scale in zip(*used, strict=True) for one in at_a_scale]
    _check_found(data, validation, list(skipped), on_skipped)
    return data, validation, list(skipped)


def made_smaller(pairs: Sequence[Pair], recipe: Recipe, scales: Sequence[int]) -> Iterator[Pair]:
    """Make pairs from the pictures reduced by the recipe's factors, where a sample still fits."""
    small = TRAINED[recipe.network].small
    smallest = recipe.size * (max(scales) if small else 1)
    used = set()
    each = len(pairs) // len(scales)  # pairs per scale, in the order of `read`
    for number, (_, high) in enumerate(pairs):
        scale = scales[number // each]
        for factor in recipe.reduced:
            if smaller := reduced(high, factor, scale, smallest, small):
                used.add(factor)
                yield smaller
    for factor in recipe.reduced:
        if factor not in used:
            say(
                f"no training picture has room for a sub-image of {smallest} x {smallest} pixels "
                f"when it is made smaller by {factor:g}: none is",
                sys.stderr,
            )


def _check_found(
    data: list[Pair] | Stream,
    validation: list[Pair],
    skipped: list[str],
    on_skipped: Callable[[list[str]], object] | None,
    noun: str = "pictures",
) -> None:
    """Report what was left out; raise if nothing remains."""
    if not data and len(skipped) == 1:
        raise ValueError(*skipped)
    if on_skipped:
        on_skipped(skipped)
    if not data:
        what = "to train on" if validation else "to measure PSNR on"
        raise ValueError(f"none of the {noun} {what} can be used: give others")


def _read_clips(
    clips: Split,
    recipe: Recipe,
    scale: int,
    stream: bool,
    on_skipped: Callable[[list[str]], object] | None,
) -> tuple[list[Pair] | Stream, list[Pair], list[str]]:
    """`read` for clips; of each clip that PSNR is measured on, some frames are used.

    Each scene of a video is a clip to train on. The clips made from photographs come after the
    others.
    """
    frames, smallest, shrink = recipe.frames, recipe.size * scale, recipe.shrink
    skipped: dict[str, None] = {}  # sentences, each once

    def tried(read: Callable[..., Any], *given: Any, **rules: Any) -> Iterator[Any]:
        try:
            yield read(*given, **rules)
        except PICTURE_ERRORS as error:
            skipped[str(error)] = None

    paths = dict.fromkeys([*clips.watched, *clips.trained_on])
    if videos := sum(map(is_video, paths)):
        say(f"finding the cuts of {counted(videos, 'video')}")
    scenes = {path: found for path in paths for found in tried(long_scenes, path, frames)}

    watched: dict[str, Any] = {"smallest": 2 * scale + 1}
    if not clips.chosen:
        watched |= {"smallest": smallest, "largest": 2 * REGION_OF_RUN, "seed": recipe.seed}
    validation = [
        pair
        for path in clips.watched
        if path in scenes
        for pairs in tried(
            read_some, scenes[path], scale, frames, WATCHED, shrink=shrink, **watched
        )
        for pair in pairs
    ]
    left = [s for path in clips.trained_on for s in scenes.get(path, ())] if validation else []
    data: list[Pair] | Stream
    if left and (stream or not _fit_into_memory(left, clips.moved, shrink)):
        data = Stream(
            left, scale, 1, smallest, recipe.seed, True, frames, shrink, moving=clips.moved
        )
    else:
        data = [
            run
            for scene in left
            for run in tried(read_run, scene, scale, frames, smallest, shrink=shrink)
        ]
        data += [
            run
            for number, path in enumerate(clips.moved if left else ())
            for run in tried(read_moved, path, scale, frames, smallest, seed=(recipe.seed, number))
        ]
    _check_found(data, validation, list(skipped), on_skipped, "clips")
    return data, validation, list(skipped)


def _fit_into_memory(
    clips: Sequence[str | os.PathLike], moved: Sequence[Path], shrink: int
) -> bool:
    """Return whether clips are read before training: if their frames are few, and not large."""
    if sum(map(length, clips)) > IN_MEMORY:
        return False
    pixels = sum(length(clip) * _pixels_of_frame(clip) for clip in clips) / shrink**2
    return pixels + sum(map(_pixels, moved)) <= IN_MEMORY_PIXELS


def _pixels_of_frame(clip: str | os.PathLike) -> int:
    """Return how many pixels each frame of a clip has."""
    if isinstance(clip, Scene):
        return math.prod(clip.video.shape)
    return _pixels(list_pictures(clip)[0])


def _pixels(path: Path) -> int:
    """Return how many pixels a picture has by its header; 0 if that cannot be read."""
    return math.prod(size_of(path) or (0, 0))


def _degraded(pair: Pair, recipe: Recipe, number: int) -> Pair:
    """Degrade a pair to measure PSNR on, in the same way for every seed, so that logs compare."""
    low, high = pair
    if recipe.degradation is not None:
        low = recipe.degradation(low, np.random.default_rng(number))
    return low, high


def _streamed(asked: bool, paths: Sequence[Path], recipe: Recipe, scales: Sequence[int]) -> bool:
    """Return whether pictures are read while training; raise if they cannot be."""
    # In memory they are once for each channel, scale and factor that they are made smaller by.
    copies = recipe.c * len(scales) * (1 + sum(factor**2 for factor in recipe.reduced))
    most, many = IN_MEMORY_PIXELS / copies, asked or len(paths) > IN_MEMORY
    pixels = 0 if many else sum(map(_pixels, paths))
    streamed = many or pixels > most
    if streamed and len(scales) > 1:
        size, wanted = "", ""
        if pixels:
            size, wanted = f" of {pixels / 1e6:.3g} megapixels", f" of {most / 1e6:.3g}"
        raise ValueError(
            f"{counted(len(paths), 'picture')}{size} are read while training, and that is for one "
            f"scale: give at most {IN_MEMORY} pictures{wanted}, or one scale"
        )
    return streamed
