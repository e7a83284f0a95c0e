"""Files that are small on disk and large in memory, by damage or on purpose."""

__all__ = ["claims_too_much"]

BYTES = 2**25  # of pixels, however few they are in the file: a screen of 3840 x 2160, RGBA
TIMES = 500  # as many as in the file: photographs take ten at most, and all white is a thousand
FRAMES = 4  # times as many in animations, whose frames repeat much of the one before


def claims_too_much(pixels: int, size: int, frames: int = 1) -> bool:
    """Whether so many bytes of pixels are more than a file of `size` bytes holds.

    Pictures that are nearly empty may. They are refused all the same, if they are large.
    """
    return pixels > max(BYTES, TIMES * size * (FRAMES if frames > 1 else 1))
