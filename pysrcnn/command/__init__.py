"""The command `pysrcnn`."""

__all__: list[str] = []
