"""Run the command ``pysrcnn`` as ``python -m pysrcnn``."""

import sys

from .cli import main

sys.exit(main())
