"""nnU-Net's side of `augment_3d.py`: its default transforms, timed in a process of their own.

    python benchmarks/_augment_nnunet.py FOLDER DATA THREADS

FOLDER holds batchgeneratorsv2 and what it imports; DATA an npz with `image` and `mask`. Every line
of standard input is one order, a JSON object; every line of standard output its answer.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import torch

SIZE = (128, 128, 128)
TURN = (-np.pi / 6, np.pi / 6)


def transforms() -> dict:
    """What nnU-Net v2's trainer makes for a volume, and its spatial transform with a bend."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    quarter, curve = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5))
    values = [
        (GaussianNoiseTransform((0, 0.1), 1, True), 0.1),
        (GaussianBlurTransform((0.5, 1.0), False, False, 0.5, benchmark=True), 0.2),
        (MultiplicativeBrightnessTransform(quarter, False, 1), 0.15),
        (ContrastTransform(quarter, True, False, 1), 0.15),
        (SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 0.5), 0.25),
        (GammaTransform(curve, 1, False, 1, 1), 0.1),
        (GammaTransform(curve, 0, False, 1, 1), 0.3),
    ]
    share = {"p_rotation": 0.2, "rotation": TURN, "p_scaling": 0.2, "scaling": (0.7, 1.4)}
    always = {"p_rotation": 1, "rotation": TURN, "p_scaling": 1, "scaling": (0.7, 1.4)}
    bend = {"p_elastic_deform": 1, "elastic_deform_scale": 0.1, "elastic_deform_magnitude": 8}
    return {
        "default": ComposeTransforms(
            [
                spatial(**share),
                *(RandomTransform(one, apply_probability=p) for one, p in values),
                MirrorTransform((0, 1, 2)),
                RemoveLabelTansform(-1, 0),
            ]
        ),
        "bent": spatial(**always, **bend),
    }


def spatial(**settings):
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    return SpatialTransform(SIZE, 0, False, p_synchronize_scaling_across_axes=1, **settings)


def case(data: dict) -> dict:
    """A fresh copy: transforms write into what they get."""
    return {name: torch.from_numpy(array.copy()) for name, array in data.items()}


def timed(transform, data: dict, cases: int) -> dict:
    wall = cpu = 0.0
    for _ in range(cases):
        own = case(data)
        begin, used = time.perf_counter(), time.process_time()
        transform(**own)
        wall, cpu = wall + time.perf_counter() - begin, cpu + time.process_time() - used
    return {"wall": wall, "cpu": cpu}


def known(data: dict, order: dict) -> dict:
    """One turn and one size that are told, and one gamma, for the check of the outputs."""
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform

    moved = spatial(
        p_rotation=1, rotation=lambda dim, **_: order["angles"][dim], p_scaling=1,
        scaling=order["scale"],
    )(**case(data))  # fmt: skip
    image = moved["image"].clone()
    bent = GammaTransform(order["gamma"], 1, False, 1, 1)(image=moved["image"])["image"]
    np.savez(order["file"], image=image, mask=moved["segmentation"], gamma=bent)
    return {}


def main() -> None:
    sys.path.append(sys.argv[1])
    with np.load(sys.argv[2]) as file:
        data = {"image": file["image"], "segmentation": file["mask"].astype(np.int16)[None]}
    torch.set_num_threads(int(sys.argv[3]))
    made = transforms()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "known":
            answer = known(data, order)
        else:
            np.random.seed(order["seed"])
            torch.manual_seed(order["seed"])
            answer = timed(made[order["do"]], data, order["cases"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
