"""A work list: every image below a folder, ordered so that a reader begins where it matters.

    python examples/worklist.py MODEL FOLDER > worklist.csv

Referred images come first (nobody has judged them), then findings by falling probability, then the
rest. Needs the base install only.
"""

from __future__ import annotations

import csv
import sys

from tomos.types import Prediction
from tomos.workflows.predict import load, predict

ORDER = {"refer": 0, "finding": 1, "no finding": 2}


def main(model: str, folder: str) -> int:
    predictor = load(model)
    target = predictor.manifest.target
    finding = next(iter(predictor.manifest.operating_point.thresholds), predictor.classes[-1])

    def rank(each: Prediction) -> tuple[int, float]:
        return ORDER[each.verdict], -each.targets[target].scores[finding]

    found = predict(predictor, [folder])
    table = csv.writer(sys.stdout)
    table.writerow(["image", "verdict", finding, "reason"])
    for each in sorted((each for each in found if not each.error), key=rank):
        score = each.targets[target].scores[finding]
        table.writerow([each.input, each.verdict, f"{score:.3f}", each.reason])
    unread = [each for each in found if each.error]
    for each in unread:
        print(f"not read: {each.error}", file=sys.stderr)
    return 2 if unread else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
