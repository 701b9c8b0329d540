"""What the preparation of an image takes, foreseen from its steps without carrying them out."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tomos.transforms.prepare import Chain
from tomos.transforms.prepare.orient import turns
from tomos.types import Image

FLOAT = 4
IN_PLACE = ("fixed", "range")  # kinds of `normalise` that need no second state of the values


@dataclass(slots=True)
class Preparing:
    """An image on its way through the steps.

    size     ([Z,] Y, X), and what will be the spacing along each
    item     bytes a value; whole numbers become float32 in the first step that computes
    held     bytes of the present pixels, 0 while these are the image's own
    peak     bytes that were needed at once so far, beside the image
    """

    image: Image
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    channels: int
    item: int
    held: int = 0
    peak: int = 0

    @staticmethod
    def through(image: Image, chain: Chain) -> Preparing:
        """At the end of all steps; those that only cut are taken to leave everything."""
        whole = image.pixels.dtype != "float32"
        item = image.pixels.itemsize if whole else FLOAT
        now = Preparing(image, image.size, image.spacing, image.channels, item)
        for step in chain.data:
            name = step["step"]
            if name == "orient":
                now._turned()
            elif name == "resample" and len(step["spacing"]) == len(now.size):
                new = tuple(step["spacing"])
                sides = zip(now.size, now.spacing, new, strict=True)
                now._resampled(tuple(max(1, round(n * old / s)) for n, old, s in sides), new)
            elif name == "resize" and len(step["size"]) == len(now.size):
                sides = zip(now.size, now.spacing, step["size"], strict=True)
                new = tuple(n * old / side for n, old, side in sides)
                now._resampled(tuple(step["size"]), new)
            elif name != "channels":
                states = 1 if step.get("kind") in IN_PLACE else 2
                now._computed(now.channels, 3 if step.get("only") else states)
            elif step["to"] != now.channels:
                now._computed(step["to"], 1)
        last = 0 if now.held and now.item == FLOAT else FLOAT * now.values
        now.peak = max(now.peak, now.held + last + now.values)  # float32, and a look at each value
        return now

    @property
    def values(self) -> int:
        return self.channels * prod(self.size)

    def _turned(self) -> None:
        if not self.image.is_volume or self.image.frame != "patient":
            return
        order, flips = turns(self.image.affine)
        self.size = tuple(self.size[axis] for axis in order)
        self.spacing = tuple(self.spacing[axis] for axis in order)
        if order != (0, 1, 2) or any(flips):
            copy = self.item * self.values
            self.peak, self.held = max(self.peak, self.held + copy), copy

    def _resampled(self, size: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Axis by axis, those that shrink most first; two states of the pixels live at once."""
        before = 0 if self.item == FLOAT else FLOAT * self.values
        sides, old = list(self.size), self.spacing
        for axis in sorted(range(len(size)), key=lambda a: size[a] / self.size[a]):
            if size[axis] == sides[axis] and spacing[axis] == old[axis]:
                continue  # passed on as it is
            sides[axis] = size[axis]
            after = FLOAT * self.channels * prod(sides)
            self.peak = max(self.peak, self.held + before + after)
            before = after
        self.size, self.spacing, self.item = size, spacing, FLOAT
        self.held = before or self.held

    def _computed(self, channels: int, states: int) -> None:
        """A step that makes every value anew, so many states of them at once."""
        most = FLOAT * max(channels, self.channels) * prod(self.size)
        self.peak = max(self.peak, self.held + (states + (self.item != FLOAT)) * most)
        self.channels, self.item = channels, FLOAT
        self.held = FLOAT * self.values
