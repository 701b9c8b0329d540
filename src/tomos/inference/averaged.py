"""Several graphs and several views of a picture, as one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tomos.inference.network import Network
from tomos.transforms import views as turned
from tomos.types import PackageError, SettingsError


class Averaged:
    """The mean over graphs and views: logits (before any calibration) and maps, turned back.

    maps  the outputs that lie on the picture's grid: "cam"; for masks "logits"

    `features` are those of the first graph on the first view: features of different networks have
    nothing in common to be averaged.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        views: Sequence[str] = ("identity",),
        maps: Sequence[str] = ("cam",),
    ):
        if not networks or not views:
            raise PackageError("expected at least one graph and one view")
        self.networks = tuple(networks)
        self.views, self.maps = tuple(views), tuple(maps)
        common = set(networks[0].outputs).intersection(*(n.outputs for n in networks))
        self.outputs = tuple(name for name in networks[0].outputs if name in common)

    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        names = tuple(wanted or self.outputs)
        sums = {name: _Mean(name) for name in names}
        x = inputs["image"]
        for name in self.views:
            picture = {"image": np.ascontiguousarray(turned.view(x, name))}
            for place, network in enumerate(self.networks):
                first = place == 0 and name == self.views[0]
                asked = [n for n in names if n != "features" or first]
                if not asked:
                    continue
                for key, value in network(picture, asked).items():
                    sums[key].add(turned.undo(value, name) if key in self.maps else value)
        return {name: mean.value() for name, mean in sums.items()}


def check_views(views: Sequence[str], size: Sequence[int]) -> None:
    """Refuse a view that is not known, or that swaps the sides of a picture that is not square."""
    probe = np.zeros(tuple(size))
    for name in views:
        try:
            shape = turned.view(probe, name).shape
        except SettingsError as error:
            raise PackageError(f"views: {error}") from None
        if shape != probe.shape:
            raise PackageError(f"the view {name!r} needs square pictures, the model takes {size}")


class _Mean:
    """Of arrays that come one by one: scores of a tile may be many times as large as the tile."""

    def __init__(self, name: str):
        self._name, self._count = name, 0
        self._sum: np.ndarray = np.zeros(0, np.float32)

    def add(self, value: np.ndarray) -> None:
        self._count += 1
        if self._count == 1:
            self._sum = value
            return
        if value.shape != self._sum.shape:
            raise PackageError(
                f"the graphs give {self._name} of different shapes, {self._sum.shape} and "
                f"{value.shape}; such an ensemble cannot be averaged"
            )
        # Not in place the first time: the array may be the network's own.
        out = self._sum if self._count > 2 else None
        self._sum = np.add(self._sum, value, out=out, dtype=np.float32)

    def value(self) -> np.ndarray:
        if self._count == 1:
            return self._sum
        return np.divide(self._sum, self._count, out=self._sum, dtype=np.float32)
