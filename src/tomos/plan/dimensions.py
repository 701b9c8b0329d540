"""Whether volumes are learned from as volumes, slice by slice, or in both ways at once.

A network of volumes is the better one where voxels are near to cubes. Where slices lie far apart,
neighbours hold little of what a slice shows, and a network of slices, which may see its neighbours
as further channels, is as good and quicker; in between the two together are best (Isensee et al.
2021, doi:10.1038/s41592-020-01008-z, who call a grid anisotropic from a factor of 3 on). `FAR` and
`CONTEXT` are first guesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tomos.config.plugins import did_you_mean
from tomos.plan.mask_fingerprint import MaskFingerprint
from tomos.plan.segment import ANISOTROPIC
from tomos.types import PlanError, Words
from tomos.types.words import plain

Ways = Literal["auto", "3d", "2d", "2.5d", "both"]
WAYS: tuple[Ways, ...] = get_args(Ways)
FAR = 6.0  # times: slices so much further apart than pixels have little to do with each other
CONTEXT = 1  # neighbours on each side
PLANES = 2 / 3  # power of a lesion's voxels that lie in one slice


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of network. `flat`: of slices, each with `context` neighbours on each side."""

    flat: bool = False
    context: int = 0

    def seen(self, fp: MaskFingerprint) -> MaskFingerprint:
        """The fingerprint of what such a network sees: of slices, that of pictures."""
        return flattened(fp) if self.flat else fp


KINDS: dict[Ways, tuple[Kind, ...]] = {
    "3d": (Kind(),),
    "2d": (Kind(flat=True),),
    "2.5d": (Kind(flat=True, context=CONTEXT),),
    "both": (Kind(), Kind(flat=True, context=CONTEXT)),
}


def dimensions(fp: MaskFingerprint, wish: Ways = "auto") -> tuple[Ways, Words]:
    """The way for volumes, and the sentence for the plan; "2d" and no words for pictures.

    Raises PlanError for an unknown wish, and for a wish that pictures cannot have.
    """
    if wish not in WAYS:
        raise PlanError(f"no way named {wish!r}{did_you_mean(wish, list(WAYS))}")
    if fp.axes == 2:
        if wish not in ("auto", "2d"):
            raise PlanError(f"{wish}: expected volumes, these cases are pictures")
        return "2d", Words("")
    if wish != "auto":
        return wish, Words("as asked for", "按要求")
    if not fp.placed:
        return "3d", Words(
            "how far slices lie apart is not known: networks of volumes",
            "层间距未知：采用三维网络",
        )
    spacing = fp.spacings[1]
    coarse = max(range(3), key=lambda axis: spacing[axis])
    apart = spacing[coarse] / min(spacing)
    told = Words(
        f"voxels are {plain(apart, 3)} times as long along their longest side",
        f"体素最长边为最短边的 {plain(apart, 3)} 倍",
    )
    if apart <= ANISOTROPIC:
        return "3d", told + Words(
            f": up to {ANISOTROPIC:g} a network of volumes sees all axes alike",
            f"：不超过 {ANISOTROPIC:g} 倍时，三维网络对各轴一视同仁",
        )
    if coarse != 0:
        # A network of slices goes along the first axis of the prepared grid.
        return "3d", told + Words(
            ", but that is not the axis of the prepared slices: volumes",
            "，但最长边不在预处理后的层间方向：采用三维网络",
        )
    if apart >= FAR:
        return "2.5d", told + Words(
            f": from {FAR:g} on a slice says little of the next one, so the network goes "
            f"slice by slice and sees {CONTEXT} neighbour on each side",
            f"：达到 {FAR:g} 倍时相邻层面关联很小，因此网络逐层处理，并参考两侧各 {CONTEXT} 层",
        )
    return "both", told + Words(
        f", between {ANISOTROPIC:g} and {FAR:g}: a network of volumes and one of slices with "
        "their neighbours, whose probabilities are averaged",
        f"，介于 {ANISOTROPIC:g} 与 {FAR:g} 倍之间：同时采用三维网络和参考邻层的逐层网络，"
        "概率取平均",
    )


def flattened(fp: MaskFingerprint) -> MaskFingerprint:
    """Of volumes -> of their slices along the first axis."""
    labels = {
        name: of.model_copy(update={"centre": of.centre[1:], "piece": of.piece**PLANES})
        for name, of in fp.labels.items()
    }
    changes = {
        "axes": 2,
        "sizes": tuple(row[1:] for row in fp.sizes),
        "spacings": tuple(row[1:] for row in fp.spacings),
        "labels": labels,
    }
    return fp.model_copy(update=changes)
