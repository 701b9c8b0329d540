"""One training epoch of ours against a plain PyTorch loop of the same net.

The plain loop is the usual one: a Dataset that augments one picture at a time (flip, rotation by
grid sampling, padded random crop), a DataLoader with 2 workers that stay, Adam, cross-entropy. Ours
carries out a plan with the same steps, batch and optimiser: once with the precision and memory
layout that `train.fastest` measures as best on this machine, which is what counts, and once in full
precision, for machines without bfloat16. All see the same number of cases with the same number of
threads and take turns in one run; the median of the ratios of neighbouring turns counts, by the
clock; processor time, the loader's workers included, is given beside it, since it is steadier on a
busy machine. Prints one JSON object and writes benchmarks/results/epoch.json.

    python benchmarks/epoch.py [--rounds 5] [--sizes 28 64 224] [--threads 2] [--out FILE]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from _record import goal, keep
from torch.utils.data import DataLoader, Dataset

from tomos import models, train
from tomos.plan.schema import BudgetPart, DatasetPart, ModelPart, Plan, TrainPart
from tomos.train.device import machine as at_work
from tomos.train.loop import steps

REQUIRED = {28: 1.3, 64: 1.3, 224: 1.1}
NET = {28: "resnet_small", 64: "resnet_small", 224: "resnet18"}
CASES = {28: 2048, 64: 512, 224: 64}
BATCH = {28: 64, 64: 64, 224: 16}
DEGREES, PAD, CLASSES, RATE = 10.0, 1 / 14, 2, 1e-3
STEPS = (
    {"step": "flip", "x": 0.5},
    {"step": "rotate", "degrees": DEGREES},
    {"step": "shift", "share": PAD},
)


@dataclass
class Cases:
    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


def cases(size: int) -> Cases:
    rng = np.random.default_rng(0)
    n = CASES[size]
    images = rng.standard_normal((n, 1, size, size)).astype(np.float32)
    return Cases(images, np.arange(n) % CLASSES, np.arange(n))


class Pictures(Dataset):
    """As in many a project: everything done to one picture at a time."""

    def __init__(self, data: Cases) -> None:
        self.images, self.targets = data.images, data.targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        x = torch.from_numpy(self.images[index])
        if torch.rand(()) < 0.5:
            x = x.flip(2)
        angle = torch.deg2rad(torch.empty(()).uniform_(-DEGREES, DEGREES))
        cos, sin = torch.cos(angle), torch.sin(angle)
        zero = torch.zeros(())
        turn = torch.stack([torch.stack([cos, -sin, zero]), torch.stack([sin, cos, zero])])
        grid = F.affine_grid(turn[None], [1, *x.shape], align_corners=False)
        x = F.grid_sample(x[None], grid, align_corners=False)[0]
        pad, side = round(PAD * x.shape[-1]), x.shape[-1]
        x = F.pad(x, (pad,) * 4)
        top, left = torch.randint(0, 2 * pad + 1, (2,)).tolist()
        return x[:, top : top + side, left : left + side], int(self.targets[index])


class PlainSide:
    def __init__(self, data: Cases, size: int) -> None:
        torch.manual_seed(0)
        self.net = models.build(NET[size], 1, CLASSES)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=RATE)
        self.loader = DataLoader(
            Pictures(data), BATCH[size], shuffle=True, num_workers=2, persistent_workers=True
        )
        self()  # starts the workers, which stay: their start is not counted

    def cpu(self) -> float:
        """CPU seconds so far of this process and of the loader's workers."""
        iterator = self.loader._iterator
        workers = [w.pid for w in iterator._workers] if iterator is not None else []
        return time.process_time() + sum(map(_cpu_of, workers))

    def __call__(self) -> int:
        self.net.train()
        seen = 0
        for x, target in self.loader:
            self.optimiser.zero_grad()
            loss = F.cross_entropy(self.net(x), target)
            loss.backward()
            self.optimiser.step()
            seen += len(x)
        return seen


class OurSide:
    def __init__(self, data: Cases, plan: Plan) -> None:
        self.plan = plan
        self.steps = steps(plan, data, train.new(plan, torch.device("cpu")))
        self()

    def cpu(self) -> float:
        return time.process_time()

    def __call__(self) -> int:
        seen = 0
        with at_work("cpu", self.plan.train.threads):
            for step in self.steps:
                seen += step.cases
                if step.ends_epoch:
                    break
        return seen


def plan_of(size: int) -> Plan:
    n = CASES[size]
    return Plan(
        classes=tuple(map(str, range(CLASSES))),
        size=(size, size),
        dataset=DatasetPart(name="noise", checksum="", n_train=n, n_val=0, n_patients=n),
        prepare=(),
        augment=STEPS,
        model=ModelPart(name=NET[size]),
        train=TrainPart(
            optimiser="adam",
            learning_rate=RATE,
            schedule="constant",
            warmup=0,
            batch=BATCH[size],
            epochs=1000,
            threads=torch.get_num_threads(),
        ),
        budget=BudgetPart(minutes=1),
    )


def timed(side: PlainSide | OurSide, cases: int) -> tuple[float, float]:
    """Wall and processor seconds of one epoch."""
    cpu, wall = side.cpu(), time.perf_counter()
    assert side() == cases
    return time.perf_counter() - wall, side.cpu() - cpu


def compare(size: int, rounds: int) -> dict:
    data, plan = cases(size), plan_of(size)
    part, told = train.fastest(plan)
    best = plan.model_copy(update={"train": part})
    full = plan.model_copy(update={"train": part.model_copy(update={"precision": "fp32"})})
    sides = {
        "plain": PlainSide(data, size),
        "tomos": OurSide(data, best),
        "tomos_fp32": OurSide(data, full),
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            seen[name].append(timed(side, CASES[size]))
    found = {
        "net": NET[size],
        "cases": CASES[size],
        "batch": BATCH[size],
        "precision": part.precision,
        "channels_last": part.channels_last,
        "seconds_a_step_measured": {k: round(v, 5) for k, v in told.items()},
        "seconds_an_epoch": {
            name: {
                "wall": round(statistics.median(w for w, _ in times), 3),
                "cpu": round(statistics.median(c for _, c in times), 3),
            }
            for name, times in seen.items()
        },
        "required": REQUIRED[size],
    }
    for name in ("tomos", "tomos_fp32"):
        pairs = list(zip(seen["plain"], seen[name], strict=True))
        wall = [theirs[0] / ours[0] for theirs, ours in pairs]
        found[f"ratio_{name}"] = {
            "median": round(statistics.median(wall), 2),
            "all": [round(r, 2) for r in wall],
            "cpu_median": round(statistics.median(p[1] / t[1] for p, t in pairs), 2),
        }
    found["met"] = found["ratio_tomos"]["median"] >= REQUIRED[size]
    return found


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(REQUIRED))
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 = as torch chooses")
    parser.add_argument("--out", default="", help="the file to write, not the usual one")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    found = {str(size): compare(size, args.rounds) for size in args.sizes}
    result = {
        "versions": {"torch": torch.__version__},
        "threads": torch.get_num_threads(),
        "sizes": found,
    }
    goals = [
        goal(
            f"one training epoch at {size} px: times faster than a plain PyTorch loop",
            each["ratio_tomos"]["median"],
            least=REQUIRED[int(size)],
        )
        for size, each in found.items()
    ]
    return keep("epoch", result, goals, Path(args.out) if args.out else None)


if __name__ == "__main__":
    sys.exit(main())
