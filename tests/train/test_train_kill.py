"""kill -9 at random moments of a live training; then resume: the same weights to the last bit."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest
from boxes_world import Boxes, a_mask_plan
from squares_world import a_plan, same, squares_of

from tomos import train
from tomos.train import checkpoint


def of_classes(epochs: int):
    """(plan, data to learn from, data to judge on) of squares."""
    augment = ({"step": "rotate"}, {"step": "noise"})
    p = a_plan(epochs=epochs, batch=8, ema=0.9, learning_rate=0.01)
    return p.model_copy(update={"augment": augment}), squares_of(160), squares_of(40, 1)


def of_masks(epochs: int):
    """As `of_classes`, of boxes in space: patches, elastic changes, deep supervision."""
    steps = ("flip", "rotate", "scale", "elastic", "noise", "gamma")
    plan = a_mask_plan(
        axes=3,
        side=16,
        widths=(4, 8, 8),
        augment=[{"step": step} for step in steps],
        epochs=epochs,
        batch=2,
        deep=True,
    )
    train_data, val_data = (Boxes(n, side=24, axes=3, box_side=6, seed=n) for n in (6, 3))
    return plan, train_data, val_data


WORLDS = {"classes": of_classes, "masks": of_masks}


def victim(world: str, epochs: int, folder: str) -> None:
    train.train(*WORLDS[world](epochs), Path(folder), resume=True, save_every=0)


class Killer:
    """Starts trainings in processes forked from one that has torch, and ends them by SIGKILL."""

    def __init__(self, run: Path, world: str, epochs: int, seed: int) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tomos.train", "torch.utils.tensorboard"])
        self.run, self.random = run, random.Random(seed)
        self.args = (world, epochs, str(run))
        self.last = run / "checkpoints" / "last.safetensors"

    def strike(self, longest: float, in_write: bool) -> bool:
        """One kill at a random moment up to `longest` seconds after the first sign of life, or at
        the next checkpoint write after it. True when a half-written file was left behind."""
        before = self.stamp()
        process = self.context.Process(target=victim, args=self.args)
        process.start()
        until = time.monotonic() + 120
        while self.stamp() == before:
            assert process.is_alive() and time.monotonic() < until, "the victim died by itself"
            time.sleep(0.001)
        time.sleep(self.random.uniform(0, longest))
        while in_write and not self.drafts():
            assert process.is_alive(), "the victim ended before it wrote again"
        assert process.is_alive(), "the victim had ended before the blow; make the run longer"
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        return bool(self.drafts())

    def stamp(self):
        return self.last.stat().st_mtime_ns if self.last.exists() else None

    def drafts(self) -> list[Path]:
        return list(self.last.parent.glob(".last.safetensors.*.part"))


def survives(tmp_path: Path, world: str, epochs: int, blows: int, longest: float, seed: int) -> int:
    """Kill a run `blows` times, finish it, compare with an undisturbed one. Blows in a write."""
    whole = train.train(*WORLDS[world](epochs), tmp_path / "whole", save_every=60)
    killer, inside = Killer(tmp_path / "run", world, epochs, seed), 0
    for blow in range(blows):
        # Every third blow waits for a write; a write is over in a millisecond, so it may be missed.
        inside += killer.strike(longest, in_write=blow % 3 == 0)
    for _ in range(20):
        if inside:
            break
        inside += killer.strike(0.01, in_write=True)
    _, facts = checkpoint.read(killer.last)
    assert facts["learner"]["step"] < whole.history[-1].step, (
        "the run was over before the last blow"
    )
    rest = train.train(*WORLDS[world](epochs), tmp_path / "run", resume=True)
    assert same(whole.nets[0], rest.nets[0])
    assert whole.epochs == rest.epochs
    told = [{**e.to_json(), "seconds": 0} for e in rest.history]
    assert told == [{**e.to_json(), "seconds": 0} for e in whole.history]
    return inside


@pytest.mark.parametrize("world", WORLDS)
def test_a_training_survives_kills(tmp_path, world):
    assert survives(tmp_path, world, epochs=10, blows=3, longest=0.1, seed=1) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_a_training_survives_20_kills(tmp_path, world):
    assert survives(tmp_path, world, epochs=120, blows=20, longest=0.6, seed=2) >= 1
