"""Charts of masks: how a figure spreads over cases, and what was found against what is true."""

from __future__ import annotations

import numpy as np

from tomos.evaluate.language import attribute
from tomos.evaluate.markup import figure_box
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.numbers import count, decimals, figure, interval
from tomos.evaluate.svg import Plot, Tick, ticks
from tomos.types.words import Text, Words, words

WIDTH, HEIGHT, EDGE = 400, 44, 6
MOST_DOTS = 400  # of one strip; beyond, only those outside the whiskers


def strip(values: np.ndarray, low: float, alt: Text) -> str:
    """One figure over cases as dots, with median, quartiles and whiskers (Tukey's 1.5 of the box).

    values (n,) finite; the axis goes from `low` to 1, and what lies below stands at its end.
    """
    q1, middle, q3 = np.quantile(values, (0.25, 0.5, 0.75))
    inside = values[(values >= q1 - 1.5 * (q3 - q1)) & (values <= q3 + 1.5 * (q3 - q1))]

    def place(value):
        share = (np.clip(value, low, 1.0) - low) / (1.0 - low)
        return EDGE + share * (WIDTH - 2 * EDGE)

    start, a, m, b, end = (float(place(v)) for v in (inside.min(), q1, middle, q3, inside.max()))
    drawn = values
    if len(values) > MOST_DOTS:
        drawn = values[(values < inside.min()) | (values > inside.max())]
    # The golden ratio spreads neighbours over the height, the same at every drawing.
    heights = 9 + 26 * ((np.arange(len(drawn)) * 0.6180339887) % 1)
    rising = place(np.sort(drawn))
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(rising, heights, strict=True))
    top, bottom = 7, HEIGHT - 7
    return (
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{attribute(alt)}">'
        f'<path class="grid" d="M{EDGE} {HEIGHT / 2}H{WIDTH - EDGE}"/>'
        f'<path class="line muted" d="M{start:.1f} {HEIGHT / 2}H{a:.1f}'
        f'M{b:.1f} {HEIGHT / 2}H{end:.1f}"/>'
        f'<rect class="band a" x="{a:.1f}" y="{top}" width="{max(b - a, 1):.1f}" '
        f'height="{bottom - top}"/>'
        f'<path class="dots a" d="{dots}"/>'
        f'<path class="line b middle" d="M{m:.1f} {top - 4}V{bottom + 4}"/></svg>'
    )


def against_truth(view: MaskView, index: int) -> str:
    """Extent found over true extent of one class, the line of equality dashed."""
    found, truth, scale = _extents(view, index)
    ends = _ends(np.concatenate([found, truth]))
    name, extent = view.table.classes[index], view.extent
    plot = Plot(
        Words(f"Found against true {extent.en} of {name}", f"{name} 的预测与参考{extent.zh}"),
        ends,
        ends,
        _ticks(*ends),
        _ticks(*ends),
        Words(f"True {extent.en} ({scale.en})", f"参考{extent.zh}（{scale.zh}）"),
        Words(f"Found {extent.en} ({scale.en})", f"预测{extent.zh}（{scale.zh}）"),
    )
    plot.line(ends, ends, "muted", dashed=True)
    plot.dots(truth, found, "a")
    n = count(len(found))
    return figure_box(
        Words(f"{name}: found against true", f"{name}：预测与参考"),
        plot.svg(),
        Words(
            f"A dot is a case, n = {n}. Above the dashed line too much was found.",
            f"每点为一例，n = {n}。虚线上方表示分割过大。",
        ),
        [("muted dashed", Words("found = true", "预测 = 参考"))],
    )


def agreement(view: MaskView, index: int) -> str:
    """Difference over mean of both extents, with the limits of agreement (Bland and Altman)."""
    found, truth, scale = _extents(view, index)
    name, extent = view.table.classes[index], view.extent
    entry = view.metrics["per_class"][name]["volume_difference"]
    gap, middle = found - truth, (found + truth) / 2
    limits = entry["limits_of_agreement"] or {}
    divisor = _scale(view)[0]
    lines = [limits[end]["value"] / divisor for end in limits if limits[end]["value"] is not None]
    # Differences of next to nothing are shown as such, not spread over the whole height.
    reach = 1.12 * max([1e-9, 0.05 * float(middle.max()), *np.abs(gap), *map(abs, lines)])
    ends = _ends(middle)
    plot = Plot(
        Words(f"Bland-Altman plot of {name}", f"{name} 的 Bland-Altman 图"),
        ends,
        (-reach, reach),
        _ticks(*ends),
        _ticks(-reach, reach),
        Words(f"Mean of both ({scale.en})", f"两者均值（{scale.zh}）"),
        Words(f"Found − true ({scale.en})", f"预测 − 参考（{scale.zh}）"),
    )
    plot.line(ends, (0, 0), "muted")
    for value in lines:
        plot.line(ends, (value, value), "b", dashed=True)
    if entry["value"] is not None:
        plot.line(ends, (entry["value"] / divisor,) * 2, "b")
    plot.dots(middle, gap, "a")
    return figure_box(
        Words(f"{name}: agreement of the {extent.en}s", f"{name}：{extent.zh}一致性"),
        plot.svg(),
        _said(view, entry),
        [
            ("b", Words("mean difference", "平均差值")),
            ("b dashed", Words("95 % limits of agreement", "95 % 一致性界限")),
        ],
    )


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Of an axis: from 0, unless all values lie far from it."""
    low, high = float(values.min()), float(values.max())
    if low > 0.4 * high:
        return low - 0.2 * (high - low) - 0.01 * high, high + 0.2 * (high - low) + 0.01 * high
    return 0.0, max(1e-9, 1.08 * high)


def _ticks(low: float, high: float) -> list[Tick]:
    return [(value, text.replace("-", "−")) for value, text in ticks(low, high)]


def _said(view: MaskView, entry: dict) -> Words:
    """Mean difference and limits in words, in the table's own unit."""
    digits = decimals(entry["mean_truth"] or 0)
    span, unit = interval(entry, digits), view.unit
    value, n = figure(entry["value"], digits), count(entry["n"])
    en = f"Mean difference {value} {unit.en} {span.en}"
    zh = f"平均差值 {value} {unit.zh or unit.en}{span.zh}"
    limits = entry["limits_of_agreement"]
    if limits:
        low, high = (figure(limits[end]["value"], digits) for end in ("lower", "upper"))
        en += f"; 95 % of differences between about {low} and {high}"
        zh += f"；约 95 % 的差值介于 {low} 与 {high} 之间"
    return Words(f"{en}; n = {n}.", f"{zh}；n = {n}。")


def _extents(view: MaskView, index: int) -> tuple[np.ndarray, np.ndarray, Words]:
    """What was found and what is true, of the cases in which the class counts; their unit."""
    counted = view.table.counted[:, index]
    divisor, scale = _scale(view)
    found, truth = (view.table.extent(side)[counted, index] for side in ("found", "truth"))
    return found / divisor, truth / divisor, scale


def _scale(view: MaskView) -> tuple[float, Words]:
    """What the axes are divided by, so that their numbers stay short, and the unit that gives."""
    unit = words(view.unit)
    unit = Words(unit.en, unit.zh or unit.en)
    largest = max(float(view.table.extent(side).max(initial=0)) for side in ("found", "truth"))
    if largest < 1e4:
        return 1.0, unit
    if view.metrics["unit"] == "mm2":
        return 100.0, Words("cm²", "cm²")
    return 1000.0, Words(f"1,000 {unit.en}", f"千{unit.zh}")
