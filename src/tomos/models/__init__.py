"""Tensor -> tensor, one architecture per file, read top to bottom.

An architecture is a file of this folder whose name does not begin with "_". It holds

    Options(Settings)        what may be chosen, with defaults; the plan's `model.options`
    NAME(channels, classes, **options) -> Net     one function per variant: the names of `names()`
    VARIANTS                 those functions
    tiny(channels, classes) -> Net                small enough for the contract tests
    TASK                     "segment" where they are `Segmenter`s; without it they classify

Names beginning with `timm:` or `monai:` resolve to those libraries.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any, Literal

from tomos import config
from tomos.config.plugins import did_you_mean
from tomos.models import _elsewhere
from tomos.models._describe import Description, Row, describe, effective_field
from tomos.models._memory import Memory, memory
from tomos.models._net import Net
from tomos.models._onnx import OPSET, to_onnx
from tomos.models._segmenter import Segmenter
from tomos.models._weights import Fit, load_weights, save_weights
from tomos.types import SettingsError

__all__ = [
    "OPSET",
    "Description",
    "Fit",
    "Memory",
    "Net",
    "Row",
    "Segmenter",
    "about",
    "architectures",
    "build",
    "describe",
    "effective_field",
    "load_weights",
    "memory",
    "names",
    "save_weights",
    "task_of",
    "to_onnx",
]

ELSEWHERE = ("timm:", "monai:")
Task = Literal["classify", "segment"]


def names(task: Task = "classify") -> list[str]:
    """Every network that `build` knows of itself for `task`, by file, then from small to large."""
    return [variant.__name__ for file in architectures(task) for variant in _files()[file].VARIANTS]


def architectures(task: Task = "classify") -> list[str]:
    """The files of this folder (and of other distributions) that hold networks for `task`."""
    return [file for file, module in _files().items() if _task(module) == task]


def task_of(name: str) -> Task:
    """What the network `name` is for. Raises SettingsError for an unknown name."""
    if name.startswith(ELSEWHERE):
        return "classify"
    variant = _variant(name)
    return next(_task(module) for module in _files().values() if variant in module.VARIANTS)


def about(name: str) -> str:
    """What the file of the network `name` says of it: paper, form, what its weights are."""
    if name.startswith(ELSEWHERE):
        return f"From the library {name.partition(':')[0]}."
    return (inspect.getmodule(_variant(name)).__doc__ or "").strip()


def build(name: str, channels: int, classes: int, **options: Any) -> Net | Segmenter:
    """The network `name` for pictures or volumes of `channels` channels, with `classes` logits.

    Weights are drawn from torch's global generator: the same `torch.manual_seed` before it gives
    the same weights. Raises SettingsError for an unknown name (with the nearest ones), an unknown
    or ill-typed option; MissingExtra when `timm:` or `monai:` cannot be imported.
    """
    if channels < 1 or classes < 1:
        raise SettingsError(
            f"model {name!r}: expected at least 1 channel and 1 class, "
            f"got {channels} channels and {classes} classes"
        )
    if name.startswith(ELSEWHERE):
        return _elsewhere.build(name, channels, classes, options)
    net = _variant(name)(channels, classes, **options)
    net.name, net.channels, net.classes = name, channels, classes
    return net


def _variant(name: str) -> Callable[..., Net | Segmenter]:
    variant = _variants().get(name)
    if variant is None:
        raise SettingsError(f"no model named {name!r}{did_you_mean(name, list(_variants()))}")
    return variant


def _task(module: ModuleType) -> Task:
    return getattr(module, "TASK", "classify")


def _variants() -> dict[str, Callable[..., Net | Segmenter]]:
    modules = _files().values()
    return {variant.__name__: variant for module in modules for variant in module.VARIANTS}


@cache
def _files() -> dict[str, ModuleType]:
    """By file. Looked up once a process: every look asks all installed distributions."""
    found = {file: config.plugin("tomos.models", file) for file in config.names("tomos.models")}
    for module in found.values():
        if not getattr(module, "VARIANTS", ()):
            raise SettingsError(
                f"{module.__name__}: expected VARIANTS, the functions that build its networks; "
                "a file of this folder that holds none begins with an underscore"
            )
    return found
