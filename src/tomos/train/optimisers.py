"""How gradients become a step. Every name of `train.optimiser` is a function here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tomos.config.plugins import did_you_mean
from tomos.plan.schema import TrainPart
from tomos.types import PlanError

Groups = list[dict[str, Any]]


def gd(groups: Groups, train: TrainPart) -> Optimizer:
    """Gradient descent: one step an epoch, on the mean over all cases (Cauchy 1847)."""
    return torch.optim.SGD(groups, lr=train.learning_rate, fused=True)


def sgd(groups: Groups, train: TrainPart) -> Optimizer:
    """Stochastic gradient descent (Robbins & Monro 1951)."""
    return torch.optim.SGD(groups, lr=train.learning_rate, fused=True)


def momentum(groups: Groups, train: TrainPart) -> Optimizer:
    """SGD with a heavy ball (Polyak 1964); `train.momentum` of the last step is kept."""
    return torch.optim.SGD(groups, lr=train.learning_rate, momentum=train.momentum, fused=True)


def nesterov(groups: Groups, train: TrainPart) -> Optimizer:
    """Momentum that looks ahead (Nesterov 1983; Sutskever et al. 2013)."""
    if not train.momentum:
        raise PlanError("train.momentum: 'nesterov' needs a momentum above 0, got 0; try 0.9")
    rate, ball = train.learning_rate, train.momentum
    return torch.optim.SGD(groups, lr=rate, momentum=ball, nesterov=True, fused=True)


def adagrad(groups: Groups, train: TrainPart) -> Optimizer:
    """Duchi, Hazan, Singer 2011."""
    return torch.optim.Adagrad(groups, lr=train.learning_rate, foreach=True)


def adadelta(groups: Groups, train: TrainPart) -> Optimizer:
    """Zeiler 2012, arXiv:1212.5701; its usual rate is 1."""
    return torch.optim.Adadelta(groups, lr=train.learning_rate, foreach=True)


def adam(groups: Groups, train: TrainPart) -> Optimizer:
    """Kingma & Ba 2015, arXiv:1412.6980; weight decay is L2, added to the gradient."""
    return torch.optim.Adam(groups, lr=train.learning_rate, fused=True)


def adamw(groups: Groups, train: TrainPart) -> Optimizer:
    """Adam with weight decay beside the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
    return torch.optim.AdamW(groups, lr=train.learning_rate, fused=True)


OPTIMISERS: dict[str, Callable[[Groups, TrainPart], Optimizer]] = {
    f.__name__: f for f in (gd, sgd, momentum, nesterov, adagrad, adadelta, adam, adamw)
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """Parameters that share a learning rate and a weight decay."""

    stage: int
    decays: bool


def build(net: nn.Module, train: TrainPart) -> Optimizer:
    """The optimiser of a plan over the parameters of `net` that are to learn.

    Norms, biases and other vectors do not decay: their size is no sign of complexity. With
    `layer_decay` d, the stage n below the head learns d**n times as fast.
    """
    if train.optimiser not in OPTIMISERS:
        near = did_you_mean(train.optimiser, list(OPTIMISERS))
        raise PlanError(f"train.optimiser: there is no {train.optimiser!r}{near}")
    depth = stage_of(net)
    head = max(depth.values(), default=0)
    kinds: dict[_Kind, list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            kind = _Kind(depth[name], parameter.ndim > 1 and not name.endswith("bias"))
            kinds.setdefault(kind, []).append(parameter)
    groups: Groups = [
        {
            "params": parameters,
            "weight_decay": train.weight_decay if kind.decays else 0.0,
            "scale": train.layer_decay ** (head - kind.stage),
        }
        for kind, parameters in kinds.items()
    ]
    if not groups:
        raise PlanError("model.freeze: every parameter is frozen; nothing is left to learn")
    return OPTIMISERS[train.optimiser](groups, train)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def stage_of(net: nn.Module) -> dict[str, int]:
    """Parameter name -> its stage, 0 next to the picture; by the net's own `stages()`, else by its
    children in the order in which they were made."""
    own = getattr(net, "stages", None)
    stages = own() if callable(own) else [(name,) for name, _ in net.named_children()]
    found, last = {}, 0
    for name, _ in net.named_parameters():
        for index, prefixes in enumerate(stages):
            if any(under(name, prefix) for prefix in prefixes):
                last = index
        found[name] = last
    return found


def freeze(net: nn.Module, prefixes: tuple[str, ...]) -> list[nn.Module]:
    """Stop the parameters under these name prefixes from learning; the modules frozen whole come
    back: their norms must not go on averaging either.

    Raises PlanError for a prefix that fits no parameter.
    """
    names = [name for name, _ in net.named_parameters()]
    for prefix in prefixes:
        if not any(under(name, prefix) for name in names):
            near = did_you_mean(prefix, [name for name, _ in net.named_modules() if name])
            raise PlanError(f"model.freeze: no parameter begins with {prefix!r}{near}")
    for name, parameter in net.named_parameters():
        if any(under(name, prefix) for prefix in prefixes):
            parameter.requires_grad_(False)
    return [
        module
        for name, module in net.named_modules()
        if name and any(under(name, prefix) for prefix in prefixes)
    ]


def under(name: str, prefix: str) -> bool:
    """Whether a dotted name is `prefix` or lies under it: "layer1" is not above "layer10"."""
    return name == prefix or name.startswith(prefix.rstrip(".") + ".")
