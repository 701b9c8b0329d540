"""Progress on stderr, one result on stdout, and `--pdf` for the commands that write a report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any


class Terminal:
    """`tomos.types.Progress` for a person: one line redrawn on a screen, plain lines in a log."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = 0.0
        self._first = (0.0, 0)
        self._work = (0, "")

    def say(self, text: str) -> None:
        print(f"\r\033[K{text}" if self._tty else text, file=sys.stderr, flush=True)

    def step(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        work = (total, note.partition("  ")[0].split(" ")[0])
        if work != self._work or done < self._first[1]:
            self._work, self._first = work, (now, done)
        if now - self._drawn < (0.1 if self._tty else 10) and done < total:
            return
        self._drawn = now
        line = f"  {done}/{total} {note}{self._left(now, done, total)}"
        print(f"\r\033[K{line[:110]}" if self._tty else line, end="" if self._tty else "\n",
              file=sys.stderr, flush=True)  # fmt: skip
        if self._tty and done >= total:
            print(file=sys.stderr)

    def _left(self, now: float, done: int, total: int) -> str:
        since, start = self._first
        if done <= start or done >= total:
            return ""
        seconds = round((now - since) / (done - start) * (total - done))
        return f"  {seconds // 60}:{seconds % 60:02} left"


def print_json(value: Any) -> None:
    """The one machine-readable object on stdout."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
    print()


def add_pdf(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pdf",
        choices=("en", "zh"),
        help="print the report to PDF as well, in English or Chinese (by Chromium, Chrome or Edge)",
    )


def check_pdf(args: argparse.Namespace) -> None:
    """Raises SettingsError where none can be printed, before any work is done."""
    if args.pdf:
        from tomos.evaluate.pdf import browser

        browser()


def print_pdf(args: argparse.Namespace, page: Path) -> None:
    """The page as PDF beside it, and where it lies."""
    if args.pdf:
        from tomos.evaluate.pdf import write_pdf

        out = page.with_suffix(".pdf")
        write_pdf(page, out, args.pdf)
        print(f"  {out}", file=sys.stderr if args.json else sys.stdout)
