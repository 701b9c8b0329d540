"""What a choice is worth in the same minutes, on folds of train + validation: the test stays shut.

    python benchmarks/folds.py DATASET [--minutes 3] [--of 4] [--rounds 1] [--seed 0]
                               [--ways "auto;auto LARGER=1;auto model.options.se=true"]

A way is a recipe, or "auto", the plan's rules; after it, one of the rules' constants
(plan/classify.py, plan/segment.py) or a wish for the plan (with a dot) may be another. For each way
and each of the first `rounds` of `of` folds the whole way is taken: plan within the minutes, train,
judged on the fold held out. Resumable: a run that is there is not repeated, one that was cut off
goes on (scratch/folds). Results stand in benchmarks/results/folds-NAME.json, by minutes; of masks
with the mean over the cases of all folds and its interval over patients.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import json
import resource
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
from _record import RESULTS, keep

WORK = Path("scratch") / "folds"
SHOWN = ("auroc", "accuracy", "balanced_accuracy", "ece", "dice", "nsd", "hd95")
POOLED = ("dice", "nsd", "hd95", "auroc")


def one_run(dataset: Path, way: str, args: argparse.Namespace, fold: str) -> dict:
    """The figures of one way on one fold, from its folder when it was run before."""
    from tomos import config
    from tomos.plan import Plan

    folder = folder_of(dataset, way, args, fold)
    if not (folder / "metrics.json").is_file():
        _train(dataset, folder, way, args, fold)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    overall, plan = metrics["overall"], config.load(Plan, folder / "plan.toml")
    figures = {name: round(overall[name]["value"], 4) for name in SHOWN if name in overall}
    chosen = {"size": plan.size, "epochs": plan.train.epochs, "networks": plan.train.members}
    if plan.task == "segment":
        each = metrics["per_class"]
        figures["dice_of"] = {name: round(of["dice"]["value"], 4) for name, of in each.items()}
        options = plan.model.options
        chosen |= {"patches": plan.train.patches, "width": options["widths"][0]}
    spent = folder / "seconds.json"
    return figures | chosen | (json.loads(spent.read_text()) if spent.is_file() else {})


def folder_of(dataset: Path, way: str, args: argparse.Namespace, fold: str) -> Path:
    from tomos import datasets

    name = f"{datasets.open(dataset).info.name}-{way}-{args.minutes:g}min-{fold}-seed{args.seed}"
    return WORK / name.replace("/", "of").replace(" ", "_")


def _train(dataset: Path, folder: Path, way: str, args: argparse.Namespace, fold: str) -> None:
    from tomos.cli.terminal import Terminal
    from tomos.plan import classify, make_segment, segment
    from tomos.workflows.train import train

    recipe, *changes = way.split()
    wishes = [change for change in changes if "." in change.partition("=")[0]]
    resumed = bool(list(folder.glob("checkpoints/*")))
    with contextlib.ExitStack() as stack:
        for change in changes:
            name, _, value = change.partition("=")
            rules = [part for part in (classify, segment, make_segment) if hasattr(part, name)]
            if change not in wishes and not rules:
                sys.exit(f"{change}: no rule has a constant {name!r}")
            for part in rules:
                stack.enter_context(mock.patch.object(part, name, ast.literal_eval(value)))
        first, clock = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        about = {} if resumed else {"minutes": args.minutes, "recipe": recipe, "overrides": wishes}
        train(
            dataset, folder, fold=fold, seed=args.seed, resume=resumed, progress=Terminal(), **about
        )
    if not resumed:  # else only the end was timed
        last = resource.getrusage(resource.RUSAGE_SELF)
        cpu = last.ru_utime + last.ru_stime - first.ru_utime - first.ru_stime
        seconds = {"cpu_seconds": round(cpu), "wall_seconds": round(time.perf_counter() - clock)}
        (folder / "seconds.json").write_text(json.dumps(seconds))


def pooled(folders: list[Path]) -> dict:
    """Class -> figure -> mean over the cases of all folds, with its interval over patients."""
    rows = []
    for folder in folders:
        with (folder / "per_case.csv").open(newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["verdict"] != "failed"]
    found: dict[str, dict] = {}
    for name in dict.fromkeys(row["class"] for row in rows):
        for figure in POOLED:
            known = [row for row in rows if row["class"] == name and row[figure]]
            if known:
                values = np.array([float(row[figure]) for row in known])
                groups = np.array([row["patient"] or row["case"] for row in known])
                found.setdefault(name, {})[figure] = _mean(values, groups)
    return found


def _mean(values: np.ndarray, groups: np.ndarray) -> dict:
    from tomos.measures.intervals import Bootstrap, percentile

    low, high = percentile(Bootstrap(groups).distribution(lambda w: (w @ values) / w.sum(1)))
    return {"mean": round(float(values.mean()), 4), "low": low, "high": high, "cases": len(values)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--of", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", default="auto;resnet18_fixed")
    args = parser.parse_args()

    from tomos import datasets

    name = f"folds-{datasets.open(args.dataset).info.name}".replace(" ", "_")
    earlier = RESULTS / f"{name}.json"
    known = json.loads(earlier.read_text("utf-8")) if earlier.is_file() else {}
    runs, means = known.get("runs", {}), known.get("pooled", {})
    when = f"{args.minutes:g} minutes, seed {args.seed}"
    for number in range(1, args.rounds + 1):
        fold = f"{number}/{args.of}"
        for way in args.ways.split(";"):
            found = one_run(args.dataset, way, args, fold)
            print(json.dumps({way: {fold: found}}), flush=True)
            runs.setdefault(when, {}).setdefault(way, {})[fold] = found
    for way in args.ways.split(";"):
        folds = [f"{number}/{args.of}" for number in range(1, args.rounds + 1)]
        folders = [folder_of(args.dataset, way, args, fold) for fold in folds]
        if all((folder / "per_case.csv").is_file() for folder in folders):
            key = f"{way}, {len(folds)} of {args.of} folds"
            means.setdefault(when, {})[key] = pooled(folders)
    return keep(name, {"runs": runs} | ({"pooled": means} if means else {}), [])


if __name__ == "__main__":
    sys.exit(main())
