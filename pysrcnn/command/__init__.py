"""The subcommands of `pysrcnn`, one per file."""

__all__: list[str] = []
