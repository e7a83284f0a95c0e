"""Enlarging pictures: the plan and its steps, the frames of videos, and arrays of Dask."""

__all__: list[str] = []
