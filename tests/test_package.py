"""What the package promises as a whole: quick to import, layered, documented, nothing executed."""

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import SMOKE
from processes import PACKAGE, python

import pysrcnn

ROOT = PACKAGE.parent
SOURCES = Path(__file__).resolve().parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [name for _, name, _ in pkgutil.walk_packages([str(PACKAGE)], "pysrcnn.")]


def test_the_files_are_there():
    assert len(FILES) > 10 and PACKAGE / "kernels" / "tile.py" in FILES
    assert "pysrcnn.kernels.tile" in MODULES and "pysrcnn.cli" in MODULES


def test_the_tests_of_a_smoke_run_are_there():
    for file, names in SMOKE.items():
        text = (SOURCES / "tests" / file).read_text(encoding="utf-8")
        assert names and all(f"def {name}(" in text for name in names), file


@pytest.mark.parametrize("path", sorted((SOURCES / "tests").glob("*.py")), ids=lambda p: p.name)
def test_no_test_imports_another(path):
    """What several need is in a module of helpers."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) test_", text, re.M), path


def test_no_test_looks_at_a_clock_on_the_wall():
    """Only how long to wait at random is measured by one, in the tests of kills."""
    for path in sorted((SOURCES / "tests").glob("test_*.py")):
        if path.name != "test_kill.py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"time\.(perf_counter|monotonic|time)\(", text), path


# ------------------------------------------------------------------------------------------ import


def test_import_compiles_nothing_and_imports_no_more_than_it_needs():
    code = """
import sys
import numba.core.dispatcher
from numba.core import event
before = set(sys.modules)  # Numba looks at SciPy itself, if it is there
with event.install_recorder("numba:compile") as compiled:
    import pysrcnn
modules = [m for name, m in sys.modules.items() if name.startswith("pysrcnn")]
kernels = {
    x for m in modules for x in vars(m).values()
    if isinstance(x, numba.core.dispatcher.Dispatcher)
}
print(len(compiled.buffer), len(kernels), sum(len(k.signatures) for k in kernels))
print({name.split(".")[0] for name in set(sys.modules) - before} | {"pysrcnn"})
"""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        pytest.skip("there is no compiled code")
    first, second = python(code).splitlines()
    events, kernels, signatures = map(int, first.split())
    assert kernels > 10, "the test looks in the wrong place"
    assert events == signatures == 0
    slow = {"scipy", "imageio", "PIL", "matplotlib", "skimage", "dask", "zarr", "onnx"}
    assert not ast.literal_eval(second) & slow


def test_no_command_waits_for_what_another_needs():
    slow = "{'scipy.ndimage', 'av', 'matplotlib', 'PIL.ImageFilter'}"
    assert python(f"import sys, pysrcnn.cli; print({slow} & set(sys.modules))").strip() == "set()"


def test_import_prints_nothing_and_warns_of_nothing():
    assert python("import pysrcnn", "-W", "error") == ""


def test_every_module_can_be_imported_first():
    """After the package itself, which Python imports before any of them."""
    names = [name for name in MODULES if name != "pysrcnn.__main__"]
    code = f"""
import importlib, sys
import pysrcnn
usual = set(sys.modules)
for name in {names}:
    for other in [m for m in sys.modules if m.startswith("pysrcnn.") and m not in usual]:
        del sys.modules[other]
        parent, _, child = other.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(child, None)
    importlib.import_module(name)
