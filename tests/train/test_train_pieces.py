"""Order, schedules, optimisers, the average: each against what can be worked out by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from tomos.plan.schema import TrainPart
from tomos.train import batches, optimisers, schedules
from tomos.train.average import Average
from tomos.train.batches import Source
from tomos.types import PlanError


def test_an_epoch_shows_every_row_once_and_is_a_function_of_seed_and_epoch():
    rows = np.arange(100, 150)
    one = batches.order(rows, None, 7, 3)
    assert sorted(one) == list(rows) and (one == batches.order(rows, None, 7, 3)).all()
    assert (one != batches.order(rows, None, 7, 4)).any()
    assert (one != batches.order(rows, None, 8, 3)).any()


def test_the_sampler_shows_classes_equally_often_and_leaves_out_what_is_not_assessed():
    targets = np.array([0] * 88 + [1] * 10 + [-1] * 2)
    weights = batches.rare(targets)
    assert weights[:98].mean() == pytest.approx(1) and (weights[98:] == 0).all()
    drawn = batches.order(batches.assessed(targets), weights, 0, 0)
    assert len(drawn) == 98
    counts = np.bincount(drawn, minlength=100)
    assert abs(counts[88:98].sum() - 49) <= 1 and counts[88:98].min() >= 4
    assert counts[:88].max() == 1 and counts[98:].sum() == 0


def test_rows_of_several_labels_weigh_as_their_rarest():
    targets = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0], [np.nan, np.nan]])
    weights = batches.rare(targets)
    assert weights[3] == pytest.approx(3 * weights[0]) and weights[4] == weights[3]
    assert weights[5] == 0
    assert list(batches.assessed(targets)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 17, 33, 100])
@pytest.mark.parametrize("most", [1, 2, 16, 64])
def test_batches_are_even_and_none_is_single(length, most):
    parts = batches.cut(length, most)
    sizes = [len(part) for part in parts]
    assert np.concatenate(parts).tolist() == list(range(length))
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= max(most, 3)
    assert min(sizes) > 1 or length == 1 or most == 1


def test_a_source_gives_the_same_rows_from_memory_and_from_disk(tmp_path):
    array = np.random.default_rng(0).standard_normal((50, 1, 4, 4)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    file = np.load(tmp_path / "a.npy", mmap_mode="r")
    wanted = [np.array([3, 1, 1]), np.array([49, 0]), np.arange(10), np.array([7]), np.array([8])]
    for whole in (True, False):
        source = Source(file, torch.device("cpu"), whole=whole)
        for rows, got in zip(wanted, source.stream(wanted), strict=True):
            assert np.array_equal(got.numpy(), array[rows])


def rates(schedule, total=1000, **changes):
    train = TrainPart(schedule=schedule, **changes)
    return np.array([schedules.factor(train, step, total) for step in range(total)])


def test_schedules():
    cosine = rates("cosine", warmup=0.1)
    assert cosine[100] == 1 and cosine.argmax() == 100 and 0 < cosine[-1] < 1e-4
    assert (np.diff(cosine[:101]) > 0).all() and cosine[550] == pytest.approx(0.5)
    cycle = rates("one_cycle")
    assert cycle[0] == pytest.approx(1 / 25) and cycle.argmax() == 300
    assert rates("step", warmup=0)[[0, 499, 500, 750]].tolist() == pytest.approx([1, 1, 0.1, 0.01])
    assert (rates("constant", warmup=0) == 1).all()


def test_plateau_lowers_after_waiting():
    assert schedules.plateau([3, 2, 1], 20) == 1
    assert schedules.plateau([1, 2, 2], 20) == pytest.approx(0.3)
    assert schedules.plateau([1, 2, 2, 0.5, 1, 1], 20) == pytest.approx(0.09)


@pytest.mark.parametrize("name", optimisers.OPTIMISERS)
def test_every_optimiser_goes_down_a_bowl(name):
    """Least squares in two unknowns: the error falls below a tenth."""
    torch.manual_seed(0)
    net = nn.Linear(2, 1, bias=False)
    x = torch.randn(64, 2)
    y = x @ torch.tensor([[1.0], [-2.0]])
    rate = {"adadelta": 20.0, "adagrad": 0.5}.get(name, 0.1)
    optimiser = optimisers.build(net, TrainPart(optimiser=name, learning_rate=rate))
    optimisers.set_rate(optimiser, rate)
    first = float((net(x) - y).square().mean().detach())
    for _ in range(100):
        optimiser.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < first / 10


def test_momentum_by_hand():
    """Gradient 1, rate 1, momentum 0.5: steps 1, 1.5, 1.75."""
    weight = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(weight.weight)
    optimiser = optimisers.build(weight, TrainPart(optimiser="momentum", momentum=0.5))
    optimisers.set_rate(optimiser, 1.0)
    seen = []
    for _ in range(3):
        weight.weight.grad = torch.ones(1, 1)
        optimiser.step()
        seen.append(weight.weight.item())
    assert seen == [-1, -2.5, -4.25]


def staged():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_norms_and_biases_do_not_decay_and_lower_stages_learn_slower():
    net = staged()
    optimiser = optimisers.build(net, TrainPart(weight_decay=0.1, layer_decay=0.5))
    optimisers.set_rate(optimiser, 1.0)
    found = {
        id(p): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups for p in g["params"]
    }
    assert found[id(net[0].weight)] == (0.125, 0.1) and found[id(net[0].bias)] == (0.125, 0)
    assert found[id(net[1].weight)] == (0.25, 0) and found[id(net[3].weight)] == (1, 0.1)


def test_frozen_prefixes_end_at_a_dot_and_must_fit():
    net = nn.ModuleDict({f"layer{n}": nn.Linear(2, 2) for n in (1, 10)})
    assert optimisers.freeze(net, ("layer1",)) == [net["layer1"]]
    assert not net["layer1"].weight.requires_grad and net["layer10"].weight.requires_grad
    with pytest.raises(PlanError, match=r"no parameter begins with 'layer2'.*layer1"):
        optimisers.freeze(net, ("layer2",))
    optimisers.freeze(net, ("layer10",))
    with pytest.raises(PlanError, match="nothing is left to learn"):
        optimisers.build(net, TrainPart())


def test_an_unknown_optimiser_has_neighbours():
    with pytest.raises(PlanError, match=r"did you mean .*'adamw'"):
        optimisers.build(staged(), TrainPart(optimiser="adamv"))


def test_the_average_follows_weights_and_norms():
    """Decay 0.5 at step 8 is min(0.5, 9/18): half way each time."""
    net = staged()
    average = Average(net, 0.5)
    with torch.no_grad():
        before = average.net[0].weight.clone()
        net[0].weight += 1
        net[1].running_mean += 4
        net[1].num_batches_tracked += 3
    average.update(8)
    assert torch.allclose(average.net[0].weight, before + 0.5)
    assert average.net[1].running_mean.tolist() == [2] * 4
    assert average.net[1].num_batches_tracked == 3
    assert not average.net[0].weight.requires_grad
