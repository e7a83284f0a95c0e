"""Convert RGB to luma and chroma and back: ITU-R BT.601, in studio and in full range.

Two conventions share the name YCbCr, and mixing them up costs more than a decibel of PSNR:

- **Studio range**, the paper's, as returned by MATLAB's ``rgb2ycbcr``: black is Y = 16/255, white
  is Y = 235/255. `rgb_to_ycbcr`, `ycbcr_to_rgb`, `rgb_to_luma`.
- **Full range**, as in JPEG files and returned by PIL and OpenCV: black is 0, white is 1.
  `rgb_to_ycbcr_full`, `ycbcr_to_rgb_full`.

All values are 8-bit levels / 255, that is in 0..1; channels come last. Nothing is clipped or
rounded: values out of range pass through, and inverses are exact up to rounding. (Many YCbCr
triples lie outside the RGB cube, so clip RGB to 0..1 before converting to integers.)

Each function takes a floating point array (..., 3) and returns one of the same dtype. It raises a
TypeError for another dtype, and a ValueError if the length of the last axis is not 3.
"""

import numpy as np

__all__ = [
    "LUMA",
    "RGB_TO_YCBCR",
    "YCBCR_TO_RGB",
    "rgb_to_luma",
    "rgb_to_ycbcr",
    "rgb_to_ycbcr_full",
    "ycbcr_to_rgb",
    "ycbcr_to_rgb_full",
]

# Rows Y, Cb, Cr; columns R, G, B. The standard gives 8-bit integers, hence the 255.
_STUDIO = (
    np.array(
        [
            [65.481, 128.553, 24.966],
            [-37.797, -74.203, 112.0],
            [112.0, -93.786, -18.214],
        ]
    )
    / 255
)
_STUDIO_OFFSET = np.array([16.0, 128.0, 128.0]) / 255
_STUDIO_INVERSE = np.linalg.inv(_STUDIO)

# (matrix, offset) of the two conversions, for code that applies them to planes.
RGB_TO_YCBCR = _STUDIO, _STUDIO_OFFSET
YCBCR_TO_RGB = _STUDIO_INVERSE, -_STUDIO_INVERSE @ _STUDIO_OFFSET

# Y is a mean of R, G and B; Cb and Cr are B - Y and R - Y, scaled to span -1/2..1/2.
LUMA = np.array([0.299, 0.587, 0.114])
_FULL = np.array([LUMA, ([0, 0, 1] - LUMA) / 1.772, ([1, 0, 0] - LUMA) / 1.402])
_FULL_OFFSET = np.array([0.0, 128.0, 128.0]) / 255
_FULL_INVERSE = np.linalg.inv(_FULL)


# ----------------------------------------------------------------------------------- studio range


def rgb_to_ycbcr(rgb: np.ndarray) -> np.ndarray:
    """Convert RGB to studio-range YCbCr of BT.601, as MATLAB's ``rgb2ycbcr`` does for floats.

    ::

        255 Y  =  16 +  65.481 R + 128.553 G +  24.966 B        16..235
        255 Cb = 128 -  37.797 R -  74.203 G + 112     B        16..240
        255 Cr = 128 + 112     R -  93.786 G -  18.214 B        16..240

    Parameters
    ----------
    rgb : array (..., 3), 0..1

    Returns
    -------
    ycbcr : array (..., 3)
        For RGB in 0..1: Y in 16/255..235/255, Cb and Cr in 16/255..240/255. Not clipped.

    Notes
    -----
    Source: ITU-R BT.601-7; coefficients to three decimals as in MATLAB.
    """
    _check(rgb := np.asarray(rgb), "rgb_to_ycbcr", "RGB")
    return _affine(rgb, *RGB_TO_YCBCR)


