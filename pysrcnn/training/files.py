"""Training from files: folders of pictures in, weights with a card out, a log and checkpoints.

The log and the checkpoint lie beside the weights and differ from them in the suffix of the name.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .._files import check_apart, check_place
from .._printing import counted, say
from ..checks import check_whole
from ..evaluate import Score, average, evaluate
from ..formats import SMALL
from ..networks import LARGEST, TRAINED, Features, Network, files_of, load, load_features, shipped
from ..pictures import list_pictures, list_unread
from ..video import IN_FOLDERS
from .fitting import fit
from .lock import locked
from .log import read_log
from .loop import Training
from .recipe import Recipe
from .recipes import RECIPES
from .split import Split, made_smaller, read, split
from .stream import Stream

__all__ = ["FileTraining", "train"]

Place = str | os.PathLike


def train(
    folders: Sequence[Place],
    output: Place,
    scale: int | Sequence[int],
    recipe: Recipe | None = None,
    *,
    exclude: Iterable[str] = (),
    moving: Sequence[Place] = (),
    validation: Place | None = None,
    start: Place | None = None,
    stream: bool = False,
    every: int = 2000,
    resume: bool = False,
    score: Place | None = None,
    features: Place | None = None,
    layer: str | None = None,
    on_skipped: Callable[[list[str]], object] | None = None,
) -> Network:
    """Train a network on folders of pictures, as `pysrcnn train` does.

    Progress is shown on the terminal.

    Parameters
    ----------
    folders : sequence of paths
        Folders of the pictures to train on, folders below them included; for a network that looks
        at several frames, of clips: folders of frames, and videos.
    output : path
        File of the weights, ending in .npz. Beside it are written a log (.log), and a checkpoint
        (.checkpoint) until all steps are done.
    scale : int or sequence of int
        Factor of enlargement. A network that takes enlarged pictures may be trained for several.
    recipe : Recipe, optional
        ``RECIPES["modern"]`` by default.
    exclude : strings
        Names or patterns of pictures to leave out: "302003.jpg", "*.gif", "BSDS200/30*".
    moving : sequence of paths, optional
        For a network that looks at several frames: folders of photographs, which a simulated camera
        turns into clips, see `training.camera`.
    validation : path, optional
        A folder of pictures that PSNR is measured on during training, and that are not trained on.
        By default every 20th training picture, or every 7th folder of frames or video, at most 20.
    start : path or name, optional
        Weights to start from. Those of an EDSR may be for another scale; its tail, which fits one
        scale, is then reinitialised.
    stream : bool
        Whether pictures are read during training. They are in any case if they are many or large.
    every : int
        Steps from one measurement and checkpoint to the next.
    resume : bool
        Whether to resume from the checkpoint.
    score : path, optional
        A folder of pictures to evaluate on at the end; the card gets the averages.
    features, layer : optional
        Arguments of `load_features`, for a recipe with a discriminator.
    on_skipped : function of a list of str, optional
        Called with why training and validation pictures were left out, a sentence each: before the
        first step, and for a stream also after the last.

    Returns
    -------
    network : Network
        The trained network, as saved.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, an output exists already, another training that runs will write it, or
        no picture can be used; if one to score cannot be used, after the weights are written.
    KeyboardInterrupt, SystemExit, FloatingPointError, OSError
        As `fit` does.
    """
    training = FileTraining(
        folders, output, scale, recipe,
        exclude=exclude, moving=moving, validation=validation, start=start, stream=stream,
        every=every, resume=resume, score=score, features=features, layer=layer,
        on_skipped=on_skipped,
    )  # fmt: skip
    network = training.fit()
    for one in training.scales:
        training.score(network, one)
    return network


class FileTraining:
    """`train` in its parts: construction checks and reads everything, then come `fit` and `score`.

    The parameters are those of `train`.

    Attributes
    ----------
    recipe : Recipe
    training : Training
    used : int
        Number of pictures that are trained on.
    skipped : list of str
        Why pictures were left out, a sentence each.
    """

    def __init__(
        self,
        folders: Sequence[Place],
        output: Place,
        scale: int | Sequence[int],
        recipe: Recipe | None = None,
        *,
        exclude: Iterable[str] = (),
        moving: Sequence[Place] = (),
        validation: Place | None = None,
        start: Place | None = None,
        stream: bool = False,
        every: int = 2000,
        resume: bool = False,
        score: Place | None = None,
        features: Place | None = None,
        layer: str | None = None,
        on_skipped: Callable[[list[str]], object] | None = None,
    ):
        self.folders, self.output = [Path(folder) for folder in folders], Path(output)
        self.moving = [Path(folder) for folder in moving]
        self.scales = _whole(scale)
        self.recipe, self.every = recipe or RECIPES["modern"], every
        self._check_recipe()
        self.log, self.checkpoint = (self.output.with_suffix(s) for s in (".log", ".checkpoint"))
        self.scored = Path(score) if score is not None else None
        self._on_skipped = on_skipped
        if self.output.suffix.lower() != ".npz":
            raise ValueError(f"{output} does not end in .npz: weights are written as .npz")
        check_whole("every", every)
        pictures = split(
            self.folders, Path(validation) if validation is not None else None, exclude,
            self.recipe.frames > 1, self.moving,
        )  # fmt: skip
        self._check_places(pictures)
        network = self._load_start(start)
        judged = self._load_features(features, layer)
        with contextlib.ExitStack() as stack:
            stack.enter_context(locked(self.output))
            self._check_what_is_there(resume)
            self._read(pictures, stream, network, judged)
            if resume:
                self.training.load(self.checkpoint)
            self._lock = stack.pop_all()  # until the end of `fit`

    def _read(
        self, pictures: Split, stream: bool, network: Network | None, judged: Features | None
    ) -> None:
        """Read the pictures and make the training."""
        data, self.validation, self.skipped = read(
            pictures, self.recipe, self.scales, stream, self._on_skipped
        )
        self._stream = data if isinstance(data, Stream) else None
        self.used, self._same = len(data) // len(self.scales), pictures.same
        if isinstance(data, list):
            data = [*data, *made_smaller(data, self.recipe, self.scales)]
        self.training = Training(
            self.recipe, data, network, self.scales if len(self.scales) > 1 else self.scales[0],
            judged,
        )  # fmt: skip
        size = sum(p.nbytes for p in self.training.network.parameters.values())
        if size > SMALL:
            raise ValueError(
                f"{self.training.network!r} has {size:,} bytes, and networks of at most {SMALL:,} "
                f"are trained: a step of this one would take minutes, so train a smaller one"
            )
        if self.training.anew:
            self._start += f", with {' and '.join(self.training.anew)} reinitialised"

    @property
    def label(self) -> str:
        """The scales as text: "x3", or "x2, x3, x4"."""
        return ", ".join(f"x{scale}" for scale in self.scales)

    def fit(self) -> Network:
        """Do the remaining steps, write the weights, and return the network."""
        with self._lock:
            self._announce()
            return self._fit()

    def _announce(self) -> None:
        """Print what is trained on what."""
        recipe, training = self.recipe, self.training
        noun = "clip" if recipe.frames > 1 else "picture"
        say(
            f"{training.network.name} {self.label}: {counted(self.used, noun)}, "
            f"{counted(recipe.steps, 'step')} of {counted(recipe.batch, 'sub-image')}, "
            f"{recipe.optimizer}"
        )
        if training.judge:
            say(f"content is compared by {training.judge.features.label}{self._note}")
        if training.anew:
            say(f"starts from {self._start}, which are for another scale there")
        watched = "frames" if recipe.frames > 1 else "pictures"
        say(
            f"{watched} that PSNR is measured on: {len(self.validation) // len(self.scales)}, "
            f"{'of those it trains on' if self._same else 'none of which it trains on'}"
            f"{', degraded likewise' if recipe.degradation else ''}"
        )

    def _fit(self) -> Network:
        training = self.training
        try:
            fit(training, self.validation, self.checkpoint, self.log, self.every)
        finally:
            if self._stream:
                self._stream.close()
                skipped = list(self._stream.skipped.values())
                if self._on_skipped:
                    self._on_skipped(skipped)
                self.used -= len(skipped)
                self.skipped += skipped
        network = training.result()
        names = " + ".join(folder.resolve().name for folder in self.folders)
        if self.moving:
            moved = " + ".join(folder.resolve().name for folder in self.moving)
            names += f", a camera over {moved}"
        noun = "clip" if self.recipe.frames > 1 else "picture"
        network.card["data"] = f"{names}, {counted(self.used, noun)}"
        network.card["start"] = self._start
        network.card["scores"] = {}
        network.save(self.output)
        self.checkpoint.unlink(missing_ok=True)
        return network

    def score(
        self,
        network: Network,
        scale: int,
        on_error: Callable[[Exception], object] | None = None,
    ) -> list[Score]:
        """Evaluate the trained network on the pictures to score, and save averages in its card.

        Parameters
        ----------
        network : Network
        scale : int
            A scale that it was trained for.
        on_error : function of an exception, optional
            As for `evaluate`.

        Returns
        -------
        scores : list of Score
            Empty if no pictures to score were given, or none can be used.
        """
        if self.scored is None:
            return []
        scores = list(evaluate(self.scored, network, scale, motion=False, on_error=on_error))
        if scores:
            name = self.scored.resolve().name + (f" x{scale}" if len(self.scales) > 1 else "")
            network.card["scores"][name] = average(scores).for_card()
            network.save(self.output)
        return scores

    def _check_recipe(self) -> None:
        """Raise if several scales, or clips made from photographs, do not suit the network."""
        if len(self.scales) > 1 and TRAINED[self.recipe.network].small:
            raise ValueError(
                f"one {self.recipe.network} is for one scale, as it enlarges the picture itself, "
                f"and the scales are {', '.join(map(str, self.scales))}: give one of them"
            )
        if self.moving and self.recipe.frames == 1:
            raise ValueError(
                f"a camera is moved over photographs for a network of several frames, and the "
                f"recipe is for {self.recipe.network}: leave moving out"
            )

    def _check_places(self, pictures: Split) -> None:
        """Raise, before hours of training, if an output cannot be written or is an input."""
        clips = self.recipe.frames > 1
        videos = IN_FOLDERS if clips else ()
        scored = list_pictures(self.scored, clips, others=videos) if self.scored else []
        others = [
            path
            # Excluded pictures, and those of kinds that are not read, too.
            for folder in [*self.folders, *self.moving]
            for found in (partial(list_pictures, others=videos), list_unread)
            for path in found(folder, recursive=True)
        ]
        outputs = [self.output, self.log, self.checkpoint]
        for place in outputs:
            check_place(place)
        inputs = [*pictures.trained_on, *pictures.watched, *pictures.moved, *scored, *others]
        check_apart(outputs, inputs, "one of the pictures")

    def _load_start(self, start: Place | None) -> Network | None:
        """Load the network to start from, if one is given."""
        if start is None:
            self._start = self.recipe.init
            return None
        self._start = Path(start).name
        # Shipped weights are loaded by a scale, one of another if need be; a file without one.
        known = [scale for name, scale in shipped() if name == os.fspath(start)]
        network = load(start, min(known, key=lambda s: (s not in self.scales, s), default=None))
        outputs = [self.output, self.log, self.checkpoint]
        check_apart(outputs, files_of(start), "the file of weights")
        return network

    def _load_features(self, features: Place | None, layer: str | None) -> Features | None:
        """Load the features that content is compared by, for a recipe with a discriminator."""
        self._note = "" if features else ", as no file of VGG is given (features)"
        if self.recipe.adversarial is None:
            if features is not None or layer is not None:
                raise ValueError(
                    "features and their layer are for a recipe with a discriminator, as srgan is: "
                    "leave them out"
                )
            return None
        outputs = [self.output, self.log, self.checkpoint]
        check_apart(outputs, files_of(features) if features else [], "the file of features")
        return load_features(features, layer)

    def _check_what_is_there(self, resume: bool) -> None:
        """Raise if files exist that this training must not overwrite."""
        there = [path for path in (self.output, self.log) if path.exists() and path.stat().st_size]
        if self.log in there:
            try:
                if not read_log(self.log)[1]:  # of a training that did not come far
                    there.remove(self.log)
            except ValueError:  # no training wrote it
                raise ValueError(
                    f"{self.log} is there and is not a log of training: give the weights another "
                    f"name, or move it"
                ) from None
        if resume:
            return
        them = " and ".join(map(str, there))
        if self.checkpoint.exists():
            also = f" and {them}" if there else ""
            raise ValueError(f"{self.checkpoint} exists: resume it, or remove it{also}")
        if there:
            raise ValueError(
                f"{them} would be replaced: give the weights another name, or move what is there"
            )


def _whole(scale: int | Sequence[int]) -> tuple[int, ...]:
    """Return the scales in ascending order; raise unless there can be networks for all of them."""
    given = (scale,) if np.ndim(scale) == 0 else tuple(np.asarray(scale).tolist())
    numbers = [int(s) if isinstance(s, np.integer) else s for s in given]
    if not numbers or not all(type(s) is int and 2 <= s <= LARGEST for s in numbers):
        raise ValueError(
            f"scale is {scale!r:.60}, wanted a whole number, 2 to {LARGEST}, or several"
        )
    return tuple(sorted(set(numbers)))
