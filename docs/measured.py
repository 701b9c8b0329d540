"""The page of measured figures, from `benchmarks/results/*.json`: no figure is typed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from describing import table

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
NAMES = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def measured() -> list[str]:
    """The sections: accuracy of each set, then every goal of speed and envelope."""
    results = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    results = dict(sorted(results.items()))
    parts = [f"## Accuracy\n\n{_ACCURACY}", *_accuracy(results), f"## Goals\n\n{_GOALS}"]
    rows = [row for name, result in results.items() for row in _goals(name, result)]
    return [*parts, table(("what", "measured", "goal", "met", "benchmark", "when and where"), rows)]


_ACCURACY = (
    "The plan's own choice, on the official split (or one by patient), from scratch on a "
    "processor. Threshold and calibration are fixed on validation, and the test part is looked at "
    "once a seed. Mean over the seeds, with its 95 % t interval, then each seed. The rules were "
    "tuned by cross-validation on training and validation parts only."
)
_GOALS = (
    "Each is a ratio of two programs that take turns on one machine, or a share. `load` is the "
    "machine's one-minute load average at the end: on a busy machine a ratio says less."
)


def _accuracy(results: dict) -> Iterator[str]:
    for name, result in results.items():
        for source, recipes in result.get("sets", {}).items():
            if name.startswith("accuracy-"):
                yield f"### {source}\n\n{_place(result)}, {result['minutes']:g} minutes a seed."
                yield table(("figure", *recipes), _figures(recipes))


def _figures(recipes: dict) -> Iterator[tuple[str, ...]]:
    known = [key for key in NAMES if any(key in each["spread"] for each in recipes.values())]
    for key in known:
        yield (NAMES[key], *(_spread(each["spread"].get(key)) for each in recipes.values()))
    yield ("processor minutes", *(_minutes(each["runs"]) for each in recipes.values()))


def _minutes(runs: list[dict]) -> str:
    """Of a run that was resumed only the end was timed, which says nothing."""
    known = [run.get("cpu_seconds") for run in runs]
    return ", ".join("not timed" if each is None else f"{each / 60:.1f}" for each in known)


def _spread(found: dict | None) -> str:
    if not found:
        return ""
    each = ", ".join(f"{value:.3f}" for value in found["seeds"])
    if len(found["seeds"]) < 2:
        return each
    return f"**{found['mean']:.3f}** ({found['low']:.3f} to {found['high']:.3f}): {each}"


def _goals(name: str, result: dict) -> Iterator[tuple[str, ...]]:
    for goal in result.get("goals", []):
        bound = f"at least {goal['least']:g}" if "least" in goal else f"at most {goal['most']:g}"
        value = f"{goal['value']:.3g}"
        yield goal["what"], value, bound, "yes" if goal["met"] else "no", name, _place(result)


def _place(result: dict) -> str:
    machine = result["machine"]
    where = machine if isinstance(machine, str) else f"{machine['cpu']}, {machine['cores']} cores"
    load = "" if result.get("load") is None else f", load {result['load']:g}"
    return f"{result['date'][:10]}, commit {result['commit']}, {where}{load}"