def ycbcr_to_rgb(ycbcr: np.ndarray) -> np.ndarray:
    """Convert studio-range YCbCr of BT.601 to RGB: the inverse of `rgb_to_ycbcr`.

    Solves the equations of `rgb_to_ycbcr` for R, G and B. The matrix is inverted in float64;
    published inverses are rounded to fewer digits.

    Parameters
    ----------
    ycbcr : array (..., 3), 0..1

    Returns
    -------
    rgb : array (..., 3)
        Not clipped: three quarters of the nominal YCbCr range lie outside the RGB cube.

    Notes
    -----
    Source: ITU-R BT.601-7; MATLAB's ``ycbcr2rgb``, except that the latter clips.
    """
    _check(ycbcr := np.asarray(ycbcr), "ycbcr_to_rgb", "YCbCr")
    return _affine(ycbcr, *YCBCR_TO_RGB)


def rgb_to_luma(rgb: np.ndarray) -> np.ndarray:
    """Return studio-range luma of BT.601: the Y of `rgb_to_ycbcr`, on which the paper works.

    255 Y = 16 + 65.481 R + 128.553 G + 24.966 B

    Parameters
    ----------
    rgb : array (..., 3), 0..1

    Returns
    -------
    luma : array (...)
        16/255..235/255 for RGB in 0..1. Not clipped.

    Notes
    -----
    Source: ITU-R BT.601-7; the first channel of MATLAB's ``rgb2ycbcr``.
    """
    _check(rgb := np.asarray(rgb), "rgb_to_luma", "RGB")
    return _affine(rgb, _STUDIO[0], _STUDIO_OFFSET[0])


# ------------------------------------------------------------------------------------- full range


def rgb_to_ycbcr_full(rgb: np.ndarray) -> np.ndarray:
    """Convert RGB to full-range YCbCr of BT.601, as in JPEG files; the paper's is `rgb_to_ycbcr`.

    ::

        Y  = 0.299 R + 0.587 G + 0.114 B         0..1
        Cb = 128/255 + (B - Y) / 1.772           1/510..511/510
        Cr = 128/255 + (R - Y) / 1.402           1/510..511/510

    Parameters
    ----------
    rgb : array (..., 3), 0..1

    Returns
    -------
    ycbcr : array (..., 3)
        Not clipped: the offset of Cb and Cr is level 128, not 127.5, so those of pure blue and
        pure red exceed 1 by half a level.

    Notes
    -----
    Source: ITU-T T.871 (JFIF), section 7.
    """
    _check(rgb := np.asarray(rgb), "rgb_to_ycbcr_full", "RGB")
    return _affine(rgb, _FULL, _FULL_OFFSET)


def ycbcr_to_rgb_full(ycbcr: np.ndarray) -> np.ndarray:
    """Convert full-range YCbCr of BT.601 to RGB: the inverse of `rgb_to_ycbcr_full`.

    ::

        R = Y + 1.402 Cr'        with Cb' = Cb - 128/255, Cr' = Cr - 128/255
        G = Y - (0.114 * 1.772 Cb' + 0.299 * 1.402 Cr') / 0.587
        B = Y + 1.772 Cb'

    Parameters
    ----------
    ycbcr : array (..., 3), 0..1

    Returns
    -------
    rgb : array (..., 3)
        Not clipped.

    Notes
    -----
    Source: ITU-T T.871 (JFIF), section 7.
    """
    _check(ycbcr := np.asarray(ycbcr), "ycbcr_to_rgb_full", "YCbCr")
    return _affine(ycbcr, _FULL_INVERSE, -_FULL_INVERSE @ _FULL_OFFSET)


# ------------------------------------------------------------------------------------------ shared


def _affine(x: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return ``matrix @ pixel + offset`` for every pixel, in the dtype of `x`."""
    dtype = np.result_type(x.dtype, np.float32)  # float16 is computed in float32
    out = x.astype(dtype, copy=False) @ matrix.T.astype(dtype) + offset.astype(dtype)
    return out.astype(x.dtype, copy=False)


def _check(x: np.ndarray, function: str, what: str) -> None:
    if x.dtype.kind != "f":
        raise TypeError(
            f"{function} got an array of dtype {x.dtype}, wanted floating point in 0..1; "
            "for 8-bit pictures give x / 255."
        )
    if x.ndim < 1 or x.shape[-1] != 3:
        raise ValueError(
            f"{function} got an array of shape {x.shape}, wanted (..., 3): {what} along the last "
            "axis. Separate an alpha channel first; grey pictures need no conversion."
        )
