"""Scores on a prepared grid -> labels on the scan's grid, against nnU-Net's export.

    python benchmarks/labels_on_grid.py [--nnunet PYTHON] [--rounds 3] [--threads 1] [--small]

`--nnunet` is the Python of an environment with nnU-Net v2, which cannot live in ours; then its own
`convert_predicted_logits_to_segmentation_with_correct_shape` is timed, with the settings that its
planner writes. Without it, the same computation is stated again with scipy: each class in float64,
`ndimage.zoom(order=1, mode="nearest", grid_mode=True)`, which is what skimage's `resize` calls,
then arg-max. The result says which of the two it was. Torch's trilinear interpolation of the whole
scores and arg-max is timed beside.

Each side runs in a process of its own. Labels are compared first: where two differ, the two best
scores, in float64, must be equal to rounding. Seconds are of the computation alone, from scores in
memory. Memory is the most each process held: the usual way begins with the whole scores in memory;
ours takes them slab by slab, as stitching hands them on (here from a file).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from _child import answer, called, ratio, run, summary, timed, without_torchvision_operators
from _record import goal, keep

CASES = {
    "organs_14": ("organs", 14, (128, 192, 192), (256, 384, 384)),
    "organs_14_512_slices": ("organs", 14, (256, 128, 128), (512, 256, 256)),
    "organs_118": ("organs", 118, (64, 128, 128), (128, 256, 256)),
    "noise_14": ("noise", 14, (128, 128, 128), (200, 288, 288)),
}
SMALL = {
    "organs_14": ("organs", 14, (32, 48, 48), (64, 96, 96)),
    "organs_118": ("organs", 118, (16, 32, 32), (32, 64, 64)),
    "noise_14": ("noise", 14, (32, 32, 32), (50, 72, 72)),
}
OURS = {"tomos": False, "tomos_uncertainty": True}  # entropy and expected volumes, too
PLANES = 32  # in one slab: half a tile of 64
ROUNDING = 1e-5  # scores closer than this are equal in float32, of scores up to about 10


def organs(classes: int, size: tuple[int, ...]) -> np.ndarray:
    """Balls of several sizes, one a class, in a background, with the noise of a trained network."""
    rng = np.random.default_rng(0)
    index = [np.arange(n, dtype=np.float32) for n in size]
    scores = np.empty((classes, *size), np.float32)
    scores[0] = 1
    middle = np.array(size) / 2
    for k in range(1, classes):
        at = middle * rng.uniform(0.3, 1.7, 3)
        radius = min(size) * rng.uniform(0.05, 0.3) * (14 / classes) ** (1 / 3)
        away = [(i - a) ** 2 for i, a in zip(index, at, strict=True)]
        square = away[0][:, None, None] + away[1][:, None] + away[2]
        scores[k] = np.clip(radius - np.sqrt(square), -8, 8)
    scores += 0.2 * rng.standard_normal(scores.shape, dtype=np.float32)
    return scores


def noise(classes: int, size: tuple[int, ...]) -> np.ndarray:
    """Every class everywhere, in spots of a few voxels: far more borders than any scan has."""
    from scipy import ndimage

    rng = np.random.default_rng(0)
    scores = rng.standard_normal((classes, *size), dtype=np.float32)
    for each in scores:
        each[...] = ndimage.gaussian_filter(each, 3) * 30
    return scores


def grids(size: tuple[int, ...], scan: tuple[int, ...]):
    from tomos.inference.grids import Grid

    change = np.eye(4)
    for axis in range(3):
        step = size[axis] / scan[axis]
        change[axis, axis], change[axis, 3] = step, 0.5 * step - 0.5
    return Grid(size, np.eye(4)), Grid(scan, change)


def ours(job: dict) -> None:
    from tomos.inference.decision import Ask
    from tomos.inference.labelling import labels_on_grid

    classes, size, scan = job["classes"], tuple(job["size"]), tuple(job["scan"])
    prepared, target = grids(size, scan)
    asked = job["uncertainty"]
    ask = Ask(classes, uncertainty=asked, entropy=asked, threads=job["threads"])
    if job["streamed"]:
        found = labels_on_grid(from_file(job["scores"], classes, size), prepared, target, ask)
        answer()
    else:
        scores = np.load(job["scores"])
        found, seconds = timed(lambda: labels_on_grid([scores], prepared, target, ask))
        answer(seconds=seconds)
    np.save(job["labels"], found.labels)


def from_file(path: str, classes: int, size: tuple[int, ...]):
    """Slabs read piece by piece: a memory-mapped file would count as memory."""
    slab = np.empty((classes, PLANES, *size[1:]), np.float32)
    plane = size[1] * size[2]
    with Path(path).open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        begin = file.tell()
        for first in range(0, size[0], PLANES):
            rows = min(PLANES, size[0] - first)
            for k in range(classes):
                file.seek(begin + 4 * plane * (k * size[0] + first))
                piece = np.fromfile(file, np.float32, rows * plane)
                slab[k, :rows] = piece.reshape(rows, *size[1:])
            yield slab[:, :rows]


def nnunet(job: dict) -> None:
    """nnU-Net's own export, with the settings of its default planner."""
    without_torchvision_operators()
    from functools import partial

    import torch
    from nnunetv2.inference.export_prediction import (
        convert_predicted_logits_to_segmentation_with_correct_shape as convert,
    )
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    names = {"background": 0, **{f"class {k}": k for k in range(1, job["classes"])}}
    plans = SimpleNamespace(transpose_forward=[0, 1, 2], transpose_backward=[0, 1, 2])
    resampling = partial(
        resample_data_or_seg_to_shape, is_seg=False, order=1, order_z=0, force_separate_z=None
    )
    configuration = SimpleNamespace(spacing=[1.0, 1.0, 1.0], resampling_fn_probabilities=resampling)
    properties = {
        "spacing": [0.5, 0.5, 0.5],
        "shape_after_cropping_and_before_resampling": job["scan"],
        "shape_before_cropping": job["scan"],
        "bbox_used_for_cropping": [[0, n] for n in job["scan"]],
    }
    logits = torch.from_numpy(np.load(job["scores"]))
    labels, seconds = timed(
        lambda: convert(
            logits,
            plans,
            configuration,
            LabelManager(names, None),
            properties,
            num_threads_torch=job["threads"],
        )
    )
    answer(seconds=seconds)
    np.save(job["labels"], labels)