print(sum(name not in usual for name in {names}))
"""
    assert int(python(code)) > 20, "the test imports nothing anew"


# ------------------------------------------------------------------------------------------ names


def test_the_public_names():
    assert pysrcnn.__all__ == sorted(pysrcnn.__all__)
    wanted = {
        "ESPCN",
        "SRCNN",
        "gradcheck",
        "imresize",
        "kernels",
        "load",
        "psnr",
        "read_picture",
        "reference",
        "ssim",
        "upscale",
        "upscale_frames",
        "write_picture",
    }
    assert set(pysrcnn.__all__) == wanted | {"__version__"}
    assert all(hasattr(pysrcnn, name) for name in pysrcnn.__all__)
    assert callable(pysrcnn.upscale)  # the function, not the module of that name


@pytest.mark.parametrize("name", [n for n in MODULES if n.count(".") == 1 and "._" not in n])
def test_each_module_says_what_is_public(name):
    module = importlib.import_module(name)
    names = list(module.__all__)
    # CONSTANTS, Classes, functions; each by name.
    order = sorted(names, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n))
    assert names == order, f"{name}.__all__ is not sorted"
    assert all(hasattr(module, n) for n in names)
    own = {
        n
        for n, x in vars(module).items()
        if not n.startswith("_")
        and (inspect.isfunction(x) or inspect.isclass(x))
        and x.__module__ == name
    }
    assert own <= set(names), f"neither private nor in __all__: {own - set(names)}"


@pytest.mark.parametrize("name", MODULES)
def test_whatever_is_public_has_a_docstring(name):
    if name == "pysrcnn.__main__":
        return
    module = importlib.import_module(name)
    assert module.__doc__, name
    for public in getattr(module, "__all__", ()):
        x = getattr(module, public)
        if not (inspect.isfunction(x) or inspect.isclass(x)):
            continue
        assert inspect.getdoc(x), f"{name}.{public}"
        members = vars(x).items() if inspect.isclass(x) else ()
        for member, f in members:
            if not member.startswith("_") and inspect.isfunction(f):
                assert inspect.getdoc(f), f"{name}.{public}.{member}"


def test_the_version_is_one():
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", pysrcnn.__version__)
    try:
        about = importlib.metadata.distribution("pysrcnn")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is run from its checkout, without being installed")
    if Path(about.locate_file("pysrcnn")).resolve() != PACKAGE:
        pytest.skip("what is installed is not what is tested here")
    assert about.version == pysrcnn.__version__


def test_the_version_from_the_command():
    code = (
        "import runpy, sys; sys.argv = ['pysrcnn', '--version'];"
        "runpy.run_module('pysrcnn', run_name='__main__')"
    )
    assert python(code) == f"pysrcnn {pysrcnn.__version__}\n"


# ---------------------------------------------------------------------------------------- layering


def imports(path):
    """The modules that a file imports, anywhere in it: "numpy"; ours as ".kernels.tile"."""
    found = set()
    folders = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            within = folders[: len(folders) + 1 - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {"." + ".".join([*within, name]) for name in names}
    return {re.sub(r"^pysrcnn\.", ".", name) for name in found}


def outside(names):
    """The packages among them that are neither ours nor Python's."""
    return {n.split(".")[0] for n in names if not n.startswith(".")} - set(sys.stdlib_module_names)


def ours(names):
    return {name for name in names if name.startswith(".")}


@pytest.mark.parametrize("path", sorted((PACKAGE / "reference").glob("*.py")), ids=lambda p: p.stem)
def test_the_reference_needs_numpy_alone(path):
    names = imports(path)
    assert outside(names) <= {"numpy"}
    assert all(name.startswith(".reference.") for name in ours(names))


@pytest.mark.parametrize("path", sorted((PACKAGE / "kernels").glob("*.py")), ids=lambda p: p.stem)
def test_kernels_import_nothing_of_ours_from_outside(path):
    assert {name for name in ours(imports(path)) if not name.startswith(".kernels")} == set()
    assert outside(imports(path)) <= {"numpy", "numba", "llvmlite"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "formats").glob("*.py")), ids=lambda p: p.stem)
def test_formats_import_little(path):
    assert {n for n in ours(imports(path)) if not n.startswith(".formats.")} <= {"._files"}
    assert outside(imports(path)) <= {"numpy", "scipy", "onnx", "h5py"}


