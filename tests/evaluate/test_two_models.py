"""Two models on the same cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation_worlds import labels, three_classes, two_classes

from tomos.evaluate import compare, write_comparison
from tomos.measures.calibration import logit, sigmoid
from tomos.types import DatasetError

pytestmark = pytest.mark.fast


def noisier(table, by=2.0):
    rng = np.random.default_rng(9)
    p = sigmoid(logit(table.probabilities[:, 1]) + rng.normal(0, by, len(table.cases)))
    return replace(table, probabilities=np.stack([1 - p, p], 1))


def test_a_better_model_is_found_better():
    table = two_classes(400, patients=250)
    result = compare(noisier(table), table, names=("old", "new"), resamples=300)
    auroc = result["metrics"]["auroc"]
    assert auroc["difference"]["value"] == pytest.approx(
        auroc["second"]["value"] - auroc["first"]["value"]
    )
    assert auroc["difference"]["low"] > 0 and auroc["difference"]["p"] < 0.01
    assert "clustered" in auroc["difference"]["method"]
    assert result["metrics"]["brier"]["difference"]["value"] < 0
    for row in result["metrics"].values():
        assert row["difference"]["p_holm"] >= row["difference"]["p"]
    json.dumps(result, allow_nan=False)


def test_the_same_model_twice_differs_in_nothing():
    table = two_classes(150)
    result = compare(table, table, resamples=200)
    assert result["metrics"]["auroc"]["difference"]["p"] == 1
    assert result["mcnemar"]["only_first"] == result["mcnemar"]["only_second"] == 0


def test_cases_in_another_order_are_matched():
    table = noisier(two_classes(120))
    order = np.random.default_rng(0).permutation(120)
    shuffled = replace(
        table,
        cases=[table.cases[i] for i in order],
        groups=table.groups[order],
        truth=table.truth[order],
        probabilities=table.probabilities[order],
        columns={},
    )
    result = compare(table, shuffled, resamples=100)
    assert result["metrics"]["auroc"]["difference"]["value"] == 0


def test_three_classes_and_labels_compare_too():
    for table in (three_classes(120), labels(120)):
        result = compare(table, table, resamples=100)
        assert result["metrics"]["auroc"]["difference"]["value"] == 0


def test_what_cannot_be_compared_is_refused():
    table = two_classes(100)
    with pytest.raises(DatasetError, match="10 cases were given to one model only"):
        compare(table, table.rows(np.arange(100) >= 10))
    with pytest.raises(DatasetError, match="same classes"):
        compare(table, replace(table, classes=("normal", "flu")))
    with pytest.raises(DatasetError, match="do not agree on what is true"):
        compare(table, replace(table, truth=1 - table.truth))


def test_the_page_says_it_in_both_languages(tmp_path):
    table = two_classes(200)
    result = compare(noisier(table), table, names=("old", "new <b>"), resamples=100)
    write_comparison(tmp_path / "c.html", result)
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "the AUROC of new &lt;b&gt; is" in page and "McNemar 精确检验" in page
