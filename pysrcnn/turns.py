"""The eight symmetries of a square: quarter turns, with and without mirroring."""

import numpy as np

__all__ = ["TURNS", "turned", "turned_back"]

TURNS = 8


def turned(x: np.ndarray, turn: int) -> np.ndarray:
    """Turn a picture or maps by `turn` quarters and, from 4 on, mirror them left to right.

    Parameters
    ----------
    x : array (..., H, W)
    turn : int
        0 to 7; 0 changes nothing.

    Returns
    -------
    out : array (..., H, W) or (..., W, H), a view
    """
    x = np.rot90(x, turn % 4, axes=(-2, -1))
    return x[..., ::-1] if turn >= 4 else x


def turned_back(x: np.ndarray, turn: int) -> np.ndarray:
    """Undo `turned`, with the same parameters."""
    x = x[..., ::-1] if turn >= 4 else x
    return np.rot90(x, -turn % 4, axes=(-2, -1))
