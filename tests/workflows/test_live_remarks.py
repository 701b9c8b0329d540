"""What is said while a training runs, on its page in both languages."""

import pytest

from tomos import config
from tomos.plan import Plan
from tomos.types import Silent
from tomos.workflows.live import PAGE, Watched

pytestmark = pytest.mark.fast
PLAN = {
    "classes": ["a", "b"],
    "size": [32, 32],
    "dataset": {"name": "set", "checksum": "", "n_train": 30, "n_val": 0, "n_patients": 30},
    "prepare": [],
    "model": {"name": "small_cnn"},
    "budget": {"minutes": 5},
}


def test_a_training_without_validation_that_is_interrupted(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        Watched(Silent(), tmp_path, config.parse(Plan, PLAN, "plan"), "films") as watched,
    ):
        watched.say("no validation part: the last epoch is kept, and nothing stops early")
        raise KeyboardInterrupt
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    for text in ("nothing stops early", "不会提前停止", "stopped by hand", "已手动停止"):
        assert text in page
    assert "KeyboardInterrupt" not in page
