"""What carries a resampling out: torch anywhere, or machine code by numba on the CPU."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Literal

import torch

from tomos.config.plugins import did_you_mean
from tomos.types import MissingExtra, SettingsError

Backend = Literal["auto", "torch", "numba"]
BACKENDS = ("auto", "torch", "numba")


def chosen(backend: str, device: torch.device) -> Literal["torch", "numba"]:
    """ "auto" is numba on the CPU where it is installed, else torch.

    Raises SettingsError for an unknown name or numba on another device, MissingExtra without numba.
    """
    if backend not in BACKENDS:
        raise SettingsError(
            f"augment: no backend named {backend!r}{did_you_mean(backend, list(BACKENDS))}"
        )
    if backend == "torch":
        return "torch"
    if device.type != "cpu":
        if backend == "numba":
            raise SettingsError(
                f"augment: the backend 'numba' runs on the CPU, got the device {device}; "
                "use 'torch' or 'auto'"
            )
        return "torch"
    if not installed():
        if backend == "numba":
            raise MissingExtra("the backend 'numba'", "numba", "train")
        return "torch"
    return "numba"


@cache
def installed() -> bool:
    return importlib.util.find_spec("numba") is not None


@cache
def compiled() -> ModuleType:
    """`_compiled`, imported when it is first needed: numba takes half a second."""
    return importlib.import_module("tomos.transforms.augment._compiled")


@contextmanager
def threads_of(n: int) -> Iterator[int]:
    """torch with n threads (0: as many as it has) until the end; the number that came of it."""
    before = torch.get_num_threads()
    if n and n != before:
        torch.set_num_threads(n)
    try:
        yield n or before
    finally:
        if n and n != before:
            torch.set_num_threads(before)
