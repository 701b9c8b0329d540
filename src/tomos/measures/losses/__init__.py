"""What training makes small. torch; one loss a file, and the file's name is the loss's name.

A file holds one class `Loss(Settings)`: its options, `KINDS` (the kinds of target it is for), and

    loss(logits_BK, target, weights_K=None) -> values_B

one value for each case, never their mean: the loop divides by the number of cases of the whole
step, so that several small batches summed give exactly the gradient of the large one. A loss on
masks (kind "mask": Dice and its like) takes logits (B, K, [Z,] Y, X), the background first, and
class numbers (B, [Z,] Y, X) int64 with -1 where nobody knows, and answers in the same way, one
value a case. `deeply` applies it to the logits of several sizes.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from tomos import config
from tomos.measures.losses._deep import deeply
from tomos.types import PlanError

__all__ = ["Case", "build", "deeply", "fitting", "names"]


class Case(Protocol):
    """A loss as the loop uses it."""

    def __call__(
        self, logits_BK: Tensor, target: Tensor, weights_K: Tensor | None = None
    ) -> Tensor: ...


def names() -> list[str]:
    """Every loss, by file name."""
    return config.names("tomos.measures.losses")


def build(name: str, kind: str, **options: Any) -> Case:
    """The loss `name` for targets of `kind` ("class", "multilabel", "ordinal", "mask").

    Raises SettingsError for an unknown name or option, PlanError when it is not for this kind.
    """
    loss = config.plugin("tomos.measures.losses", name).Loss
    if kind not in loss.KINDS:
        raise PlanError(
            f"train.loss: {name!r} is for targets of kind {' or '.join(loss.KINDS)}, "
            f"and this target is {kind!r}; choose one of: {', '.join(fitting(kind))}"
        )
    if "multilabel" in loss.model_fields:
        options = {"multilabel": kind == "multilabel"} | options
    return config.parse(loss, options, f"train.loss_options of {name!r}")


def fitting(kind: str) -> list[str]:
    """The losses that are for targets of `kind`."""
    return [n for n in names() if kind in config.plugin("tomos.measures.losses", n).Loss.KINDS]
