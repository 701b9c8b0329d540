"""`tomos bench`: the benchmarks of a checkout, each in a process of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tomos import __file__ as package
from tomos.config.plugins import did_you_mean
from tomos.types import Progress, SettingsError, Silent

# Those that need a model file, or hours, are run by name only.
BY_NAME = {"envelope", "accuracy", "rules"}


def folder() -> Path:
    """The benchmarks of this checkout. SettingsError where Tomos was installed without one."""
    for root in (Path.cwd(), Path(package).parents[2]):
        if (root / "benchmarks" / "startup.py").is_file():
            return root / "benchmarks"
    raise SettingsError(
        "benchmarks are part of the source, not of the installed package; run this in a checkout "
        "of Tomos"
    )


def listed() -> dict[str, str]:
    """Name -> first line of its description, without running anything."""
    return {path.stem: _about(path) for path in sorted(folder().glob("[!_]*.py"))}


def bench(
    names: Sequence[str] = (), words: Sequence[str] = (), progress: Progress | None = None
) -> dict[str, int]:
    """Run the named ones (default: all that need nothing else), one after another -> exit codes.

    words  handed to each as they are
    """
    progress = progress or Silent()
    known = listed()
    for name in names:
        if name not in known:
            raise SettingsError(f"no benchmark named {name!r}{did_you_mean(name, list(known))}")
    codes = {}
    for name in names or [name for name in known if name not in BY_NAME]:
        progress.say(f"{name}: {known[name]}")
        command = [sys.executable, str(folder() / f"{name}.py"), *words]
        codes[name] = subprocess.run(command, check=False).returncode
    return codes


def _about(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n", 1)[0]
