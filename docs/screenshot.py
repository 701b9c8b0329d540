"""The pictures of the README, from a finished demo: `python docs/screenshot.py DEMO`.

DEMO is the folder of `tomos demo`. Its films are drawn, so that no patient's image is ever shown.
Needs Chromium and playwright, as the tests of the page do.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
IMAGES = Path(__file__).parent / "images"
PORT = 8971
LARGEST = 150_000


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    demo = Path(sys.argv[1])
    command = [sys.executable, "-m", "tomos", "serve", str(demo / "run"), "--port", str(PORT)]
    server = subprocess.Popen(command)
    try:
        _wait(f"http://127.0.0.1:{PORT}/ready")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for locale, ending in (("en-US", ""), ("zh-CN", "-zh")):
                context = browser.new_context(
                    viewport={"width": 1360, "height": 800}, locale=locale
                )
                page = context.new_page()
                _read(page, demo / "new_film.dcm")
                _save(page.screenshot(), f"page{ending}.webp")
                page.goto((demo / "run" / "report.html").resolve().as_uri())
                page.wait_for_timeout(500)
                _save(page.screenshot(), f"report{ending}.webp")
            browser.close()
    finally:
        server.terminate()
    return 0


def _read(page: Page, film: Path) -> None:
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.locator(".model-name").wait_for()
    page.set_input_files("#input", film)
    page.locator(".verdict").wait_for()
    page.locator("#legend").wait_for()
    page.wait_for_timeout(800)


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
