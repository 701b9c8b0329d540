"""The report on masks: complete, self-contained, in two languages, looked at in a browser."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from mask_worlds import by_counts, phantoms
from test_report_page import CHROMIUM, OVERLAPS, Balanced

from tomos.evaluate import (
    Card,
    Choice,
    DataSummary,
    MaskPicture,
    MaskReport,
    Notice,
    Split,
    Training,
    Words,
    outlined,
    score_masks,
    worst_masks,
    write_mask_report,
)
from tomos.types import SettingsError


def pictures(table, n=3):
    labels = np.zeros((2, 48, 48), np.uint8)
    labels[0, 10:30, 10:30] = labels[1, 14:34, 10:30] = 1
    png = outlined(np.arange(48 * 48.0).reshape(48, 48), *labels, ("a",))
    return [MaskPicture(w.case, png, png, w.why) for w in worst_masks(table, n)]


@pytest.fixture(scope="module")
def full():
    """A report with every part filled in, and what should be different in it."""
    table = phantoms(24, 20)
    fields = {
        "metrics": score_masks(table, resamples=200),
        "table": table,
        "card": Card("Phantom organs", "1", purpose=Words("It outlines organs.", "勾画器官。")),
        "data": DataSummary(splits=[Split("test", 24, 20, {"liver": 24, "tumour": 19})]),
        "notices": [Notice(Words("A leak was accepted.", "已接受泄漏。"))],
        "pictures": pictures(table),
        "plan": [Choice("Model", "residual_unet", "few & large volumes")],
        "training": Training({"train": [1, 0.5, 0.3]}, {"val": [0.7, 0.8, 0.9]}, "dice", best=3),
    }
    return lambda **changes: MaskReport(**{**fields, **changes})


def written(tmp_path, report) -> str:
    write_mask_report(tmp_path / "report.html", report)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def checked(page: str) -> str:
    """Closed tags, nothing from outside, no number that is none."""
    checker = Balanced()
    checker.feed(page)
    assert checker.open == []
    assert not re.search(r"(src|href)=\"(?!data:|#)", page) and "://" not in page
    assert "url(" not in page and "@import" not in page
    assert len(page.encode()) < 5_000_000
    assert "NaN" not in page and "None" not in page and "nan" not in re.findall(r"[\w.]+", page)
    return page


@pytest.mark.fast
def test_every_part_stands_in_order_and_nothing_comes_from_outside(tmp_path, full):
    page = checked(written(tmp_path, full()))
    parts = ["figures", "classes", "spread", "extents", "lesions", "subgroups", "cases", "each"]
    parts += ["data", "plan", "training", "card", "checklist"]
    places = [page.index(f'<section id="{part}"') for part in parts]
    assert places == sorted(places)
    contents = page[page.index("<nav") : page.index("</nav>")]
    assert re.findall(r'href="#(\w+)"', contents) == parts
    for words in ("Dice 系数", "豪斯多夫距离", "归一化表面 Dice", "一致性界限", "参考轮廓"):
        assert words in page, words


@pytest.mark.fast
def test_every_figure_is_on_the_page_with_its_n(tmp_path, full):
    report = full()
    page = written(tmp_path, report)
    for metric, entry in report.metrics["overall"].items():
        digits = 2 if metric == "hd95" else 3
        for end in ("value", "low", "high"):
            assert f"{entry[end]:.{digits}f}" in page, (metric, end)
        assert f"n = {entry['n']} cases" in page
    for name, entries in report.metrics["per_class"].items():
        row = re.search(rf'<th scope="row">{name}</th>(.*?)</tr>', page, re.S)[1]
        for metric in ("dice", "iou", "nsd", "hd95"):
            digits = 2 if metric == "hd95" else 3
            entry = entries[metric]
            assert f"<b>{entry['value']:.{digits}f}</b>" in row
            assert f"SD {entry['sd']:.{digits}f}, n = {entry['n']}" in row
        of = entries["lesion_sensitivity"]
        assert f"{of['hit']} / {of['true']}" in page
    assert "tolerance 2 mm" in page
    inside = re.search(r'id="metrics">(.*?)</script>', page, re.S)[1]
    assert json.loads(inside) == report.metrics


@pytest.mark.fast
def test_what_went_wrong_is_said_first(tmp_path, full):
    page = written(tmp_path, full())
    box = page[page.index('class="warnings"') : page.index('class="verdict"')]
    assert box.index("A leak was accepted.") < box.index("Only 20 patients were tested")
    assert "1 case could not be read" in box and "2 of 24 cases would be referred" in box
    verdict = page[page.index('class="verdict"') : page.index("<nav")]
    assert "kept out of training" not in verdict, "not after a leak"
    assert "liver in 1 of 24" in verdict and "Beware: A leak was accepted." in verdict
    assert "slices 41 and 42 are 7.5 mm apart" in page, "the failed case, by name and reason"
    assert "kept out of training" in written(tmp_path, full(notices=[]))


@pytest.mark.fast
def test_every_case_is_listed_worst_first(tmp_path, full):
    report = full()
    page = written(tmp_path, report)
    listed = re.findall(r'<th scope="row">(case-\d+)</th>', page)
    dice = dict(zip(report.table.cases, report.table.case_mean(), strict=True))
    assert listed == sorted(dice, key=lambda case: dice[case]) and len(listed) == 24
    assert listed[0] == "case-003" and "<details>" in page


@pytest.mark.fast
def test_hostile_names_stay_text(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    table = by_counts(
        *[{evil: (9, 9, n)} for n in range(1, 9)],
        cases=[f"{evil}{i}" for i in range(8)],
        groups=[f"{evil}{i}" for i in range(8)],
        dataset=evil,
        columns={evil: ["x", "y"] * 4},
        verdicts=[("refer", evil)] * 8,
        failed={evil: evil},
    )
    report = MaskReport(score_masks(table, resamples=50), table, pictures=pictures(table, 1))
    page = written(tmp_path, report)
    assert "<img src=x" not in page
    checker = Balanced()
    checker.feed(page)
    assert checker.open == []


NONE = (0, 0, 0)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("table", "words"),
    [
        (by_counts({"a": (9, 9, 5)}), "Only 1 patient was tested"),
        (by_counts({"a": NONE}, {"a": NONE}), "No test case holds a"),
        (by_counts({"a": (9, 9, 9)}, {"a": (5, 5, 5)}, unit="voxels"), "pixels"),
        (by_counts({"a": (9, 9, 5), "b": NONE}, {"a": (7, 9, 5), "b": (3, 0, 0)}), "1 false alarm"),
        (by_counts(*[{"a": (9, 9, 5)}] * 4, patients_known=False), "Only 4 images were tested"),
        (by_counts(*[{"a": (30, 9, 5)}] * 4), "Dice 0.256"),
        (by_counts(*[{f"c{k}": (9, 9, 5) for k in range(9)}] * 4), "The first 6 of 9 classes"),
    ],
)  # fmt: skip
def test_awkward_tables_have_their_report(tmp_path, table, words):
    page = written(tmp_path, MaskReport(score_masks(table, resamples=50), table))
    assert words in checked(page)


@pytest.mark.fast
def test_too_many_pictures_are_left_out_and_said(tmp_path, full):
    noise = np.random.default_rng(0).integers(0, 256, (640, 640))
    png = outlined(noise, noise * 0, noise * 0, ("a",))
    page = written(tmp_path, full(pictures=[MaskPicture("case-001", png, png)] * 9))
    assert len(page.encode()) < 5_000_000 and "more were left out" in page


@pytest.mark.fast
def test_the_checklist_is_that_of_masks(tmp_path, full):
    page = written(tmp_path, full(checklist={"annotators": "two radiologists"}))
    assert "two radiologists" in page and "3 worst cases are shown" in page
    assert re.search(r"Dice 0\.\d{3} \(0\.\d{3}, 0\.\d{3}\); NSD", page)
    with pytest.raises(SettingsError, match="did you mean 'annotators'"):
        written(tmp_path, full(checklist={"annotator": "x"}))


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [390, 1440])
def test_in_a_browser(tmp_path, full, width):
    """Fits the width, asks for nothing, follows the browser's language, switches by keyboard."""
    sync_api = pytest.importorskip("playwright.sync_api")
    write_mask_report(tmp_path / "report.html", full())
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, locale="zh-CN")
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        assert not faults
        assert [url for url in asked if not url.startswith("data:")] == asked[:1]
        for heading, key in (
            ("各病例的 Dice 系数", "ArrowLeft"),
            ("Dice over the cases", "ArrowRight"),
        ):
            assert page.locator("h2", has_text=heading).is_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(OVERLAPS) == []
            page.locator("input[name=language]:checked").press(key)
        assert not page.locator("table.each").is_visible()
        page.locator("summary").click()
        assert page.locator("table.each").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