def restated(job: dict) -> None:
    """The same steps with scipy, for where nnU-Net is not installed."""
    from scipy import ndimage

    def convert() -> np.ndarray:
        whole = scores.astype(float)
        out = np.zeros((len(scores), *job["scan"]), scores.dtype)
        zoom = [after / before for after, before in zip(job["scan"], job["size"], strict=True)]
        for k, each in enumerate(whole):
            out[k] = ndimage.zoom(each, zoom, order=1, mode="nearest", grid_mode=True)
        return out.argmax(0).astype(np.uint8)

    scores = np.load(job["scores"])
    labels, seconds = timed(convert)
    answer(seconds=seconds)
    np.save(job["labels"], labels)


def by_torch(job: dict) -> None:
    import torch

    torch.set_num_threads(job["threads"])
    scores = torch.from_numpy(np.load(job["scores"]))[None]

    def convert() -> np.ndarray:
        whole = torch.nn.functional.interpolate(
            scores, tuple(job["scan"]), mode="trilinear", align_corners=False
        )
        return whole[0].argmax(0).to(torch.uint8).numpy()

    labels, seconds = timed(convert)
    answer(seconds=seconds)
    np.save(job["labels"], labels)


SIDES = {"tomos": ours, "nnunet": nnunet, "restated": restated, "torch": by_torch}


def differing(job: dict, first: str, second: str) -> dict:
    """Voxels labelled otherwise, and the most by which the two labels' scores differ there."""
    one, other = np.load(first), np.load(second)
    at = np.argwhere(one != other)
    scores = np.load(job["scores"], mmap_mode="r")
    away = []
    for voxel in at[:10000]:
        steps = [n / m for n, m in zip(job["size"], job["scan"], strict=True)]
        where = [(v + 0.5) * s - 0.5 for v, s in zip(voxel, steps, strict=True)]
        values = [linear(scores[int(labels[tuple(voxel)])], where) for labels in (one, other)]
        away.append(abs(values[0] - values[1]))
    return {
        "voxels": len(at),
        "of": one.size,
        "largest_score_difference": max(away, default=0.0),
        "beyond_rounding": sum(each > ROUNDING for each in away) + len(at[10000:]),
    }


