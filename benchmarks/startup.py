"""How quickly the command line starts, against the bare imports it cannot do without.

    python benchmarks/startup.py [--rounds 9] [--model model.tomos --image x.png] [--python PATH]

Fresh processes in turns: `tomos --help` against `python -c 'import argparse'` (goal: at most 5x,
and under 0.3 s), and `tomos predict` on one PNG against `import numpy, onnxruntime, pydicom` (goal:
at most 2.5x, and under 1.5 s). Medians. With --python another environment is measured, such as one
without torch. One JSON object is printed and written to benchmarks/results/startup.json.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _record import goal, keep


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def in_turns(ours: list[str], bare: list[str], rounds: int) -> dict[str, float]:
    seconds(ours), seconds(bare)
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "seconds": round(mine, 4),
        "bare_seconds": round(theirs, 4),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
    }


def small_model(folder: Path) -> tuple[Path, Path]:
    """An untrained resnet_small for 28 px in a model file, and a picture for it."""
    import numpy as np
    import torch

    from tomos import formats, models, package
    from tomos.package import Class, GraphPart, InputPart, Manifest

    torch.manual_seed(0)
    net = models.build("resnet_small", 1, 2).eval()
    manifest = Manifest(
        name="startup",
        classes=(Class(name="a"), Class(name="b")),
        input=InputPart(channels=1, size=(28, 28)),
        prepare=(
            {"step": "channels", "to": 1},
            {"step": "resize", "size": [28, 28]},
            {"step": "normalise", "kind": "zscore"},
        ),
        graphs=(GraphPart(file="graphs/0.onnx", outputs=("logits", "features", "cam")),),
    )
    graph = models.to_onnx(net, torch.zeros(2, 1, 28, 28))
    package.write(folder / "m.tomos", manifest, [graph])
    picture = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    (folder / "x.png").write_bytes(formats.png_bytes(picture))
    return folder / "m.tomos", folder / "x.png"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", default="", help="the file to write, not the usual one")
    args = parser.parse_args()
    tomos = str(Path(args.python).parent / "tomos")
    with tempfile.TemporaryDirectory() as folder:
        model, image = args.model, args.image
        if not (model and image):
            model, image = small_model(Path(folder))
        predict = [tomos, "predict", str(model), str(image), "--json"]
        bare = [args.python, "-c", "import numpy, onnxruntime, pydicom"]
        parser_only = [args.python, "-c", "import argparse"]
        result = {
            "help": in_turns([tomos, "--help"], parser_only, args.rounds),
            "predict": in_turns(predict, bare, args.rounds),
        }
    helped, predicted = result["help"], result["predict"]
    goals = [
        goal("tomos --help, seconds", helped["seconds"], most=0.3),
        goal("tomos --help, times python -c 'import argparse'", helped["ratio"], most=5),
        goal("tomos predict of one picture, seconds", predicted["seconds"], most=1.5),
        goal("tomos predict, times the bare imports it needs", predicted["ratio"], most=2.5),
    ]
    return keep("startup", result, goals, Path(args.out) if args.out else None)


if __name__ == "__main__":
    sys.exit(main())
