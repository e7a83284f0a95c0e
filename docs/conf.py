"""How Sphinx builds the documentation.

    pip install ".[docs]" && sphinx-build docs docs/_build/html

Nothing is fetched: the walkthroughs are shown as their committed notebooks say, and what draws
equations is copied beside the pages.
"""

import base64
import json
import shutil
import zipfile
from pathlib import Path

from pysrcnn import __version__

HERE = Path(__file__).parent
ROOT = HERE.parent
EXAMPLES = ROOT / "examples"

project = "pysrcnn"
version = release = __version__
copyright = "the pysrcnn developers, MIT License"  # noqa: A001 (Sphinx's name)

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx-mathjax-offline",
    "sphinxarg.ext",
]
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header"]  # parts of the README begin below the first level

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
toc_object_entries = False

html_theme = "pydata_sphinx_theme"
html_title = "pysrcnn"
html_static_path = ["_static"]
html_css_files = ["pysrcnn.css"]
html_show_sourcelink = False
html_sidebars = {  # pages that have none below them
    page: []
    for page in (
        "start", "pictures", "training", "perception", "weights", "convert", "dask", "equations",
        "gradients", "exercises", "command", "paper", "networks", "benchmarks", "kernels",
        "questions", "changes",
    )
}  # fmt: skip
html_context = {"default_mode": "auto"}  # or the theme says so in the browser's console
html_theme_options = {
    "logo": {"text": "pysrcnn"},
    "navbar_align": "left",
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "navigation_with_keys": False,
}


def copy_examples(app) -> None:
    """Walkthroughs and their pictures, as Sphinx takes only what is below this folder."""
    target = HERE / "walkthroughs"
    shutil.rmtree(target, ignore_errors=True)
    (target / "pictures").mkdir(parents=True)
    with zipfile.ZipFile(target / "walkthroughs.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in to_run():
            bundle.write(path, Path("pysrcnn") / path.relative_to(ROOT))
    for notebook in sorted(EXAMPLES.glob("[0-9][0-9]_*.ipynb")):
        (target / notebook.name).write_text(with_downloads(notebook), encoding="utf-8")
    for picture in sorted((EXAMPLES / "pictures").iterdir()):
        shutil.copy(picture, target / "pictures")
    cards = [card(notebook, target) for notebook in sorted(EXAMPLES.glob("*.ipynb"))]
    (target / "cards.txt").write_text("\n".join(cards), encoding="utf-8")


def to_run() -> list[Path]:
    """Files that walkthroughs need to run, besides the package: data of two are in benchmarks."""
    files = [*EXAMPLES.glob("[0-9w]*.*"), *(EXAMPLES / "pictures").iterdir()]
    return sorted([*files, *(ROOT / "benchmarks" / "results" / "paper").rglob("*.*")])


def with_downloads(notebook: Path) -> str:
    """The notebook, with a line below the title that leads to it and to its script."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    title, *text = book["cells"][0]["source"]
    line = (
        f"Download: {{download}}`script <../../examples/{notebook.stem}.py>`, "
        f"{{download}}`notebook <../../examples/{notebook.name}>`, or "
        "{download}`all of them with what they need to run <walkthroughs.zip>`.\n"
    )
    book["cells"][0]["source"] = [title, "\n", line, *text]
    return json.dumps(book)


def card(notebook: Path, folder: Path) -> str:
    """A card for the gallery: the title, the first sentence, the first plot."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "".join(cells[0]["source"]).split("\n\n")
    plots = (o["data"]["image/png"] for c in cells for o in c.get("outputs", []) if "data" in o
             and "image/png" in o["data"])  # fmt: skip
    picture = folder / "pictures" / f"{notebook.stem}.png"
    picture.write_bytes(base64.b64decode(next(plots)))
    sentence = lines[1].replace("\n", " ").split(". ")[0].rstrip(".") + "."
    return f"""\
:::{{grid-item-card}} {lines[0].lstrip("# ")}
:link: walkthroughs/{notebook.stem}
:link-type: doc
:img-top: walkthroughs/pictures/{picture.name}
{sentence}
:::
"""


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", copy_examples)
