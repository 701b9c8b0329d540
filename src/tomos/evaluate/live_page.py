"""`live.html`: how a training is going, a page that loads itself again while it goes on.

It is a file: no server, nothing fetched, readable over any shared folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomos.config import atomic_write
from tomos.evaluate import charts
from tomos.evaluate.language import both
from tomos.evaluate.markup import definitions, section
from tomos.evaluate.names import metric
from tomos.evaluate.page import page
from tomos.types.words import Text, Words

REFRESH = 5  # seconds between two looks
# Figures of the validation part in the log: those of classes, and those of masks.
LOSS = {
    "log_loss": Words("Validation loss", "验证损失"),
    "loss": Words("Validation loss", "验证损失"),
}
SCORE = {
    "auroc": Words("AUROC on validation", "验证集 AUROC"),
    "dice": Words("Dice on patches of validation", "验证集图块的 Dice"),
}


@dataclass(frozen=True, slots=True)
class Live:
    """What there is to show.

    state         "running", "done" or "stopped"
    done, total   steps; `left`: seconds, None while nobody knows
    epochs        the lines of `log.jsonl`: member, epoch, loss, rate, seconds, validation, kept
    facts, notes  of the plan; what was said on the way
    written       time of day, so that a page of a process that died shows its age
    """

    title: str
    state: str
    done: int = 0
    total: int = 0
    left: float | None = None
    epochs: Sequence[Mapping[str, Any]] = ()
    facts: Sequence[tuple[Text, Text]] = ()
    notes: Sequence[Text] = field(default_factory=tuple)
    written: str = ""


def write_live(path: Path, live: Live) -> None:
    """Write the page, whole or not at all. Raises StorageError."""
    atomic_write(Path(path), render(live).encode("utf-8"))


def render(live: Live) -> str:
    """The page as text."""
    name = Words(f"Training of {live.title}", f"{live.title} 的训练")
    body = [
        f'<h1>{both(name)}</h1><p class="facts">{both(_state(live))}</p>',
        f'<progress max="{max(1, live.total)}" value="{live.done}"></progress>',
        _latest(live),
        *(_curves(live, member) for member in sorted({e["member"] for e in live.epochs})),
        _about(live),
    ]
    foot = Words(
        f"Written at {live.written}. While training runs, this page loads itself again every "
        f"{REFRESH} seconds; figures here are of the validation part, not of the test.",
        f"写于 {live.written}。训练进行时，本页每 {REFRESH} 秒自动重新载入；"
        "此处为验证集上的数值，不是测试结果。",
    )
    refresh = REFRESH if live.state == "running" else 0
    data = {"epochs": [dict(epoch) for epoch in live.epochs]}
    return page(name, "\n".join(body), foot, {}, data, refresh)


def _state(live: Live) -> Words:
    share = f"{live.done / max(1, live.total):.0%}"
    if live.state == "done":
        return Words("Training is done.", "训练已完成。")
    if live.state == "stopped":
        return Words(
            f"Stopped at {share}. Go on with the same command and --resume.",
            f"在 {share} 处停止。用相同命令加 --resume 继续。",
        )
    if live.left is None:
        return Words(f"{share} done", f"已完成 {share}")
    left = f"{live.left // 60:.0f}:{live.left % 60:02.0f}"
    return Words(f"{share} done, {left} left", f"已完成 {share}，剩余 {left}")


def _latest(live: Live) -> str:
    if not live.epochs:
        return ""
    last = live.epochs[-1]
    found = last.get("validation") or {}
    rows = [
        (Words("Network", "网络"), str(last["member"] + 1)),
        (Words("Epoch", "训练轮次"), str(last["epoch"])),
        (Words("Training loss", "训练损失"), f"{last['loss']:.4f}"),
        (Words("Learning rate", "学习率"), f"{last['rate']:.3g}"),
    ]
    for key, title in {**LOSS, **SCORE}.items():
        if found.get(key) is not None:
            rows.append((title, f"{found[key]:.4f}"))
    return section("now", Words("Now", "当前"), definitions(rows))


def _curves(live: Live, member: int) -> str:
    own = [epoch for epoch in live.epochs if epoch["member"] == member]
    best = max((epoch["epoch"] for epoch in own if epoch["kept"]), default=0)
    judged = [epoch.get("validation") or {} for epoch in own]

    def values(key: str) -> list[float]:
        return [float("nan") if v.get(key) is None else v[key] for v in judged]

    told = set().union(*judged)
    loss, score = (next((key for key in keys if key in told), "") for keys in (LOSS, SCORE))
    losses = {"train": [epoch["loss"] for epoch in own], "val": values(loss)}
    title = Words("Loss", "损失")
    boxes = [
        charts.training(losses, title, title, best),
        charts.training({"val": values(score)}, metric(score), metric(score), best),
    ]
    if not any(boxes):
        return ""
    heading = Words(f"Network {member + 1}", f"第 {member + 1} 个网络")
    return section(f"net{member + 1}", heading, f'<div class="figures">{"".join(boxes)}</div>')


def _about(live: Live) -> str:
    listed = "".join(f"<li>{both(note)}</li>" for note in live.notes)
    notes = f"<ul>{listed}</ul>" if listed else ""
    return section("plan", Words("Plan", "方案"), definitions(list(live.facts)) + notes)
