"""The command answers at once: a fresh process, the base install only."""

import subprocess
import sys
import time

import numpy as np
import pytest
import toy

from tomos import formats
from tomos.types import Image


def seconds(*words) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, timeout=120, capture_output=True)
    return time.perf_counter() - started


@pytest.fixture
def call(tmp_path, cache):
    model = toy.model(
        tmp_path / "m.tomos",
        prepare=({"step": "resize", "size": [8, 8]}, {"step": "normalise", "kind": "range"}),
    )
    formats.write_png(Image(np.zeros((1, 16, 16), np.uint8)), tmp_path / "x.png")
    words = ["predict", str(model), str(tmp_path / "x.png")]
    return f"from tomos.cli import main; main({words!r})"


def test_a_png_is_read_without_the_libraries_of_other_formats(call):
    heavy = ["torch", "pydicom", "nibabel", "fastapi", "scipy", "onnx", "pandas", "matplotlib"]
    code = f"import sys\n{call}\nfound = set({heavy}) & set(sys.modules)\nassert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_predict_starts_within_two_and_a_half_imports(call):
    """Against importing numpy, onnxruntime and pydicom; in turns, the best of each counts, since
    the machine may be busy."""
    ours, theirs = [], []
    for _ in range(12):
        theirs.append(seconds("-c", "import numpy, onnxruntime, pydicom"))
        ours.append(seconds("-c", call))
    assert min(ours) <= 2.5 * min(theirs)
    assert min(ours) < 1.5
