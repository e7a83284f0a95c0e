"""README and documentation: what they tell a reader to type works, and the links lead somewhere."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pysrcnn import reference
from pysrcnn.cli import parser
from pysrcnn.networks import TRAINED
from pysrcnn.training import RECIPES

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


def test_help_texts_are_phrases_of_their_own():
    """Not "of ...", which only goes on from the name; nor an address that becomes a dead link."""
    (commands,) = (action for action in parser()._actions if action.choices)
    for name, command in commands.choices.items():
        for action in command._actions:
            assert action.help, f"{name} {action.dest}"
            assert not re.match(r"of |to |that |likewise|\(", action.help), f"{name} {action.help}"
            assert "://" not in action.help, f"{name} {action.help}"


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    pytest.importorskip("dask.array")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "sample.png", "img.png")
    names = {}
    for block in blocks(ROOT / "README.md", "python") + blocks(ROOT / "docs" / "dask.md", "python"):
        exec(block, names)
    assert names["larger"].shape == tuple(3 * n for n in names["picture"].shape[:2]) + (3,)
    assert set(names["gradients"]) >= {"W1", "B1"}


def test_the_table_of_recipes_is_that_of_the_code():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = text.split("\n## Recipes\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    assert {name: (steps, crops) for name, _, steps, crops in rows[2:]} == {
        name: (f"{recipe.steps:,}", f"{recipe.batch} of {recipe.size} × {recipe.size}")
        for name, recipe in RECIPES.items()
    }


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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built pages; a warning is an error."""
    for package in ("sphinx", "myst_nb", "numpydoc", "sphinx_design", "pydata_sphinx_theme"):
        pytest.importorskip(package)
    html = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-E", ROOT / "docs", html]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return html


@pytest.mark.slow
def test_links_of_the_site_lead_somewhere(site):
    pages = {path: _Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(pages) > 20
    for path, page in pages.items():
        assert str(ROOT) not in path.read_text(encoding="utf-8"), path.name  # values with a path
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            # Pages of sources lead back by one name of a module, where some are described by two.
            described = "_modules" not in path.parts
            if parts.fragment and target in pages and described:
                assert unquote(parts.fragment) in pages[target].places, f"{path.name}: {link}"


OF_SRCNN = [f"equation-eq-{k}" for k in range(1, 6)] + ["sparse-coding"]
NETWORKS = "espcn", "vdsr", "drcn", "srresnet", "edsr", "srgan", "vespcn"
OF_NETWORKS = [f"equation-eq-{name}" for name in NETWORKS]


def test_the_equations_have_every_operation_and_network():
    """Links to each operation that has a gradient, to that, and to both ways of each network."""
    text = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"{py:func}`(?:~|\w+\(\) <)pysrcnn\.([\w.]+)", text))
    backward = [name for name in reference.__all__ if name.endswith("_backward")]
    wanted = {
        f"reference.{name.removesuffix(end)}" for name in backward for end in ("", "_backward")
    }
    wanted |= {f"networks.{name}.{way}" for name in NETWORKS for way in ("forward", "backward")}
    assert len(backward) > 20 and wanted <= linked, wanted - linked
    assert set(TRAINED) <= {"srcnn", *NETWORKS}


@pytest.mark.slow
@pytest.mark.parametrize(
    "start, tag, places",
    [
        ("equations.html", "tr", OF_SRCNN),
        ("equations.html", "li", OF_NETWORKS),
        ("index.html", "li", OF_SRCNN + OF_NETWORKS),
    ],
)
def test_from_each_equation_to_its_code_in_two_clicks(site, start, tag, places):
    """From the row of an equation to a function's description, and from there to its lines."""
    text = (site / start).read_text(encoding="utf-8")
    rows = re.findall(rf"<{tag}>.*?</{tag}>|<{tag} .*?</{tag}>", text, re.DOTALL)
    for place in places:
        (row,) = (row for row in rows if re.search(rf'href="(equations.html)?#{place}"', row))
        functions = re.findall(r'href="(api/\w+\.html)#(pysrcnn(?:\.\w+)+?\.(\w+))"', row)
        assert functions, place
        for page, name, function in functions:
            description = (site / page).read_text(encoding="utf-8")
            head = re.search(rf'<dt [^>]*id="{name}">.*?</dt>', description, re.DOTALL)[0]
            source, anchor = re.search(r'href="\.\./(_modules/[^"#]+)#([^"]+)"', head).groups()
            lines = (site / source).read_text(encoding="utf-8").split(f'id="{anchor}">')[1]
            code = re.sub(r"<[^>]+>|\[docs\]", "", lines).split("\n")
            first = next(line for line in code if line.strip() and line[0] != "@")
            assert re.match(rf"(def|class) {function}\b", first), name


@pytest.mark.slow
def test_each_walkthrough_can_be_downloaded(site):
    """As it is in examples; and all with what they read, so that they run."""
    for page in (site / "walkthroughs").glob("*.html"):
        links = [page.parent / link for link in _Page(page).links if "_downloads/" in link]
        for kind in (".py", ".ipynb"):
            (link,) = (link for link in links if link.suffix == kind)
            original = ROOT / "examples" / (page.stem + kind)
            assert link.read_bytes() == original.read_bytes()
        (link,) = (link for link in links if link.suffix == ".zip")
        names = set(zipfile.ZipFile(link).namelist())
        assert f"pysrcnn/examples/{page.stem}.py" in names
        assert "pysrcnn/examples/pictures/cat.png" in names
        assert "pysrcnn/benchmarks/results/paper/depth/9-1-5.log" in names


@pytest.mark.slow
@pytest.mark.parametrize("width, theme", [(1400, "light"), (400, "dark")])
def test_the_site_in_a_browser(site, browser, width, theme):
    """Nothing sticks out, fails, or is asked of the network; equations are drawn."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    likes = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", likes)
    browser.get_log("browser"), browser.get_log("performance")  # of what was before
    for page in sorted(site.rglob("*.html")):
        if "_static" in page.parts:
            continue
        browser.get(page.as_uri())
        browser.execute_async_script(
            "const done = arguments[0];"
            "if (window.MathJax) MathJax.startup.promise.then(done); else done()"
        )
        assert browser.execute_script("return document.documentElement.dataset.theme") == theme
        drawn, equations, beyond = browser.execute_script(
            "const all = (selector) => [...document.querySelectorAll(selector)];"
            "const beyond = all('html, .bd-article-container')"
            "  .map((e) => e.scrollWidth - e.clientWidth);"
            "return [all('mjx-container').length, all('.math').length, Math.max(...beyond)]"
        )
        assert drawn >= equations, page.name
        assert beyond <= 0, page.name
        bad = [line for line in browser.get_log("browser") if line["level"] != "INFO"]
        assert not bad, page.name
    sent = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = [
        m["params"]["request"]["url"] for m in sent if m["method"].endswith("requestWillBeSent")
    ]
    assert len(asked) > 20 and {urlsplit(url).scheme for url in asked} <= {"file", "data", "blob"}
