"""Charts as SVG text, drawn by hand: axes, lines, bands, bars, points. Colours come from the page.

Every chart has the same size in its own units; the page scales it to the column. Words inside are
kept to numbers and axis names, so that nothing can overlap; legends are HTML beside the chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from tomos.evaluate.language import attribute
from tomos.types.words import Text, words

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 12, 44
Tick = tuple[float, str]


class Plot:
    """One pair of axes. `tone` is a class of the page's style: "a", "b", ... or "muted"."""

    def __init__(
        self,
        alt: Text,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_ticks: Sequence[Tick],
        y_ticks: Sequence[Tick],
        x_label: Text,
        y_label: Text,
        height: int = HEIGHT,
    ):
        self.alt, self.height = alt, height
        self.x_range, self.y_range = x_range, y_range
        # Long numbers must not run into the name of their axis.
        self.left = max(LEFT, 20 + max(map(_width, (text for _, text in y_ticks)), default=0))
        self.parts: list[str] = []
        self._frame(x_ticks, y_ticks, x_label, y_label)

    def x(self, value):
        """Data -> place on the picture."""
        low, high = self.x_range
        share = (np.asarray(value, float) - low) / (high - low)
        return self.left + share * (WIDTH - self.left - RIGHT)

    def y(self, value):
        """Data -> place on the picture, upwards."""
        low, high = self.y_range
        share = (np.asarray(value, float) - low) / (high - low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def band(self, x, low, high, tone: str) -> None:
        """A filled strip between low and high."""
        upper, lower = self._points(x, high), self._points(x, low)
        d = "M" + "L".join([*upper, *reversed(lower)]) + "Z"
        self.parts.append(f'<path class="band {tone}" d="{d}"/>')

    def line(self, x, y, tone: str, dashed: bool = False) -> None:
        """A line, broken where it is not finite or leaves the axes."""
        x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
        inside = np.isfinite(x) & np.isfinite(y)
        slack = 1e-9 * (self.y_range[1] - self.y_range[0])
        inside &= (y >= self.y_range[0] - slack) & (y <= self.y_range[1] + slack)
        runs = np.split(np.arange(len(x)), np.flatnonzero(np.diff(inside)) + 1)
        d = "".join("M" + "L".join(self._points(x[r], y[r])) for r in runs if inside[r[0]])
        self.parts.append(f'<path class="line {tone}{" dashed" * dashed}" d="{d}"/>')

    def bars(self, edges, heights, tone: str) -> None:
        """A histogram standing on 0; negative heights hang."""
        left, right = self.x(edges[:-1]), self.x(edges[1:])
        zero, top = float(self.y(0)), self.y(heights)
        d = "".join(
            f"M{a:.1f} {zero:.1f}V{t:.1f}H{b:.1f}V{zero:.1f}Z"
            for a, b, t in zip(left, right, top, strict=True)
            if abs(t - zero) > 0.05
        )
        self.parts.append(f'<path class="bars {tone}" d="{d}"/>')

    def point(self, x: float, y: float, tone: str, x_span=None, y_span=None) -> None:
        """A dot, with the arms of its intervals."""
        if x_span is not None:
            self.line(x_span, [y, y], f"{tone} arm")
        if y_span is not None:
            self.line([x, x], y_span, f"{tone} arm")
        at = f'cx="{float(self.x(x)):.1f}" cy="{float(self.y(y)):.1f}"'
        self.parts.append(f'<circle class="dot {tone}" {at} r="4"/>')

    def dots(self, x, y, tone: str) -> None:
        """Many points as one path, without intervals."""
        d = "".join(f"M{at}h0" for at in self._points(x, y))
        self.parts.append(f'<path class="dots {tone}" d="{d}"/>')

    def span(self, low: float, high: float, tone: str) -> None:
        """A strip from the bottom to the top."""
        a, b = (float(self.x(v)) for v in (low, high))
        box = f'x="{a:.1f}" y="{TOP}" width="{b - a:.1f}" height="{self.height - TOP - BOTTOM}"'
        self.parts.append(f'<rect class="band {tone}" {box}/>')

    def upright(self, x: float, tone: str, dashed: bool = False) -> None:
        """A line from the bottom to the top."""
        self.line([x, x], self.y_range, tone, dashed)

    def svg(self) -> str:
        """The whole picture."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-label="{attribute(self.alt)}">{"".join(self.parts)}</svg>'
        )

    def _points(self, x, y) -> list[str]:
        x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
        fine = np.isfinite(x) & np.isfinite(y)
        px = self.x(np.clip(x[fine], *self.x_range))
        py = self.y(np.clip(y[fine], *self.y_range))
        return [f"{a:.1f} {b:.1f}" for a, b in zip(px, py, strict=True)]

    def _frame(
        self, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick], x_label: Text, y_label: Text
    ) -> None:
        right, bottom = WIDTH - RIGHT, self.height - BOTTOM
        for value, text in x_ticks:
            at = float(self.x(value))
            self.parts.append(f'<path class="grid" d="M{at:.1f} {TOP}V{bottom}"/>')
            self._text(at, bottom + 15, text, "middle")
        for value, text in y_ticks:
            at = float(self.y(value))
            self.parts.append(f'<path class="grid" d="M{self.left:g} {at:.1f}H{right}"/>')
            self._text(self.left - 6, at + 3.5, text, "end")
        self.parts.append(f'<path class="axis" d="M{self.left:g} {TOP}V{bottom}H{right}"/>')
        self._label((self.left + right) / 2, self.height - 8, x_label)
        middle = (TOP + bottom) / 2
        self._label(12, middle, y_label, f' transform="rotate(-90 12 {middle:.1f})"')

    def _text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def _label(self, x: float, y: float, text: Text, turn: str = "") -> None:
        said = words(text)
        at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{turn}'
        if not said.zh or said.zh == said.en:
            self.parts.append(f'<text class="label" {at}>{escape(said.en)}</text>')
            return
        for name, form in (("en", said.en), ("zh", said.zh)):
            self.parts.append(f'<text class="label {name}" {at}>{escape(form)}</text>')


def _width(text: str) -> float:
    """About how wide a number is, at the size of small screens."""
    return sum({".": 4.2, "−": 13.0, "-": 5.0}.get(letter, 7.6) for letter in text)


def ticks(low: float, high: float, most: int = 6) -> list[Tick]:
    """Round numbers between low and high: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(1, most - 1)
    if not np.isfinite(rough) or rough <= 0:
        return [(low, f"{low:g}")]
    power = 10 ** np.floor(np.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    values = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    return [(float(v), f"{round(float(v), 10) + 0:g}") for v in values]


def fifths() -> list[Tick]:
    """0, 0.2, ... 1."""
    return [(i / 5, f"{i / 5:g}") for i in range(6)]


def thousand(counts: Sequence[tuple[str, int]], alt: Text) -> str:
    """A thousand small squares, 50 a row, coloured by class: (tone, count) in order."""
    paths, place = [], 0
    for tone, count in counts:
        d = "".join(f"M{(i % 50) * 8} {(i // 50) * 8}h6v6h-6z" for i in range(place, place + count))
        paths.append(f'<path class="people {tone}" d="{d}"/>')
        place += count
    rows = -(-place // 50)
    return (
        f'<svg class="thousand" viewBox="0 0 398 {rows * 8 - 2}" role="img" '
        f'aria-label="{attribute(alt)}">{"".join(paths)}</svg>'
    )
