"""Which part of a picture can change a place of a map: receptive fields, exactly.

Along each axis the places of a map lie at an even distance, and each sees the pixels from `first`
to `last`. After up-sampling neighbours may see the same, so that both repeat with a period: place
i + period sees what place i sees, `advance` pixels further on. A window takes the first of the
firsts and the last of the lasts (Dumoulin and Visin 2016, arXiv:1603.07285); where ways join, the
hull of what they see counts. The borders of the picture are not: fields are those of its middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Window = Callable[[int], Sequence[int]]


@dataclass(frozen=True)
class Axis:
    """What the places of one period see along an axis, in pixels of the picture, both ends in."""

    first: tuple[int, ...] = (0,)
    last: tuple[int, ...] = (0,)
    advance: int = 1

    @property
    def side(self) -> int:
        """Pixels that the place with the largest field sees."""
        return max(b - a + 1 for a, b in zip(self.first, self.last, strict=True))

    def at(self, place: int) -> tuple[int, int]:
        turn, phase = divmod(place, len(self.first))
        return self.first[phase] + turn * self.advance, self.last[phase] + turn * self.advance

    def seen(self, places: Sequence[int]) -> tuple[int, int]:
        ends = [self.at(place) for place in places]
        return min(a for a, _ in ends), max(b for _, b in ends)

    def through(self, window: Window, period: int, advance: int) -> Axis:
        """The axis after an operation whose place i is made of the places `window(i)`."""
        ends = [self.seen(window(place)) for place in range(period)]
        return Axis(tuple(a for a, _ in ends), tuple(b for _, b in ends), advance)

    def windowed(self, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> Axis:
        """After a convolution or pooling."""
        period = len(self.first) // math.gcd(len(self.first), stride)
        return self.through(
            lambda i: [i * stride - padding + k * dilation for k in range(kernel)],
            period,
            self.advance * (period * stride // len(self.first)),
        )

    def spread(self, kernel: int, stride: int, padding: int = 0) -> Axis:
        """After a transposed convolution: place i reaches i * stride - padding + 0..kernel-1. (A
        place that none reaches holds the bias only; it is taken to see what its neighbour sees.)"""

        def window(i: int) -> Sequence[int]:
            last = (i + padding) // stride
            return range(min(last, -((kernel - 1 - i - padding) // stride)), last + 1)

        return self.through(window, len(self.first) * stride, self.advance)

    def interpolated(self, factor: int, linear: bool) -> Axis:
        """After up-sampling by a whole number, without aligned corners."""

        def window(i: int) -> Sequence[int]:
            # Places (2i + 1 - factor) / (2 factor): the whole one below, and the one above.
            below, rest = divmod(2 * i + 1 - factor, 2 * factor)
            return [below, below + (rest > 0)] if linear else [i // factor]

        return self.through(window, len(self.first) * factor, self.advance)

    def joined(self, other: Axis) -> Axis | None:
        """The hull of both; None where their places do not lie equally far apart."""
        mine, theirs = len(self.first), len(other.first)
        period = math.lcm(mine, theirs)
        advance = self.advance * (period // mine)
        if advance != other.advance * (period // theirs):
            return None
        ends = [(*self.at(i), *other.at(i)) for i in range(period)]
        first = tuple(min(a, c) for a, _, c, _ in ends)
        return Axis(first, tuple(max(b, d) for _, b, _, d in ends), advance)


Field = tuple[Axis, ...] | None  # one an axis; None: the whole picture, or not known


def hull(fields: Sequence[Field]) -> Field:
    """Of ways that join."""
    found = fields[0]
    for field in fields[1:]:
        if found is None or field is None or len(found) != len(field):
            return None
        axes = [a.joined(b) for a, b in zip(found, field, strict=True)]
        found = tuple(axis for axis in axes if axis is not None)
        if len(found) < len(axes):
            return None
    return found


def sides(field: Field) -> tuple[int, ...] | None:
    return None if field is None else tuple(axis.side for axis in field)
