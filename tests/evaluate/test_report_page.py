"""The report: complete, self-contained, in two languages, and looked at in a real browser."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from evaluation_worlds import labels, three_classes, two_classes

from tomos.evaluate import (
    Card,
    Choice,
    DataSummary,
    Notice,
    Picture,
    Report,
    Shortcut,
    Split,
    Table,
    Training,
    Words,
    score,
    worst,
    write_report,
)
from tomos.formats import png_bytes
from tomos.measures.operating import choose
from tomos.types import SettingsError

CHROMIUM = Path("/usr/bin/chromium")


def full(**changes) -> Report:
    """A report with every part filled in."""
    table, val = two_classes(patients=200), two_classes(seed=1)
    point = choose(val.truth == 1, val.probabilities[:, 1], groups=val.groups)
    grey = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)
    heat = np.outer(np.linspace(0, 1, 28), np.linspace(0, 1, 28))
    fields = {
        "metrics": score(table, point, prevalence=0.1, resamples=200),
        "table": table,
        "operating": point,
        "card": Card("Phantom films", "1", purpose=Words("It looks for a blob.", "寻找亮斑。")),
        "data": DataSummary(
            splits=[Split("test", 300, 200, {"normal": 180, "pneumonia": 120})],
            dropped=[(Words("copies", "重复"), 8)],
            shortcuts=[Shortcut(Words("the border", "边缘"), 0.8, 0.7, 0.9, 300, "test")],
        ),
        "notices": [Notice(Words("A leak was accepted.", "已接受泄漏。"))],
        "pictures": [
            Picture(w.case, png_bytes(grey), w.truth, w.said, w.probability, heat)
            for w in worst(table, point, 4)
        ],
        "plan": [Choice("Model", "small_cnn", "few & small pictures")],
        "training": Training({"train": [1, 0.5, 0.3]}, {"val": [0.7, 0.8, 0.9]}, best=3),
    }
    return Report(**{**fields, **changes})


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class Balanced(HTMLParser):
    """Fails on a tag that is not closed, or closed in the wrong place."""

    VOID = {"meta", "link", "img", "br", "input", "path", "circle", "rect"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            assert dict(attrs)["src"].startswith("data:"), "a picture from outside"
            assert "alt" in dict(attrs)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.fast
def test_every_part_stands_in_order_and_nothing_comes_from_outside(tmp_path):
    write_report(tmp_path / "report.html", full())
    page = text_of(tmp_path / "report.html")
    checker = Balanced()
    checker.feed(page)
    assert checker.open == []
    parts = ["figures", "use", "curves", "subgroups", "cases", "data", "plan", "training", "card"]
    places = [page.index(f'<section id="{part}"') for part in [*parts, "checklist"]]
    assert places == sorted(places)
    assert not re.search(r"(src|href)=\"(?!data:|#)", page) and "://" not in page
    assert "url(" not in page and "@import" not in page
    assert len(page.encode()) < 5_000_000
    assert "NaN" not in page and "None" not in page and "nan" not in re.findall(r"[\w.]+", page)


@pytest.mark.fast
def test_warnings_come_first_given_ones_before_all(tmp_path):
    write_report(tmp_path / "report.html", full())
    page = text_of(tmp_path / "report.html")
    box = page[page.index('class="warnings"') : page.index('class="verdict"')]
    assert box.index("A leak was accepted.") < box.index("A shortcut exists: the border alone")
    # What was perhaps learned from is not called kept out of training.
    assert "kept out of training" not in page
    write_report(tmp_path / "clean.html", full(notices=[]))
    assert "kept out of training" in text_of(tmp_path / "clean.html")


@pytest.mark.fast
def test_the_figures_travel_with_the_page(tmp_path):
    report = full()
    write_report(tmp_path / "report.html", report)
    page = text_of(tmp_path / "report.html")
    inside = re.search(r'id="metrics">(.*?)</script>', page, re.S)[1]
    assert json.loads(inside) == report.metrics


@pytest.mark.fast
def test_hostile_names_stay_text(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    table = two_classes(classes=("normal", evil), dataset=evil, columns={evil: ["a", "b"] * 150})
    write_report(tmp_path / "r.html", Report(score(table, resamples=50), table))
    page = text_of(tmp_path / "r.html")
    assert "<img src=x" not in page
    checker = Balanced()
    checker.feed(page)
    assert checker.open == []


@pytest.mark.fast
@pytest.mark.parametrize("world", [three_classes, labels])
def test_other_kinds_have_their_report(tmp_path, world):
    table = world()
    write_report(tmp_path / "r.html", Report(score(table, resamples=50), table))
    page = text_of(tmp_path / "r.html")
    assert '<section id="classes"' in page
    several = world is labels
    assert ('<section id="use"' in page) == several
    assert ("No threshold was chosen on validation" in page) == several


@pytest.mark.fast
def test_tiny_and_one_sided_tables_have_their_report(tmp_path):
    few = two_classes(12)
    one = few.rows(few.truth == 0)
    certain = Table(["a", "b"], np.arange(2), np.array([0, 1]), np.eye(2), ("no", "yes"))
    for table in (few, one, certain):
        write_report(tmp_path / "r.html", Report(score(table, resamples=50), table))
        page = text_of(tmp_path / "r.html")
        assert "patients were tested" in page and "NaN" not in page


@pytest.mark.fast
def test_unknown_patients_are_warned_of(tmp_path):
    table = two_classes(patients_known=False)
    write_report(tmp_path / "r.html", Report(score(table, resamples=50), table))
    page = text_of(tmp_path / "r.html")
    assert "The patients are not known." in page and "300 test images" in page


@pytest.mark.fast
def test_too_many_pictures_are_left_out_and_said(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 700), np.uint8)
    big = [Picture(f"c{i}", png_bytes(noise), "a", "b", 0.9) for i in range(12)]
    write_report(tmp_path / "r.html", full(pictures=big))
    page = text_of(tmp_path / "r.html")
    assert len(page.encode()) < 5_000_000 and "more were left out" in page


@pytest.mark.fast
def test_checklist_answers_and_its_strangers():
    from tomos.evaluate.report import render

    assert "two radiologists" in render(full(checklist={"annotators": "two radiologists"}))
    with pytest.raises(SettingsError, match="did you mean 'annotators'"):
        render(full(checklist={"annotator": "x"}))


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [390, 1440])
def test_in_a_browser(tmp_path, width):
    """Fits the width, asks for nothing, follows the browser's language, switches by keyboard."""
    sync_api = pytest.importorskip("playwright.sync_api")
    write_report(tmp_path / "report.html", full())
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
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("h2", has_text="主要指标").is_visible()
        page.locator("#language-zh").press("ArrowLeft")
        assert page.locator("h2", has_text="Headline figures").is_visible()
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.evaluate(OVERLAPS) == []
        page.screenshot(path=str(tmp_path / f"report-{width}.png"), full_page=True)
        browser.close()


# Words inside one chart whose boxes cut into each other.
OVERLAPS = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const shown = [...svg.querySelectorAll('text')]
    .map(t => [t.textContent, t.getBoundingClientRect()]).filter(([, b]) => b.width > 0);
  const cut = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  return shown.flatMap(([name, a], i) =>
    shown.slice(i + 1).filter(([, b]) => cut(a, b)).map(([other]) => name + ' / ' + other));
})"""
