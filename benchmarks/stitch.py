"""Tiles put together again, the network aside, against MONAI and nnU-Net.

    python benchmarks/stitch.py [--nnunet PYTHON] [--rounds 3] [--threads 2] [--small]

The network is next to nothing: each of 25 classes is the picture times a number, written into
memory that is used again and again. Its own seconds are measured inside each side and taken off, so
that what remains is cutting tiles out, weighing, adding and dividing. Tiles of 128^3, half in
common, Gaussian weights, one tile at a time; the sizes are such that all sides choose the same
places. First every side puts a small volume together: each class must be the picture times its
number, to 1e-5. nnU-Net adds up in half precision, which at the corners of a volume is not enough
for its weights there; how far it is off is told.

Each side runs in a process of its own; memory is the most that process held, libraries included,
and `beside` what it held beyond what it did before it began. MONAI and nnU-Net give the scores of
the whole volume, of which there is no other form; ours are handed on slab by slab, as labelling
takes them ("tomos"), and for comparison collected into a whole array ("tomos_collected") and as
where numba is not installed ("tomos_numpy").

`--nnunet` is the Python of an environment with nnU-Net v2, which cannot live in ours; then its own
predictor is timed. Without it the same loop is stated again in torch: scores and weights in half
precision, one tile at a time. The result says which of the two it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from _child import (
    answer,
    called,
    in_turn,
    peak,
    ratio,
    summary,
    timed,
    without_torchvision_operators,
)
from _record import goal, keep

CLASSES, TILE = 25, 128
SIZE = (512, 256, 256)
SMALL_SIZE = (192, 128, 128)
CHECKED = {"classes": 3, "tile": 32, "size": (80, 64, 96)}


def picture(size: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, *size), dtype=np.float32)


def factors(classes: int) -> np.ndarray:
    return np.linspace(0.5, 2, classes, dtype=np.float32).reshape(1, classes, 1, 1, 1)


class Times:
    """The network: K classes, each the picture times a number; counts its own seconds."""

    def __init__(self, classes: int, tile: int):
        self.seconds = {"wall": 0.0, "cpu": 0.0}
        self._factors = factors(classes)
        self._out = np.zeros((1, classes, tile, tile, tile), np.float32)

    def numpy(self, inputs, wanted=()) -> dict[str, np.ndarray]:
        wall, busy = time.perf_counter(), time.process_time()
        np.multiply(inputs["image"], self._factors, out=self._out)
        self._count(wall, busy)
        return {"logits": self._out}

    def torch(self, x):
        import torch

        wall, busy = time.perf_counter(), time.process_time()
        out = torch.from_numpy(self._out)
        torch.mul(x, torch.from_numpy(self._factors), out=out)
        self._count(wall, busy)
        return out

    def _count(self, wall: float, busy: float) -> None:
        self.seconds["wall"] += time.perf_counter() - wall
        self.seconds["cpu"] += time.process_time() - busy


def warm() -> None:
    """numba is imported before the clock starts, as the peers are."""
    from tomos.inference import _adding

    add = _adding.compiled(_adding.LARGE)
    if add is not None:
        one = np.ones((1, 1, 1), np.float32)
        counts = one.copy()
        counts.setflags(write=False)  # as weights are
        add(one.copy(), one, counts, np.zeros(1, np.int64), 0, 0)


def tomos(x: np.ndarray, job: dict, network: Times, collect: bool):
    from tomos.inference.stitch import stitched
    from tomos.inference.tiles import Tiling

    classes = job["classes"]
    tiling = Tiling((job["tile"],) * 3, threads=job["threads"])
    whole = np.empty((classes, *x.shape[1:]), np.float32) if collect else None
    row = 0
    for slab in stitched(network.numpy, x, classes, tiling):
        if whole is not None:
            whole[:, row : row + slab.shape[1]] = slab
        row += slab.shape[1]
    assert row == x.shape[1]
    return whole


def monai(x: np.ndarray, job: dict, network: Times, collect: bool):
    import torch
    from monai.inferers import sliding_window_inference

    with torch.inference_mode():
        return sliding_window_inference(
            torch.from_numpy(x)[None],
            (job["tile"],) * 3,
            1,
            network.torch,
            overlap=0.5,
            mode="gaussian",
        )[0].numpy()


def nnunet(x: np.ndarray, job: dict, network: Times, collect: bool):
    """nnU-Net's own predictor, its network replaced."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    class Module(torch.nn.Module):
        def forward(self, x):
            return network.torch(x)

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.network = Module()
    predictor.configuration_manager = SimpleNamespace(patch_size=(job["tile"],) * 3)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=job["classes"])
    return predictor.predict_sliding_window_return_logits(torch.from_numpy(x)).numpy()


