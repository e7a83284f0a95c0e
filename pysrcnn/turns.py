"""The eight ways to lay a square on itself: turned by quarters, and mirrored."""

import numpy as np

__all__ = ["TURNS", "turned", "turned_back"]

TURNS = 8


def turned(x: np.ndarray, turn: int) -> np.ndarray:
    """A picture or maps, turned by `turn` quarters and, from 4 on, mirrored from left to right.

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
    """What `turned` made this of; same parameters."""
    x = x[..., ::-1] if turn >= 4 else x
    return np.rot90(x, -turn % 4, axes=(-2, -1))
