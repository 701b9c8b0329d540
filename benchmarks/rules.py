"""What the plan's rules rest on: variants of a plan, cross-validated on train + val only.

    python benchmarks/rules.py DATASET [--folds 4] [--seeds 2] [--epochs 60] [--only NAME,...]

Folds are by patient, and pictures that are equal or nearly so stay together. The plan of DATASET
(DATASET/plan.toml, made where there is none) is trained as it is and with one thing changed at a
time, for the same number of epochs; the test part is never opened. One line of JSON a variant: mean
AUROC over folds for each seed, that of the seeds averaged as an ensemble, log loss after
temperature, processor seconds. They go to benchmarks/results/rules-NAME.json, beside those of
earlier runs with other epochs, folds or seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _record import RESULTS, keep

VARIANTS: dict[str, list[str]] = {
    "plan": [],
    "no augmentation": ["augment=[]"],
    "mixup 0.2": ["train.mixup=0.2"],
    "no label smoothing": ["train.label_smoothing=0"],
    "learning rate / 2": ["train.learning_rate=1e-3"],
    "four stages of 16": ["model.options.width=16", "model.options.blocks=[1, 2, 2, 1]"],
    "three stages of 32": ["model.options.width=32", "model.options.blocks=[1, 1, 1]"],
    "channel attention": ["model.options.se=true"],
    "blur before strides": ["model.options.antialias=true"],
    "dropout 0.3": ["model.options.dropout=0.3"],
    "no weight average": ["train.ema=0"],
    "classes as they come": ["train.balance='none'"],
    "classes drawn alike": ["train.balance='sampler'"],
    "classes weighted alike": ["train.balance='weights'"],
}


def alike(part) -> list[list[int]]:
    """Groups of cases whose pictures are equal or nearly so: a fold must not know another's."""
    from tomos import datasets

    place = {case.name: row for row, case in enumerate(part.cases)}
    found = datasets.check(part)
    return [[place[name] for name in group] for group in (*found.exact, *found.near)]


def scores(plan, data, fold: np.ndarray, seeds: int) -> np.ndarray:
    """(seeds, N, K) logits, each case's from a network that never saw its fold."""
    from tomos import config
    from tomos.train import evaluate_net, train
    from tomos.transforms.views import view
    from tomos.workflows.learning import LearningData

    out = np.zeros((seeds, len(data.targets), len(plan.classes)), np.float32)
    for seed in range(seeds):
        seeded = config.override(plan, [f"train.seed={seed}"])
        for k in np.unique(fold):
            rest, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            part = LearningData(data.images[rest], data.targets[rest], data.groups[rest])
            with tempfile.TemporaryDirectory() as folder:
                done = train(seeded, part, None, Path(folder), device="cpu")
            pictures = np.asarray(data.images[held])
            for name in plan.predict.views:
                seen = np.ascontiguousarray(view(pictures, name))
                out[seed, held] += np.mean([evaluate_net(net, seen) for net in done.nets], axis=0)
    return out / len(plan.predict.views)


def figures(out: np.ndarray, truth: np.ndarray, fold: np.ndarray, balanced: bool) -> dict:
    from tomos.measures.calibration import fit_temperature, log_loss, prior_shift
    from tomos.measures.ranking import macro_auroc

    def auroc(logits: np.ndarray) -> float:
        each = [macro_auroc(truth[fold == k], logits[fold == k])[0] for k in np.unique(fold)]
        return round(float(np.mean(each)), 4)

    together = out.mean(axis=0)
    shift = prior_shift(np.bincount(truth, minlength=out.shape[2])) if balanced else ()
    chances = fit_temperature(together, truth, shift=shift).apply(together)
    said = chances.argmax(1)
    return {
        "auroc": [auroc(logits) for logits in out],
        "auroc_together": auroc(together),
        "log_loss": round(log_loss(chances, truth), 4),
        "accuracy": round(float((said == truth).mean()), 4),
        "recall": [round(float((said[truth == k] == k).mean()), 3) for k in np.unique(truth)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--only", default="")
    args = parser.parse_args()

    from tomos import config, datasets
    from tomos.plan import Plan
    from tomos.transforms.prepare import Chain
    from tomos.workflows.learning import LearningData
    from tomos.workflows.plan import make_plan

    opened = datasets.open(args.dataset)
    if not (args.dataset / "plan.toml").is_file():
        make_plan(args.dataset, minutes=5)
    same = ["budget.minutes=1e6", "train.threads=1", "train.members=1"]
    base = config.override(
        config.load(Plan, args.dataset / "plan.toml"), [*same, f"train.epochs={args.epochs}"]
    )
    learned = [case for case in opened.cases if case.split in ("train", "val")]
    part = opened.only(case for case in learned if case.targets.get(base.target))
    fold = datasets.folds(part.cases, base.target, args.folds, together=alike(part))
    store = datasets.prepared(part, Chain(base.prepare))
    data = LearningData.of(store, base)
    found = {}
    for name in args.only.split(",") if args.only else VARIANTS:
        plan = config.override(base, VARIANTS[name])
        begun = time.process_time()
        out = scores(plan, data, fold, args.seeds)
        found[name] = figures(out, data.targets, fold, plan.train.balance != "none")
        found[name]["cpu_seconds"] = round(time.process_time() - begun)
        print(json.dumps({name: found[name]}), flush=True)
    name = f"rules-{opened.info.name}"
    run = f"{args.folds} folds, {args.seeds} seeds, {args.epochs} epochs"
    earlier = RESULTS / f"{name}.json"
    runs = json.loads(earlier.read_text("utf-8"))["runs"] if earlier.is_file() else {}
    runs[run] = runs.get(run, {}) | found
    return keep(name, {"n": len(part), "runs": runs}, [])


if __name__ == "__main__":
    sys.exit(main())
