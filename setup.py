"""Builds the package that setup.cfg describes.

Only one thing is made here: the description for a package index, which is the README with its links
to files of this repository made absolute, as an index shows the page without the files.
"""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent


def described() -> str:
    """The README, with links that lead to the repository wherever the page is shown."""
    settings = ConfigParser()
    settings.read(HERE / "setup.cfg", encoding="utf-8")
    source = re.search("Source = (.+)", settings["metadata"]["project_urls"])[1]

    def absolute(link: re.Match) -> str:
        image, text, path = link.groups()
        return f"{image}[{text}]({source}/{'raw' if image else 'blob'}/main/{path})"

    readme = (HERE / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(!?)\[([^]]+)\]\((?!\w+:|#)([^)]+)\)", absolute, readme)


setup(long_description=described(), long_description_content_type="text/markdown")
