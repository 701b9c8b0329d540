"""The rules that bring the values of images to one scale, for masks."""

from __future__ import annotations

from typing import Any

from tomos.plan import sentences
from tomos.plan.mask_fingerprint import MaskFingerprint
from tomos.types import Words

Steps = list[dict[str, Any]]


def scaled(fp: MaskFingerprint) -> tuple[Steps, list[Words]]:
    """The steps, and why; of several images each by itself, since what is absolute in one says
    nothing of another."""
    if not fp.roles:
        steps, why = _of_one("HU" in fp.units, fp.inside)
        return steps, [why]
    done: Steps = []
    first, said = 0, dict[Words, list[str]]()
    for role in fp.roles:
        only = list(range(first, first + role.channels))
        steps, why = _of_one(role.in_hounsfield, role.inside)
        done += [{**step, "only": only} for step in steps]
        said.setdefault(why, []).append(role.name)
        first += role.channels
    return done, [sentences.of(names, why) for why, names in said.items()]


def _of_one(absolute: bool, inside: tuple[float, float, float, float]) -> tuple[Steps, Words]:
    if not absolute:
        return [{"step": "normalise", "kind": "zscore"}], sentences.EXPOSURE
    mean, std, low, high = inside
    centre, width = (low + high) / 2, max(1.0, high - low)
    # A window brings its range to 0..1; mean and spread go along.
    scale = {"mean": [(mean - low) / width], "std": [std / width]}
    return [
        {"step": "window", "source": "fixed", "centre": centre, "width": width},
        {"step": "normalise", "kind": "fixed", **scale},
    ], sentences.clipped(low, high)
