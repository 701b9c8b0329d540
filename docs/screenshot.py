"""The pictures of the README: `python docs/screenshot.py FOLDER...`, each of one of two kinds.

The folder of `tomos demo`, for the page and the report; one for the page of masks:

    python tests/docs_scans.py FOLDER
    tomos run FOLDER/ct -o FOLDER/made --minutes 3

All images are drawn, so that no patient's image is ever shown. Needs Chromium and playwright, as
the tests of the page do.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
IMAGES = Path(__file__).parent / "images"
PORT = 8971
LARGEST = 150_000
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main() -> int:
    folders = [Path(name) for name in sys.argv[1:]]
    films = [folder for folder in folders if (folder / "new_film.dcm").exists()]
    scans = [folder for folder in folders if (folder / "new_ct").is_dir()]
    if not folders or len(films) + len(scans) < len(folders):
        print(__doc__, file=sys.stderr)
        return 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for demo in films:
            _take(browser, demo / "run", lambda page, ending, demo=demo: _film(page, demo, ending))
        for made in scans:
            _take(browser, made / "made" / "run",
                  lambda page, ending, made=made: _masks(page, made, ending))  # fmt: skip
        browser.close()
    return 0


def _take(browser: Browser, model: Path, pictures: Callable[[Page, str], None]) -> None:
    """The pictures of a served model, in English and Chinese."""
    command = [sys.executable, "-m", "tomos", "serve", str(model), "--port", str(PORT)]
    server = subprocess.Popen(command)
    try:
        _wait(f"http://127.0.0.1:{PORT}/ready")
        for locale, ending in (("en-US", ""), ("zh-CN", "-zh")):
            context = browser.new_context(viewport={"width": 1360, "height": 800}, locale=locale)
            pictures(context.new_page(), ending)
            context.close()
    finally:
        server.terminate()
        server.wait(20)


def _film(page: Page, demo: Path, ending: str) -> None:
    """What was found on a film, with its heat map; the first page of the report."""
    _open(page, [demo / "new_film.dcm"])
    page.locator("#legend").wait_for()
    page.wait_for_timeout(800)
    _save(page.screenshot(), f"page{ending}.webp")
    page.goto((demo / "run" / "report.html").resolve().as_uri())
    page.wait_for_timeout(500)
    _save(page.screenshot(), f"report{ending}.webp")


def _masks(page: Page, made: Path, ending: str) -> None:
    """A volume in three planes with its mask."""
    page.set_default_timeout(120_000)  # without a graphics card WebGL is computed
    _open(page, sorted((made / "new_ct").glob("*.dcm")))
    page.locator(".labels").wait_for()
    page.locator("#note-value").get_by_text(re.compile("value|数值")).wait_for()
    page.wait_for_timeout(3000)
    _save(page.screenshot(), f"masks{ending}.webp")


def _open(page: Page, files: list[Path]) -> None:
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.locator(".model-name").wait_for()
    page.set_input_files("#input", files)
    page.locator(".verdict").wait_for()


def _save(png: bytes, name: str) -> None:
    """WebP of the best quality that stays small enough to be cloned by everybody."""
    IMAGES.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (90, 80, 70, 60, 50):
        picture.save(IMAGES / name, quality=quality, method=6)
        if (IMAGES / name).stat().st_size < LARGEST:
            break
    print(IMAGES / name, (IMAGES / name).stat().st_size)


def _wait(address: str) -> None:
    for _ in range(150):
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"no answer from {address}")


if __name__ == "__main__":
    sys.exit(main())
