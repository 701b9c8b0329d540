"""What a choice is worth in the same minutes, on folds of train + validation: the test stays shut.

    python benchmarks/folds.py DATASET [--minutes 3] [--of 4] [--rounds 1] [--seed 0]
                               [--ways "auto,auto LARGER=1,resnet18_fixed"]

A way is a recipe, or "auto", the plan's rules, where one of their constants (plan/classify.py) may
be another. For each way and each of the first `rounds` of `of` folds the whole way is taken: plan
within the minutes, train, threshold on validation, judged on the fold held out. A run that is there
is not repeated (scratch/folds). Results stand in benchmarks/results/folds-NAME.json, by minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from unittest import mock

from _record import RESULTS, keep

WORK = Path("scratch") / "folds"
SHOWN = ("auroc", "accuracy", "balanced_accuracy", "ece")


def one_run(dataset: Path, way: str, args: argparse.Namespace, fold: str) -> dict:
    """The figures of one way on one fold, from its folder when it was run before."""
    from tomos import config, datasets
    from tomos.plan import Plan, classify
    from tomos.workflows.train import train

    name = f"{datasets.open(dataset).info.name}-{way}-{args.minutes:g}min-{fold}-seed{args.seed}"
    folder = WORK / name.replace("/", "of").replace(" ", "_")
    if not (folder / "metrics.json").is_file():
        recipe, *changes = way.split()
        with contextlib.ExitStack() as stack:
            for change in changes:
                constant, _, value = change.partition("=")
                stack.enter_context(mock.patch.object(classify, constant, float(value)))
            train(dataset, folder, minutes=args.minutes, recipe=recipe, fold=fold, seed=args.seed)
    overall = json.loads((folder / "metrics.json").read_text("utf-8"))["overall"]
    plan = config.load(Plan, folder / "plan.toml")
    figures = {name: round(overall[name]["value"], 4) for name in SHOWN if name in overall}
    chosen = {"side": plan.size[0], "epochs": plan.train.epochs, "networks": plan.train.members}
    return figures | chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--of", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", default="auto,resnet18_fixed")
    args = parser.parse_args()

    from tomos import datasets

    name = f"folds-{datasets.open(args.dataset).info.name}".replace(" ", "_")
    earlier = RESULTS / f"{name}.json"
    runs = json.loads(earlier.read_text("utf-8"))["runs"] if earlier.is_file() else {}
    for number in range(1, args.rounds + 1):
        fold = f"{number}/{args.of}"
        for way in args.ways.split(","):
            found = one_run(args.dataset, way, args, fold)
            print(json.dumps({way: {fold: found}}), flush=True)
            mine = runs.setdefault(f"{args.minutes:g} minutes, seed {args.seed}", {})
            mine.setdefault(way, {})[fold] = found
    return keep(name, {"runs": runs}, [])


if __name__ == "__main__":
    sys.exit(main())
