"""`predict` against the loop that anyone would write: PIL decode, numpy resize, ONNX Runtime.

    python benchmarks/predict.py [--n 1000] [--chunk 250] [--threads 0] [--model model.tomos]

ResNet-18 at 224 px from 8-bit PNG files of about 600 px, the same batch and threads on both sides.
The two take turns, chunk by chunk, so that a busy machine disturbs both alike; one JSON object on
stdout. `ratio` is loop time / predict time: 1 = as fast as the loop, more = faster. The goal is
0.85: Tomos reads under limits, carries the geometry, judges the envelope and calibrates.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from _record import goal, keep

# As the command line does, for both sides: the pictures are prepared in threads of our own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

SIZE = 224
BATCH = 32


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--chunk", type=int, default=125)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", help="a model.tomos (default: ResNet-18 with random weights)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), args)
    what = "predict, ResNet-18 at 224 px from PNG: speed as a share of a bare loop's, same batch"
    return keep("predict", result, [goal(what, result["ratio"], least=0.85)])


def measure(folder: Path, args: argparse.Namespace) -> dict:
    from tomos import package
    from tomos.inference import Predictor

    model = Path(args.model) if args.model else build(folder / "model.tomos")
    files = pictures(folder, args.n)
    read = package.read(model)
    predictor = Predictor(read, threads=args.threads, cache=folder)
    session = plain_session(read.graph(0), args.threads)
    size = read.manifest.input.size
    loop(session, files[:BATCH], size)
    list(predictor.predict(files[:BATCH]))
    seconds: dict[str, list[float]] = {"loop": [], "predict": []}
    for turn, start in enumerate(range(0, len(files), args.chunk)):
        chunk = files[start : start + args.chunk]
        ways = [
            ("loop", lambda c=chunk: loop(session, c, size)),
            ("predict", lambda c=chunk: len(list(predictor.predict(c, batch=BATCH)))),
        ]
        for name, work in ways if turn % 2 == 0 else ways[::-1]:
            begun = time.perf_counter()
            assert work() == len(chunk)
            seconds[name].append(time.perf_counter() - begun)
    ratios = np.array(seconds["loop"]) / np.array(seconds["predict"])
    return {
        "images": len(files),
        "batch": BATCH,
        "threads": args.threads,
        "loop_seconds": round(sum(seconds["loop"]), 3),
        "predict_seconds": round(sum(seconds["predict"]), 3),
        "ratio": round(sum(seconds["loop"]) / sum(seconds["predict"]), 3),
        "ratio_of_chunks": [round(float(r), 3) for r in ratios],
    }


def build(path: Path) -> Path:
    """ResNet-18 with random weights, an envelope fitted on its own pictures, as a model file."""
    import torch

    from tomos import models, package
    from tomos.inference import Info, Predictor, Seen, envelope

    torch.manual_seed(0)
    graph = models.to_onnx(models.build("resnet18", 1, 2).eval(), torch.zeros(1, 1, SIZE, SIZE))
    manifest = package.Manifest.model_validate(
        {
            "name": "benchmark",
            "classes": [{"name": "a"}, {"name": "b"}],
            "input": {"channels": 1, "size": [SIZE, SIZE]},
            "prepare": [
                {"step": "resize", "size": [SIZE, SIZE]},
                {"step": "normalise", "kind": "range"},
            ],
            "graphs": [{"file": "graphs/0.onnx", "outputs": ["logits", "features", "cam"]}],
            "map_method": "cam",
            "features": True,
            "operating_point": {"thresholds": {"b": 0.5}},
        }
    )
    package.write(path, manifest, [graph])
    predictor = Predictor(path)
    x = np.stack([picture(n, (SIZE, SIZE)) for n in range(64)])[:, None].astype(np.float32) / 255
    infos = [Info(size=(600, 560))] * len(x)
    data, arrays = envelope.fit(Seen(infos, x, predictor.features(x)))
    extras = {f"envelope/{name}.npy": array for name, array in arrays.items()}
    package.write(path, manifest.model_copy(update={"envelope": data}), [graph], extras)
    return path


def pictures(folder: Path, count: int) -> list[str]:
    """PNG files that compress about as films do."""
    from tomos import formats
    from tomos.types import Image

    files = []
    for n in range(count):
        path = folder / f"{n:05d}.png"
        formats.write_png(Image(picture(n, (600, 560))[None], value_range=(0, 255)), path)
        files.append(str(path))
    return files


def picture(seed: int, size: tuple[int, int]) -> np.ndarray:
    """(Y, X) uint8: smooth waves under a little grain."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size) / size[0]
    a, b, c = rng.uniform(2, 9, 3)
    waves = 128 + 50 * np.sin(a * y + c) * np.cos(b * x) + 30 * np.sin(17 * x * y + a)
    return np.clip(waves + rng.normal(0, 2, size), 0, 255).astype(np.uint8)


def plain_session(graph: bytes, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def loop(session, files: list[str], size: tuple[int, ...]) -> int:
    """The usual script: read, resize, stack, run."""
    from PIL import Image as Picture

    rows = columns = None
    done = 0
    for start in range(0, len(files), BATCH):
        batch = []
        for file in files[start : start + BATCH]:
            with Picture.open(file) as opened:
                pixels = np.asarray(opened.convert("L"), dtype=np.float32)
            if rows is None or rows.shape[1] != pixels.shape[0]:
                rows, columns = weights(pixels.shape[0], size[0]), weights(pixels.shape[1], size[1])
            batch.append((rows @ pixels @ columns.T / 255)[None])
        logits = session.run(["logits"], {"image": np.stack(batch)})[0]
        done += len(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    return done


def weights(long: int, short: int) -> np.ndarray:
    """(short, long): bilinear with antialiasing, as PIL's."""
    scale = long / short
    centre = (np.arange(short)[:, None] + 0.5) * scale - 0.5
    reach = np.clip(1 - np.abs(np.arange(long)[None] - centre) / max(scale, 1), 0, None)
    return (reach / reach.sum(1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
