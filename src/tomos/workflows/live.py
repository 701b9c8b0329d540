"""Keeps `RUN/live.html` beside a training: progress that is drawn in a page as well."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from types import TracebackType

from tomos.evaluate.live_page import Live, write_live
from tomos.evaluate.names import machine
from tomos.evaluate.remarks import BY_HAND, remark
from tomos.plan import Plan
from tomos.plan.sentences import UNITS
from tomos.types import Progress, StorageError
from tomos.types.words import Words, counted, times

PAGE, LOG = "live.html", "log.jsonl"
EVERY = 5.0  # seconds between two writings
NOTES = 8


class Watched:
    """A `Progress` that hands everything on and writes the page now and then.

    As a context manager it writes the last state, too: done, or stopped by an error or a hand. A
    page that cannot be written stops nothing: what learning needs to write will say so itself.
    """

    def __init__(self, progress: Progress, run: Path, plan: Plan, title: str) -> None:
        self._progress, self._run, self._plan, self._title = progress, run, plan, title
        self._notes: list[str] = []
        self._done = self._total = 0
        self._first: tuple[float, int] | None = None
        self._written = -EVERY

    def __enter__(self) -> Watched:
        self._write("running")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is not None:
            by_hand = issubclass(kind, KeyboardInterrupt)
            self._notes.append(BY_HAND if by_hand else str(error) or kind.__name__)
        self._write("done" if kind is None else "stopped")

    def say(self, text: str) -> None:
        self._notes = [*self._notes, text][-NOTES:]
        self._progress.say(text)

    def step(self, done: int, total: int, note: str = "") -> None:
        self._progress.step(done, total, note)
        now = time.monotonic()
        self._first = self._first or (now, done)
        self._done, self._total = done, total
        if now - self._written >= EVERY:
            self._write("running")

    def _left(self) -> float | None:
        if self._first is None or self._done <= self._first[1]:
            return None
        since, start = self._first
        return (time.monotonic() - since) / (self._done - start) * (self._total - self._done)

    def _write(self, state: str) -> None:
        live = Live(
            title=self._title,
            state=state,
            done=self._done,
            total=self._total,
            left=self._left(),
            epochs=_epochs(self._run / LOG),
            facts=_facts(self._plan),
            notes=tuple(map(remark, self._notes)),
            written=time.strftime("%Y-%m-%d %H:%M:%S"),
        )
        with contextlib.suppress(StorageError):
            write_live(self._run / PAGE, live)
        self._written = time.monotonic()


def kind_said(kind: Plan, networks: int) -> Words:
    """How many networks of a kind there are, of what, and what they see."""
    sides, units, name = times(kind.size), UNITS[len(kind.size)], kind.model.name
    said = Words(
        f"{networks} x {name}, {sides.en} {units.en}",
        f"{networks} 个 {name}，{sides.zh} {units.zh}",
    )
    if not kind.context:
        return said
    seen = 2 * kind.context + 1
    return said + Words(f", {seen} slices at once", f"，一次看 {seen} 层")


def _facts(plan: Plan) -> list[tuple[Words, Words | str]]:
    """What the page says of the plan; of several kinds of network, which of them are meant."""
    facts: list[tuple[Words, Words | str]] = []
    first = 1
    for kind in plan.kinds:
        last = first + kind.train.members - 1
        own = f"{first}" if first == last else f"{first}-{last}"
        en, zh = (f", network {own}", f"（网络 {own}）") if plan.also else ("", "")
        train = kind.train
        start = f"{train.optimiser}, {train.learning_rate:g}"
        learning = Words(
            f"{start}, {counted(train.epochs, 'epoch')}, batch {train.batch}",
            f"{start}，{train.epochs} 轮，批大小 {train.batch}",
        )
        facts += [
            (Words(f"Model{en}", f"模型{zh}"), kind_said(kind, kind.train.members)),
            (Words(f"Learning{en}", f"学习{zh}"), learning),
        ]
        first = last + 1
    return [
        *facts,
        (Words("Data", "数据"), f"{plan.dataset.n_train} + {plan.dataset.n_val}"),
        (Words("Machine", "机器"), machine(plan.budget.machine)),
    ]


def _epochs(log: Path) -> list[dict]:
    """What is in the log so far; a line that is being written is not there yet."""
    epochs = []
    with contextlib.suppress(OSError):
        for line in log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                epochs.append(json.loads(line))
    return epochs
