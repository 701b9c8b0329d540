"""Figures of masks and largest components against MONAI, on phantoms of organs and lesions.

Five labels: four organs with uneven surfaces, one of them in two pieces, and two dozen lesions. The
prediction has other surfaces, misses some lesions and finds some that are none. Ours is timed as
`measure`, which gives IoU, volumes and lesions besides; MONAI as its three functions for Dice, HD95
and NSD, on one-hot tensors made beforehand (making them is timed too, and told apart). First every
figure and every voxel is compared, then both are timed in turns, in one run, on equal threads.
MONAI's largest component needs scikit-image.
Prints one JSON object and writes it to benchmarks/results/mask_measures.json.

    python benchmarks/mask_measures.py [--rounds 5] [--sizes 64 256] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _record import goal, keep

from tomos.measures.components import keep_largest
from tomos.measures.segmentation import LabelFigures, measure

NAMES = ("liver", "spleen", "kidneys", "stomach", "lesions")
SPACING, TOLERANCE, REQUIRED = (1.5, 0.8, 0.8), 2.0, 10.0
# Label, centre and half axes, as shares of the grid.
ORGANS = (
    (1, (0.45, 0.45, 0.30), (0.22, 0.24, 0.17)),
    (2, (0.50, 0.60, 0.68), (0.14, 0.10, 0.09)),
    (3, (0.68, 0.70, 0.38), (0.10, 0.06, 0.06)),
    (3, (0.68, 0.70, 0.60), (0.10, 0.06, 0.06)),
    (4, (0.30, 0.35, 0.70), (0.12, 0.12, 0.13)),
)
ROUGH, OFF = 0.12, 0.09  # unevenness of the surfaces, and of the prediction against the truth
LESIONS = 24


def smooth(seed: int, coarse: int, size: int) -> np.ndarray:
    """(size, size, size): chance values on a coarse grid, linear between them."""
    points = np.random.default_rng(seed).standard_normal((1, 1, coarse, coarse, coarse))
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(points.astype(np.float32)), (size,) * 3, mode="trilinear"
    )
    return fine[0, 0].numpy()


def phantom(size: int, predicted: bool) -> np.ndarray:
    """(size, size, size) uint8: the truth, or what a fair network would make of it."""
    line = np.linspace(0, 1, size, dtype=np.float32)
    grid = np.meshgrid(line, line, line, indexing="ij", sparse=True)
    uneven = ROUGH * smooth(1, 9, size) + (OFF * smooth(2, 12, size) if predicted else 0)
    labels = np.zeros((size,) * 3, np.uint8)

    def away(centre, half):
        return sum(((g - c) / h) ** 2 for g, c, h in zip(grid, centre, half, strict=True))

    for label, centre, half in ORGANS:
        labels[np.sqrt(away(centre, half)) + uneven < 1] = label
    rng = np.random.default_rng(3)
    for number in range(LESIONS):
        centre, radius, moved = (
            rng.uniform(0.3, 0.6, 3),
            rng.uniform(0.01, 0.03),
            rng.normal(size=3),
        )
        if not (predicted and number % 6 == 0):
            labels[away(centre + 0.003 * moved * predicted, [radius] * 3) < 1] = 5
    if predicted:
        labels[away((0.85, 0.2, 0.2), [0.02] * 3) < 1] = 1
        labels[away((0.2, 0.8, 0.8), [0.015] * 3) < 1] = 5
    return labels


def one_hot(labels: np.ndarray) -> torch.Tensor:
    """(1, 6, Z, Y, X) float32, as MONAI's metrics take it."""
    from monai.networks.utils import one_hot as theirs

    return theirs(torch.from_numpy(labels)[None, None].long(), len(NAMES) + 1)


