"""README and documentation: what they tell a reader to type works, and the links lead somewhere."""

import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pysrcnn.arguments import parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return [body for name, body in BLOCK.findall(text) if name == language]


def commands():
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] == "pysrcnn":
                    yield pytest.param(words[1:], id=f"{page.name}: {line[:60]}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_have_these_options(words):
    for sign in ("<", ">"):
        words = words[: words.index(sign)] if sign in words else words
    parser().parse_args(words)  # exits if it does not know one


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    pytest.importorskip("dask.array")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "sample.png", "img.png")
    names = {}
    for block in blocks(ROOT / "README.md", "python"):
        exec(block, names)
    assert names["larger"].shape == tuple(3 * n for n in names["picture"].shape[:2]) + (3,)
    assert set(names["gradients"]) >= {"W1", "B1"}


def test_files_that_are_linked_are_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path = urlsplit(target).path
            if path and not urlsplit(target).scheme:
                assert (page.parent / unquote(path)).exists(), f"{page.name}: {target}"


class _Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.places.add(attributes.get("id") or "")
        self.links += [attributes[k] for k in ("href", "src") if attributes.get(k)]


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    for package in ("sphinx", "myst_nb", "numpydoc", "sphinx_design", "pydata_sphinx_theme"):
        pytest.importorskip(package)
    docs = ROOT / "docs"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-E", docs, tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    files = (tmp_path / "html").rglob("*.html")
    pages = {path: _Page(path) for path in files if "_static" not in path.parts}
    assert len(pages) > 20
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].places, f"{path.name}: {link}"
