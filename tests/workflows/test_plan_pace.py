"""A plan for masks shows as many patches as whole steps, not bare networks, leave time for."""

import pytest

pytest.importorskip("torch")

from tomos import config, train
from tomos.plan import Plan
from tomos.workflows import plan as workflow


def plan():
    values = {
        "task": "segment", "kind": "mask", "target": "mask", "classes": ["ball"], "size": [32, 32],
        "spacing": [1.0, 1.0],
        "dataset": {"name": "s", "checksum": "0", "n_train": 9, "n_val": 2, "n_patients": 11},
        "prepare": [], "model": {"name": "unet", "options": {"widths": [4, 8], "strides": [1, 2]}},
        "train": {"loss": "dice_cross_entropy", "batch": 2, "epochs": 10, "patches": 100},
        "budget": {"minutes": 1, "seconds_per_step": 0.1, "predicted_seconds": 55.0},
        "reasons": {"train": "why"}, "reasons_zh": {"train": "理由"},
    }  # fmt: skip
    return config.parse(Plan, values, "plan")


def test_slower_steps_are_fewer(monkeypatch):
    monkeypatch.setattr(train, "seconds_per_step", lambda made: 0.2)
    paced = workflow._paced(plan())
    assert paced.train.patches == 50
    assert paced.budget.predicted_seconds == pytest.approx(55)
    assert paced.budget.seconds_per_step == 0.2
    assert paced.reasons["train"].startswith("why; a whole step takes 2 times as long")
    assert paced.reasons_zh["train"].startswith("理由；完整一步的用时为其 2 倍")


def test_what_the_clock_does_anyway_changes_nothing(monkeypatch):
    monkeypatch.setattr(train, "seconds_per_step", lambda made: 0.104)
    assert workflow._paced(plan()) == plan()


def test_a_real_step_is_measured():
    paced = workflow._paced(plan())
    assert paced.train.patches % 2 == 0 and paced.train.patches >= 2
