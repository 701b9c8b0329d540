"""Everything that a step changes: what a checkpoint holds, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tomos import models
from tomos.plan.schema import Plan
from tomos.train import optimisers
from tomos.train.average import Average
from tomos.train.device import seed_of

LAYOUT = {4: torch.channels_last, 5: torch.channels_last_3d}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Learner:
    """A net on its way.

    member   which network of an ensemble, from 0; `seed` is its own
    epoch    whole epochs done; `done`: steps done in the present one; `step`: steps done in all
    slower   factor on the plan's learning rate, below 1 after a divergence
    validation  the loss on the validation part after each epoch, for schedule "plateau"
    weights  what fitted of the plan's weight file, in words
    first, running  the first loss and the running mean of the losses, by which divergence shows
    """

    plan: Plan
    net: nn.Module
    optimiser: Optimizer
    average: Average | None
    scaler: torch.amp.GradScaler
    device: torch.device
    frozen: list[nn.Module]
    member: int = 0
    slower: float = 1.0
    epoch: int = 0
    done: int = 0
    step: int = 0
    weights: str = ""
    validation: list[float] = field(default_factory=list)
    first: float | None = None
    running: float | None = None
    forward: Callable[[Tensor], Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.forward = torch.compile(self.net) if self.plan.train.compile else self.net

    @property
    def seed(self) -> int:
        return member_seed(self.plan, self.member)

    @property
    def best_net(self) -> nn.Module:
        """The weights to validate and keep: the average where there is one."""
        return self.average.net if self.average else self.net

    def took_step(self, of: int) -> None:
        """Count one step, of `of` in an epoch, and let the average follow."""
        self.step, self.done = self.step + 1, self.done + 1
        if self.average:
            self.average.update(self.step)
        if self.done == of:
            self.epoch, self.done = self.epoch + 1, 0

    def to_training(self) -> None:
        """Dropout and norms on, but in the frozen part."""
        self.net.train()
        for module in self.frozen:
            module.eval()

    def batch(self, x: Tensor) -> Tensor:
        """The batch (B, C, [Z,] Y, X) in the memory layout of the plan."""
        if self.plan.train.channels_last:
            return x.contiguous(memory_format=LAYOUT[x.ndim])
        return x

    def autocast(self) -> torch.autocast:
        return autocast(self.plan, self.device)


def autocast(plan: Plan, device: torch.device) -> torch.autocast:
    """The arithmetic of the plan."""
    dtype = DTYPES[plan.train.precision]
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def member_seed(plan: Plan, member: int) -> int:
    """The seed of each network of an ensemble; the first has the plan's own."""
    return plan.train.seed if member == 0 else seed_of(plan.train.seed, member, 2) >> 32


def drawn(plan: Plan, member: int) -> nn.Module:
    """The plan's net on the CPU, its weights drawn from the member's seed."""
    torch.manual_seed(member_seed(plan, member))
    return models.build(plan.model.name, plan.inputs, plan.outputs, **plan.model.options)


def new(plan: Plan, device: torch.device, member: int = 0, slower: float = 1.0) -> Learner:
    """A learner before its first step: weights drawn, or read from the plan's file."""
    net, fit = drawn(plan, member), ""
    if plan.model.weights:
        fit = str(models.load_weights(net, plan.model.weights))  # type: ignore[arg-type]
    learner = around(plan, net, device, member, slower)
    learner.weights = fit
    return learner


def around(
    plan: Plan, net: nn.Module, device: torch.device, member: int = 0, slower: float = 1.0
) -> Learner:
    """A learner for a net that exists already."""
    layout: dict[str, Any] = (
        {"memory_format": LAYOUT[2 + len(plan.size)]} if plan.train.channels_last else {}
    )
    net = net.to(device, **layout)
    frozen = optimisers.freeze(net, plan.model.freeze)
    return Learner(
        plan=plan,
        net=net,
        optimiser=optimisers.build(net, plan.train),
        average=Average(net, plan.train.ema) if plan.train.ema else None,
        # Half floats underflow at 6e-8, so their gradients are scaled; bfloat16 has the range.
        scaler=torch.amp.GradScaler(device.type, enabled=plan.train.precision == "fp16"),
        device=device,
        frozen=frozen,
        member=member,
        slower=slower,
    )