def by_monai(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(3, K): Dice, HD95, NSD."""
    from monai import metrics

    return torch.cat(
        [
            metrics.compute_dice(found, truth, include_background=False),
            metrics.compute_hausdorff_distance(found, truth, percentile=95, spacing=SPACING),
            metrics.compute_surface_dice(found, truth, [TOLERANCE] * len(NAMES), spacing=SPACING),
        ]
    )


def by_tomos(found: np.ndarray, truth: np.ndarray) -> dict[str, LabelFigures]:
    return measure(found, truth, NAMES, SPACING, TOLERANCE)


def same_figures(theirs: torch.Tensor, ours: dict[str, LabelFigures]) -> dict:
    """The figures, once they are found equal to 1e-6."""
    mine = np.array([[f.dice, f.hd95, f.nsd] for f in ours.values()]).T
    difference = float(np.abs(mine / theirs.double().numpy() - 1).max())
    if not difference <= 1e-6:
        raise SystemExit(f"figures differ by {difference} of their value: not comparable")
    return {
        "largest_relative_difference": difference,
        **dict(zip(("dice", "hd95", "nsd"), mine.round(4).tolist(), strict=True)),
    }


def in_turns(
    sides: dict[str, Callable[[], Callable[[], object]]], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU seconds of each side, round by round; a side first makes what it is given."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, prepare in sides.items():
            work = prepare()
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            seen[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return seen


def summary(seen: dict[str, list[tuple[float, float]]]) -> dict:
    """Milliseconds of each side, and how many times longer each takes than Tomos."""
    found: dict = {
        "milliseconds": {
            name: {
                "wall": round(statistics.median(w for w, _ in times) * 1e3, 2),
                "cpu": round(statistics.median(c for _, c in times) * 1e3, 2),
            }
            for name, times in seen.items()
        }
    }
    for name, times in seen.items():
        if name != "tomos":
            pairs = list(zip(times, seen["tomos"], strict=True))
            wall = [theirs[0] / ours[0] for theirs, ours in pairs]
            found[f"ratio_{name}"] = {
                "median": round(statistics.median(wall), 2),
                "all": [round(r, 2) for r in wall],
                "cpu_seconds": round(statistics.median(t[1] / o[1] for t, o in pairs), 2),
            }
    return found


def compare_figures(found: np.ndarray, truth: np.ndarray, rounds: int) -> dict:
    hot = one_hot(found), one_hot(truth)
    figures = same_figures(by_monai(*hot), by_tomos(found, truth))
    sides = {
        "monai": lambda: partial(by_monai, *hot),
        "monai_with_one_hot": lambda: lambda: by_monai(one_hot(found), one_hot(truth)),
        "tomos": lambda: partial(by_tomos, found, truth),
    }
    return {"figures": figures, **summary(in_turns(sides, rounds))}


def compare_largest(labels: np.ndarray, rounds: int) -> dict:
    from monai.transforms import KeepLargestConnectedComponent

    theirs = KeepLargestConnectedComponent(independent=True)

    def copied() -> torch.Tensor:
        return torch.from_numpy(labels[None].copy())  # MONAI writes into what it is given

    expected, ours = np.asarray(theirs(copied()))[0], keep_largest(labels)
    if not np.array_equal(expected, ours):
        raise SystemExit(f"{np.count_nonzero(expected != ours)} voxels differ: not comparable")
    sides = {
        "monai": lambda: partial(theirs, copied()),
        "tomos": lambda: partial(keep_largest, labels),
    }
    removed = int(np.count_nonzero(labels != ours))
    return {"voxels_removed": removed, **summary(in_turns(sides, rounds))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--threads", type=int, default=1, help="of both sides")
    parser.add_argument("--out", type=Path, help="where to write instead of results/")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    import monai
    import skimage
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(args.threads)
    sizes: dict[str, dict] = {}
    with threadpool_limits(args.threads):
        for size in args.sizes:
            truth, found = phantom(size, False), phantom(size, True)
            sizes[str(size)] = {
                "dice_hd95_nsd": compare_figures(found, truth, args.rounds),
                "largest_component": compare_largest(found, args.rounds),
            }
    versions = {"torch": torch.__version__, "monai": monai.__version__}
    versions |= {"numpy": np.__version__, "scikit-image": skimage.__version__}
    what = {
        "dice_hd95_nsd": "Dice, HD95 and NSD of 5 labels at {0}^3: times faster than MONAI, equal "
        "to 1e-6",
        "largest_component": "largest component of 5 labels at {0}^3: times faster than MONAI, "
        "identical voxels",
    }
    goals = [
        goal(what[part].format(size), found["ratio_monai"]["median"], least=REQUIRED)
        for size, parts in sizes.items()
        for part, found in parts.items()
    ]
    result = {"versions": versions, "threads": args.threads, "sizes": sizes}
    return keep("mask_measures", result, goals, args.out)


if __name__ == "__main__":
    sys.exit(main())
