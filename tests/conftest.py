"""What the tests share: Ctrl-C, a browser, and data that are not part of the project."""

import os
import shutil
import signal
from pathlib import Path

import pytest

# As many processes test at a time as there are cores: threads of BLAS would wait for each other.
# Before NumPy is imported, which reads it then; tests of these threads ask for more themselves.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# `pytest -m smoke`: what uses each part of the package once, in less than a minute.
SMOKE = {
    "test_batch.py": {"test_patterns"},
    "test_cli.py": {"test_the_result_is_written_beside_the_picture"},
    "test_color.py": {"test_studio_range_as_matlab", "test_full_range_as_jfif"},
    "test_compare.py": {"test_the_page_holds_both_pictures_and_asks_for_nothing"},
    "test_convert.py": {"test_bfloat16", "test_missing_biases_are_zero"},
    "test_data.py": {"test_pairs", "test_modcrop", "test_a_picture_that_is_one_crop"},
    "test_evaluate.py": {"test_average_is_the_mean_of_each_column"},
    "test_exercise.py": {"test_right_answers_pass"},
    "test_formats.py": {"test_two_channels_are_refused", "test_truncated_files"},
    "test_gradcheck.py": {"test_two_mistakes_are_two"},
    "test_kernels.py": {"test_winograd_is_correlation", "test_planes_to_pixels"},
    "test_large.py": {"test_profile_and_resolution_stay"},
    "test_lazy.py": {"test_all_kinds_of_pictures"},
    "test_metrics.py": {"test_psnr_by_hand", "test_ssim_by_hand"},
    "test_model.py": {"test_from_parameters", "test_identity_hands_the_picture_on"},
    "test_nano.py": {"test_gradients_are_those_of_the_reference"},
    "test_ops.py": {"test_same_names", "test_same_signatures", "test_adjoint"},
    "test_optim.py": {"test_sgd_is_equation_5", "test_adam_is_algorithm_1", "test_orthogonalised"},
    "test_package.py": {
        "test_the_public_names", "test_each_module_says_what_is_public"
    },
    "test_picture_files.py": {"test_a_file_is_read_as_what_it_is"},
    "test_pictures.py": {"test_grey_and_rgb", "test_webp"},
    "test_plots.py": {"test_filters"},
    "test_resize.py": {"test_scale_one_is_an_exact_copy", "test_weights_sum_to_one"},
    "test_score.py": {"test_slips_on_top_of_each_other"},
    "test_sparse.py": {"test_kernels_are_the_definition"},
    "test_stream.py": {"test_a_batch_follows_from_seed_and_step"},
    "test_threads.py": {"test_blas_has_one_thread_and_then_as_many_as_before"},
    "test_train.py": {"test_progress_counts_steps_from_one", "test_filters_keep_their_means"},
    "test_upscale.py": {"test_kinds_of_pictures"},
}  # fmt: skip


# First what compiles nearly all that the others use; beside it, what compiles little; then what
# takes long. So of two processes neither compiles what the other is compiling.
FIRST = [
    "test_ops.py",
    "test_package.py", "test_kill.py", "test_fuzz.py", "test_picture_files.py", "test_plots.py",
    "test_structure.py", "test_messages.py", "test_beside_pixels.py", "test_formats.py",
    "test_compare.py", "test_data.py", "test_metrics.py", "test_pictures.py", "test_docs.py",
    "test_resize.py", "test_walkthroughs.py", "test_benchmarks.py", "test_convert.py",
    "test_gradcheck.py", "test_upscale.py", "test_threads.py", "test_cli.py", "test_train.py",
    "test_networks.py", "test_batch.py", "test_model.py",
]  # fmt: skip


# Where kernels are held to the reference, with all threads there are.
ALL_THREADS = {"test_kernels.py", "test_ops.py", "test_same.py", "test_sparse.py"}


def pytest_collection_modifyitems(items):
    """Mark those of `SMOKE`, and put the files of `FIRST` first."""
    items.sort(key=lambda item: [*FIRST, item.path.name].index(item.path.name))
    for item in items:
        if getattr(item, "originalname", item.name) in SMOKE.get(item.path.name, ()):
            item.add_marker(pytest.mark.smoke)


def _note_skipped(report):
    """Add what is skipped to the file PYSRCNN_SKIPPED: `pytest @FILE`, where extras are there."""
    file = os.environ.get("PYSRCNN_SKIPPED")
    if file and report.skipped and "PYTEST_XDIST_WORKER" not in os.environ:
        with open(file, "a", encoding="utf-8") as names:
            names.write(f"{report.nodeid}\n")


pytest_runtest_logreport = pytest_collectreport = _note_skipped


@pytest.fixture(scope="session")
def data_folder():
    """``data_folder(name)``: the path of a data set, or a skipped test where it is not there.

    Looks in the folder of the environment variable ``PYSRCNN_DATA``, else in ``../shared/data``
    beside the repository.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("PYSRCNN_DATA") or beside)

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"no {name} in {root}; set PYSRCNN_DATA to the folder that holds it")
        return root / name

    return find


@pytest.fixture(autouse=True)
def threads_of_numba(request):
    """All in the files of `ALL_THREADS`, one in the others.

    What they compute is so small that threads would only wait for each other, and for the tests in
    other processes. Python's threads that a test starts have all, and so do its processes.
    """
    import numba  # after the line about OpenBLAS

    from pysrcnn.kernels.threads import load_openmp

    load_openmp()  # or Numba does, whose threads wait busily
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(most if request.path.name in ALL_THREADS else 1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Ctrl-C as in a terminal: a shell has what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, or a skipped test; keeps what its console and network say."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in ("headless=new", "no-sandbox", "window-size=800,600", "touch-events=enabled"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()
