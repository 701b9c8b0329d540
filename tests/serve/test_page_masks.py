"""The page with models of masks in a real browser: three planes, a picture, the list of labels."""

import io
import re
from pathlib import Path

import numpy as np
import pytest

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
STATIC = Path(__file__).parents[2] / "src" / "tomos" / "serve" / "static"
NARROW, SMALL = {"width": 390, "height": 844}, {"width": 1024, "height": 560}
SIZE = (20, 24, 28)
# Of labels 1 and 2, as red, green, blue: formats/_colours.py.
ORANGE, BLUE = (230, 159, 0), (86, 180, 233)

pytestmark = [
    pytest.mark.skipif(
        not (STATIC / "index.html").exists(), reason="the page is not built: make web"
    ),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def browser_flags():
    """Without a graphics card, WebGL is computed."""
    return ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def address(live, mask_model, tmp_path_factory):
    from tomos.serve.packaged import load_all

    folder = tmp_path_factory.mktemp("models")
    models = [
        mask_model.write(folder / "solid.tomos", 3, name="solid"),
        mask_model.write(folder / "flat.tomos", 2, name="flat"),
    ]
    with live(load_all(models, mask_threads=1)) as found:
        yield found


@pytest.fixture(scope="module")
def files(mask_model, tmp_path_factory):
    """A volume; one with a ball on the patient's left only; a CT series; a picture."""
    from tomos import formats

    folder = tmp_path_factory.mktemp("images")
    volume = mask_model.ball(SIZE)
    left = np.full(SIZE, 20, np.int16)  # axes towards S, P, L
    left[6:14, 8:16, 20:26] = 150
    picture = mask_model.ball((90, 120)).astype(np.uint8)
    (folder / "picture.png").write_bytes(formats.png_bytes(picture))
    return {
        "volume": mask_model.write_nifti(folder / "volume.nii.gz", volume),
        "left": mask_model.write_nifti(folder / "left.nii.gz", left),
        "series": mask_model.write_series(folder, volume),
        "picture": folder / "picture.png",
    }


def keep(page, name: str) -> None:
    """A screenshot as a test artefact."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def add(page, paths, model: str = "solid") -> None:
    page.select_option(".model select", model)
    page.set_input_files("#input", paths)
    page.locator(".labels").wait_for()


def pixels(page, place: str) -> np.ndarray:
    """(Y, X, 3) of what is seen there."""
    from PIL import Image

    page.wait_for_timeout(250)  # the next frames
    picture = Image.open(io.BytesIO(page.locator(place).screenshot()))
    return np.asarray(picture.convert("RGB")).astype(int)


def near(seen: np.ndarray, colour: tuple[int, int, int], most: int = 40) -> np.ndarray:
    """(Y, X) bool: where that colour is seen."""
    return np.abs(seen - colour).max(axis=-1) < most


def open_volume(page, paths) -> None:
    add(page, paths)
    page.locator("#note-value").get_by_text(re.compile("value|数值")).wait_for(timeout=20000)


def test_a_volume_in_three_planes_with_its_mask(open_page, files, mask_model):
    page = open_page(SMALL)
    open_volume(page, files["volume"])
    volume = mask_model.ball(SIZE)
    listed = page.locator(".labels li").all_inner_texts()
    for text, low, high in zip(listed, (100, 200), (200, 999), strict=True):
        ml = ((volume > low) & (volume <= high)).sum() / 1000
        assert f"{ml:.2f}\xa0ml" in text and "expected from its probabilities" in text

    page.locator("#opacity").fill("100")
    seen = pixels(page, "#volume")
    keep(page, "page-1024-en-volume")
    height, width = seen.shape[:2]
    orange = near(seen, ORANGE)
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            assert orange[rows, columns].sum() > 200  # coronal, sagittal, axial, and in space
    assert near(seen, BLUE).sum() > 200

    page.locator(".labels input").nth(1).click()
    assert near(pixels(page, "#volume"), BLUE).sum() < 20
    page.locator("#opacity").fill("40")
    assert (
        near(pixels(page, "#volume")[: height // 2], ORANGE).sum() < orange[: height // 2].sum() / 2
    )
    page.locator("#act-heat").click()
    assert near(pixels(page, "#volume"), ORANGE).sum() < 20


def test_the_patients_left_is_on_the_right(open_page, files):
    """The only label lies on the patient's left."""
    page = open_page(SMALL, "zh-CN")
    open_volume(page, files["left"])
    page.locator("#opacity").fill("100")
    for layout in ("axial", "coronal"):
        page.locator(f"#layout-{layout}").click()
        seen = near(pixels(page, "#volume"), ORANGE)
        assert seen.sum() > 500
        assert np.nonzero(seen)[1].mean() > 0.55 * seen.shape[1]


def test_a_ct_series_in_chinese_with_windows_and_keys(open_page, files):
    page = open_page(SMALL, "zh-CN")
    open_volume(page, files["series"])
    assert page.locator(".file").count() == 1
    assert "体积" in page.locator("#findings").inner_text()
    assert page.locator("#note-value").inner_text().endswith("mm")
    page.select_option("#windows", label="骨窗 (窗位 400  窗宽 1800)")
    page.locator("#note-view").get_by_text("窗位 400").wait_for()
    keep(page, "page-1024-zh-series")
    page.locator("#volume").focus()
    before = page.locator("#note-value").inner_text()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    assert page.locator("#note-value").inner_text() != before
    page.keyboard.press("Shift+ArrowRight")
    assert "1800" not in page.locator("#note-view").inner_text()
    page.keyboard.press("v")
    assert page.locator("#layout-axial").get_attribute("aria-pressed") == "true"
    page.keyboard.press("h")
    assert page.locator("#act-heat").get_attribute("aria-pressed") == "false"
    with page.expect_download() as download:
        page.locator("#file-dicom-seg").click()
    assert download.value.suggested_filename.endswith("-seg.dcm")
    assert Path(download.value.path()).read_bytes()[128:132] == b"DICM"


def test_what_the_server_let_go_is_read_again(open_page, files, address):
    import httpx

    from tomos import formats

    page = open_page(SMALL)
    with page.expect_response("**/api/read*") as answer:
        add(page, files["volume"])
    mask = answer.value.json()["prediction"]["files"]["mask"]
    page.locator("#note-value").get_by_text("value").wait_for(timeout=20000)
    assert httpx.delete(f"{address}{mask.rsplit('/', 1)[0]}").status_code == 204
    with page.expect_download() as download:
        page.locator("#file-mask").click()
    assert download.value.suggested_filename == "volume-mask.nii.gz"
    saved = Path(download.value.path()).rename(files["volume"].with_name("saved.nii.gz"))
    assert formats.mask_values(saved) == [0, 1, 2]


def test_a_picture_with_its_mask(open_page, files):
    page = open_page()
    chunks = []
    page.on("request", lambda request: chunks.append(request.url))
    add(page, files["picture"], "flat")
    page.locator("#opacity").fill("100")
    seen = pixels(page, "#canvas")
    inside = near(seen, ORANGE).sum()
    assert inside > 50_000 and near(seen, BLUE).sum() > 5000
    keep(page, "page-1440-en-mask")
    assert page.locator("#act-heat").inner_text() == "Mask", "nothing here draws a heat map"
    page.get_by_text("Of a mask no heat map is drawn here").wait_for()
    page.locator("#opacity").fill("0")
    assert near(pixels(page, "#canvas"), ORANGE).sum() < 20
    page.locator("#opacity").fill("10")
    outline = near(pixels(page, "#canvas"), ORANGE, 60).sum()
    assert 100 < outline < inside / 10  # which shows where the inside hardly does
    page.locator("#opacity").fill("100")
    page.locator(".labels input").nth(0).click()
    assert near(pixels(page, "#canvas"), ORANGE).sum() < 20
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("#note-value").get_by_text("bright").wait_for()
    # The viewer of volumes is large: who reads pictures is not sent it.
    assert not [url for url in chunks if "/assets/volume" in url]


def test_without_webgl_the_slice_with_most_of_the_mask_is_shown(open_page, files):
    script = """const plain = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind.startsWith("webgl") ? null : plain.call(this, kind, ...rest) }"""
    page = open_page(NARROW, script=script)
    add(page, files["volume"])
    page.get_by_text("slice with most of the mask").wait_for()
    assert near(pixels(page, "#canvas"), ORANGE, 90).sum() > 200
    assert page.locator("html").evaluate("html => html.scrollWidth") <= NARROW["width"]


def test_a_volume_on_a_narrow_screen(open_page, files):
    page = open_page(NARROW)
    open_volume(page, files["volume"])
    assert page.locator("html").evaluate("html => html.scrollWidth") <= NARROW["width"]
    nameless = page.locator("button, input, select").evaluate_all(
        """all => all.filter(b => b.offsetParent && !b.ariaLabel && !b.title && !b.labels?.length
             && !b.textContent.trim()).map(b => b.outerHTML)"""
    )
    assert nameless == []
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "page-390-en-volume.png", full_page=True)
