"""Small tables of masks whose figures are known or can be counted."""

import numpy as np

from tomos.evaluate import MaskTable
from tomos.measures.lesions import Lesions
from tomos.measures.segmentation import LabelFigures, measure


def figures(found: int, truth: int, shared: int, **changes) -> LabelFigures:
    """One class of one case, from voxel counts; voxels of 1 ml."""
    either = found + truth - shared
    values = {
        "dice": 2 * shared / (found + truth) if either else np.nan,
        "iou": shared / either if either else np.nan,
        "hd95": (0.0 if shared == either else 5.0) if either else np.nan,
        "nsd": shared / either if either else np.nan,
        "tolerance_mm": 2.0,
        "voxels_found": found,
        "voxels_truth": truth,
        "volume_found": 1000.0 * found,
        "volume_truth": 1000.0 * truth,
        "lesions": Lesions(int(truth > 0), int(shared > 0), int(found > 0), int(shared > 0)),
    }
    return LabelFigures(**{**values, **changes})


def by_counts(*cases: dict, groups=None, **changes) -> MaskTable:
    """Cases of class -> (found, truth, shared) voxels."""
    fields = {
        "cases": [f"case-{i}" for i in range(len(cases))],
        "groups": np.arange(len(cases)) if groups is None else np.array(groups),
        "figures": [
            {
                name: one if isinstance(one, LabelFigures) else figures(*one)
                for name, one in case.items()
            }
            for case in cases
        ],
        "classes": tuple(cases[0]),
        "dataset": "phantom",
    }
    return MaskTable(**{**fields, **changes})


def ball(shape, centre, radius) -> np.ndarray:
    at = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(at, centre, strict=True)) <= radius**2


def phantom(seed: int, lesion: bool = True, worse: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and what was found (16, 48, 48): an organ, a vessel in it, and perhaps a lesion."""
    rng = np.random.default_rng(seed)
    shape = (16, 48, 48)
    pair = []
    organ, vessel = rng.normal((8, 24, 22), 1), rng.normal((8, 22, 30), 1)
    spots = rng.uniform((5, 12, 10), (11, 36, 34), (2, 3))
    for off in (0.0, worse):
        labels = np.zeros(shape, np.uint8)
        labels[ball(shape, organ + off * rng.normal(0, 0.4, 3), 13 + off * rng.normal(0, 0.5))] = 1
        labels[ball(shape, vessel + off * rng.normal(0, 0.6, 3), 5)] = 2
        if lesion:
            for spot in spots:
                if not off or rng.random() < 0.75:
                    labels[ball(shape, spot + off * rng.normal(0, 0.6, 3), 2.6)] = 3
        elif off and rng.random() < 0.25:
            labels[ball(shape, spots[0], 1.5)] = 3
        pair.append(labels)
    return pair[0], pair[1]


CLASSES = ("liver", "vessel", "tumour")
SPACING = (3.0, 1.5, 1.5)


def phantoms(n: int = 40, patients: int = 36, worse: float = 1.0, **changes) -> MaskTable:
    """`n` cases, every fifth without a tumour; in the fourth nothing at all was found."""
    found = []
    for i in range(n):
        truth, said = phantom(i, lesion=i % 5 != 0, worse=worse)
        if i == 3:
            said = np.zeros_like(said)
        found.append(measure(said, truth, CLASSES, SPACING, 2.0))
    rng = np.random.default_rng(0)
    refer = ("refer", "the outline is uncertain over a large part")
    fields = {
        "cases": [f"case-{i:03d}" for i in range(n)],
        "groups": np.array([f"p{i % patients}" for i in range(n)]),
        "figures": found,
        "classes": CLASSES,
        "dataset": "phantoms",
        "columns": {
            "sex": ["F" if i % 3 else "M" for i in range(n)],
            "age": rng.integers(20, 90, n).tolist(),
            "site": ["north" if i % 4 else "south" for i in range(n)],
        },
        "verdicts": [refer if i in (3, 9) else ("finding", "") for i in range(n)],
        "failed": {"case-900": "slices 41 and 42 are 7.5 mm apart, the others 2.5 mm"},
    }
    return MaskTable(**{**fields, **changes})
