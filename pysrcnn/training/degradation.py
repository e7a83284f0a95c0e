"""Degradation of training pictures as in real photographs: slight blur, sensor noise and JPEG.

Pairs are made from clean pictures, so a network that learns from them enlarges whatever is in the
small picture, JPEG blocks and noise included. A network that learns from small pictures degraded at
random, with the clean large picture as its target, removes them.

The small picture is degraded, since that is what a network will be given: sigma is then in its
pixels, whatever the scale, and neither noise nor blocks are shrunk away. The order is that of a
camera: the lens blurs, then the sensor adds noise, then the file is compressed.

Axes: c channels, H x W pixels of the small picture.
"""

import io
import math
from dataclasses import dataclass

import numpy as np

from ..checks import is_real, is_whole
from ..color import LUMA

__all__ = ["AROUND", "DEGRADATIONS", "Degradation", "blur", "jpeg", "noise"]

BLOCK = 16  # pixels along the side of a chroma block where JPEG halves the chroma
_REACH = 4  # radius of the blur, in pixels
AROUND = BLOCK + _REACH  # pixels around a crop that it depends on
_DARK = 0.002  # of white: the light whose photon noise equals the sensor's noise in the dark
_BLACK, _WHITE = 16 / 255, 235 / 255  # luma of the paper


