"""What a report on masks is made from: plain frozen data that a workflow fills in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomos.evaluate.mask_table import MaskTable
from tomos.evaluate.mask_worst import Why
from tomos.evaluate.report_data import Card, Choice, DataSummary, Notice, Training
from tomos.types.words import Text


@dataclass(frozen=True, slots=True, eq=False)
class MaskPicture:
    """A case to look at; its figures are those of the table's row of that name.

    image  PNG file with both outlines (`outlined`)
    plain  PNG file without them, of the same size; None = not shown
    why    one of the worst, or the median or best case for comparison (`worst_masks`)
    note   which slice it is
    """

    case: str
    image: bytes
    plain: bytes | None = None
    why: Why = "worst"
    note: Text = ""


@dataclass(frozen=True, slots=True, eq=False)
class MaskReport:
    """Everything on the page. Only `metrics` and `table` are needed.

    metrics    what `score_masks(table, ...)` gave
    table      the cases it was given
    notices    shown on the first page, before anything that Tomos finds by itself
    pictures   the worst cases first, then the median and the best (`worst_masks`, `mask_picture`)
    training   `losses` as ever; `scores` of "dice", with `score_name` "dice"
    checklist  key (see `checklist.ITEMS`) -> answer, over what the report fills in by itself
    """

    metrics: Mapping[str, Any]
    table: MaskTable
    title: Text = ""
    card: Card = field(default_factory=Card)
    data: DataSummary = field(default_factory=DataSummary)
    notices: Sequence[Notice] = ()
    pictures: Sequence[MaskPicture] = ()
    plan: Sequence[Choice] = ()
    training: Training | None = None
    checklist: Mapping[str, Text] = field(default_factory=dict)
    made: str = ""
