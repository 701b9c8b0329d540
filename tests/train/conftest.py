"""Fixtures over the small world of `squares_world`."""

from pathlib import Path

import pytest
from squares_world import Heard, a_plan, same, squares_of


@pytest.fixture
def squares():
    return squares_of


@pytest.fixture
def plan():
    return a_plan


@pytest.fixture
def equal():
    return same


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def run(tmp_path) -> Path:
    return tmp_path / "run"
