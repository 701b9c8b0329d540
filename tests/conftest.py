"""What many tests share: where real data lie, and small worlds to test in."""

import os
from pathlib import Path

import pytest

# Two workers on two cores: threads inside each would only wait for one another.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m 'fast and ...'` imports no file that names no fast test: half of them, and PyTorch."""
    asked = config.getoption("markexpr")
    if not asked.startswith("fast and") or not collection_path.match("test_*.py"):
        return None
    return None if "mark.fast" in collection_path.read_text(encoding="utf-8") else True


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository; the test skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data in {SHARED}")
    return SHARED
