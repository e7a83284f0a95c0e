"""The walkthroughs in examples: their notebooks are theirs, and show what running them showed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))


def check(*numbers, folder=EXAMPLES):
    command = [sys.executable, folder / "walkthroughs.py", "--check", *numbers]
    return subprocess.run(command, capture_output=True, text=True)


def test_notebooks_are_those_of_the_scripts(tmp_path):
    pytest.importorskip("jupytext")
    done = check()
    assert done.returncode == 0, done.stderr
    script = SCRIPTS[0]
    for name in ("walkthroughs.py", script.name, script.stem + ".ipynb"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    assert check(folder=tmp_path).returncode == 0
    (tmp_path / script.name).write_text(script.read_text(encoding="utf-8") + "\nprint()\n")
    assert script.stem in check(folder=tmp_path).stderr


def test_all_are_run_two_at_a_time_and_one_that_fails_is_named(tmp_path):
    (tmp_path / "walkthroughs.py").write_bytes((EXAMPLES / "walkthroughs.py").read_bytes())
    waits = "import pathlib, time\nwhile not pathlib.Path('b').exists():\n    time.sleep(0.01)\n"
    (tmp_path / "01_a.py").write_text(waits)
    (tmp_path / "02_b.py").write_text("open('b', 'w').close()\n")
    command = [sys.executable, tmp_path / "walkthroughs.py", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count(" s\n") == 2, done.stderr
    (tmp_path / "02_b.py").write_text("print('half')\n1 / 0\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "02_b.py failed:\nhalf" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebooks_have_been_run(script):
    """Every cell, from top to bottom, without errors or warnings; with text and pictures."""
    cells = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("<details>" in "".join(cell["source"]) for cell in cells)
    for output in outputs:  # no bare number of a last expression, no line wider than a page
        text = "".join(output.get("data", {}).get("text/plain", "<Figure"))
        assert text.startswith("<Figure"), text
        for line in "".join(output.get("text", "")).splitlines():
            assert len(line) <= 82, line


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_questions_are_html(script):
    """Markdown is not read between tags: a dollar or a backtick would be shown as it is."""
    text = script.read_text(encoding="utf-8")
    for question in re.findall(r"<summary>(.*?)</summary>", text, re.DOTALL):
        assert not re.search(r"[$`*]", question), question


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_running_one_leaves_the_pictures_alone(script):
    """They are in the repository, and differ from machine to machine."""
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"(write|save)\w*\(\s*here / \"pictures\"", text)
