"""Batched 2D augmentation against MONAI's dictionary transforms in a DataLoader with 2 workers.

The same steps with the same ranges and probabilities on both sides: flip, rotate, scale and shift
(on MONAI's side already fused into its one `RandAffined`), noise, contrast, gamma. First it is
checked that one set of parameters gives the same picture on both sides; then both are timed in
turns, in one run. Our side has one thread unless told otherwise, theirs its two workers. MONAI is
timed as it comes and with its metadata tracking switched off; the goal is against the former.
Prints one JSON object and writes it to benchmarks/results/augment_2d.json.

    python benchmarks/augment_2d.py [--rounds 5] [--sizes 28 64 224] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _record import goal, keep

from tomos.transforms.augment import Chain

REQUIRED = {28: 20.0, 64: 20.0, 224: 2.5}
CASES = {28: 2048, 64: 1024, 224: 256}
BATCH = {28: 128, 64: 64, 224: 32}
DEGREES, ZOOM, SHARE, SIGMA, CONTRAST, GAMMA = 10.0, 0.1, 0.05, 0.1, 0.25, (0.7, 1.5)
STEPS = [
    {"step": "flip", "x": 0.5},
    {"step": "rotate", "degrees": DEGREES},
    {"step": "scale", "factor": (1 - ZOOM, 1 + ZOOM), "each_axis": True},
    {"step": "shift", "share": SHARE},
    {"step": "noise", "sigma": (0, SIGMA), "relative": False, "probability": 0.5},
    {"step": "contrast", "factor": (1 - CONTRAST, 1 + CONTRAST), "probability": 0.5},
    {"step": "gamma", "gamma": GAMMA, "probability": 0.5},
]


def pictures(n: int, size: int) -> np.ndarray:
    """(n, 1, size, size) float32: smooth random shapes of mean 0 and spread 1."""
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.standard_normal((n, 1, 9, 9), dtype=np.float32))
    fine = torch.nn.functional.interpolate(
        coarse, (size, size), mode="bicubic", align_corners=False
    )
    return ((fine - fine.mean((2, 3), keepdim=True)) / fine.std((2, 3), keepdim=True)).numpy()


def monai_transforms(size: int):
    from monai import transforms as m

    return m.Compose(
        [
            m.RandFlipd("image", prob=0.5, spatial_axis=1),
            m.RandAffined(
                "image",
                prob=1.0,
                rotate_range=np.deg2rad(DEGREES),
                scale_range=(ZOOM, ZOOM),
                translate_range=(SHARE * size, SHARE * size),
                mode="bilinear",
                padding_mode="border",
            ),
            m.RandGaussianNoised("image", prob=0.5, std=SIGMA),
            m.RandScaleIntensityFixedMeand("image", prob=0.5, factors=CONTRAST),
            m.RandAdjustContrastd("image", prob=0.5, gamma=GAMMA),
        ]
    )


class MonaiSide:
    """One epoch of MONAI's usual form: a Dataset of dictionaries, a DataLoader with 2 workers."""

    def __init__(self, x: np.ndarray, size: int, track_meta: bool):
        from monai.data import DataLoader, Dataset, set_track_meta

        set_track_meta(track_meta)  # the workers are forked with it
        data = [{"image": torch.from_numpy(p), "label": i % 2} for i, p in enumerate(x)]
        self.loader = DataLoader(
            Dataset(data, monai_transforms(size)),
            batch_size=BATCH[size],
            shuffle=True,
            num_workers=2,
            persistent_workers=True,
        )
        self()  # starts the workers, which stay: their start is not counted

    def __call__(self) -> None:
        for batch in self.loader:
            assert batch["image"].shape[1] == 1

    def cpu(self) -> float:
        """CPU seconds so far of this process and of the loader's workers."""
        iterator = self.loader._iterator
        workers = [w.pid for w in iterator._workers] if iterator is not None else []
        return time.process_time() + sum(map(_cpu_of, workers))


