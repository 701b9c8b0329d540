"""A report printed to PDF by whatever browser there is, and what is said where there is none."""

import shutil
import stat
import sys

import pytest

from tomos.cli import main
from tomos.evaluate import pdf
from tomos.types import SettingsError, StorageError

BROWSER = next(filter(None, map(shutil.which, pdf.NAMES)), None)
PAGE = (
    "<!doctype html><html lang=en><title>t</title><body><h1>Report</h1>"
    "<img src='https://example.org/x.png'><svg width=9 height=9><rect width=9 height=9></svg>"
)


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "a report.html"
    path.write_text(PAGE)
    return path


@pytest.mark.skipif(not BROWSER, reason="needs Chromium, Chrome or Edge")
def test_a_page_becomes_a_pdf(page, tmp_path):
    pdf.write_pdf(page, tmp_path / "out.pdf", "zh")
    content = (tmp_path / "out.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and b"%%EOF" in content[-32:]


def test_no_browser_is_told_before_any_work(monkeypatch, capsys):
    monkeypatch.delenv(pdf.VARIABLE, raising=False)
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    assert main(["evaluate", "none.tomos", "nowhere", "--pdf", "en"]) == 2
    assert "Chromium, Chrome or Edge" in capsys.readouterr().err
    monkeypatch.setenv(pdf.VARIABLE, "netscape")
    with pytest.raises(SettingsError, match="TOMOS_BROWSER=netscape: expected a program"):
        pdf.browser()


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_a_browser_that_prints_nothing_is_told_and_the_old_file_stays(page, tmp_path, monkeypatch):
    broken = tmp_path / "browser"
    broken.write_text("#!/bin/sh\necho no display >&2\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(pdf.VARIABLE, str(broken))
    (tmp_path / "out.pdf").write_bytes(b"old")
    with pytest.raises(SettingsError, match=r"printed no PDF.*no display.*open the page"):
        pdf.write_pdf(page, tmp_path / "out.pdf")
    assert (tmp_path / "out.pdf").read_bytes() == b"old"
    with pytest.raises(SettingsError, match="expected one of en, zh"):
        pdf.write_pdf(page, tmp_path / "out.pdf", "fr")


@pytest.mark.skipif(not BROWSER, reason="needs Chromium, Chrome or Edge")
def test_a_place_that_cannot_be_written_is_told(page, tmp_path):
    with pytest.raises(StorageError):
        pdf.write_pdf(page, page / "out.pdf")
