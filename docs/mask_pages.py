"""What the reference says of masks: keys of `metrics.json` and columns of `per_case.csv`."""

from __future__ import annotations

from describing import WORDS, figures, paths, same, table

CLOSED = {"overall", "per_class", "subgroups", "n_per_class", "counts", "targets"}


def mask_metrics() -> list[str]:
    """Sections on a real `metrics.json` of masks, made on the spot. Each key must be described."""
    import numpy as np

    from tomos.evaluate import MaskTable, score_masks
    from tomos.evaluate.mask_cases import HEAD
    from tomos.measures.segmentation import measure

    rng = np.random.default_rng(0)
    classes, cases = ("liver", "tumour"), []
    for _ in range(24):
        truth = np.zeros((12, 12), np.uint8)
        truth[2:9, 2:9], truth[4:6, 4:6] = 1, 2
        cases.append(measure(np.roll(truth, int(rng.integers(3)), 0), truth, classes, (1, 1), 1.0))
    made = MaskTable(
        [f"c{i}" for i in range(24)], np.array([f"p{i // 2}" for i in range(24)]), cases, classes,
        columns={"site": ["A", "B"] * 12},
    )  # fmt: skip
    found = score_masks(made, resamples=20)
    keys = paths(found, CLOSED)
    words = _described("metrics.json", set(keys))
    one = _described("figure", figures(found) | {"note", "method", "resamples"})
    same("per_case.csv", set(HEAD), set(WORDS["per_case.csv"]))
    columns = ((f"`{name}`", WORDS["per_case.csv"][name]) for name in HEAD)
    return [
        "## Keys of masks\n\n" + table(("key", "meaning"), ((f"`{k}`", words[k]) for k in keys)),
        "## A figure of masks\n\n" + table(("key", "meaning"), ((f"`{k}`", one[k]) for k in one)),
        "## per_case.csv\n\nA row for each case and class; a blank figure is not defined there.\n\n"
        + table(("column", "meaning"), columns),
    ]


def _described(what: str, there: set[str]) -> dict[str, str]:
    """The words of `what` that hold for masks, too, and those that are theirs alone."""
    own = WORDS[f"{what} of masks"]
    words = {key: text for key, text in {**WORDS[what], **own}.items() if key in there | set(own)}
    same(f"{what} of masks", there, set(words))
    return words
