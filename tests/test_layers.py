"""The architecture, as tests: who may import whom, and what runs without PyTorch."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tomos"
LAYERS = [
    {"types"},
    {"config"},
    {"formats", "archive", "transforms", "models", "measures"},
    {"datasets", "tasks", "package"},
    {"plan", "inference"},
    {"train", "evaluate", "explain"},
    {"compress", "federated"},
    {"workflows"},
    {"serve"},
    {"cli"},
]
# `python -m tomos` is the command line.
LAYERS.append({"__main__"})
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
EDGES = {
    "pydicom": {"formats"},
    "pynetdicom": {"formats"},
    "highdicom": {"formats"},
    "nibabel": {"formats"},
    "PIL": {"formats"},
    "sqlite3": {"archive"},
    "apsw": {"archive"},
    "fastapi": {"serve"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
}
TORCH_AT_TOP = {"models", "measures.losses", "transforms.augment", "train", "compress", "federated"}
HEAVY = {
    "torch",
    "monai",
    "pandas",
    "pydicom",
    "scipy",
    "sklearn",
    "nibabel",
    "onnx",
    "onnxruntime",
}


def modules():
    return sorted(SOURCE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """(module, at top level?) for every import statement of a file."""
    found: list[tuple[str, bool]] = []
    for node, top in statements(ast.parse(path.read_text(encoding="utf-8")).body, True):
        if isinstance(node, ast.Import):
            found += [(alias.name, top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            if node.module == "tomos":
                found += [(f"tomos.{alias.name}", top) for alias in node.names]
            else:
                found.append((node.module or "", top))
    return tuple(found)


def statements(body, top: bool):
    """(statement, runs when the module is imported?), those within others, too."""
    for node in body:
        yield node, top
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from statements(getattr(node, part, ()), top and not late)


@pytest.mark.fast
@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_module_imports_only_from_below(path):
    me = dotted(path)
    if not me:
        return
    room = me.split(".")[0]
    assert room in LEVEL, f"{me}: not a room of the design"
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "tomos" or len(parts) < 2 or parts[1].startswith("__"):
            continue
        other = parts[1]
        assert other in LEVEL, f"{me} imports {name}, which is not a room of the design"
        if other != room:
            assert LEVEL[other] < LEVEL[room], f"{me} (level {LEVEL[room]}) imports {name}"


@pytest.mark.fast
@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_third_party_edges_and_late_imports(path):
    me = dotted(path)
    room = me.split(".")[0]
    for name, top in imports(path):
        library = name.split(".")[0]
        if library in EDGES:
            assert room in EDGES[library], f"{me} imports {library}; only {EDGES[library]} may"
        if top and library == "torch":
            allowed = any(me == a or me.startswith(a + ".") for a in TORCH_AT_TOP)
            assert allowed, f"{me} imports torch at the top; import it where it is used"
        elif top and library in HEAVY - {"torch"}:
            assert room in {"formats", "train", "models"} and me.count("."), (
                f"{me} imports {library} at the top; import it where it is used"
            )


@pytest.mark.fast
def test_no_room_without_a_name():
    forbidden = {"utils", "util", "common", "core", "base", "helpers", "manager", "misc"}
    assert not [p for p in modules() if p.stem in forbidden or p.parent.name in forbidden]


@pytest.mark.fast
def test_everything_but_learning_imports_without_torch():
    names = [
        f"tomos.{dotted(p)}"
        for p in modules()
        if dotted(p) and not any(dotted(p).startswith(a) for a in TORCH_AT_TOP)
    ]
    code = (
        "import sys, importlib\nsys.modules['torch'] = None\n"
        f"[importlib.import_module(n) for n in {names!r}]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.fast
def test_import_tomos_is_quick():
    """Best of several fresh processes, since the machine may be busy."""
    code = "import time; t=time.perf_counter(); import tomos; print(time.perf_counter()-t)"
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5)]
    assert min(times) < 0.1
