"""What is measured for a plan."""

import numpy as np
import pytest
import torch

from tomos import train
from tomos.train import probe
from tomos.types import TrainingError


def test_the_learning_rate_found_lies_where_learning_works(plan, squares):
    rate, curve = train.find_learning_rate(plan(batch=32), squares(200), count=60)
    assert curve.shape[1] == 2 and (np.diff(curve[:, 0]) > 0).all()
    assert 1e-4 < rate < 1e-1


def test_reading_a_curve():
    """Falls fastest at 1e-3, lowest at 1e-1: the geometric mean of 1e-3 and 1e-2."""
    x = np.linspace(-5, 0, 51)
    losses = 1 / (1 + np.exp(4 * (x + 3))) + 0.2 * np.clip(x + 1, 0, None) - 1e-3 * x
    rate, _ = probe._read_off(10.0**x, losses)
    assert np.log10(rate) == pytest.approx(-2.5, abs=0.15)


def test_a_finder_without_numbers_says_so(plan, squares):
    data = squares(64)
    data.images[:] = np.nan
    with pytest.raises(TrainingError, match="normalised"):
        train.find_learning_rate(plan(), data, count=20)


def test_the_largest_batch_halves_with_the_memory(plan, monkeypatch):
    p = plan(size=64)
    net = sum(w.numel() * 4 for w in train.new(p, torch.device("cpu")).net.parameters())
    each = (
        1.5 * (probe._kept(p, torch.device("cpu"), 4) - probe._kept(p, torch.device("cpu"), 2)) / 2
    )
    for fits in (16, 64):
        free = (each * fits * 1.01 + 5 * net) / probe.ROOM
        monkeypatch.setattr(probe.devices, "free_memory", lambda device, free=free: int(free))
        assert train.largest_batch(p) == fits
    assert train.largest_batch(p, most=32) == 32


def test_seconds_a_step_and_the_fastest_arithmetic(plan):
    p = plan(batch=8)
    assert 0 < train.seconds_per_step(p) < 5
    part, told = train.fastest(p)
    assert {"fp32", "fp32 channels_last"} <= told.keys()
    assert part.precision in ("fp32", "bf16") and part.batch == 8
    if part.precision == "fp32" and not torch.cpu._is_avx512_bf16_supported():
        assert len(told) == 2
