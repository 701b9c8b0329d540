"""Whole runs: learning, stopping, resuming, saying what happened."""

import json

import numpy as np
import pytest
import torch

from tomos import train
from tomos.models import build
from tomos.train import checkpoint, learner, optimisers
from tomos.train.batches import Source
from tomos.train.loop import steps
from tomos.train.validate import evaluate_net, judge
from tomos.types import StorageError, TrainingError


class Interrupted:
    """A person who presses Ctrl-C at a step."""

    def __init__(self, at):
        self.at = at

    def say(self, text):
        pass

    def step(self, done, total, note=""):
        if done == self.at:
            raise KeyboardInterrupt


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def without_clock(entries):
    return [{k: v for k, v in e.items() if k != "seconds"} for e in entries]


def test_a_net_learns_and_what_is_given_back_is_what_was_saved_and_validated(
    plan, squares, run, heard
):
    val = squares(60, 1)
    p = plan(epochs=6, learning_rate=0.01, ema=0.9)
    done = train.train(p, squares(200), val, run, heard)
    assert done.stopped == ("finished",) and len(done.history) == 6
    best = done.history[done.epochs[0] - 1]
    assert best.validation["auroc"] > 0.9
    # No augmentation, no dropout, no last-minute change: the same figures from the net itself.
    again = judge(evaluate_net(done.nets[0], val.images), val.targets, "class")
    assert again.log_loss == pytest.approx(best.validation["log_loss"], abs=1e-6)
    assert [e["epoch"] for e in lines(run)] == [1, 2, 3, 4, 5, 6]
    assert heard.steps[-1][:2] == (78, 78) and "epoch 6/6" in heard.steps[-1][2]
    assert list((run / "events").glob("events.out.tfevents.*"))
    assert not list((run / "checkpoints").glob(".*"))
    assert not torch.are_deterministic_algorithms_enabled()


def test_best_weights_are_a_plain_weight_file(plan, squares, run):
    done = train.train(plan(epochs=1), squares(40), squares(20, 1), run)
    tensors, _ = checkpoint.read(run / "checkpoints" / "best.safetensors")
    assert tensors.keys() == done.nets[0].state_dict().keys()


@pytest.mark.parametrize(
    "settings",
    [
        *({"optimiser": name} for name in optimisers.OPTIMISERS),
        {"ema": 0.9, "schedule": "plateau", "channels_last": True, "accumulate": 2, "clip": 1.0},
        {"precision": "bf16", "balance": "weights"},
        {"balance": "sampler", "label_smoothing": 0.1, "mixup": 0.2, "schedule": "one_cycle"},
    ],
    ids=lambda s: "-".join(map(str, s.values())),
)
def test_resume_from_the_middle_of_an_epoch_is_equal_to_the_last_bit(
    plan, squares, run, equal, settings, tmp_path
):
    augment = ({"step": "rotate"}, {"step": "noise"})
    p = plan(epochs=2, batch=8, **settings).model_copy(update={"augment": augment})
    data, val = squares(40), squares(20, 1)
    whole = train.train(p, data, val, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train.train(p, data, val, run, Interrupted(at=4 if whole.history[-1].step > 4 else 2),
                    save_every=0)  # fmt: skip
    taken = checkpoint.read(run / "checkpoints" / "last.safetensors")[1]["learner"]["step"]
    assert taken == (3 if whole.history[-1].step > 4 else 1)
    (run / "checkpoints" / ".last.safetensors.x.part").write_bytes(b"half")
    rest = train.train(p, data, val, run, resume=True)
    assert equal(whole.nets[0], rest.nets[0])
    assert without_clock(lines(run)) == without_clock(lines(tmp_path / "whole"))
    assert not list((run / "checkpoints").glob(".*"))


def test_resume_cuts_the_log_to_the_checkpoint(plan, squares, run, equal):
    p, data, val = plan(epochs=3), squares(40), squares(20, 1)
    whole = train.train(p, data, val, run)
    with (run / "log.jsonl").open("a") as file:
        file.write('{"epoch": 99, "half a li')
    rest = train.train(p, data, val, run, resume=True)
    assert equal(whole.nets[0], rest.nets[0]) and [e["epoch"] for e in lines(run)] == [1, 2, 3]
    assert rest.history == whole.history


def test_resume_refuses_another_plan_and_damaged_files(plan, squares, run):
    data, val = squares(40), squares(20, 1)
    train.train(plan(epochs=1), data, val, run)
    with pytest.raises(TrainingError, match=r"another plan.*without --resume"):
        train.train(plan(epochs=2), data, val, run, resume=True)
    last = run / "checkpoints" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-7])
    with pytest.raises(TrainingError, match=r"last\.safetensors: not readable as a checkpoint"):
        train.train(plan(epochs=1), data, val, run, resume=True)


