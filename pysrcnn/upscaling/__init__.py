"""From a picture to a larger one: the plan, its steps, and arrays of Dask."""

__all__: list[str] = []
