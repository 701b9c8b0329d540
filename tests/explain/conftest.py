"""The toy model of tests/package serves here, too."""

import sys
from pathlib import Path

import pytest

for room in ("package", "inference"):
    sys.path.append(str(Path(__file__).parents[1] / room))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache folder, for this test only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
