"""A prepared volume -> labels, the network included, against nnU-Net's predictor and MONAI's.

    python benchmarks/infer_masks.py [--nnunet PYTHON] [--rounds 2] [--threads 2] [--scans mr ct]
                                     [--small]

3D U-Nets with drawn weights (nnU-Net's form: instance norm, leaky ReLU) in tiles of 128^3, half in
common: over a head as of MR (192 x 256 x 256, 5 classes, 16 maps at full size) and a trunk as of CT
(320 x 512 x 512, 15 classes, 8 maps). Ours runs the ONNX graph in OpenVINO ("tomos") and in ONNX
Runtime ("tomos_ort"); the peers run the same weights in torch, traced. "bare" is OpenVINO alone on
the same tiles, its answers thrown away: what no program around it can beat.

Labels are compared: a voxel counts as alike, too, where the two labels' scores differ by no more
than rounding (nnU-Net adds up in half precision). MONAI lets no weight of a tile fall below 0.001
of its middle, which shifts labels along the rim of a volume; it is compared with ours under the
same floor, and the share that is equal without it is told.

`--nnunet` is the Python of an environment with nnU-Net v2, which cannot live in ours; without it
that side is left out. Each side runs in a process of its own; memory is the most it held.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from _child import (
    answer,
    called,
    in_turn,
    ratio,
    run,
    summary,
    timed,
    without_torchvision_operators,
)
from _record import goal, keep

SCANS = {
    "mr": {"size": (192, 256, 256), "classes": 5, "tile": 128, "widths": (16, 32, 64, 128, 256)},
    "ct": {"size": (320, 512, 512), "classes": 15, "tile": 128, "widths": (8, 16, 32, 64, 128)},
    "small": {"size": (48, 64, 64), "classes": 5, "tile": 32, "widths": (4, 8, 16)},
}
FLOOR = 1e-3  # of a tile's weights in MONAI
ROUNDING = {"monai": 2**-12, "nnunet": 2**-9}  # of the largest score: single and half precision


def volume(size: tuple[int, ...]) -> np.ndarray:
    from numpy.random import default_rng

    rng = default_rng(0)
    coarse = rng.standard_normal([n // 8 for n in size], dtype=np.float32)
    smooth = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    return (smooth + 0.3 * rng.standard_normal(size, dtype=np.float32))[None]


def drawn(folder: Path, tile: int, classes: int, widths: tuple[int, ...]) -> None:
    """The network as an ONNX graph and as a traced module."""
    import torch

    from tomos import models

    torch.manual_seed(0)
    net = models.build("unet", 1, classes, dims=3, widths=widths, strides=(1, 2)).eval()
    example = torch.zeros(2, 1, tile, tile, tile)
    (folder / "net.onnx").write_bytes(models.to_onnx(net, example))
    with torch.no_grad():
        torch.jit.trace(net, example[:1]).save(str(folder / "net.pt"))


def predictor(job: dict, backend: str = "OpenVino"):
    """Our own predictor, and the volume as an image."""
    from tomos.inference import MaskPredictor, network
    from tomos.package import Class, GraphPart, InputPart, Manifest, MaskPart, Network
    from tomos.types import Image

    tile = (job["tile"],) * 3
    manifest = Manifest(
        name="bench", created="2026-01-01T00:00:00+00:00", task="segment", target="mask",
        kind="mask", classes=tuple(Class(name=f"class {k}") for k in range(1, job["classes"])),
        input=InputPart(channels=1, size=tile), prepare=(), network=Network(name="unet"),
        graphs=(GraphPart(file="graphs/0.onnx", outputs=("logits",)),), map_method="none",
        mask=MaskPart(overlap=0.5),
    )  # fmt: skip
    graph = (Path(job["folder"]) / "net.onnx").read_bytes()
    runtime = getattr(network, backend)(graph, "bench", job["threads"])
    image = Image(volume(tuple(job["size"])), np.eye(4), "patient")
    return MaskPredictor.of(manifest, [runtime], job["threads"]), image


def tomos(job: dict, backend: str = "OpenVino"):
    ours, image = predictor(job, backend)
    return lambda: ours.labelled(image).labels


def scores(job: dict, floor: float = 0.0) -> np.ndarray:
    """Ours of the whole volume, which no side of the comparison keeps."""
    from unittest import mock

    from tomos.inference import stitch

    ours, image = predictor(job)
    weights = np.maximum(stitch.weights((job["tile"],) * 3), floor)
    with mock.patch.object(stitch, "weights", lambda tile: weights):
        return ours.scores(image, most=2**40).logits


def tomos_ort(job: dict):
    return tomos(job, "OnnxRuntime")


def bare(job: dict):
    import openvino

    from tomos.inference.tiles import box, tiles

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": job["threads"]}
    graph = core.read_model(model=(Path(job["folder"]) / "net.onnx").read_bytes())
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    x, tile = volume(tuple(job["size"])), (job["tile"],) * 3
    cut = [
        np.ascontiguousarray(x[(None, slice(None), *box(at, tile))])
        for at in tiles(x.shape[1:], tile)
    ]

    def work() -> None:
        for each in cut:
            request.infer({"image": each})

    return work


def traced(job: dict):
    import torch

    torch.set_num_threads(job["threads"])
    return torch.jit.load(str(Path(job["folder"]) / "net.pt")).eval()


def monai(job: dict):
    import torch
    from monai.inferers import sliding_window_inference

    net, x = traced(job), torch.from_numpy(volume(tuple(job["size"])))[None]

    def work() -> np.ndarray:
        with torch.inference_mode():
            scores = sliding_window_inference(
                x, (job["tile"],) * 3, 1, net, overlap=0.5, mode="gaussian"
            )
            return scores[0].argmax(0).to(torch.uint8).numpy()

    return work


def nnunet(job: dict):
    """nnU-Net's own predictor and export, with the settings of its default planner."""
    without_torchvision_operators()
    from functools import partial

    import torch
    from nnunetv2.inference.export_prediction import (
        convert_predicted_logits_to_segmentation_with_correct_shape as convert,
    )
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.network = traced(job)
    resampling = partial(
        resample_data_or_seg_to_shape, is_seg=False, order=1, order_z=0, force_separate_z=None
    )
    configuration = SimpleNamespace(
        patch_size=(job["tile"],) * 3, spacing=[1.0] * 3, resampling_fn_probabilities=resampling
    )
    classes = job["classes"]
    names = {"background": 0, **{f"class {k}": k for k in range(1, classes)}}
    labels = LabelManager(names, None)
    predictor.configuration_manager = configuration
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=classes)
    plans = SimpleNamespace(transpose_forward=[0, 1, 2], transpose_backward=[0, 1, 2])
    size = list(job["size"])
    properties = {
        "spacing": [1.0] * 3,
        "shape_after_cropping_and_before_resampling": size,
        "shape_before_cropping": size,
        "bbox_used_for_cropping": [[0, n] for n in size],
    }
    x = torch.from_numpy(volume(tuple(size)))

    def work() -> np.ndarray:
        logits = predictor.predict_sliding_window_return_logits(x)
        return convert(
            logits, plans, configuration, labels, properties, num_threads_torch=job["threads"]
        )

    return work