def restated(x: np.ndarray, job: dict, network: Times, collect: bool):
    """The same steps in torch, for where nnU-Net is not installed."""
    import torch

    from tomos.inference.tiles import box, tiles, weights

    tile = (job["tile"],) * 3
    gaussian = torch.from_numpy(10 * weights(tile)).half()
    gaussian[gaussian == 0] = gaussian[gaussian > 0].min()
    data = torch.from_numpy(x)
    sums = torch.zeros((job["classes"], *x.shape[1:]), dtype=torch.half)
    total = torch.zeros(x.shape[1:], dtype=torch.half)
    for place in tiles(x.shape[1:], tile):
        part = box(place, tile)
        scores = network.torch(data[(slice(None), *part)][None].clone())[0]
        scores *= gaussian
        sums[(slice(None), *part)] += scores
        total[part] += gaussian
    torch.div(sums, total, out=sums)
    if torch.any(torch.isinf(sums)):
        raise RuntimeError("infinite scores")
    return sums.numpy()


def tomos_numpy(x: np.ndarray, job: dict, network: Times, collect: bool):
    """As where numba is not installed."""
    sys.modules["numba"] = None  # type: ignore[assignment]
    return tomos(x, job, network, collect)


SIDES = {
    "tomos": tomos,
    "tomos_numpy": tomos_numpy,
    "monai": monai,
    "nnunet": nnunet,
    "restated": restated,
}


def child(side: str, job: dict) -> None:
    if side == "nnunet":
        without_torchvision_operators()
    if not side.startswith("tomos"):
        import torch

        torch.set_num_threads(job["threads"])
    work, collect = SIDES[side], job["collect"]
    x = picture(CHECKED["size"])
    small = {**job, **CHECKED}
    found = work(x, small, Times(small["classes"], small["tile"]), True)
    expected = x * factors(small["classes"])[0]
    away = np.abs(found.astype(np.float32) - expected)
    error = {"largest": float(away.max()), "share_beyond_0.01": float((away > 0.01).mean())}
    if side == "tomos":
        warm()
    x = picture(job["size"])
    network = Times(job["classes"], job["tile"])
    before = held()
    found, seconds = timed(lambda: work(x, job, network, collect))
    alone = {kind: seconds[kind] - network.seconds[kind] for kind in seconds}
    answer(seconds=alone, network=network.seconds, error=error, beside=peak() - before)


def held() -> int:
    """Bytes that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def compare(args: argparse.Namespace) -> dict:
    size = SMALL_SIZE if args.small else SIZE
    job = {"classes": CLASSES, "tile": TILE // 2 if args.small else TILE, "size": size}
    peer = "nnunet" if args.nnunet else "restated"
    python = args.nnunet or sys.executable
    whole, slabs = {**job, "collect": True}, {**job, "collect": False}
    sides = {
        "monai": (sys.executable, "monai", whole),
        peer: (python, peer, whole),
        "tomos": (sys.executable, "tomos", slabs),
        "tomos_collected": (sys.executable, "tomos", whole),
        "tomos_numpy": (sys.executable, "tomos_numpy", slabs),
    }
    seen = in_turn(__file__, sides, args.rounds, args.threads)
    found: dict = {**job, "peer": peer, "threads": args.threads, "rounds": args.rounds}
    found["sides"] = {
        side: {
            **summary(rounds),
            "beside_mib": round(max(one["beside"] for one in rounds) / 2**20, 1),
            "network_seconds": round(rounds[0]["network"]["wall"], 4),
            "error": rounds[0]["error"],
        }
        for side, rounds in seen.items()
    }
    for ours in ("tomos", "tomos_collected", "tomos_numpy"):
        for theirs in ("monai", peer):
            share = found["sides"][ours]["peak_mib"] / found["sides"][theirs]["peak_mib"]
            found[f"{ours}_and_{theirs}"] = {
                **ratio(seen[theirs], seen[ours]),
                "memory": round(share, 4),
            }
    return found


def goals(found: dict) -> list[dict]:
    peer = found["peer"]
    names = {"monai": "MONAI", peer: "nnU-Net" if peer == "nnunet" else "nnU-Net, stated again"}
    made = []
    for theirs, least, most in (("monai", 1.5, 1 / 3), (peer, 4, 0.5)):
        pair = found[f"tomos_and_{theirs}"]
        what = f"stitching {CLASSES} classes, {SIZE[0]} slices, network aside"
        made += [
            goal(f"{what}: times faster than {names[theirs]}", pair["wall"], least=least),
            goal(f"{what}: memory as a share of {names[theirs]}", pair["memory"], most=most),
        ]
    for side, each in found["sides"].items():
        if side != peer:  # nnU-Net's half precision is told, not judged
            what = f"{side}: largest error of the small volume it put together"
            made.append(goal(what, each["error"]["largest"], most=1e-5))
    return made


def main() -> int:
    asked = called()
    if asked:
        child(*asked)
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnunet", metavar="PYTHON", help="of an environment with nnU-Net v2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of every side")
    parser.add_argument("--small", action="store_true", help="small arrays, nothing kept")
    args = parser.parse_args()
    found = compare(args)
    if args.small:
        import json

        print(json.dumps(found, indent=1))
        return 0
    return keep("stitch", found, goals(found))


if __name__ == "__main__":
    sys.exit(main())