@dataclass(frozen=True)
class Degradation:
    """Random degradation of small pictures in training; some pictures stay as they are.

    Attributes
    ----------
    blurred : float
        Probability that a picture is blurred.
    sigma : pair of floats
        Least and greatest sigma of the blur, see `blur`; within 0.1 to 1 pixel.
    noisy : float
        Probability that noise is added.
    noise : pair of floats
        Least and greatest level of noise, see `noise`; within 0.1 to 100. Its logarithm is uniform.
    compressed : float
        Probability that the picture is compressed as JPEG.
    quality : pair of ints
        Least and greatest quality of the JPEG; within 1 to 100.
    subsampled : float
        Probability that the JPEG halves the chroma along each side (4:2:0) instead of keeping all
        of it (4:4:4).

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    blurred: float = 0.3
    sigma: tuple[float, float] = (0.3, 1.0)
    noisy: float = 0.4
    noise: tuple[float, float] = (0.5, 10.0)
    compressed: float = 0.75
    quality: tuple[int, int] = (30, 95)
    subsampled: float = 0.5

    def __post_init__(self) -> None:
        for name in ("blurred", "noisy", "compressed", "subsampled"):
            value = getattr(self, name)
            if not is_real(value) or not 0 <= value <= 1:
                raise ValueError(f"{name} is {value!r:.60}, wanted 0 to 1")
        for name, least, most in (("sigma", 0.1, 1), ("noise", 0.1, 100), ("quality", 1, 100)):
            pair, whole = getattr(self, name), name == "quality"
            two = isinstance(pair, (tuple, list)) and len(pair) == 2
            two = two and all(is_whole(n) if whole else is_real(n) for n in pair)
            if not two or not least <= pair[0] <= pair[1] <= most:
                raise ValueError(
                    f"{name} is {pair!r:.60}, wanted two {'whole ' if whole else ''}numbers, "
                    f"{least} to {most}, least first"
                )

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Degrade a small picture; JPEG blocks begin at its corner, as in a file.

        Parameters
        ----------
        x : float32 array (c, H, W)
            Luma for c = 1, RGB for c = 3, in 0..1.
        rng : numpy.random.Generator

        Returns
        -------
        degraded : float32 array (c, H, W)
            `x` itself if chance leaves it unchanged.
        """
        return self._degraded(x, rng)

    def _degraded(
        self, x: np.ndarray, rng: np.random.Generator, corner: tuple[int, int] | None = None
    ) -> np.ndarray:
        """Degrade x, and cut it to what is below and right of `corner`, where JPEG blocks begin."""
        chances = self.blurred, self.noisy, self.compressed, self.subsampled
        blurred, noisy, compressed, subsampled = rng.random(4) < chances
        if blurred:
            x = blur(x, rng.uniform(*self.sigma))
        if noisy:
            x = noise(x, math.exp(rng.uniform(*np.log(self.noise))), rng)
        if corner:
            x = x[:, corner[0] :, corner[1] :]
        if compressed:
            least, most = self.quality
            x = jpeg(x, int(rng.integers(least, most + 1)), subsampled)
        return x

    def crop(self, piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Degrade a crop, with JPEG blocks that begin at a random place.

        Parameters
        ----------
        piece : float32 array (c, side + 2 AROUND, side + 2 AROUND)
            The crop with its surroundings, which blur and JPEG blocks mix into it.
        rng : numpy.random.Generator

        Returns
        -------
        degraded : float32 array (c, side, side)
        """
        i, j = rng.integers(BLOCK, size=2)
        inner = slice(AROUND - i, -AROUND), slice(AROUND - j, -AROUND)
        return self._degraded(piece, rng, (i, j))[:, *inner]


DEGRADATIONS = {"photo": Degradation()}


def blur(x: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian, like a lens slightly out of focus; edges are repeated.

    Parameters
    ----------
    x : float32 array (c, H, W)
    sigma : float
        Standard deviation in pixels, up to 1.

    Returns
    -------
    blurred : float32 array (c, H, W)
    """
    offsets = np.arange(-_REACH, _REACH + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        around = [(_REACH, _REACH) if k == axis else (0, 0) for k in range(3)]
        padded = np.moveaxis(np.pad(x, around, "edge"), axis, 0)
        n = x.shape[axis]
        total = sum(w * padded[k : k + n] for k, w in enumerate(weights))
        x = np.moveaxis(np.asarray(total), 0, axis)
    return x


def noise(x: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Add the noise of a sensor: photon noise and read noise.

    Both are added to the linear light, which sRGB's curve relates to a picture's values. The number
    of photons has a Poisson distribution, so the variance is k (light + 0.002): one part grows with
    the light, and one is constant.

    Parameters
    ----------
    x : float32 array (c, H, W)
        Luma for c = 1, RGB for c = 3; clipped to 0..1.
    level : float
        Standard deviation of R, G and B at medium grey, in levels of 0..255. It determines k.
    rng : numpy.random.Generator

    Returns
    -------
    noisy : float32 array (c, H, W), in 0..1

    Notes
    -----
    Source: A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise
    modeling and fitting for single-image raw-data", IEEE Trans. Image Processing 17(10), 2008.
    """
    grey = float(_light(np.array(0.5)))
    slope = 1.055 / 2.4 * grey ** (1 / 2.4 - 1)  # derivative of values by light
    k = (level / 255 / slope) ** 2 / (grey + _DARK)
    if len(x) == 1:  # averaging R, G and B cancels part of their noise
        k *= float(np.sum(LUMA**2))
    light = _light(_full_range(x))
    random = rng.standard_normal(x.shape, np.float32)
    light = np.clip(light + np.sqrt(k * (light + _DARK)) * random, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return _as_given(curve)


def jpeg(x: np.ndarray, quality: int, subsampled: bool = True) -> np.ndarray:
    """Compress as JPEG and decompress again.

    Parameters
    ----------
    x : float32 array (c, H, W)
        Luma for c = 1, which is compressed like the luma of a colour picture; RGB for c = 3.
        Clipped to 0..1 and rounded to 8 bits.
    quality : int
        1 to 100, on the scale of the Independent JPEG Group's encoder.
    subsampled : bool
        Whether the chroma has half as many pixels along each side (4:2:0), or all (4:4:4).

    Returns
    -------
    compressed : float32 array (c, H, W), in 0..1
    """
    from PIL import Image  # not at the top, so that `import pysrcnn` stays quick

    levels = (255 * _full_range(x) + 0.5).astype(np.uint8)
    pixels = levels[0] if len(x) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality, subsampling=2 * bool(subsampled))
    with Image.open(file, formats=["jpeg"]) as picture:
        levels = np.asarray(picture).reshape(*x.shape[1:], len(x)).transpose(2, 0, 1)
    return _as_given(np.ascontiguousarray(levels, np.float32) / 255)


def _full_range(x: np.ndarray) -> np.ndarray:
    """Clip to 0..1, after stretching the paper's luma, 16..235 of 255, to the range of JPEG's."""
    return np.clip((x - _BLACK) / (_WHITE - _BLACK) if len(x) == 1 else x, 0, 1)


def _as_given(x: np.ndarray) -> np.ndarray:
    """Undo `_full_range`, and convert to float32."""
    return (x * (_WHITE - _BLACK) + _BLACK if len(x) == 1 else x).astype(np.float32)


def _light(x: np.ndarray) -> np.ndarray:
    """Convert values to linear light, both in 0..1, by sRGB's curve (IEC 61966-2-1)."""
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
