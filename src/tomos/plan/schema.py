"""What a plan says: every choice that training carries out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tomos.config import Settings
from tomos.transforms.views import view
from tomos.types import SettingsError, Words

MOST = 16  # networks of a run


class DatasetPart(Settings):
    """Which data the plan was made for. `checksum` is that of the cases learned from."""

    name: str
    checksum: str
    n_train: int
    n_val: int
    n_patients: int


class ModelPart(Settings):
    """`name` as in `tomos models`; `options` go to its function; `weights` is a file to start from.

    `freeze` holds name prefixes of parameters that are not trained.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    weights: str = ""
    freeze: tuple[str, ...] = ()


class TrainPart(Settings):
    """The loop's settings. Learning rates are those at the end of warm-up; `epochs` may be part.

    members          networks packed together as an ensemble
    together         how many of them are trained at the same time, on a CPU, each in a process of
                     its own with `threads` threads
    accumulate       batches summed before a step
    ema              decay of the weight average that is kept, 0 = off
    patience         epochs without a better validation score before stopping, 0 = never
    layer_decay      factor on the learning rate from one stage of the net to the one below it

    For masks:

    patches          shown in an epoch, cut out of all cases alike
    foreground       share of them cut around a voxel of a label, labels alike
    deep             coarser maps of the net learn, too (Lee et al. 2015, arXiv:1409.5185)
    """

    loss: str = "cross_entropy"
    loss_options: dict[str, Any] = Field(default_factory=dict)
    class_weights: tuple[float, ...] = ()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    mixup: float = Field(0.0, ge=0)
    optimiser: str = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    schedule: Literal["constant", "cosine", "one_cycle", "step", "plateau"] = "cosine"
    warmup: float = Field(0.05, ge=0, le=0.5)
    epochs: int = Field(20, ge=1)
    batch: int = Field(64, ge=1)
    accumulate: int = Field(1, ge=1)
    balance: Literal["none", "sampler", "weights"] = "none"
    ema: float = Field(0.0, ge=0, lt=1)
    clip: float = Field(0.0, ge=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    compile: bool = False
    threads: int = Field(0, ge=0)
    patience: int = Field(0, ge=0)
    layer_decay: float = Field(1.0, gt=0, le=1)
    members: int = Field(1, ge=1, le=16)
    together: int = Field(1, ge=1, le=16)
    patches: int = Field(0, ge=0)
    foreground: float = Field(0.5, ge=0, le=1)
    deep: bool = True
    seed: int = Field(0, ge=0)


class AlsoPart(Settings):
    """A further kind of network, trained after the plan's own and averaged with it: what it sees,
    what it is, how it learns. All else is the plan's.

    size, context, augment, model, train  as those of `Plan`
    """

    size: tuple[int, ...]
    context: int = Field(0, ge=0, le=16)
    augment: tuple[dict[str, Any], ...] = ()
    model: ModelPart
    train: TrainPart = TrainPart()


class PredictPart(Settings):
    """`views`: pictures of one image whose logits are averaged: "identity", "flip_x", ...

    tile     that pictures are gone through in, for masks; none: in patches, as they were learned in
    overlap  of neighbouring tiles, as a share of their length, for masks
    largest  labels of which only the largest connected part is kept
    """

    views: tuple[str, ...] = ("identity",)
    tile: tuple[int, ...] = ()
    overlap: float = Field(0.5, ge=0, lt=1)
    largest: tuple[str, ...] = ()


class BudgetPart(Settings):
    """What was asked for, and what `plan` measured and foresees on `machine`."""

    minutes: float = Field(gt=0)
    seconds_per_step: float = Field(0.0, ge=0)
    predicted_seconds: float = Field(0.0, ge=0)
    predicted_memory_mb: float = Field(0.0, ge=0)
    machine: str = ""
    device: str = "cpu"


class Plan(Settings):
    """`plan.toml`. `prepare` and `augment` are lists of steps, tables with their `step` name.

    roles    of cases with several images what these are called, in the order of their channels; ()
             where one image is learned from
    size     (Y, X) of the pictures a network takes, or (Z, Y, X) or (Y, X) of a patch; (Y, X) of
             volumes: a network of pictures, which goes through them slice by slice
    spacing  mm between neighbours of the prepared grid, of each axis of the cases; 1 where no size
             is known
    context  of a network of pictures that goes through volumes: neighbouring slices on each side
             that it sees of each slice, as further channels; 0: none
    also     further kinds of network; the probabilities of all kinds are averaged
    """

    schema_number: Literal[1] = Field(1, alias="schema")
    task: Literal["classify", "segment"] = "classify"
    target: str = "label"
    kind: Literal["class", "multilabel", "ordinal", "mask"] = "class"
    classes: tuple[str, ...]
    channels: int = Field(1, ge=1)
    roles: tuple[str, ...] = ()
    size: tuple[int, ...]
    spacing: tuple[float, ...] = ()
    context: int = Field(0, ge=0, le=16)
    recipe: str = "auto"
    dataset: DatasetPart
    fingerprint: dict[str, Any] = Field(default_factory=dict)
    prepare: tuple[dict[str, Any], ...]
    augment: tuple[dict[str, Any], ...] = ()
    model: ModelPart
    train: TrainPart = TrainPart()
    predict: PredictPart = PredictPart()
    budget: BudgetPart
    also: tuple[AlsoPart, ...] = ()
    reasons: dict[str, str] = Field(default_factory=dict)
    reasons_zh: dict[str, str] = Field(default_factory=dict)

    @property
    def why(self) -> dict[str, Words]:
        """The reasons in both languages."""
        return {name: Words(en, self.reasons_zh.get(name, "")) for name, en in self.reasons.items()}

    @property
    def axes(self) -> int:
        """Of the prepared cases: 2 of pictures, 3 of volumes."""
        return len(self.spacing) or len(self.size)

    @property
    def inputs(self) -> int:
        """Channels that the network takes."""
        return self.channels * (2 * self.context + 1)

    @property
    def outputs(self) -> int:
        """Logits of the network: one a class, and for masks one for the background before them."""
        return len(self.classes) + (self.task == "segment")

    @property
    def kinds(self) -> tuple[Plan, ...]:
        """This plan as one for each kind of network: its own, then those of `also`."""
        fields = AlsoPart.model_fields
        others = ({name: getattr(part, name) for name in fields} for part in self.also)
        return tuple(self.model_copy(update={**one, "also": ()}) for one in ({}, *others))

    @property
    def networks(self) -> tuple[Plan, ...]:
        """The plan of each network, in the order in which they are trained and packed."""
        return tuple(kind for kind in self.kinds for _ in range(kind.train.members))

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Plan:
        if self.also and self.task != "segment":
            raise ValueError("further kinds of network (also) are for masks")
        if len(self.networks) > MOST:
            raise ValueError(f"expected at most {MOST} networks, got {len(self.networks)}")
        for kind in self.kinds:
            _check_views(self.predict.views, self.predict.tile or kind.size)
        for kind in self.kinds if self.task == "segment" else ():
            flat = len(kind.size) == 2 and self.axes == 3
            if len(kind.size) != self.axes and not flat:
                raise ValueError(
                    f"expected a size of {self.axes} numbers, as the spacing has, or (Y, X) for "
                    f"slices of volumes, got {kind.size}"
                )
            if kind.context and not flat:
                raise ValueError(
                    f"a context of {kind.context} slices needs a size (Y, X) and volumes, whose "
                    f"spacing has three numbers, got the size {kind.size} and {self.spacing}"
                )
            _check_tile(self.predict.tile, kind.size)
        return self


def _check_tile(tile: tuple[int, ...], size: tuple[int, ...]) -> None:
    fits = len(tile) == len(size) == 2 and all(t >= n for t, n in zip(tile, size, strict=True))
    if tile and not fits:
        raise ValueError(
            "predict.tile: expected (Y, X) of pictures, no side shorter than that of the patches "
            f"{size}, or none, got {tile}"
        )


def told(why: Mapping[str, Words]) -> dict[str, dict[str, str]]:
    """Reasons as the two tables of a plan that keep them; no words are left out."""
    return {
        "reasons": {name: words.en for name, words in why.items() if words},
        "reasons_zh": {name: words.zh for name, words in why.items() if words and words.zh},
    }


def _check_views(views: tuple[str, ...], size: tuple[int, ...]) -> None:
    """Before learning, not after: what `inference` would refuse in the model file."""
    for name in views:
        try:
            swaps = view(np.zeros((1, 2)), name).shape != (1, 2)
        except SettingsError as error:
            raise ValueError(f"predict.views: {error}") from None
        if swaps and len(set(size[-2:])) > 1:
            raise ValueError(
                f"predict.views: {name!r} swaps Y and X, which needs a size with both alike, got "
                f"{size}; leave the view out, or choose such a size"
            )
