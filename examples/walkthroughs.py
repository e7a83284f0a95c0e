"""Run the walkthroughs in this folder, or render them as notebooks.

    python examples/walkthroughs.py             run all, without windows; needs ".[plot]"
    python examples/walkthroughs.py --render    run all, write notebooks with outputs; ".[docs]"
    python examples/walkthroughs.py --check     list notebooks that differ from their scripts

A walkthrough is a script divided into cells by ``# %%``, which Jupyter (with Jupytext) and VS Code
open as a notebook. The rendered notebooks are for reading where nothing can run. Arguments such as
`01 05` select walkthroughs. `--jobs 2` runs two at a time, which is faster overall, but makes the
speeds that they measure wrong.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pysrcnn._files import written_whole

HERE = Path(__file__).parent


def run(script: Path) -> None:
    """Run it in a separate process, in this folder, with plots drawn but not shown."""
    began = time.perf_counter()
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, script.name], cwd=HERE, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{script.name} failed:\n{done.stdout}{done.stderr}")
    print(f"{script.name:<32} {time.perf_counter() - began:5.1f} s", flush=True)


def notebook(script: Path):
    """Return the script as a notebook without outputs; a cell's id is its position."""
    import jupytext

    book = jupytext.read(script)
    for k, cell in enumerate(book.cells):
        cell["id"] = f"cell-{k}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return book


def render(script: Path) -> None:
    """Run the script as a notebook, and write the notebook beside it."""
    import nbformat
    from nbclient import NotebookClient

    began, book = time.perf_counter(), notebook(script)
    here = {"metadata": {"path": str(HERE)}}
    NotebookClient(book, timeout=600, resources=here, coalesce_streams=True).execute()
    for made in HERE.glob("*.gif"):  # only a rendering replaces the picture shown
        made.replace(HERE / "pictures" / made.name)
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # timestamps of the run
    with written_whole(script.with_suffix(".ipynb")) as temporary:
        nbformat.write(book, temporary)
    print(f"{script.stem + '.ipynb':<32} {time.perf_counter() - began:5.1f} s", flush=True)


def differs(script: Path) -> bool:
    """Say whether the notebook beside the script is missing or has different cells."""
    import nbformat

    path = script.with_suffix(".ipynb")
    if not path.exists():
        return True
    books = notebook(script), nbformat.read(path, as_version=4)
    cells, rendered = ([(c.cell_type, c.source) for c in book.cells] for book in books)
    return cells != rendered


def main() -> None:
    """Parse the arguments, and run, render or check the walkthroughs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", help="1 5 ...: only these")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--render", action="store_true", help="write notebooks")
    what.add_argument("--check", action="store_true", help="compare notebooks with scripts")
    parser.add_argument("--jobs", type=int, default=1, help="run so many at a time, not one")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}, wanted 1 or more")
    scripts = sorted(HERE.glob("[0-9][0-9]_*.py"))
    if options.numbers:
        numbers = [number.zfill(2) for number in options.numbers]
        scripts = [s for s in scripts if s.name[:2] in numbers]
    if not scripts:
        sys.exit(f"no walkthrough is called {' or '.join(options.numbers)}")
    if options.check:
        old = [s.stem for s in scripts if differs(s)]
        if old:
            sys.exit(f"to be rendered again: {', '.join(old)}")
        return
    if options.render:
        for script in scripts:
            render(script)
    else:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(run, scripts))  # raises the first exception of any of them


if __name__ == "__main__":
    main()
