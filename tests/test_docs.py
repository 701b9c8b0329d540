"""The documentation is a program: every block runs or is checked, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docs_blocks as blocks
import docs_world as world
import pytest
from docs_blocks import PAGES, ROOT, RUN, SHOWN, Block, Page, read

BOOK = {page.name: page for page in map(read, PAGES)}
RUNNING = [page for page in BOOK.values() if page.runs]
TRANSLATED = [page for page in BOOK.values() if "same as" in page.told]
TORCH_PAGES = ("augment", "models", "learning")


# -- without running anything


@pytest.mark.fast
@pytest.mark.parametrize("name", BOOK)
def test_every_block_is_of_a_known_kind(name):
    page = BOOK[name]
    for block in page.blocks:
        where = f"{name}:{block.line}"
        plain = {""} if name == "ARCHITECTURE.md" else set()
        assert block.language in RUN | SHOWN | plain, f"{where}: a block of kind {block.language!r}"
        if "not run" in block.told:
            assert block.told["not run"], f"{where}: say why the block is not run"
            assert block.language != "python", f"{where}: Python blocks are always run"
            for command in block.commands:
                blocks.check_command(command, where)
    for made in page.told.get("setup", "").split():
        assert made in {*world.MAKERS, *world.SHARED}, f"{name}: no world {made!r}"


@pytest.mark.fast
@pytest.mark.parametrize("name", BOOK)
def test_flags_of_commands_in_the_text_exist(name):
    """Inline code such as `tomos train --resume` is no block, and goes stale as easily."""
    text = re.sub(r"```.*?```", "", BOOK[name].path.read_text("utf-8"), flags=re.S)
    for command in re.findall(r"`tomos ([a-z]+[^`]*)`", text):
        words = re.sub(r"['\"|]", " ", command).split()
        blocks.check_flags(words, f"{name}: `tomos {command}`")


@pytest.mark.fast
@pytest.mark.parametrize("name", BOOK)
def test_links_lead_somewhere(name):
    page = BOOK[name]
    text = re.sub(r"```.*?```", "", page.path.read_text(encoding="utf-8"), flags=re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for link in links:
        if re.match(r"(https?|mailto):", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.path.parent / path).resolve() if path else page.path
        assert there.exists(), f"{name}: {link} leads nowhere"
        if anchor and there.suffix == ".md":
            assert anchor in _anchors(there), f"{name}: {link}: no such heading"


def _anchors(path: Path) -> set[str]:
    """Headings as GitHub names them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.fast
@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_translations_say_the_same_commands(page):
    original = BOOK[page.told["same as"]]

    def code(each: Page) -> list[tuple[str, str]]:
        kept = [b for b in each.blocks if b.language in RUN | {"toml", "csv", "nginx"}]
        return [(b.language, re.sub(r"\s*#.*", "", b.text)) for b in kept]

    assert code(page) == code(original)

    def outline(each: Page) -> list[int]:
        text = re.sub(r"```.*?```", "", each.path.read_text("utf-8"), flags=re.S)
        return [len(marks) for marks in re.findall(r"^(#+) ", text, re.M)]

    assert outline(page) == outline(original), "the headings differ in number or depth"


@pytest.mark.fast
def test_pictures_of_the_docs_are_small():
    for picture in (ROOT / "docs/images").glob("*"):
        assert picture.stat().st_size < 150_000, picture


@pytest.mark.fast
def test_every_page_is_reached_from_the_readme():
    seen, waiting = set(), ["README.md", "README.zh-CN.md"]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in BOOK:
            continue
        seen.add(name)
        for link in re.findall(r"\]\(([^)\s#]+\.md)", BOOK[name].path.read_text("utf-8")):
            there = (BOOK[name].path.parent / link).resolve()
            if there.is_relative_to(ROOT):
                waiting.append(there.relative_to(ROOT).as_posix())
    assert seen == set(BOOK)