@pytest.mark.parametrize("name", ["resize", "color", "metrics", "training/optim"])
def test_numpy_is_all_that_the_basics_need(name):
    path = PACKAGE / f"{name}.py"
    assert outside(imports(path)) == {"numpy"}
    assert ours(imports(path)) == set()


# Imported where they are used, if they are there.
EXTRAS = {
    "tqdm", "matplotlib", "tifffile", "dask", "distributed", "zarr", "onnx", "h5py", "av",
}  # fmt: skip


def test_run_time_dependencies_are_the_four():
    found = set().union(*(outside(imports(path)) for path in FILES))
    assert found - EXTRAS == {
        "numpy",
        "scipy",
        "imageio",
        "numba",
        "PIL",
        "llvmlite",
    }  # Pillow is imageio's, the last Numba's own


def test_compiled_code_is_in_one_place():
    for path in FILES:
        if path.parent.name != "kernels":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"@\w*(njit|jit|intrinsic|vectorize|compiled)\b", text), path


# ------------------------------------------------------------------------------ nothing is executed


def calls(path):
    """(name of the function, call) of all calls in a file: "np.load", "eval", ..."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_files_of_others_are_never_executed(path):
    forbidden = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib", "subprocess"}
    # The one starts itself, to be apart from a library that crashes, the other what it is to check.
    if path.name in ("hdf5.py", "running.py"):
        forbidden -= {"subprocess"}
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & forbidden
    for name, call in calls(path):
        assert name not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"), name
        assert not name.endswith((".read_pickle", "pickle.load", "pickle.loads")), name
        # It takes as much memory as a header asks for, see `formats/npz.py`.
        assert name not in ("np.load", "numpy.load"), f"{path}:{call.lineno}"
        assert all(
            not (keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False")
            for keyword in call.keywords
        )


def test_the_tests_above_see_what_they_look_for(tmp_path):
    (tmp_path / "a.py").write_text("import pickle\nnp.load(x, allow_pickle=True)\neval('1')\n")
    assert {name for name, _ in calls(tmp_path / "a.py")} == {"np.load", "eval"}
    found = set()
    for path in FILES:
        found |= {name for name, _ in calls(path)}
    assert "np.savez" in found
    assert ".kernels" in imports(PACKAGE / "upscaling" / "steps.py")
    assert ".color" in imports(PACKAGE / "evaluate.py")
    assert "scipy.io" in imports(PACKAGE / "formats" / "mat.py")


def test_nothing_draws_from_the_global_random_numbers():
    for path in FILES:
        for name, _ in calls(path):
            assert not re.match(
                r"(np|numpy)\.random\.(?!default_rng|Generator|PCG64|SeedSequence)", name
            )
            assert not name.startswith("random."), f"{path}: {name}"


# -------------------------------------------------------------------------------------- the wheel


@pytest.mark.slow
def test_what_the_wheel_holds(tmp_path):
    if not (SOURCES / "setup.cfg").exists():
        pytest.skip("the tests are not in a checkout: there is nothing to build from")
    for needed in ("setuptools", "pip"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"building takes {needed}, which is not installed")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(_copy(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"pysrcnn-{pysrcnn.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        about = [n for n in file.namelist() if ".dist-info/" in n]
        entry = next(n for n in about if n.endswith("entry_points.txt"))
        assert "pysrcnn = pysrcnn.cli:main" in file.read(entry).decode()
        meta = file.read(next(n for n in about if n.endswith("METADATA"))).decode()
        assert any("LICENSE" in name for name in about)
    required = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", meta, re.MULTILINE)
    assert sorted(required) == ["imageio", "numba", "numpy", "scipy"]

    links = re.findall(r"\]\(([^)]+)\)", meta)
    assert len(links) > 20 and all(re.match("https?://", link) for link in links), links

    files = (SOURCES / "pysrcnn").rglob("*.py")
    sources = {path.relative_to(SOURCES).as_posix() for path in files} | {"pysrcnn/py.typed"}
    weights = {f"pysrcnn/weights/9-1-5_x{scale}.npz" for scale in (2, 3, 4)}
    weights.add("pysrcnn/weights/niqe.npz")
    assert sources <= names
    assert weights <= names, "the weights are not in the wheel"
    rest = names - sources - weights
    assert all(re.fullmatch(r"pysrcnn/weights/[^/]+\.(npz|md)", name) for name in rest), rest
    assert wheel.stat().st_size < 12_000_000


def test_links_of_the_readme_are_absolute_where_it_is_the_description(monkeypatch):
    """Where a package index shows it, there are no files beside it."""
    if not (SOURCES / "setup.cfg").exists():
        pytest.skip("the tests are not in a checkout: there is no setup.py")
    pytest.importorskip("setuptools")
    from distutils.core import run_setup  # which setuptools brings

    monkeypatch.chdir(SOURCES)
    about = run_setup("setup.py", stop_after="init").metadata
    targets = re.findall(r"(!?)\[[^]]*\]\(([^)]+)\)", about.long_description)
    assert len(targets) > 20
    for image, target in targets:
        assert target.startswith("https://"), target
        assert ("/raw/main/" in target) == bool(image), target


def _copy(folder):
    """A copy of what the wheel is made of, so that building leaves nothing in the checkout."""
    copy = folder / "sources"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.cfg", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(SOURCES / name, copy)
    # With tests and examples, which must not get in.
    for name in ("pysrcnn", "tests", "examples", "benchmarks"):
        if (SOURCES / name).is_dir():
            shutil.copytree(SOURCES / name, copy / name)
    return copy


def test_what_to_install_is_said_as_it_can_be_typed():
    """From a clone, by an extra that there is; everywhere the same."""
    if not (SOURCES / "setup.cfg").exists():
        pytest.skip("setup.cfg is not there")
    setup = (SOURCES / "setup.cfg").read_text(encoding="utf-8")
    extras = set(re.findall(r"^(\w+) =$", setup.split("extras_require]")[1], re.M))
    pages = [SOURCES / "README.md", *SOURCES.glob("docs/*.md"), *FILES]
    hints = [h for p in pages for h in re.findall(r"pip install (?:-e )?\S+", p.read_text("utf-8"))]
    clone = r"pip install (?:-e )?(?:\.|\"\.\[(\w+)\]\")\W*"
    named = [re.fullmatch(clone, hint) for hint in hints]
    assert len(hints) > 10 and all(named), [h for h, n in zip(hints, named, strict=True) if not n]
    assert {n[1] for n in named} - {None} <= extras


@pytest.mark.parametrize("module", ["reference", "data", "evaluate"])
def test_docstrings_of_functions_have_their_parameters(module):
    """All of them, by the names of the signature."""
    module = importlib.import_module(f"pysrcnn.{module}")
    for name in module.__all__:
        function = getattr(module, name)
        if inspect.isfunction(function):
            text = inspect.getdoc(function)
            sections = text.partition("Parameters\n----------\n")[2]
            named = re.findall(r"^(\w+(?:, \w+)*) : ", sections, re.MULTILINE)
            named = {word for line in named for word in line.split(", ")}
            assert set(inspect.signature(function).parameters) <= named, name
            assert "Returns\n-------" in text or "Yields\n------" in text, name


def test_no_product_of_matrices_beside_the_kernels():
    """BLAS's threads look for work for a while longer, on the cores that the kernels then want."""
    products = {"dot", "matmul", "tensordot", "inner", "vdot"}
    for path in sorted(Path(pysrcnn.kernels.__file__).parent.glob("*.py")):
        # Once for a dictionary, not for each picture; and by one thread.
        if path.stem in ("sparse", "classifiers"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            by_operator = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
            by_name = isinstance(node, ast.Attribute) and node.attr in products
            assert not by_operator and not by_name, f"{path.name}:{node.lineno}"
