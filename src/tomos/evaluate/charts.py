"""The curves as figures, each with a legend and one sentence on how to read it."""

from __future__ import annotations

import numpy as np

from tomos.evaluate.markup import figure_box
from tomos.evaluate.numbers import figure, interval, percent
from tomos.evaluate.svg import HEIGHT, Plot, fifths, ticks
from tomos.evaluate.view import TONES, View
from tomos.measures.calibration import logit
from tomos.types import Words

UNIT = (0.0, 1.0)
MOST_BANDS = 3  # more strips on one chart hide each other


def roc(view: View) -> str:
    """ROC curves with bands over patients; with two classes also the operating point."""
    plot = Plot(
        Words(f"ROC curve, {view.cases.en}", f"ROC 曲线，{view.cases.zh}"),
        UNIT,
        UNIT,
        fifths(),
        fifths(),
        Words("1 − specificity (false alarms)", "1 − 特异度（误报率）"),
        Words("Sensitivity", "敏感度"),
    )
    plot.line(UNIT, UNIT, "muted", dashed=True)
    legend: list = []
    for tone, curve in zip(TONES, view.curves, strict=False):
        if len(view.curves) <= MOST_BANDS:
            plot.band(curve.roc_band.x, curve.roc_band.low, curve.roc_band.high, tone)
        plot.line(*curve.roc, tone)
        legend.append((tone, _named(view, curve.name, "auroc", "AUROC")))
    caption, zh = "", ""
    if len(view.curves) <= MOST_BANDS:
        caption = "The strip holds 95 % of the curves of patients drawn again."
        zh = "色带为对患者重抽样所得曲线的 95 % 范围。"
    overall = view.metrics["overall"]
    if view.table.is_binary and overall["sensitivity"]["value"] is not None:
        sens, spec = overall["sensitivity"], overall["specificity"]
        if spec["value"] is not None:
            spans = [(1 - spec["high"], 1 - spec["low"]), (sens["low"], sens["high"])]
            plot.point(1 - spec["value"], sens["value"], "b", *spans)
            legend.append(("b dot", Words("operating point", "工作点")))
    return figure_box(
        Words("ROC: finding against false alarms", "ROC：检出与误报"),
        plot.svg(),
        _caption(view, caption, zh),
        legend,
    )


def precision_recall(view: View) -> str:
    """PR curves with bands; the dashed line is what calling everybody positive gives."""
    plot = Plot(
        Words(f"Precision-recall curve, {view.cases.en}", f"精确率-召回率曲线，{view.cases.zh}"),
        UNIT,
        UNIT,
        fifths(),
        fifths(),
        Words("Sensitivity (recall)", "敏感度（召回率）"),
        Words("Precision", "精确率"),
    )
    legend: list = []
    for tone, curve in zip(TONES, view.curves, strict=False):
        share = curve.n_positive / curve.n
        plot.line(UNIT, (share, share), f"{tone} faint", dashed=True)
        if len(view.curves) <= MOST_BANDS:
            plot.band(curve.pr_band.x, curve.pr_band.low, curve.pr_band.high, tone)
        plot.line(*curve.pr, tone)
        legend.append((tone, _named(view, curve.name, "average_precision", "AP")))
    legend.append(("muted dashed", Words("share of cases in this data", "本数据中的病例占比")))
    return figure_box(
        Words("Precision and recall", "精确率与召回率"),
        plot.svg(),
        _caption(
            view,
            "Precision depends on how common the finding is, here and elsewhere.",
            "精确率取决于病变在人群中有多常见。",
        ),
        legend,
    )


