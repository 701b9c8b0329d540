"""What a report is made from: plain frozen data that a workflow fills in.

Only `Report.metrics` and `Report.table` are needed; every part that is missing is left out of the
page or shown as "not stated". Texts may be `str` (the same in both languages) or
`Words(english, chinese)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tomos.evaluate.table import Table
from tomos.measures.operating import OperatingPoint
from tomos.types.words import Text, Words


@dataclass(frozen=True, slots=True)
class Notice:
    """What the reader must see first: an accepted leak with its reason, an unusual choice."""

    text: Text
    serious: bool = True


@dataclass(frozen=True, slots=True)
class Split:
    """One part of the data: "train", "val" or "test"; classes by name with their cases."""

    name: str
    n_cases: int
    n_patients: int
    per_class: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well the label can be told from what should not tell it, such as the border alone.

    metric, value, low, high, n  the figure, its 95 % interval and the cases it was measured on
    chance  what a guess would get
    """

    name: Text
    value: float
    low: float
    high: float
    n: int
    split: str
    metric: str = "auroc"
    chance: float = 0.5
    note: Text = ""


@dataclass(frozen=True, slots=True)
class DataSummary:
    """Where the data come from, how they were split, and what was dropped and why."""

    name: str = ""
    source: Text = ""
    licence: Text = ""
    modalities: Sequence[str] = ()
    splits: Sequence[Split] = ()
    split_rule: Text = ""
    dropped: Sequence[tuple[Text, int]] = ()
    problems: Sequence[Text] = ()
    shortcuts: Sequence[Shortcut] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the plan: what was chosen (a bare text: a name, as in the plan), and why."""

    name: Text
    value: Text
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class Training:
    """How training went. `losses` and `scores` map a name ("train", "val") to one value an epoch.

    score_name  what `scores` are, such as "auroc"
    best        epoch (from 1) whose weights were kept; 0 = the last
    """

    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    score_name: str = "auroc"
    best: int = 0
    seconds: float = 0.0
    machine: str = ""
    seeds: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A case to look at.

    image   PNG file, at most about 256 px a side (reports stay under 5 MB)
    heat    (Y, X) 0..1 on the picture's own grid, or a PNG to lay over it, or None
    truth, said, probability  what is true, what the model said, how probable it held that
    """

    case: str
    image: bytes
    truth: str
    said: str
    probability: float
    heat: np.ndarray | bytes | None = None
    note: Text = ""


@dataclass(frozen=True, slots=True)
class Card:
    """The model card."""

    name: str = ""
    version: str = ""
    purpose: Text = ""
    intended_use: Text = ""
    not_for: Text = ""
    users: Text = ""
    limits: Sequence[Text] = ()
    licence: Text = ""
    contact: Text = ""
    made: str = ""
    inputs: Text = ""
    heat_maps: Text = ""
    parameters: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything on the page.

    metrics    what `score(table, ...)` gave, with the same operating point and prevalence
    table      the cases it was given; the curves are drawn from them
    operating  the threshold chosen on validation, for two classes
    notices    shown on the first page, before anything that Tomos finds by itself
    pictures   worst cases first (`worst(table, ...)` says which)
    checklist  key (see `checklist.ITEMS`) -> answer, over what the report fills in by itself
    """

    metrics: Mapping[str, Any]
    table: Table
    operating: OperatingPoint | None = None
    title: Text = ""
    card: Card = Card()
    data: DataSummary = DataSummary()
    notices: Sequence[Notice] = ()
    pictures: Sequence[Picture] = ()
    plan: Sequence[Choice] = ()
    training: Training | None = None
    checklist: Mapping[str, Text] = field(default_factory=dict)
    made: str = ""


Tone = Literal["serious", "note"]
NOT_STATED = Words("not stated", "未说明")
