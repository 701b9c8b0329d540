"""Accuracy of the plan's own choice on public sets: official split, three seeds, test once.

    python benchmarks/accuracy.py SOURCE... [--minutes 10] [--seeds 3] [--recipe auto]
                                  [--against resnet18_fixed] [--out FILE]

SOURCE is what `tomos import` takes without more words, such as pneumoniamnist.npz, or a data set
that was imported. For each seed the whole way is taken: import, plan within the minutes, train,
threshold and calibration on validation, one look at the test part. With --against, a recipe gets
the same minutes and seeds. Resumable: a run that is there is not repeated, so each has a commit of
its own. Prints one JSON object and writes it to --out, else to
benchmarks/results/accuracy-SOURCES.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from _record import commit, keep

SHOWN = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "ece")
WORK = Path("scratch") / "accuracy"


def one_run(source: Path, recipe: str, seed: int, minutes: float) -> dict:
    """The figures of one seed, from its folder when it was run before."""
    from tomos import datasets
    from tomos.workflows.import_data import import_data

    known = (source / "dataset.toml").is_file()
    dataset = source if known else WORK / source.stem / "dataset"
    if not (dataset / "dataset.toml").is_file():
        import_data(source, dataset)
    folder = WORK / source.stem / f"{recipe}-{minutes:g}min-seed{seed}"
    record = folder / "record.json"
    if record.is_file():
        return json.loads(record.read_text()) | learning(folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [
        str(Path(sys.executable).parent / "tomos"), "train", str(dataset), "-o", str(folder),
        "--minutes", str(minutes), "--seed", str(seed), "--recipe", recipe,
    ]  # fmt: skip
    resumed = bool(list(folder.glob("checkpoints/*")))
    if resumed:
        command = [*command[:5], "--resume"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = json.loads((folder / "metrics.json").read_text())
    found = {
        "seed": seed,
        "commit": commit(),
        "overall": {name: metrics["overall"][name] for name in SHOWN if name in metrics["overall"]},
        "n_cases": metrics["n_cases"],
        "looks": datasets.looks(
            datasets.open(dataset), datasets.open(dataset).split(metrics["split"]).cases
        ),
    }
    if not resumed:  # else only the end was timed
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found |= {"wall_seconds": round(time.perf_counter() - start), "cpu_seconds": round(cpu)}
    record.write_text(json.dumps(found, indent=1))
    return found | learning(folder)


def learning(folder: Path) -> dict:
    """When the run ended; seconds of learning over all resumes and how many networks, from the
    log."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    ended = datetime.fromtimestamp((folder / "metrics.json").stat().st_mtime, UTC)
    return {
        "ended": ended.isoformat(timespec="seconds"),
        "learning_seconds": round(max(line["seconds"] for line in lines)),
        "networks": len({line["member"] for line in lines}),
    }


def spread(runs: list[dict]) -> dict:
    """Mean over seeds with its t interval, and the standard deviation."""
    import numpy as np

    from tomos.measures.intervals import seed_spread

    out = {}
    for name in SHOWN:
        values = np.array([run["overall"][name]["value"] for run in runs if name in run["overall"]])
        if len(values):
            interval, deviation = seed_spread(values)
            out[name] = {
                "mean": round(float(values.mean()), 4),
                "low": interval.low,
                "high": interval.high,
                "sd": deviation,
                "seeds": [round(float(v), 4) for v in values],
            }
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--against", default="")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    sets: dict[str, dict] = {}
    for source in args.source:
        entry = {}
        for recipe in filter(None, (args.recipe, args.against)):
            runs = [one_run(source, recipe, seed, args.minutes) for seed in range(args.seeds)]
            entry[recipe] = {"spread": spread(runs), "runs": runs}
        sets[source.stem] = entry
        print(json.dumps({source.stem: entry}, indent=1), file=sys.stderr)
    name = "accuracy-" + "-".join(sets)
    return keep(name, {"minutes": args.minutes, "sets": sets}, [], args.out)


if __name__ == "__main__":
    sys.exit(main())
