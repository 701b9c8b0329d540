"""A page of ours as PDF, printed by a browser that is on the machine.

The pages are made for print (`@media print` in page.css), and only a browser sets them as they are
seen: SVG that takes its colours from the page, grids, Chinese and English.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tomos.config import atomic_write
from tomos.types import SettingsError

LANGUAGES = ("en", "zh")
SECONDS = 120  # for one page; it takes two or three
VARIABLE = "TOMOS_BROWSER"
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
INSTALLED = (  # where macOS and Windows keep what is not on the path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "{ProgramFiles}/Google/Chrome/Application/chrome.exe",
    "{ProgramFiles(x86)}/Google/Chrome/Application/chrome.exe",
    "{LOCALAPPDATA}/Google/Chrome/Application/chrome.exe",
    "{ProgramFiles(x86)}/Microsoft/Edge/Application/msedge.exe",
    "{ProgramFiles}/Microsoft/Edge/Application/msedge.exe",
)


def browser() -> str:
    """The browser that prints. Raises SettingsError where there is none, with what to do."""
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return found
        raise SettingsError(f"{VARIABLE}={named}: expected a program, got none of that name")
    for name in (*NAMES, *_places()):
        if found := shutil.which(name):
            return found
    raise SettingsError(
        "a PDF is printed by Chromium, Chrome or Edge, and none was found: install one, name it in "
        f"{VARIABLE}, or open the page in any browser and print it"
    )


def _places() -> Iterator[str]:
    for place in INSTALLED:
        # A variable that is not set names a place that is not there.
        with contextlib.suppress(KeyError):
            yield place.format_map(os.environ)


def write_pdf(page: Path, out: Path, language: str = "en") -> None:
    """Print `page`, a report, comparison or check page, to `out` in one of `LANGUAGES`.

    Nothing is fetched: every host name is unknown to this browser. Raises SettingsError where no
    browser is found or it prints nothing, StorageError when `out` cannot be written.
    """
    if language not in LANGUAGES:
        raise SettingsError(f"language {language!r}: expected one of {', '.join(LANGUAGES)}")
    program = browser()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "page.pdf"
        command = [
            program,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={printed}",
            f"{page.resolve().as_uri()}#lang={language}",
        ]
        if sys.platform == "linux" and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # its sandbox refuses to start for root
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS)
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        except (OSError, subprocess.TimeoutExpired) as error:
            said = [str(error)]
        if not printed.is_file() or printed.read_bytes()[:5] != b"%PDF-":
            raise SettingsError(
                f"{program} printed no PDF of {page} ({''.join(said) or 'it said nothing'}); name "
                f"another browser in {VARIABLE}, or open the page and print it"
            )
        atomic_write(out, printed.read_bytes())
