"""What the command line tells the numeric libraries before it loads them."""

import subprocess
import sys

import pytest

PROBE = """
import os, sys
from tomos.cli import main
class Watch:
    def find_spec(self, name, *rest):
        if name == "numpy":
            print("numpy sees", os.environ.get("OPENBLAS_NUM_THREADS"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
assert "numpy" not in sys.modules
main(["inspect", "/nowhere"])
"""


@pytest.mark.fast
def test_numpy_is_told_not_to_start_threads_before_it_is_imported():
    """Said too late it does nothing, and its waiting threads take a core from the model."""
    environment = {"PATH": "/usr/bin:/bin"}
    out = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=False
    )
    assert out.stdout.splitlines()[0] == "numpy sees 1", out
