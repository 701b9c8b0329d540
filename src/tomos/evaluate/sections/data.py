"""Where the data come from, how they were split, what was dropped, and their shortcuts."""

from __future__ import annotations

from tomos.evaluate.language import both
from tomos.evaluate.markup import definitions, forest, section, table
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import metric, split
from tomos.evaluate.numbers import count
from tomos.evaluate.view import View
from tomos.types.words import Text, Words


def data(view: View | MaskView) -> str:
    """The data summary; at least the test cases themselves."""
    summary = view.report.data
    facts = [
        (Words("Data set", "数据集"), summary.name or view.metrics["dataset"]),
        (Words("Source", "来源"), summary.source),
        (Words("Licence", "许可"), summary.licence),
        (Words("Modality", "模态"), ", ".join(summary.modalities)),
        (Words("Split", "划分方式"), summary.split_rule),
    ]
    body = definitions([fact for fact in facts if fact[1]])
    body += _splits(view) + _dropped(view) + _shortcuts(view)
    return section("data", Words("Data", "数据"), body)


def _splits(view: View | MaskView) -> str:
    # How many cases hold a label is not counted where labels are masks.
    known = any(part.per_class for part in view.report.data.splits)
    classes = view.table.classes if known or not view.report.data.splits else ()
    rows = []
    for part in view.report.data.splits:
        counts = [count(part.per_class.get(name, 0)) for name in classes]
        name = both(split(part.name))
        rows.append([name, count(part.n_cases), count(part.n_patients), *counts])
    if not rows:
        counts = [count(n) for n in view.metrics["n_per_class"].values()]
        sizes = [count(view.metrics[key]) for key in ("n_cases", "n_patients")]
        rows.append([both(split(view.metrics["split"])), *sizes, *counts])
    head: list[Text] = [Words("Part", "部分"), Words("Cases", "例数"), Words("Patients", "患者")]
    head += list(classes)
    return table(head, rows, 1)


def _dropped(view: View | MaskView) -> str:
    summary = view.report.data
    items = [f"<li>{both(why)}: {count(n)}</li>" for why, n in summary.dropped if n] + [
        f"<li>{both(text)}</li>" for text in summary.problems
    ]
    if not items:
        return ""
    title = both(Words("Dropped, and what the check found", "剔除项与检查发现"))
    return f"<h3>{title}</h3><ul>{''.join(items)}</ul>"


def _shortcuts(view: View | MaskView) -> str:
    rows = []
    for shortcut in view.report.data.shortcuts:
        part = split(shortcut.split)
        figure = metric(shortcut.metric)
        about = Words(
            f"{figure.en}, n = {count(shortcut.n)}, {part.en}. ",
            f"{figure.zh}，n = {count(shortcut.n)}，{part.zh or part.en}集。",
        )
        entry = {"value": shortcut.value, "low": shortcut.low, "high": shortcut.high}
        rows.append((both(shortcut.name), entry, both(about + shortcut.note)))
    if not rows:
        return ""
    title = both(
        Words("Shortcuts: what can be told without the disease", "捷径：不看病变也能猜到多少")
    )
    lead = Words(
        "A model was given only what should not matter. Far above chance (the line) means that "
        "the pictures' origin gives the label away.",
        "只给模型无关信息。若远高于随机水平（竖线），说明图像来源泄露了标签。",
    )
    chance = view.report.data.shortcuts[0].chance
    return f'<h3>{title}</h3><p class="lead">{both(lead)}</p>{forest(rows, mark=chance)}'
