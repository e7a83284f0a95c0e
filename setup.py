"""Everything about the package is declared in setup.cfg.

This file only lets tools that look for a setup.py find setuptools; there is nothing to edit here.
"""

from setuptools import setup

setup()