class OurSide:
    """One epoch of ours: numbers drawn, batches taken and changed in this process."""

    def __init__(self, x: np.ndarray, size: int):
        self.x = torch.from_numpy(x)
        self.labels = torch.arange(len(x)) % 2
        self.size = size
        self.chain = Chain(STEPS, (size, size), seed=0)
        self.epoch = 0
        self()

    def __call__(self) -> None:
        self.epoch += 1
        order = np.random.default_rng(self.epoch).permutation(len(self.x))
        numbers = self.chain.draw(self.epoch, len(self.x))
        for start in range(0, len(order), BATCH[self.size]):
            rows = order[start : start + BATCH[self.size]]
            index = torch.from_numpy(rows)
            batch, labels = self.chain.apply(self.x[index], numbers, rows), self.labels[index]
            assert len(batch) == len(labels)

    def cpu(self) -> float:
        return time.process_time()


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def same_picture(size: int) -> dict[str, float]:
    """Largest difference, of pictures of spread 1, when both sides get the same parameters."""
    from monai import transforms as m

    x = pictures(1, size)[0]
    degrees, zoom, right, down = 8.0, 1.07, 0.04 * size, -0.03 * size
    affine = m.Affine(
        rotate_params=-np.deg2rad(degrees),
        scale_params=(1 / zoom, 1 / zoom),
        # MONAI says where the output looks, (y, x), before its rotation and after its scaling.
        translate_params=(-down / zoom, -right / zoom),
        mode="bilinear",
        padding_mode="border",
        image_only=True,
    )
    theirs = m.AdjustContrast(1.3)(m.ScaleIntensityFixedMean(0.2)(affine(m.Flip(1)(x))))
    chain = Chain(
        [
            {"step": "flip", "x": 1},
            {"step": "scale", "factor": (zoom, zoom)},
            {"step": "rotate", "degrees": (degrees, degrees)},
            {"step": "shift", "share": (0, 0)},
            {"step": "contrast", "factor": (1.2, 1.2)},
            {"step": "gamma", "gamma": (1.3, 1.3)},
        ],
        (size, size),
    )
    numbers = chain.draw(0, 1)
    at = chain.columns.index("3.shift.x")
    numbers[0, at : at + 2] = right / size, down / size
    ours = chain.apply(torch.from_numpy(x[None]), numbers, [0])[0].numpy()
    difference = np.abs(ours - np.asarray(theirs))
    if difference.max() > 1e-3:
        raise SystemExit(f"{size} px: the two sides differ by {difference.max()}: not comparable")
    return {"largest": float(difference.max()), "mean": float(difference.mean())}


def timed(side: Callable[[], None]) -> tuple[float, float]:
    cpu, wall = side.cpu(), time.perf_counter()  # type: ignore[attr-defined]
    side()
    return time.perf_counter() - wall, side.cpu() - cpu  # type: ignore[attr-defined]


def compare(size: int, rounds: int) -> dict:
    x = pictures(CASES[size], size)
    sides = {
        "monai": MonaiSide(x, size, True),
        "monai_without_metadata": MonaiSide(x, size, False),
        "tomos": OurSide(x, size),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            seen[name].append(timed(side))
    found: dict = {
        "cases": len(x),
        "batch": BATCH[size],
        "same_picture": same_picture(size),
        "microseconds_per_picture": {
            name: {
                "wall": round(statistics.median(w for w, _ in times) / len(x) * 1e6, 2),
                "cpu": round(statistics.median(c for _, c in times) / len(x) * 1e6, 2),
            }
            for name, times in seen.items()
        },
        "required": REQUIRED[size],
    }
    for name in ("monai", "monai_without_metadata"):
        pairs = list(zip(seen[name], seen["tomos"], strict=True))
        wall = [theirs[0] / ours[0] for theirs, ours in pairs]
        found[f"ratio_{name}"] = {
            "median": round(statistics.median(wall), 2),
            "all": [round(r, 2) for r in wall],
            "cpu_seconds": round(statistics.median(t[1] / o[1] for t, o in pairs), 2),
        }
    found["met"] = found["ratio_monai"]["median"] >= REQUIRED[size]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(REQUIRED))
    parser.add_argument("--threads", type=int, default=1, help="of torch, on our side")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    import monai

    begun = [round(v, 2) for v in os.getloadavg()]
    sizes = {str(size): compare(size, args.rounds) for size in args.sizes}
    result = {
        "versions": {"torch": torch.__version__, "monai": monai.__version__},
        "threads": torch.get_num_threads(),
        "load_average_at_start": begun,
        "sizes": sizes,
    }
    goals = [
        goal(
            f"2D augmentation at {size} px: times faster than MONAI's dictionary transforms in a "
            "DataLoader with 2 workers",
            found["ratio_monai"]["median"],
            least=REQUIRED[int(size)],
        )
        for size, found in sizes.items()
    ]
    return keep("augment_2d", result, goals)


if __name__ == "__main__":
    sys.exit(main())