def test_starting_over_forgets_the_earlier_run(plan, squares, run):
    train.train(plan(epochs=1), squares(40), squares(20, 1), run)
    done = train.train(plan(epochs=2), squares(40), squares(20, 1), run)
    assert len(lines(run)) == 2 == len(done.history)


def test_early_stopping_brings_back_the_best_weights(plan, squares, run):
    """Labels that mean nothing: what is learned of them soon makes validation worse."""
    data, val = squares(40), squares(60, 1)
    rng = np.random.default_rng(5)
    data.targets, val.targets = rng.integers(0, 2, 40), rng.integers(0, 2, 60)
    done = train.train(plan(epochs=60, patience=3, learning_rate=0.02), data, val, run)
    assert done.stopped == ("early",) and len(done.history) < 60
    kept = [e.epoch for e in done.history if e.kept]
    assert done.epochs == (kept[-1],)
    figure = judge(evaluate_net(done.nets[0], val.images), val.targets, "class").refined
    assert figure == pytest.approx(done.history[kept[-1] - 1].validation["refined"], abs=1e-6)


def test_an_ensemble_is_trained_one_after_another_and_resumed(plan, squares, run, equal):
    p, data, val = plan(epochs=1, members=2), squares(40), squares(20, 1)
    done = train.train(p, data, val, run)
    assert len(done.nets) == 2 and not equal(*done.nets)
    assert [e["member"] for e in lines(run)] == [0, 1]
    again = train.train(p, data, val, run, resume=True)
    assert all(equal(a, b) for a, b in zip(done.nets, again.nets, strict=True))
    single = train.train(plan(epochs=1), data, val, run)
    assert equal(single.nets[0], done.nets[0])


def test_a_divergence_is_named_and_tried_once_more_at_a_lower_rate(plan, squares, run, heard):
    p = plan(epochs=2, optimiser="sgd", schedule="constant", warmup=0.0, learning_rate=1e6)
    with pytest.raises(TrainingError, match=r"diverged in epoch 1, step \d+, at a learning rate"):
        train.train(p, squares(64), squares(20, 1), run, heard)
    assert any("Trying once more at 0.3 times the rate" in text for text in heard.said)


def test_the_second_try_is_recorded(plan, squares, run, equal):
    """For this net without norms a rate of 1 is too high and 0.3 is not."""
    p = plan("mlp", epochs=2, optimiser="sgd", schedule="constant", warmup=0.0, learning_rate=1.0)
    data, val = squares(64), squares(20, 1)
    done = train.train(p, data, val, run)
    assert [e["slower"] for e in lines(run)] == [0.3, 0.3]
    assert "Trying once more at 0.3 times the rate" in done.notes[0]
    again = train.train(p, data, val, run, resume=True)
    assert equal(done.nets[0], again.nets[0]) and "0.3 times the plan's rate" in again.notes[0]


def test_a_run_past_its_budget_stops_at_a_recorded_step(plan, squares, run):
    p = plan(epochs=50)
    p = p.model_copy(update={"budget": p.budget.model_copy(update={"minutes": 1e-6})})
    done = train.train(p, squares(40), squares(20, 1), run)
    assert done.stopped == ("budget",) and done.history[-1].step == 1
    assert "stopped at step 1 of 150" in done.notes[-1]
    assert train.train(p, squares(40), squares(20, 1), run, resume=True).stopped == ("budget",)


