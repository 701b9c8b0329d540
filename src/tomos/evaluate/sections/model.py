"""The plan with its reasons, how training went, and the model card."""

from __future__ import annotations

from html import escape

import numpy as np

from tomos.evaluate import charts
from tomos.evaluate.language import both
from tomos.evaluate.markup import definitions, section, table
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import machine, metric
from tomos.evaluate.numbers import count
from tomos.evaluate.report_data import NOT_STATED, Training
from tomos.evaluate.view import View
from tomos.measures.intervals import seed_spread
from tomos.types.words import Text, Words


def plan(view: View | MaskView) -> str:
    """Every choice with its reason."""
    rows = [
        [both(choice.name), _chosen(choice.value), both(choice.reason)]
        for choice in view.report.plan
    ]
    if not rows:
        return ""
    head = [Words("Choice", "选择"), Words("Value", "取值"), Words("Reason", "理由")]
    lead = Words(
        "What training carried out, fixed before it began.", "训练所执行的方案，在开始前已确定。"
    )
    return section("plan", Words("Plan", "方案"), table(head, rows, name="wide"), lead)


def _chosen(value: Text) -> str:
    return both(value) if isinstance(value, Words) else f"<code>{escape(value)}</code>"


def training(view: View | MaskView) -> str:
    """Loss and score over epochs, time and machine, and the spread over seeds."""
    run = view.report.training
    if run is None:
        return ""
    boxes = []
    if run.losses:
        title = Words("Loss over training", "训练损失")
        boxes.append(charts.training(dict(run.losses), title, Words("Loss", "损失"), run.best))
    if run.scores:
        name = metric(run.score_name)
        title = Words(f"{name.en} over training", f"训练中的 {name.zh}")
        boxes.append(charts.training(dict(run.scores), title, name, run.best))
    facts = []
    if run.seconds:
        time = Words(f"{run.seconds / 60:.1f} minutes", f"{run.seconds / 60:.1f} 分钟")
        facts.append((Words("Training time", "训练用时"), time))
    if run.machine:
        facts.append((Words("Machine", "机器"), machine(run.machine)))
    body = f'<div class="figures">{"".join(boxes)}</div>' if any(boxes) else ""
    return section(
        "training", Words("Training", "训练过程"), body + definitions(facts) + _seeds(run)
    )


def _seeds(run: Training) -> str:
    rows = []
    for name, values in run.seeds.items():
        mean, deviation = seed_spread(np.asarray(values, float))
        spread = "–" if np.isnan(deviation) else f"{deviation:.4f}"
        span = Words("no interval", "无区间")
        if not np.isnan(mean.low):
            low, high = f"{mean.low:.3f}", f"{mean.high:.3f}"
            span = Words(f"{low} to {high}", f"{low} 至 {high}")
        rows.append([both(metric(name)), f"{mean.value:.3f}", spread, both(span), str(len(values))])
    if not rows:
        return ""
    head = [
        Words("Over seeds", "多随机种子"),
        Words("Mean", "均值"),
        Words("SD", "标准差"),
        Words("95 % interval of the mean", "均值的 95 % 区间"),
        Words("Seeds", "种子数"),
    ]
    return table(head, rows, 1)


def card(view: View | MaskView) -> str:
    """The model card: what for, what not, limits, licence, versions."""
    this = view.report.card
    facts = [
        (Words("Model", "模型"), f"{this.name} {this.version}".strip()),
        (Words("Purpose", "用途"), this.purpose),
        (Words("Intended use", "预期用途"), this.intended_use),
        (Words("Not for", "不适用于"), this.not_for),
        (Words("Users", "使用者"), this.users),
        (Words("Input", "输入"), this.inputs),
        (Words("Heat maps", "热图"), this.heat_maps),
        (Words("Licence", "许可"), this.licence),
        (Words("Contact", "联系方式"), this.contact),
        (Words("Made", "制作日期"), this.made),
        (Words("Parameters", "参数量"), count(this.parameters) if this.parameters else ""),
        (Words("Versions", "软件版本"), _versions(this.versions)),
    ]
    body = definitions([(name, said or NOT_STATED) for name, said in facts])
    if this.limits:
        items = "".join(f"<li>{both(text)}</li>" for text in this.limits)
        body += f"<h3>{both(Words('Known limits', '已知局限'))}</h3><ul>{items}</ul>"
    return section("card", Words("Model card", "模型卡"), body)


def _versions(versions) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
