"""The base install, as a user gets it: a wheel in an environment of its own, without PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*command, **more) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=900, **more
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The bin folder of an environment with the base install only."""
    folder = tmp_path_factory.mktemp("base")
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    settings = {**os.environ, "PIP_CONSTRAINT": ""}
    run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT, env=settings)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A model file and a picture, made by the environment that has PyTorch."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import startup

    return startup.small_model(tmp_path_factory.mktemp("model"))[0]


def test_there_is_no_torch_and_the_install_is_light(base):
    listed = json.loads(run(base / "python", "-m", "pip", "list", "--format", "json"))
    names = {entry["name"].lower() for entry in listed} - {"pip", "setuptools", "wheel"}
    assert "torch" not in names
    assert len(names) <= 40, sorted(names)
    site = next((base.parent / "lib").glob("python*/site-packages"))
    size = sum(f.stat().st_size for f in site.rglob("*") if f.is_file() and not f.is_symlink())
    assert size < 350 * 2**20, f"{size / 2**20:.0f} MiB"


def test_it_predicts_explains_and_describes(base, trained, tmp_path):
    picture = trained.parent / "x.png"
    said = json.loads(run(base / "tomos", "predict", trained, picture, "--json"))
    scores = said["predictions"][0]["targets"]["label"]["scores"]
    assert abs(sum(scores.values()) - 1) < 1e-6
    run(base / "tomos", "explain", trained, picture, "-o", tmp_path)
    assert list(tmp_path.rglob("*.png"))
    run(base / "tomos", "describe", trained)
    run(base / "tomos", "inspect", picture)


def test_it_carries_the_page(base):
    code = (
        "from pathlib import Path; import tomos; "
        "print((Path(tomos.__file__).parent / 'serve/static/index.html').exists())"
    )
    assert run(base / "python", "-c", code).strip() == "True"


def test_it_imports_and_checks_a_folder(base, tmp_path):
    from tomos import formats

    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "src" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 255, (40, 40), dtype=np.uint8)
            (tmp_path / "src" / name / f"{i}.png").write_bytes(formats.png_bytes(pixels))
    run(base / "tomos", "import", tmp_path / "src", tmp_path / "d")
    run(base / "tomos", "check", tmp_path / "d")


@pytest.mark.parametrize(
    "words", [["plan", "d"], ["train", "d"], ["run", "d"], ["demo"], ["models"]], ids=" ".join
)
def test_learning_says_what_to_install(base, tmp_path, words):
    done = subprocess.run(
        [str(base / "tomos"), *words], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr[-500:]
    assert "pip install 'tomos[train]'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_command_starts_quickly(base, trained, tmp_path):
    """In turns with the bare imports; the figures of the issue."""
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "benchmarks" / "startup.py"), "--python",
            str(base / "python"), "--model", str(trained), "--image", str(trained.parent / "x.png"),
            "--out", str(tmp_path / "startup.json"),
        ],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