def test_without_validation_the_last_epoch_is_kept(plan, squares, run):
    done = train.train(plan(epochs=2), squares(40), None, run)
    assert done.epochs == (2,) and done.history[0].validation is None
    assert "no validation part" in done.notes[0]


@pytest.mark.parametrize("kind", ["multilabel", "ordinal"])
def test_other_kinds_of_target(plan, squares, run, kind):
    data, val = squares(60), squares(30, 1)
    for part in (data, val):
        if kind == "multilabel":
            part.targets = np.stack([part.targets, 1 - part.targets], 1).astype(np.float32)
            part.targets[::3, 0] = np.nan
    loss = "bce" if kind == "multilabel" else "ordinal"
    done = train.train(plan(kind=kind, loss=loss, learning_rate=0.01, mixup=0.2), data, val, run)
    assert done.history[-1].validation["auroc"] > 0.7


def test_batches_summed_are_the_large_batch(plan, squares):
    """Without norms and dropout, 4 batches of 8 move the weights as one of 32 does."""
    data, cpu, found = squares(32), torch.device("cpu"), []
    for settings in ({"batch": 32}, {"batch": 8, "accumulate": 4}, {"batch": 8, "optimiser": "gd"}):
        p = plan("mlp", epochs=2, balance="weights", **({"optimiser": "sgd"} | settings))
        p = p.model_copy(update={"model": p.model.model_copy(update={"options": {}})})
        taught = learner.new(p, cpu)
        taught.net.eval()
        taught.to_training = lambda: None  # dropout off: it draws batch by batch
        assert [step.cases for step in steps(p, data, taught)] == [32, 32]
        found.append(torch.cat([w.detach().flatten() for w in taught.net.parameters()]))
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert torch.allclose(found[0], found[2], atol=1e-6)


def test_reading_from_disk_gives_the_same_weights(plan, squares, tmp_path, equal):
    data, p, nets = squares(40), plan(epochs=1), []
    np.save(tmp_path / "a.npy", data.images)
    data.images = np.load(tmp_path / "a.npy", mmap_mode="r")
    for whole in (True, False):
        taught = learner.new(p, torch.device("cpu"))
        for _ in steps(p, data, taught, Source(data.images, torch.device("cpu"), whole)):
            pass
        nets.append(taught.net)
    assert equal(*nets)


def test_frozen_parts_stay_as_they_are(plan, squares):
    p = plan(epochs=1)
    p = p.model_copy(update={"model": p.model.model_copy(update={"freeze": ("conv1", "bn1")})})
    taught = learner.new(p, torch.device("cpu"))
    before = {k: v.clone() for k, v in taught.net.state_dict().items()}
    for _ in steps(p, squares(40), taught):
        pass
    changed = {k for k, v in taught.net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and not any(k.startswith(("conv1", "bn1")) for k in changed)


def test_evaluating_changes_no_mode(plan):
    net = build("resnet_small", 1, 2)
    net.bn1.eval()
    evaluate_net(net, np.zeros((3, 1, 12, 12), np.float32), batch=2)
    assert net.training and not net.bn1.training


def test_a_log_that_cannot_be_written_says_so(plan, squares, run):
    run.parent.mkdir(exist_ok=True)
    run.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        train.train(plan(epochs=1), squares(40), squares(20, 1), run)


def test_weights_from_a_file_are_where_learning_begins(plan, squares, run, tmp_path):
    first = train.train(plan(epochs=1), squares(40), squares(20, 1), run)
    file = run / "checkpoints" / "best.safetensors"
    p = plan(epochs=1, learning_rate=1e-9)
    p = p.model_copy(update={"model": p.model.model_copy(update={"weights": str(file)})})
    second = train.train(p, squares(40), squares(20, 1), tmp_path / "second")
    assert torch.allclose(first.nets[0].fc.weight, second.nets[0].fc.weight, atol=1e-6)
    assert "tensors fit" in second.notes[0]
