"""``python -m pysrcnn`` is the command ``pysrcnn``."""

import sys

from .cli import main

sys.exit(main())