SIDES = {
    "tomos": tomos,
    "tomos_ort": tomos_ort,
    "bare": bare,
    "monai": monai,
    "nnunet": nnunet,
}


def child(side: str, job: dict) -> None:
    if side.startswith("scores"):
        floor = FLOOR if side == "scores_floored" else 0.0
        np.save(Path(job["folder"]) / f"{side}.npy", scores(job, floor))
        answer()
        return
    labels, seconds = timed(SIDES[side](job))
    answer(seconds=seconds)
    if labels is not None:
        np.save(Path(job["folder"]) / f"{side}.npy", labels)


def compare(scan: str, args: argparse.Namespace, folder: Path) -> dict:
    found: dict = {**SCANS[scan], "threads": args.threads}
    drawn(folder, found["tile"], found["classes"], found["widths"])
    job = {name: found[name] for name in ("size", "classes", "tile")} | {"folder": str(folder)}
    sides = {side: (sys.executable, side, job) for side in SIDES if side != "nnunet"}
    if args.nnunet:
        sides["nnunet"] = (args.nnunet, "nnunet", job)
    seen = in_turn(__file__, sides, args.rounds, args.threads)
    found["sides"] = {side: summary(rounds) for side, rounds in seen.items()}
    for theirs in (side for side in sides if side != "tomos"):
        pair = dict(ratio(seen[theirs], seen["tomos"]))
        pair["memory"] = round(
            found["sides"]["tomos"]["peak_mib"] / found["sides"][theirs]["peak_mib"], 4
        )
        if theirs in ROUNDING:
            kind = "scores_floored" if theirs == "monai" else "scores"
            run(__file__, sys.executable, kind, job, args.threads)
            pair |= alike(folder, theirs, kind)
        found[f"tomos_and_{theirs}"] = pair
    return found


def alike(folder: Path, theirs: str, kind: str) -> dict[str, float]:
    """Shares of voxels: with the very same label, and with one whose score is not lower by more
    than rounding."""
    labels, others = (np.load(folder / f"{side}.npy") for side in ("tomos", theirs))
    score = np.load(folder / f"{kind}.npy", mmap_mode="r")
    near = 0
    for ours, other in zip(np.moveaxis(score, 1, 0), others, strict=True):
        at = np.take_along_axis(ours, other[None].astype(int), 0)[0]
        near += int((ours.max(0) - at <= ROUNDING[theirs] * np.abs(ours).max()).sum())
    return {"voxels_equal": float((labels == others).mean()), "voxels_alike": near / labels.size}


def goals(scan: str, found: dict) -> list[dict]:
    what = f"a prepared volume to labels, {scan}"
    bare_share = found["tomos_and_bare"]["wall"]
    made = [goal(f"{what}: share of bare OpenVINO's speed", bare_share, least=0.95)]
    for theirs, name, faster in (("nnunet", "nnU-Net's predictor", 1.5), ("monai", "MONAI", None)):
        pair = found.get(f"tomos_and_{theirs}")
        if pair is None:
            continue
        if faster:
            made.append(goal(f"{what}: times faster than {name}", pair["wall"], least=faster))
        made.append(goal(f"{what}: memory as a share of {name}", pair["memory"], most=0.5))
        same = f"{what}: labels as of {name}, but for rounding"
        made.append(goal(same, pair["voxels_alike"], least=0.9999))
    return made


def main() -> int:
    asked = called()
    if asked:
        child(*asked)
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnunet", metavar="PYTHON", help="of an environment with nnU-Net v2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2, help="of every side")
    parser.add_argument("--scans", nargs="+", choices=("mr", "ct"), default=["mr", "ct"])
    parser.add_argument("--small", action="store_true", help="small arrays, nothing kept")
    args = parser.parse_args()
    found = {}
    for scan in ["small"] if args.small else args.scans:
        with tempfile.TemporaryDirectory() as folder:
            found[scan] = compare(scan, args, Path(folder))
    if args.small:
        import json

        print(json.dumps(found, indent=1))
        return 0
    reached = [each for scan, its in found.items() for each in goals(scan, its)]
    return keep("infer_masks", found, reached)


if __name__ == "__main__":
    sys.exit(main())
