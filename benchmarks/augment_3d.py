"""Augmentation of volumes against nnU-Net's batchgenerators and MONAI's dictionary transforms.

Patches of 128 x 128 x 128 with their masks, out of a box of 206 a side as nnU-Net reads it. The
steps, ranges and probabilities are nnU-Net v2's defaults for volumes on all sides: turn and scale,
noise, blur, brightness, contrast, low resolution, gamma of the picture and of its negative, mirror.
Then turn, scale and a bend alone, for every case. First it is checked that one set of numbers gives
the same patch on all sides; then all are timed in turns, in one run, on as many threads. Copies of
the source that keep a side's writes away from the next case are not counted. Ours is timed in both
of its forms. Prints one JSON object and writes it to benchmarks/results/augment_3d.json.

    python benchmarks/augment_3d.py [--rounds 5] [--cases 40] [--threads 1] [--nnunet FOLDER]

FOLDER is where `pip install --no-deps --target FOLDER batchgeneratorsv2 batchgenerators pandas
python-dateutil six scikit-image lazy-loader networkx imageio tifffile` put nnU-Net's side; it runs
as a child process. Without it MONAI alone is compared with, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _record import goal, keep

from tomos.transforms.augment import PatchChain, Way

SIZE, SOURCE = (128, 128, 128), 206
CENTRE = [SOURCE // 2] * 3
SPATIAL = [
    {"step": "rotate", "degrees": 30, "padding": "zeros"},
    {"step": "scale", "factor": (1 / 1.4, 1 / 0.7), "padding": "zeros"},
]
DEFAULT = [
    *({**step, "probability": 0.2} for step in SPATIAL),
    {"step": "flip", "x": 0.5, "y": 0.5, "z": 0.5, "padding": "zeros"},
    {"step": "noise", "sigma": (0, 0.1), "relative": False, "probability": 0.1},
    {"step": "blur", "sigma": (0.5, 1.0), "probability": 0.1},
    {"step": "brightness", "shift": 0.25, "probability": 0.15},
    {"step": "contrast", "factor": (0.75, 1.25), "probability": 0.15},
    {"step": "low_resolution", "zoom": (0.5, 1.0), "probability": 0.125},
    {"step": "gamma", "inverted": True, "moments": True, "probability": 0.1},
    {"step": "gamma", "moments": True, "probability": 0.3},
]
BENT = [*SPATIAL, {"step": "elastic", "strength": (0.02, 0.02), "padding": "zeros"}]
WORK = {"default": DEFAULT, "bent": BENT}
REQUIRED = {
    "default": {("numba", "nnunet"): 8, ("numba", "monai"): 6}
    | {("torch", peer): 3 for peer in ("nnunet", "monai")},
    "bent": {("numba", peer): 10 for peer in ("nnunet", "monai")},
}
SAID = {
    "default": "3D augmentation at 128^3, nnU-Net's default steps",
    "bent": "turn, scale and bend at 128^3",
    "numba": "numba form",
    "torch": "torch form",
    "nnunet": "nnU-Net's batchgenerators",
    "monai": "MONAI's dictionary transforms",
}


def world() -> tuple[np.ndarray, np.ndarray]:
    """A smooth volume (1, n, n, n) float32 of mean 0 and spread 1, and 3 labels in it."""
    coarse = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 24, 24, 24)))
    fine = torch.nn.functional.interpolate(coarse, (SOURCE,) * 3, mode="trilinear")[0]
    image = ((fine - fine.mean()) / fine.std()).float().numpy()
    return image, np.digitize(image[0], [0.5, 1.5]).astype(np.uint8)


class Ours:
    """One of our two forms: numbers drawn, then a patch a case."""

    def __init__(self, backend: str, data: tuple[np.ndarray, np.ndarray], threads: int):
        self.image, self.mask = data
        way = Way(backend, threads)  # type: ignore[arg-type]
        self.chains = {name: PatchChain(steps, SIZE, way=way) for name, steps in WORK.items()}

    def __call__(self, name: str, seed: int, cases: int) -> tuple[float, float]:
        numbers = self.chains[name].draw(seed, cases)
        wall = cpu = 0.0
        for row in range(cases):
            own = [self.image.copy()], [self.mask.copy()]
            begin, used = time.perf_counter(), time.process_time()
            self.chains[name].apply(*own, numbers, [row], [CENTRE])
            wall, cpu = wall + time.perf_counter() - begin, cpu + time.process_time() - used
        return wall, cpu


class Monai:
    """The same as dictionary transforms: one resampling, then each step on values."""

    def __init__(self, data: tuple[np.ndarray, np.ndarray]):
        self.image, self.mask = torch.from_numpy(data[0]), torch.from_numpy(data[1])[None]
        self.chains = {"default": _monai_default(), "bent": _monai_bent()}

    def __call__(self, name: str, seed: int, cases: int) -> tuple[float, float]:
        self.chains[name].set_random_state(seed)
        wall = cpu = 0.0
        for _ in range(cases):
            own = {"image": self.image.clone(), "label": self.mask.clone()}
            begin, used = time.perf_counter(), time.process_time()
            self.chains[name](own)
            wall, cpu = wall + time.perf_counter() - begin, cpu + time.process_time() - used
        return wall, cpu


def _monai_default():
    from monai import transforms as m

    both, image = ("image", "label"), "image"
    gamma = {"gamma": (0.7, 1.5), "retain_stats": True}
    affine = m.RandAffined(
        both,
        prob=1 - 0.8 * 0.8,  # either of the two, in one resampling
        rotate_range=[np.pi / 6] * 3,
        scale_range=[(-0.3, 0.4)] * 3,
        spatial_size=SIZE,
        mode=("bilinear", "nearest"),
        padding_mode="zeros",
        cache_grid=True,
    )
    return m.Compose(
        [
            affine,
            *(m.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)),
            m.RandGaussianNoised(image, prob=0.1, std=0.1),
            m.RandGaussianSmoothd(image, (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), prob=0.1),
            m.RandScaleIntensityd(image, 0.25, prob=0.15),
            m.RandScaleIntensityFixedMeand(image, prob=0.15, factors=0.25, preserve_range=True),
            m.RandSimulateLowResolutiond(image, prob=0.125, zoom_range=(0.5, 1.0)),
            m.RandAdjustContrastd(image, prob=0.1, invert_image=True, **gamma),
            m.RandAdjustContrastd(image, prob=0.3, **gamma),
        ]
    )


def _monai_bent():
    from monai import transforms as m

    return m.Rand3DElasticd(
        ("image", "label"),
        sigma_range=(12.8, 12.8),
        magnitude_range=(300, 300),
        prob=1,
        rotate_range=[np.pi / 6] * 3,
        scale_range=[(-0.3, 0.4)] * 3,
        spatial_size=SIZE,
        mode=("bilinear", "nearest"),
        padding_mode="zeros",
    )


class NnUnet:
    """nnU-Net's transforms, in a child process that times itself."""

    def __init__(self, folder: Path, data: Path, threads: int):
        script = Path(__file__).with_name("_augment_nnunet.py")
        self.child = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(data), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order) -> dict:
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(json.dumps(order) + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise SystemExit("nnU-Net's side ended; its message is above")
        return json.loads(answer)

    def __call__(self, name: str, seed: int, cases: int) -> tuple[float, float]:
        answer = self.ask(do=name, seed=seed, cases=cases)
        return answer["wall"], answer["cpu"]

    def close(self) -> None:
        assert self.child.stdin
        self.child.stdin.close()
        self.child.wait()


def same_patch(sides: dict, data: tuple[np.ndarray, np.ndarray], folder: Path) -> dict:
    """Differences of every side from ours by torch, for told angles, size and gamma."""
    angles, scale, gamma = [0.2, -0.3, 0.15], 0.9, 1.3
    steps = [*SPATIAL, {"step": "gamma", "inverted": True, "moments": True}]
    told = np.float32([[*np.rad2deg(angles) * -1, *[-np.log(scale)] * 3, 0]])
    patches = {}
    for end, backend in ((False, "torch"), (False, "numba"), (True, "torch")):
        told[0, -1] = np.log(gamma) if end else 0
        chain = PatchChain(steps, SIZE, way=Way(backend))  # type: ignore[arg-type]
        patches[end, backend] = chain.apply([data[0]], [data[1]], told, [0], [CENTRE])
    image, mask = patches[False, "torch"]
    found = {"numba": _difference(patches[False, "numba"], image, mask)}
    found["monai"] = _difference(_monai_known(data, chain, told), image, mask)
    if "nnunet" in sides:
        file = folder / "known.npz"
        order = {"angles": angles, "scale": scale, "gamma": gamma, "file": str(file)}
        sides["nnunet"].ask(do="known", **order)
        with np.load(file) as theirs:
            found["nnunet"] = _difference((theirs["image"], theirs["mask"]), image, mask)
            bent = np.abs(theirs["gamma"] - patches[True, "torch"][0].numpy()[0]).max()
            found["nnunet"]["gamma"] = float(bent)
    for name, one in found.items():
        # nnU-Net interpolates every label: its boundaries lie up to half a voxel elsewhere.
        labels = 0.03 if name == "nnunet" else 1e-4
        if max(one["largest"], one.get("gamma", 0)) > 1e-3 or one["labels"] > labels:
            raise SystemExit(f"{name} gives another patch: {one}; not comparable")
    return found


def _difference(theirs, image: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    other, labels = (np.asarray(part).reshape(SIZE) for part in theirs)
    return {
        "largest": float(np.abs(other - image[0, 0].numpy()).max()),
        "labels": float((labels != mask[0].numpy()).mean()),
    }


def _monai_known(data: tuple[np.ndarray, np.ndarray], chain: PatchChain, told: np.ndarray):
    from monai.transforms import Affine

    back = np.linalg.inv(chain._moves(told, chain.spacing))[0]
    matrix = back[[2, 1, 0, 3]][:, [2, 1, 0, 3]]  # theirs is (z, y, x)
    made = []
    for part, mode in ((data[0], "bilinear"), (data[1][None].astype(np.float32), "nearest")):
        affine = Affine(
            affine=matrix, spatial_size=SIZE, mode=mode, padding_mode="zeros", image_only=True
        )
        made.append(affine(torch.from_numpy(part))[0])
    return made


def compare(sides: dict, name: str, rounds: int, cases: int) -> dict:
    for side in sides.values():
        side(name, 0, 3)  # compiles, measures, fills caches: not counted
    seen: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for round_ in range(rounds):
        for side, run in sides.items():
            seen[side].append(run(name, round_ + 1, cases))
    found: dict = {
        "milliseconds_per_case": {
            side: {
                "wall": round(sum(wall for wall, _ in times) / rounds / cases * 1e3, 1),
                "cpu": round(sum(cpu for _, cpu in times) / rounds / cases * 1e3, 1),
            }
            for side, times in seen.items()
        }
    }
    for ours in ("numba", "torch"):
        for peer in set(sides) - {"numba", "torch"}:
            pairs = list(zip(seen[peer], seen[ours], strict=True))
            found[f"{ours}_over_{peer}"] = {
                # Chance decides which cases are resampled: sums over all rounds, not medians.
                "wall": round(sum(p[0] for p, _ in pairs) / sum(o[0] for _, o in pairs), 2),
                "cpu": round(sum(p[1] for p, _ in pairs) / sum(o[1] for _, o in pairs), 2),
                "all": [round(p[0] / o[0], 2) for p, o in pairs],
                "median": round(statistics.median(p[0] / o[0] for p, o in pairs), 2),
            }
    return found


def goals_of(found: dict) -> list[dict]:
    return [
        goal(
            f"{SAID[name]}, {SAID[ours]}: times faster than {SAID[peer]}",
            found[name][f"{ours}_over_{peer}"]["wall"],
            least=least,
        )
        for name in WORK
        for (ours, peer), least in REQUIRED[name].items()
        if f"{ours}_over_{peer}" in found[name]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=40, help="each round, of the default steps")
    parser.add_argument("--threads", type=int, default=1, help="of every side")
    parser.add_argument("--nnunet", type=Path, help="folder with batchgeneratorsv2")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    import monai

    begun, data = [round(v, 2) for v in os.getloadavg()], world()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "data.npz", image=data[0], mask=data[1])
        sides: dict = {form: Ours(form, data, args.threads) for form in ("numba", "torch")}
        sides["monai"] = Monai(data)
        if args.nnunet:
            sides["nnunet"] = NnUnet(args.nnunet, folder / "data.npz", args.threads)
        same = same_patch(sides, data, folder)
        found = {
            work: compare(sides, work, args.rounds, args.cases if work == "default" else 3)
            for work in WORK
        }
        if args.nnunet:
            sides["nnunet"].close()
    result = {
        "versions": {"torch": torch.__version__, "monai": monai.__version__},
        "threads": torch.get_num_threads(),
        "cases": args.cases,
        "load_average_at_start": begun,
        "same_patch": same,
        **({} if args.nnunet else {"nnunet": "not compared with: no folder was given"}),
        **found,
    }
    return keep("augment_3d", result, goals_of(found))


if __name__ == "__main__":
    sys.exit(main())