def reliability(view: View) -> str:
    """What was said against what came true, in groups of equally many cases."""
    plot = Plot(
        Words(f"Reliability curve, {view.cases.en}", f"可靠性曲线，{view.cases.zh}"),
        UNIT,
        UNIT,
        fifths(),
        fifths(),
        Words("Probability said by the model", "模型给出的概率"),
        Words("Share that came true", "实际比例"),
    )
    plot.line(UNIT, UNIT, "muted", dashed=True)
    legend: list = []
    for tone, curve in zip(TONES, view.curves, strict=False):
        said = [b.said for b in curve.bins]
        plot.line(said, [b.came.value for b in curve.bins], f"{tone} faint")
        for b in curve.bins:
            arms = (b.came.low, b.came.high) if len(view.curves) == 1 else None
            plot.point(b.said, b.came.value, tone, y_span=arms)
        each = curve.bins[0].n
        legend.append(
            (
                f"{tone} dot",
                Words(
                    f"{curve.name}, {len(curve.bins)} groups of about {each}",
                    f"{curve.name}，{len(curve.bins)} 组，每组约 {each} 例",
                ),
            )
        )
    legend.append(("muted dashed", Words("what perfect calibration gives", "完全校准")))
    ece = view.metrics["overall"]["ece"]
    span = interval(ece)
    return figure_box(
        Words("Reliability of the probabilities", "概率的可靠性"),
        plot.svg(),
        _caption(
            view,
            f"Calibration error {figure(ece['value'])} {span.en}. "
            "Points above the line: the model says too little.",
            f"校准误差 {figure(ece['value'])} {span.zh}。点在虚线上方：模型说低了。",
        ),
        legend,
    )


def decision(view: View) -> str:
    """Net benefit of acting on the model, with two classes."""
    if not view.table.is_binary or not view.curves:
        return ""
    curve, band = view.curves[0].decision, view.curves[0].decision_band
    high = max(0.02, float(np.nanmax(band.high)) * 1.08, curve.prevalence * 1.05)
    plot = Plot(
        Words(f"Decision curve, {view.cases.en}", f"决策曲线，{view.cases.zh}"),
        UNIT,
        (-0.15 * high, high),
        fifths(),
        ticks(0, high, 5),
        Words("Probability from which one would act", "采取行动的概率阈值"),
        Words("Net benefit", "净获益"),
    )
    plot.band(band.x, band.low, band.high, "a")
    inside = curve.treat_all > -0.15 * high
    plot.line(curve.thresholds[inside], curve.treat_all[inside], "b")
    plot.line(UNIT, (0, 0), "muted")
    plot.line(curve.thresholds, curve.model, "a")
    share = percent(curve.prevalence)
    return figure_box(
        Words("Decision curve: is it worth using?", "决策曲线：用它是否值得？"),
        plot.svg(),
        _caption(
            view,
            f"Findings per person, less false alarms at the odds of the threshold; {share} have "
            "it. The model is worth using where its line is the highest.",
            f"每人净检出数，已按阈值比数扣除误报；患病比例 {share}。模型曲线最高处，使用它才值得。",
        ),
        [
            ("a", Words("act on the model", "依模型行动")),
            ("b", Words("act on everybody", "对所有人行动")),
            ("muted", Words("act on nobody", "对任何人都不行动")),
        ],
    )


def distributions(view: View) -> list[str]:
    """How the probabilities spread, for one class of two or for each of the classes shown."""
    return [_distribution(view, i) for i in range(len(view.curves))]


