"""How much of a figure is luck? The same plan with several seeds, judged on one part.

    python examples/seeds.py DATASET PLAN --seeds 3 --split val

An interval over patients says how a figure would move with other patients; the spread over seeds
says how it would move with another training. A claim needs both. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from tomos.workflows.evaluate import evaluate
from tomos.workflows.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("plan")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="val", help="val while you still choose (val)")
    parser.add_argument("--out", default="seeds")
    asked = parser.parse_args()
    values = []
    for seed in range(asked.seeds):
        run = Path(asked.out) / f"seed{seed}"
        train(asked.dataset, run, plan_file=asked.plan, overrides=[f"train.seed={seed}"])
        judged = evaluate(run / "model.tomos", asked.dataset, split=asked.split, out=run / "judged")
        auroc = judged.metrics["overall"]["auroc"]
        values.append(auroc["value"])
        print(
            f"seed {seed}: AUROC {auroc['value']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})"
        )
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    print(f"mean {statistics.mean(values):.3f}, standard deviation over seeds {spread:.3f}")


if __name__ == "__main__":
    main()
