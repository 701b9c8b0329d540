"""The page in a real browser: a model file served, both languages, nothing from outside."""

from pathlib import Path

import pytest

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
STATIC = Path(__file__).parents[2] / "src" / "tomos" / "serve" / "static"
NARROW = {"width": 390, "height": 844}

pytestmark = [
    pytest.mark.skipif(
        not (STATIC / "index.html").exists(), reason="the page is not built: make web"
    ),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def address(live, film_model, tmp_path_factory):
    from tomos.serve.packaged import load_all

    folder = tmp_path_factory.mktemp("model")
    with live(load_all([film_model.write(folder / "model.tomos")])) as found:
        yield found


@pytest.fixture(scope="module")
def files(film_model, tmp_path_factory):
    """Films with two spots, none and one (too near to call), as DICOM and PNG; and no image."""
    from tomos import formats

    folder = tmp_path_factory.mktemp("films")
    made = {
        name: film_model.write_dicom(folder / f"{name}.dcm", film_model.film(spots))
        for name, spots in (("finding", 2), ("clear", 0), ("close", 1))
    }
    made["foreign"] = film_model.write_dicom(folder / "foreign.dcm", film_model.film(2), "CT")
    made["picture"] = folder / "picture.png"
    formats.write_png(formats.read(made["finding"]), made["picture"])
    made["letter"] = folder / "letter.txt"
    made["letter"].write_text("Dear colleague, " * 40)
    return made


def keep(page, name: str) -> None:
    """A screenshot as a test artefact."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def drawn(page) -> int:
    """How many different colours the canvas shows: 1 while it is empty."""
    return page.locator("#canvas").evaluate(
        """canvas => new Set(new Uint32Array(canvas.getContext("2d")
             .getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    )


def coloured(page) -> int:
    """How many pixels of the canvas are not grey: the heat map's."""
    return page.locator("#canvas").evaluate(
        """canvas => { const d = canvas.getContext("2d")
             .getImageData(0, 0, canvas.width, canvas.height).data; let n = 0;
             for (let i = 0; i < d.length; i += 4) n += Math.abs(d[i] - d[i + 2]) > 24;
             return n }"""
    )


def test_a_dicom_film_shows_picture_finding_and_heat_map(open_page, files):
    page = open_page()
    keep(page, "page-1440-en-empty")
    assert drawn(page) == 1
    page.set_input_files("#input", files["finding"])
    page.locator(".verdict.finding").wait_for()
    assert "nodule" in page.locator(".verdict").inner_text()
    bar = page.locator(".bars li").nth(1)
    assert "90.4" in bar.inner_text() and "40.0" in bar.inner_text()
    assert page.locator(".bars .mark").count() == 1
    page.locator("#legend").wait_for()
    assert drawn(page) > 100
    assert coloured(page) > 20
    keep(page, "page-1440-en")
    page.locator("#act-heat").click()
    page.locator("#legend").wait_for(state="hidden")
    assert coloured(page) < 5  # the rim of the scale bar's text


def test_a_dropped_png_is_read(open_page, files):
    page = open_page()
    content = list(files["picture"].read_bytes())
    drop = page.evaluate_handle(
        """bytes => { const t = new DataTransfer();
             t.items.add(new File([new Uint8Array(bytes)], "picture.png")); return t }""",
        content,
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": drop})
    page.locator("#dropping").wait_for()
    page.dispatch_event("body", "drop", {"dataTransfer": drop})
    page.locator(".bars li").nth(1).wait_for()
    page.locator("#dropping").wait_for(state="hidden")
    assert drawn(page) > 100 and coloured(page) > 20


def test_several_files_and_the_verdict_of_each(open_page, files):
    page = open_page()
    names = ("finding", "clear", "close", "foreign")
    page.set_input_files("#input", [files[name] for name in names])
    page.locator(".outcome .icon").nth(3).wait_for()
    shown = [page.locator(".outcome").nth(i).inner_text() for i in range(4)]
    assert shown[0].startswith("Finding") and shown[1] == "No finding"
    assert shown[2] == shown[3] == "Refer to a reader"
    page.locator(".file").nth(2).click()
    assert "too near to the threshold" in page.locator(".verdict").inner_text()
    page.keyboard.press("j")
    page.get_by_text("modality CT; the model was made for DX").wait_for()
    keep(page, "page-1440-en-refer")


def test_a_refused_file_says_why(open_page, files):
    page = open_page(locale="zh-CN")
    page.set_input_files("#input", files["letter"])
    page.locator(".verdict.refused").wait_for()
    assert "不是可读取的图像" in page.locator(".verdict").inner_text()
    page.get_by_role("button", name="English").click()
    assert "Expected DICOM" in page.locator(".verdict").inner_text()


def test_the_language_is_the_browsers_then_the_readers(open_page, files):
    page = open_page(locale="zh-CN")
    assert page.locator("h1").inner_text() == "将图像拖到此处"
    page.set_input_files("#input", files["finding"])
    page.locator(".verdict.finding").wait_for()
    assert "有发现" in page.locator(".verdict").inner_text()
    keep(page, "page-1440-zh")
    page.get_by_role("button", name="English").click()
    assert "Finding" in page.locator(".verdict").inner_text()
    assert page.locator("html").get_attribute("lang") == "en"
    page.reload()
    assert page.locator("h1").inner_text() == "Drop images here"


def test_window_zoom_and_reset_by_key(open_page, files):
    page = open_page()
    page.set_input_files("#input", files["clear"])
    page.get_by_text("C 1800 W 3200").wait_for()
    page.locator("#canvas").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("W 3296").wait_for()
    first = page.locator("#note-view").inner_text()
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    assert page.locator("#note-view").inner_text() != first
    page.keyboard.press("r")
    page.get_by_text("C 1800 W 3200").wait_for()
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_text("x 128").wait_for()


def test_the_model_card_has_figures_with_intervals(open_page):
    page = open_page()
    page.locator("#open-card").click()
    text = page.locator("#card").inner_text()
    for words in ("0.941", "0.902 – 0.971", "120 cases", "never seen a patient", "CHEST"):
        assert words in text
    keep(page, "page-1440-en-card")
    page.keyboard.press("Escape")
    page.locator("#card").wait_for(state="hidden")


def test_results_can_be_downloaded(open_page, files):
    import json

    page = open_page()
    page.set_input_files("#input", [files["finding"], files["letter"]])
    page.locator(".outcome.refused").wait_for()
    page.locator(".outcome.finding").wait_for()
    with page.expect_download() as download:
        page.locator("#download").click()
    result = json.loads(Path(download.value.path()).read_text())
    assert result["schema"] == 1
    first, second = result["predictions"]
    assert first["targets"]["label"]["label"] == "nodule"
    assert "expected DICOM" in second["error"]


def test_the_example_needs_no_file(open_page):
    page = open_page()
    page.locator("#welcome-example").click()
    page.locator(".verdict").wait_for()
    assert drawn(page) > 20


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_narrow_screen_does_not_scroll_sideways(open_page, files, locale):
    page = open_page(NARROW, locale)
    keep(page, f"page-390-{locale[:2]}-empty")
    page.set_input_files("#input", [files["finding"], files["foreign"]])
    page.locator(".outcome .icon").nth(1).wait_for()
    page.locator(".verdict.finding").wait_for()
    width = page.locator("html").evaluate("html => html.scrollWidth")
    assert width <= NARROW["width"]
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"page-390-{locale[:2]}.png", full_page=True)


def test_every_button_has_a_name(open_page, files):
    page = open_page()
    page.set_input_files("#input", files["finding"])
    page.locator(".verdict.finding").wait_for()
    nameless = page.locator("button").evaluate_all(
        """all => all.filter(b => b.offsetParent && !b.ariaLabel && !b.title
             && !b.textContent.trim()).map(b => b.outerHTML)"""
    )
    assert nameless == []
