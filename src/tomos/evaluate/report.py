"""`report.html`: one file that a clinician and an engineer can both read."""

from __future__ import annotations

from pathlib import Path

from tomos.config import atomic_write
from tomos.evaluate.checklist import checklist
from tomos.evaluate.language import both
from tomos.evaluate.mask_report_data import MaskReport
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import intervals
from tomos.evaluate.page import page
from tomos.evaluate.report_data import Report
from tomos.evaluate.sections.cases import pictures
from tomos.evaluate.sections.curves import curves
from tomos.evaluate.sections.data import data
from tomos.evaluate.sections.groups import subgroups
from tomos.evaluate.sections.model import card, plan, training
from tomos.evaluate.sections.summary import headline, per_class, verdict
from tomos.evaluate.sections.use import operating
from tomos.evaluate.sections.warnings import box, notices
from tomos.evaluate.view import View, view
from tomos.types.words import Words, words

CONTENTS = {
    "figures": Words("Figures", "指标"),
    "use": Words("In use", "使用"),
    "curves": Words("Curves", "曲线"),
    "classes": Words("Classes", "类别"),
    "subgroups": Words("Subgroups", "亚组"),
    "cases": Words("Worst cases", "最差病例"),
    "data": Words("Data", "数据"),
    "plan": Words("Plan", "方案"),
    "training": Words("Training", "训练"),
    "card": Words("Model card", "模型卡"),
    "checklist": Words("Checklist", "清单"),
}


def write_report(path: Path, report: Report) -> None:
    """Write the page, atomically. Raises StorageError when it cannot be written."""
    atomic_write(Path(path), render(report).encode("utf-8"))


def render(report: Report) -> str:
    """The page as text."""
    seen = view(report)
    found = notices(seen)
    body = "\n".join(
        [
            head(seen),
            box(found),
            verdict(seen, found),
            "<!--contents-->",
            headline(seen),
            operating(seen),
            curves(seen),
            per_class(seen),
            subgroups(seen),
            pictures(seen),
            data(seen),
            plan(seen),
            training(seen),
            card(seen),
            checklist(seen),
        ]
    )
    return page(title(report), body, foot(seen), CONTENTS, report.metrics)


def title(report: Report | MaskReport) -> Words:
    """The name given, else that of the model or data set."""
    if report.title:
        return words(report.title)
    name = report.card.name or report.metrics.get("dataset") or "model"
    return Words(f"Evaluation of {name}", f"{name} 评估报告")


def head(seen: View | MaskView) -> str:
    """Title and facts: model, data set, cases, date."""
    report = seen.report
    facts = [
        Words(report.card.name and f"{report.card.name} {report.card.version}".strip()),
        Words(seen.metrics["dataset"]),
        seen.cases,
        Words(report.made),
    ]
    line = " · ".join(
        dict.fromkeys(f'<span class="fact">{both(fact)}</span>' for fact in facts if fact.en)
    )
    return f'<h1>{both(title(report))}</h1><p class="facts">{line}</p>'


def foot(seen: View | MaskView) -> Words:
    """What the intervals are, and what the page is not."""
    level = f"{seen.metrics.get('level', 0.95):.0%}"
    made = intervals(seen.metrics)
    return Words(
        f"Intervals are {level}, {made.en}. This file is complete in "
        "itself: it loads nothing from anywhere. Not a medical device; research use unless "
        "stated otherwise in the model card.",
        f"区间为 {level}，{made.zh}。本文件自成一体，不从任何地方加载内容。"
        "非医疗器械；除模型卡另有说明外仅供研究使用。",
    )