def linear(scores: np.ndarray, where: list[float]) -> float:
    """One value at a real index, in float64."""
    value = np.asarray(scores[cut(where, scores.shape)], float)
    for w, n in zip(where, scores.shape, strict=True):
        w = min(max(w, 0), n - 1)
        low = min(int(w), max(n - 2, 0))
        share = w - low
        value = value[0] * (1 - share) + (value[1] * share if len(value) > 1 else 0)
    return float(value)


def cut(where: list[float], shape: tuple[int, ...]) -> tuple[slice, ...]:
    lows = [
        min(int(min(max(w, 0), n - 1)), max(n - 2, 0)) for w, n in zip(where, shape, strict=True)
    ]
    return tuple(slice(low, low + 2) for low in lows)


def compare(name: str, case: tuple, args: argparse.Namespace, folder: Path) -> dict:
    kind, classes, size, scan = case
    job = {"classes": classes, "size": size, "scan": scan, "scores": str(folder / "scores.npy")}
    np.save(job["scores"], {"organs": organs, "noise": noise}[kind](classes, size))
    peer = "nnunet" if args.nnunet else "restated"
    jobs = {
        peer: (args.nnunet or sys.executable, peer, {}),
        "torch": (sys.executable, "torch", {}),
        **{
            way: (sys.executable, "tomos", {"uncertainty": doubt, "streamed": False})
            for way, doubt in OURS.items()
        },
    }

    def each(side: str, how: tuple) -> dict:
        python, called_as, more = how
        return run(
            __file__, python, called_as, {**job, **more, "labels": str(folder / side)}, args.threads
        )

    def labels(side: str) -> str:
        return str(folder / f"{side}.npy")

    seen: dict[str, list[dict]] = {side: [] for side in jobs}
    for _ in range(args.rounds):
        for side, how in jobs.items():
            seen[side].append(each(side, how))
    found: dict = {"classes": classes, "prepared": size, "scan": scan, "scores": kind, "peer": peer}
    found["sides"] = {side: summary(rounds) for side, rounds in seen.items()}
    found["differ"] = {
        other: differing(job, labels("tomos"), labels(other))
        for other in (peer, "torch", "tomos_uncertainty")
    }
    for way, doubt in OURS.items():
        how = (sys.executable, "tomos", {"uncertainty": doubt, "streamed": True})
        peak = each("streamed", how)["peak_bytes"]
        assert np.array_equal(np.load(labels("streamed")), np.load(labels(way))), f"{way}: slabs"
        found["sides"][way]["peak_mib_slab_by_slab"] = round(peak / 2**20, 1)
        share = peak / max(one["peak_bytes"] for one in seen[peer])
        found[f"ratio_{way}"] = {**ratio(seen[peer], seen[way]), "memory": round(share, 4)}
    found["ratio_torch"] = ratio(seen[peer], seen["torch"])
    print(f"{name}: {found['ratio_tomos']}", file=sys.stderr)
    return found


def goals(cases: dict) -> list[dict]:
    found = []
    for name, case in cases.items():
        whom = "nnU-Net's export" if case["peer"] == "nnunet" else "nnU-Net's export, stated again"
        what = f"labels on the scan's grid, {name}"
        share, differ = case["ratio_tomos"]["memory"], case["differ"][case["peer"]]
        found += [
            goal(f"{what}: times faster than {whom}", case["ratio_tomos"]["wall"], least=10),
            goal(f"{what}: memory as a share of {whom}", share, most=0.2),
            goal(
                f"{what}: voxels labelled otherwise than {whom}, scores alike to rounding aside",
                differ["beyond_rounding"],
                most=0,
            ),
        ]
    return found


def main() -> int:
    child = called()
    if child:
        SIDES[child[0]](child[1])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnunet", metavar="PYTHON", help="of an environment with nnU-Net v2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of every side")
    parser.add_argument("--small", action="store_true", help="small arrays, nothing kept")
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    args = parser.parse_args()
    cases = {n: c for n, c in (SMALL if args.small else CASES).items() if n in args.cases}
    with tempfile.TemporaryDirectory() as folder:
        found = {name: compare(name, case, args, Path(folder)) for name, case in cases.items()}
    if args.small:
        import json

        print(json.dumps(found, indent=1))
        return 0
    result = {"threads": args.threads, "rounds": args.rounds, "cases": found}
    return keep("labels_on_grid", result, goals(found))


if __name__ == "__main__":
    sys.exit(main())
