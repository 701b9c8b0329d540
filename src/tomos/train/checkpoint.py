"""A learner <-> a file. safetensors with the facts as JSON in its header; never pickle.

`last.safetensors` holds all that the next step needs: the net ("net."), its average ("average."),
the optimiser's memory ("optimiser.NAME.KEY"). `best.safetensors` holds the weights of the best
epoch under their plain names, so that any reader of weight files can use it. Nothing random is
stored: order, augmentation and dropout are functions of seed, epoch and step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from tomos.config import atomic_write
from tomos.train.learner import Learner
from tomos.types import TrainingError

SCHEMA = 1
KEY = "tomos"

Facts = dict[str, Any]


def folder_of(run: Path, member: int) -> Path:
    """`RUN/checkpoints`; each further network of an ensemble has a folder of its own in it."""
    folder = Path(run) / "checkpoints"
    return folder if member == 0 else folder / f"member{member + 1}"


def clean(folder: Path, everything: bool = False) -> None:
    """Remove drafts that a killed process left; `everything`: also finished checkpoints."""
    for pattern in (".*.safetensors.*.part", *(["*.safetensors"] if everything else [])):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


COUNTED = ("member", "slower", "epoch", "done", "step", "validation", "first", "running")


def save(path: Path, learner: Learner, facts: Facts, more: Mapping[str, Tensor]) -> None:
    """All that the next step needs, `facts` (plain JSON) and `more` tensors, in one file, whole or
    not at all.

    Raises StorageError, the previous checkpoint untouched, when the disk is full.
    """
    state = {f"net.{name}": tensor for name, tensor in learner.net.state_dict().items()}
    if learner.average:
        averaged = learner.average.net.state_dict()
        state |= {f"average.{name}": tensor for name, tensor in averaged.items()}
    for name, parameter in learner.net.named_parameters():
        for key, value in learner.optimiser.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                state[f"optimiser.{name}.{key}"] = value
    own = {name: getattr(learner, name) for name in COUNTED}
    own["scaler"] = learner.scaler.state_dict()
    extra = {f"more.{name}": tensor for name, tensor in more.items()}
    write(path, state | extra, {"learner": own} | facts)


def restore(path: Path, learner: Learner) -> tuple[Facts, dict[str, Tensor]]:
    """Put a learner, fresh from `learner.new`, where the checkpoint was written; the facts and the
    `more` tensors come back.

    Raises TrainingError when the file is damaged or does not fit the net.
    """
    tensors, facts = read(path)
    own = facts["learner"]
    load_net(learner.net, _part(tensors, "net."), path)
    if learner.average:
        load_net(learner.average.net, _part(tensors, "average."), path)
    parameters = dict(learner.net.named_parameters())
    for place, value in _part(tensors, "optimiser.").items():
        name, _, key = place.rpartition(".")
        learner.optimiser.state[parameters[name]][key] = _like(parameters[name], value)
    learner.scaler.load_state_dict(own["scaler"])
    for name in COUNTED:
        setattr(learner, name, own[name])
    return facts, _part(tensors, "more.")


def write(path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
    # Clones: two names of one tensor cannot be stored, and channels-last is a matter of this run.
    plain = {
        name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    text = json.dumps({"schema": SCHEMA} | facts, allow_nan=True)
    atomic_write(path, to_bytes(plain, {KEY: text}))


def read(path: Path) -> tuple[dict[str, Tensor], Facts]:
    """Tensors and facts of a checkpoint. Raises TrainingError when it is damaged or foreign."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except KeyError:
        raise TrainingError(
            f"{path}: expected a checkpoint of a training run, got other weights; "
            "start without --resume"
        ) from None
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(
            f"{path}: not readable as a checkpoint ({error}); "
            "start without --resume, or put back a copy of the file"
        ) from None
    if facts["schema"] != SCHEMA:
        raise TrainingError(
            f"{path}: expected a checkpoint of schema {SCHEMA}, got {facts['schema']}; "
            "resume with the version of Tomos that wrote it"
        )
    return tensors, facts


def load_net(net: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy weights into a net, every one of them. Raises TrainingError when they do not fit."""
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(
            f"{path}: the weights do not fit the plan's net: {str(error).splitlines()[-1].strip()}"
        ) from None


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """A tensor of the optimiser on the device of its parameter, in the same memory layout."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, requires_grad=False).copy_(value)
    # A counter of steps: Adam keeps it on the CPU unless it is fused or captured.
    return value.clone().to(parameter.device)