def _distribution(view: View, index: int) -> str:
    curve = view.curves[index]
    every = np.concatenate([curve.positive, curve.negative])
    low, high = min(-4.7, float(every.min())) - 0.1, max(4.7, float(every.max())) + 0.1
    edges = np.linspace(low, high, 49)
    up = np.histogram(curve.positive, edges)[0] / len(curve.positive)
    down = np.histogram(curve.negative, edges)[0] / len(curve.negative)
    top = 1.08 * max(up.max(), down.max())
    shown = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
    marks = [(float(logit(p)), f"{p:g}") for p in shown if low < logit(p) < high]
    plot = Plot(
        Words(f"Probabilities by class, {view.cases.en}", f"各类概率分布，{view.cases.zh}"),
        (low, high),
        (-top, top),
        marks,
        [(v, f"{abs(v):g}") for v, _ in ticks(-top, top, 5)],
        Words(f"Probability of {curve.name}", f"{curve.name} 的概率"),
        Words("Share of the class", "占该类的比例"),
        HEIGHT if view.table.is_binary else 220,
    )
    plateau = _plateau(view, plot, (low, high))
    plot.bars(edges, up, TONES[index])
    plot.bars(edges, -down, "muted")
    other = Words(view.negative) if view.table.is_binary else Words("other classes", "其他类别")
    legend: list = [
        (f"{TONES[index]} box", Words(curve.name) + f" (n = {curve.n_positive})"),
        ("muted box", other + f" (n = {curve.n - curve.n_positive})"),
    ]
    if view.table.is_binary:
        threshold = view.operating["threshold"]
        plot.upright(float(logit(threshold)), "b")
        legend.append(("b", Words("threshold", "阈值") + f" {threshold:.3f}"))
    return figure_box(
        Words("How the scores spread", "得分的分布")
        if view.table.is_binary
        else Words(f"How the scores spread: {curve.name}", f"得分的分布：{curve.name}"),
        plot.svg(),
        _caption(
            view, plateau.en + "The scale is that of log odds.", plateau.zh + "横轴为对数比数。"
        ),
        legend,
    )


def _plateau(view: View, plot: Plot, ends: tuple[float, float]) -> Words:
    """Shade the thresholds that were as good on validation, and say so; with two classes only."""
    point = view.report.operating
    if point is None or not view.table.is_binary or point.high <= point.low:
        return Words("", "")
    low, high = (float(np.clip(logit(v), *ends)) for v in (point.low, point.high))
    plot.span(low, high, "muted")
    return Words(
        f"Any threshold in the grey strip, {point.low:.3f} to {point.high:.3f}, was about "
        "as good on validation. ",
        f"灰色带（{point.low:.3f} 至 {point.high:.3f}）内的阈值在验证集上同样好。",
    )


def training(losses: dict, title: Words, y_label: Words, best: int) -> str:
    """One line a name over epochs, from 1; the kept epoch is marked."""
    longest = max(len(values) for values in losses.values())
    known = np.concatenate([np.asarray(v, float) for v in losses.values()])
    known = known[np.isfinite(known)]
    if longest < 2 or not len(known):
        return ""
    low, high = float(known.min()), float(known.max())
    margin = 0.05 * (high - low) or 0.05
    span = (low - margin, high + margin)
    epochs = [(float(round(v)), t) for v, t in ticks(1, longest) if v == round(v)]
    plot = Plot(
        title, (1, longest), span, epochs, ticks(*span), Words("Epoch", "训练轮次"), y_label
    )
    legend: list = []
    names = {"train": Words("training", "训练"), "val": Words("validation", "验证")}
    if best:
        plot.upright(min(best, longest), "muted", dashed=True)
    for tone, (name, values) in zip(("c", "a", "b", "d", "e", "f"), losses.items(), strict=False):
        plot.line(np.arange(1, len(values) + 1), values, tone)
        legend.append((tone, names.get(name, Words(name))))
    if best:
        legend.append(("muted dashed", Words(f"kept: epoch {best}", f"保留第 {best} 轮")))
    return figure_box(title, plot.svg(), "", legend)


def _named(view: View, name: str, metric: str, short: str) -> Words:
    """Class, figure and interval, for a legend."""
    entry = view.metrics["per_class"][name][metric]
    span = interval(entry)
    value = f"{short} {figure(entry['value'])}"
    return Words(f"{name}: {value} {span.en}", f"{name}：{value} {span.zh}")


def _caption(view: View, en: str, zh: str) -> Words:
    return Words(f"{en} {view.cases.en}.".strip(), f"{zh}{view.cases.zh}。")
