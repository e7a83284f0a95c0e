"""Record NIQE by BasicSR of pictures in examples/pictures, in niqe.json; the tests only read it.

Run once, by hand, where BasicSR (1.4.2), PyTorch, OpenCV and SciPy are installed:

    python tests/record_niqe.py PARAMETERS

PARAMETERS is the niqe_pris_params.npz that BasicSR has, which are those of the authors. Each
picture is also measured with the model of this package, so that tests need no file of others. What
is done to a picture is done by `treated`, which the tests use too. BasicSR takes whole levels of
luminance, here MATLAB's grey: of its code only the measure itself runs, not its reading.
"""

import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from niqe_pictures import NAMES, treated  # noqa: E402


def basicsr():
    """Its measure, past what its packages import, which wants much that is not needed here."""
    folder = Path(importlib.util.find_spec("basicsr").origin).parent
    for name in ("basicsr", "basicsr.utils", "basicsr.metrics"):
        sys.modules[name] = module = types.ModuleType(name)
        module.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
    sys.modules["basicsr.utils"].bgr2ycbcr = None  # imported by a neighbour, not called
    return importlib.import_module("basicsr.metrics.niqe").niqe


def main():
    """All pictures by both models."""
    theirs, measure = np.load(sys.argv[1]), basicsr()
    ours = np.load(HERE.parent / "pysrcnn" / "weights" / "niqe.npz")
    models = {
        "authors": (theirs["mu_pris_param"], theirs["cov_pris_param"]),
        "ours": (ours["mean"], ours["covariance"]),
    }
    found = {}
    for name in NAMES:
        levels = treated(name).astype(np.float32)
        for whose, (mean, covariance) in models.items():
            value = measure(levels, mean, covariance, theirs["gaussian_window"])
            found.setdefault(whose, {})[name] = round(value, 8)
    text = json.dumps(found, indent=1) + "\n"
    (HERE / "niqe.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
