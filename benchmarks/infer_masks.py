"""A prepared volume -> labels, the network included, against nnU-Net's predictor and MONAI's.

    python benchmarks/infer_masks.py [--nnunet PYTHON] [--rounds 2] [--threads 2] [--small]

One 3D U-Net with drawn weights (nnU-Net's form: instance norm, leaky ReLU, 16 maps at full size)
in tiles of 128^3, half in common, over a volume of 192 x 256 x 256; 5 classes. Ours runs the ONNX
graph in OpenVINO ("tomos") and in ONNX Runtime ("tomos_ort"); the peers run the same weights in
torch, traced. "bare" is OpenVINO alone on the same tiles, its answers thrown away: what no program
around it can beat. Labels are compared first: nnU-Net adds up in half precision, so it may differ
where two classes are nearly equal, which is told.

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
from _child import answer, called, in_turn, ratio, summary, timed, without_torchvision_operators
from _record import goal, keep

CLASSES = 5
SIZE, TILE, WIDTHS = (192, 256, 256), 128, (16, 32, 64, 128, 256)
SMALL = ((48, 64, 64), 32, (4, 8, 16))


def volume(size: tuple[int, ...]) -> np.ndarray:
    from numpy.random import default_rng

    rng = default_rng(0)
    coarse = rng.standard_normal([n // 8 for n in size], dtype=np.float32)
    smooth = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    return (smooth + 0.3 * rng.standard_normal(size, dtype=np.float32))[None]


def drawn(folder: Path, tile: int, widths: tuple[int, ...]) -> None:
    """The network as an ONNX graph and as a traced module."""
    import torch

    from tomos import models

    torch.manual_seed(0)
    net = models.build("unet", 1, CLASSES, dims=3, widths=widths, strides=(1, 2)).eval()
    example = torch.zeros(2, 1, tile, tile, tile)
    (folder / "net.onnx").write_bytes(models.to_onnx(net, example))
    with torch.no_grad():
        torch.jit.trace(net, example[:1]).save(str(folder / "net.pt"))


def tomos(job: dict, backend: str = "OpenVino"):
    from tomos.inference import MaskPredictor, network
    from tomos.package import Class, GraphPart, InputPart, Manifest, MaskPart, Network
    from tomos.types import Image

    tile = (job["tile"],) * 3
    manifest = Manifest(
        name="bench", created="2026-01-01T00:00:00+00:00", task="segment", target="mask",
        kind="mask", classes=tuple(Class(name=f"class {k}") for k in range(1, CLASSES)),
        input=InputPart(channels=1, size=tile), prepare=(), network=Network(name="unet"),
        graphs=(GraphPart(file="graphs/0.onnx", outputs=("logits",)),), map_method="none",
        mask=MaskPart(overlap=0.5),
    )  # fmt: skip
    graph = (Path(job["folder"]) / "net.onnx").read_bytes()
    runtime = getattr(network, backend)(graph, "bench", job["threads"])
    predictor = MaskPredictor.of(manifest, [runtime], job["threads"])
    image = Image(volume(tuple(job["size"])), np.eye(4), "patient")
    return lambda: predictor.labelled(image).labels


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
    names = {"background": 0, **{f"class {k}": k for k in range(1, CLASSES)}}
    labels = LabelManager(names, None)
    predictor.configuration_manager = configuration
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=CLASSES)
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
    labels, seconds = timed(SIDES[side](job))
    answer(seconds=seconds)
    if labels is not None:
        np.save(Path(job["folder"]) / f"{side}.npy", labels)


def compare(args: argparse.Namespace, folder: Path) -> dict:
    size, tile, widths = SMALL if args.small else (SIZE, TILE, WIDTHS)
    drawn(folder, tile, widths)
    job = {"size": size, "tile": tile, "folder": str(folder)}
    sides = {side: (sys.executable, side, job) for side in SIDES if side != "nnunet"}
    if args.nnunet:
        sides["nnunet"] = (args.nnunet, "nnunet", job)
    seen = in_turn(__file__, sides, args.rounds, args.threads)
    found: dict = {**job, "widths": widths, "classes": CLASSES, "threads": args.threads}
    del found["folder"]
    found["sides"] = {side: summary(rounds) for side, rounds in seen.items()}
    ours = np.load(folder / "tomos.npy")
    for theirs in (side for side in sides if side != "tomos"):
        pair = dict(ratio(seen[theirs], seen["tomos"]))
        pair["memory"] = round(
            found["sides"]["tomos"]["peak_mib"] / found["sides"][theirs]["peak_mib"], 4
        )
        if (folder / f"{theirs}.npy").is_file():
            pair["voxels_alike"] = float((np.load(folder / f"{theirs}.npy") == ours).mean())
        found[f"tomos_and_{theirs}"] = pair
    return found


def goals(found: dict) -> list[dict]:
    what = "a prepared volume to labels"
    bare_share = found["tomos_and_bare"]["wall"]
    made = [goal(f"{what}: share of bare OpenVINO's speed", bare_share, least=0.95)]
    for theirs, name, faster in (("nnunet", "nnU-Net's predictor", 1.5), ("monai", "MONAI", None)):
        pair = found.get(f"tomos_and_{theirs}")
        if pair is None:
            continue
        if faster:
            made.append(goal(f"{what}: times faster than {name}", pair["wall"], least=faster))
        made.append(goal(f"{what}: memory as a share of {name}", pair["memory"], most=0.5))
        alike = f"{what}: labels equal to {name}"
        made.append(goal(alike, pair["voxels_alike"], least=0.999))
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
    parser.add_argument("--small", action="store_true", help="small arrays, nothing kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = compare(args, Path(folder))
    if args.small:
        import json

        print(json.dumps(found, indent=1))
        return 0
    return keep("infer_masks", found, goals(found))


if __name__ == "__main__":
    sys.exit(main())