def _generator():
    """`docs/generate.py`, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _assert_current(names: list[str]) -> None:
    for path, text in _generator().made(names).items():
        assert path.exists(), f"{path.name} is missing; run: make docs"
        assert path.read_text("utf-8") == text, f"{path.name} is out of date; run: make docs"


@pytest.mark.fast
def test_the_reference_is_what_the_code_says():
    _assert_current([name for name in _generator().PAGES if name not in TORCH_PAGES])


def test_the_reference_of_learning_is_what_the_code_says():
    _assert_current(list(TORCH_PAGES))


@pytest.mark.fast
def test_an_undocumented_flag_or_setting_is_refused():
    from tomos.config import Settings

    generator = _generator()
    describing = sys.modules["describing"]

    class Silent(Settings):
        """Says nothing of it."""

        secret: int = 0

    with pytest.raises(describing.Undocumented, match=r"Silent\.secret"):
        describing.settings(Silent)
    parser = generator.parser_of("plan")
    parser.add_argument("--hidden")
    with pytest.raises(describing.Undocumented, match="tomos plan --hidden"):
        describing.flags(parser, "plan")


# -- running


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """`runs(maker)`: a folder with one data set and one finished run, for all pages."""
    made: dict[str, Path] = {}

    def folder_of(maker) -> Path:
        name = maker.__name__
        if name not in made:
            pytest.importorskip("torch")
            folder = tmp_path_factory.mktemp("docs") / name
            folder.mkdir()
            # A process of its own: one thread that does not spin, as the blocks have it.
            command = [sys.executable, "-c", f"import {maker.__module__} as m, pathlib as p; "
                       f"m.{name}(p.Path())"]  # fmt: skip
            own = {**_surroundings(folder), "OMP_WAIT_POLICY": "PASSIVE"}
            own["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
            done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            made[name] = folder
        return made[name]

    return folder_of


@pytest.fixture
def place(tmp_path, request) -> Path:
    """The page's folder, with what its `setup` comment asks for."""
    page = request.param
    for name in page.told.get("setup", "").split():
        if name in world.SHARED:
            made = request.getfixturevalue("runs")(world.SHARED[name])
            world.copied(name, made, tmp_path)
        else:
            world.MAKERS[name](tmp_path)
    world.curl(tmp_path / "bin" / "curl")
    return tmp_path


def _cases() -> Iterator:
    for page in RUNNING:
        marks = [pytest.mark.xdist_group("docs")]
        marks += [pytest.mark.slow] if page.slow else []
        yield pytest.param(page, marks=marks, id=page.name)


@pytest.mark.parametrize("place", _cases(), indirect=True)
def test_blocks_run(place, request):
    page = request.node.callspec.params["place"]
    port = _free_port()
    servers: list[subprocess.Popen] = []
    try:
        for block in page.blocks:
            if "file" in block.told:
                path = place / block.told["file"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            elif "install" in block.told:
                world.put_on_path(place / block.told["install"], place / "site")
            elif block.language in RUN and "not run" not in block.told:
                _run(page, block, place, port, servers)
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(10)


def _run(page: Page, block: Block, place: Path, port: int, servers: list) -> None:
    where = f"{page.name}:{block.line}"
    text = "\n".join(block.commands) if block.language != "python" else block.text
    text = blocks.thrifty(text, port, quick=not (page.slow or "masks" in block.told))
    command = [sys.executable, "-c", text]
    if block.language != "python":
        command = ["bash", "-euo", "pipefail", "-c", text]
    if "background" in block.told:
        servers.append(subprocess.Popen(command, cwd=place, env=_surroundings(place),
                                        start_new_session=True))  # fmt: skip
        _wait_for(f"http://127.0.0.1:{port}/ready", servers[-1], where)
        return
    done = subprocess.run(
        command, cwd=place, env=_surroundings(place), timeout=600, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    expected = int(block.told.get("exit", 0))
    assert done.returncode == expected, f"{where}: exit {done.returncode}\n{text}\n{done.stdout}"
    assert "Traceback" not in done.stdout, f"{where}:\n{done.stdout}"
    gone = blocks.missing_output(block.outputs, done.stdout)
    assert not gone, f"{where}: not printed: {gone}\n{done.stdout}"


def _surroundings(place: Path) -> dict[str, str]:
    """This interpreter's `tomos`, one thread, and a cache of the page's own."""
    own = {
        "PATH": os.pathsep.join(
            map(str, [Path(sys.executable).parent, os.environ["PATH"], place / "bin"])
        ),
        "XDG_CACHE_HOME": str(place / ".cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(place / "site")]),
    }
    return {**os.environ, **own}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen, where: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.poll() is None, f"{where}: the server stopped"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{where}: no answer from {address}")
