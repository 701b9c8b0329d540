"""The code blocks of the documentation: found, thriftily rewritten, run or checked.

Comments on the line above a block say what a test must know of it (CONTRIBUTING.md, "Docs"):

    <!-- setup: scans run -->     above all blocks: what of `docs_world` lies in the page's folder
    <!-- page: slow -->           above all blocks: the page is run by `make test-slow`
    <!-- same as: README.md -->   above all blocks: a translation; its blocks are those of that page
    <!-- not run: REASON -->      every line is checked instead: flags, make targets, extras, files
    <!-- exit: 1 -->              what the last command of the block returns
    <!-- background -->           a server: started, waited for, stopped at the end of the page
    <!-- masks -->                it learns masks: the plan is that of the rules, as no recipe fits
    <!-- file: NAME -->           the block is written to NAME
    <!-- install: FOLDER -->      not run; the package in FOLDER is put on the path instead
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
RUN = {"sh", "console", "python"}
SHOWN = {"text", "toml", "csv", "json", "html", "nginx", "yaml"}
DIRECTIVES = {"setup", "page", "same as", "not run", "exit", "background", "file", "install"}
DIRECTIVES |= {"masks"}
COMMENT = re.compile(r"<!--\s*([a-z ]+?)\s*(?::\s*(.*?))?\s*-->")
# Commands of the machine that a block which is not run may name.
FOREIGN = {"cd", "git", "docker", "openssl", "curl", "python", "python3", "export"}


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, text, line in the page, and the comments above it."""

    language: str
    text: str
    line: int
    told: dict[str, str] = field(default_factory=dict)

    @property
    def commands(self) -> list[str]:
        """The commands of a `sh` or `console` block, continued lines joined, comments left out."""
        text = self.text.replace("\\\n", " ")
        lines = text.splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [line for line in map(str.strip, lines) if line and not line.startswith("#")]

    @property
    def outputs(self) -> list[str]:
        """What a `console` block says is printed; "..." stands for anything."""
        lines = [line.strip() for line in self.text.splitlines() if not line.startswith("$ ")]
        return [line for line in lines if line] if self.language == "console" else []


@dataclass(frozen=True)
class Page:
    """One Markdown page."""

    path: Path
    blocks: tuple[Block, ...]
    told: dict[str, str]

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def runs(self) -> bool:
        return "same as" not in self.told and any(b.language in RUN for b in self.blocks)

    @property
    def slow(self) -> bool:
        return self.told.get("page") == "slow"


def read(path: Path) -> Page:
    """A page and its blocks."""
    blocks: list[Block] = []
    head: dict[str, str] = {}
    told: dict[str, str] = {}
    fence = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark = re.match(r"\s*```(\w*)\s*$", line)
        if fence is None and mark:
            fence, body, start = mark[1], [], number
        elif fence is not None and mark:
            blocks.append(Block(fence, "\n".join(body) + "\n", start, told))
            fence, told = None, {}
        elif fence is not None:
            body.append(line)
        elif comment := COMMENT.fullmatch(line.strip()):
            if comment[1] in DIRECTIVES:
                head_word = comment[1] in ("setup", "page", "same as")
                (head if head_word else told)[comment[1]] = comment[2] or ""
        elif line.strip():
            told = {}
    assert fence is None, f"{path}: a block is not closed"
    return Page(path, tuple(blocks), head)


def thrifty(text: str, port: int, quick: bool) -> str:
    """The same commands for a test: seconds instead of minutes, a free port, no browser.

    quick  also by a recipe, which spares the measuring that a plan of the rules begins with
    """
    small = " --recipe small_cnn --set train.epochs=3 --set model.options.grid=1"
    text = re.sub(r"--minutes \S+", "--minutes 0.1" + small * quick, text)
    small = ', recipe="small_cnn", overrides=["train.epochs=3", "model.options.grid=1"]'
    text = re.sub(r"\bminutes=\d+", "minutes=0.1" + small * quick, text)
    return re.sub(r" --(serve|open)\b", "", text).replace("8080", str(port))


def normal(line: str) -> str:
    """A line of output without what differs from run to run: numbers and spaces."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "0", line)).strip()


def missing_output(expected: list[str], came: str) -> str:
    """The first expected line that was not printed in its order, "" when all were."""
    rest = [normal(line) for line in came.replace("\r", "\n").splitlines()]
    for line in expected:
        if line == "...":
            continue
        pattern = ".*".join(re.escape(part) for part in normal(line).split("..."))
        place = next((i for i, each in enumerate(rest) if re.fullmatch(pattern, each)), None)
        if place is None:
            return line
        rest = rest[place + 1 :]
    return ""


def check_command(command: str, where: str) -> None:
    """A command that is not run: its words must exist. AssertionError says which do not."""
    for part in re.split(r"\s(?:&&|\|)\s", command):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words = words[1:]
        if not words:
            continue
        program = words[0].removeprefix(".venv/bin/")
        if program == "make":
            _check_make(words[1:], where)
        elif program == "tomos":
            check_flags(words[1:], where)
        elif program == "pip" or words[:3] == ["python", "-m", "pip"]:
            _check_pip(words, where)
        else:
            assert program in FOREIGN, f"{where}: nobody checks the command {program!r}"


def check_flags(words: list[str], where: str) -> None:
    """The command exists and knows its flags; values are those its parser takes."""
    from tomos.cli import ONE_LINE

    if words[0].startswith("-"):
        return
    assert words[0] in ONE_LINE, f"{where}: no command {words[0]!r}"
    module = importlib.import_module(f"tomos.cli.{words[0].replace('import', 'import_')}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.arguments(parser)
    known = {flag for action in parser._actions for flag in action.option_strings}
    for word in words[1:]:
        if word.startswith("-") and len(word) > 1:
            flag = word.partition("=")[0]
            assert flag in known, f"{where}: tomos {words[0]} has no {flag}"


def _check_make(targets: list[str], where: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        if "=" not in target:
            assert re.search(rf"^{re.escape(target)}:", makefile, re.M), (
                f"{where}: no target {target!r} in the Makefile"
            )


def _check_pip(words: list[str], where: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words:
        if found := re.search(r"\[(.+)\]", word):
            for extra in found[1].split(","):
                known = project["optional-dependencies"]
                assert extra in known, f"{where}: pyproject.toml has no extra {extra!r}"
        if word.endswith((".txt", ".toml")):
            assert (ROOT / word).exists(), f"{where}: there is no {word}"
