"""The learning rate at each step, as a factor on the plan's rate. Pure functions of the step."""

from __future__ import annotations

import math

from tomos.plan.schema import TrainPart

ONE_CYCLE_RISE = 0.3
STEPS = (0.5, 0.75)  # of the way: divide by ten (He et al. 2015, arXiv:1512.03385)
PLATEAU_FACTOR = 0.3


def factor(train: TrainPart, step: int, total: int) -> float:
    """The factor at `step` of `total`, 0 < factor <= 1.

    The first `warmup` share of the steps rises in a line; then
    constant    1
    cosine      half a cosine towards 0 (Loshchilov & Hutter 2017, arXiv:1608.03983)
    one_cycle   up from 1/25 over 30 % of the steps (or `warmup` if longer), down to 1/10000, both
                as half cosines (Smith & Topin 2018, arXiv:1708.07120; momentum stays)
    step        a tenth after half, a hundredth after three quarters of the steps
    plateau     1 (`plateau` says what the validation losses make of it)
    """
    if train.schedule == "one_cycle":
        rise = max(train.warmup, ONE_CYCLE_RISE) * total
        if step < rise:
            return _between(1 / 25, 1, step / rise)
        return _between(1, 1e-4, (step - rise) / max(1.0, total - rise))
    warm = train.warmup * total
    if step < warm:
        return (step + 1) / (math.ceil(warm) + 1)
    way = (step - warm) / max(1.0, total - warm)
    if train.schedule == "cosine":
        return _between(1, 0, way)
    if train.schedule == "step":
        return 0.1 ** sum(step / total >= share for share in STEPS)
    return 1.0


def plateau(losses: list[float], epochs: int) -> float:
    """The factor of schedule "plateau" after these validation losses, one an epoch: times 0.3 each
    time that `wait` epochs (a tenth of all, at least 2) brought no loss below the best so far."""
    wait, value, best, since = max(2, epochs // 10), 1.0, math.inf, 0
    for loss in losses:
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since >= wait:
            value, since = value * PLATEAU_FACTOR, 0
    return value


def _between(start: float, end: float, way: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, way)))
