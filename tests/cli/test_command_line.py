"""The command line as a user meets it: help, mistakes, exit codes."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tomos.cli
from tomos.cli import ONE_LINE, main

FOLDER = Path(tomos.cli.__file__).parent
COMMANDS = sorted(path.stem.rstrip("_") for path in FOLDER.glob("*.py")
                  if path.stem not in ("__init__", "terminal"))  # fmt: skip


@pytest.mark.fast
def test_every_command_has_a_file_and_a_line():
    assert sorted(ONE_LINE) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_flag_and_imports_nothing_heavy(name):
    code = (
        "import sys\nfrom tomos.cli import main\n"
        f"try:\n    main([{name!r}, '--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'onnxruntime', 'pydicom', 'fastapi', 'numpy'} & set(sys.modules)\n"
        "assert heavy <= {'numpy'}, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"usage: tomos {name}" in done.stdout


@pytest.mark.fast
@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_explained(name):
    import argparse

    module = importlib.import_module(f"tomos.cli.{name.replace('import', 'import_')}")
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    silent = [a.option_strings or a.dest for a in parser._actions if not (a.help or a.metavar)]
    assert not silent, f"tomos {name}: no help for {silent}"
    assert module.HELP.strip().endswith(".")


@pytest.mark.fast
def test_overview(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ONE_LINE)


@pytest.mark.fast
def test_a_typo_is_answered_with_the_nearest_command(capsys):
    assert main(["trian"]) == 2
    assert "did you mean 'train'" in capsys.readouterr().err


MISTAKES = [
    (["predict", "no.tomos", "x.png"], "no.tomos"),
    (["check", "nowhere"], "nowhere"),
    (["train", "nowhere"], "nowhere"),
    (["evaluate", "no.tomos", "nowhere"], "no"),
    (["import", "nowhere", "out"], "nowhere"),
    (["plan", "nowhere"], "nowhere"),
    (["describe", "nowhere.tomos"], "nowhere"),
    (["models", "resnet81"], "resnet18"),
    (["run", "nowhere"], "nowhere"),
    (["plan", "nowhere", "--minutes", "0"], "--minutes"),
    (["run", "nowhere", "--set", "train.epochs=abc"], "train.epochs: "),
    (["train", "nowhere", "--set", "train.loss=bec"], "did you mean 'bce'"),
    (["run", "nowhere", "--recipe", "smal_cnn"], "did you mean 'small_cnn'"),
]


@pytest.mark.parametrize(("words", "named"), MISTAKES, ids=lambda value: str(value)[:30])
def test_a_mistake_gets_one_or_two_lines_and_exit_code_2(words, named, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tomos", *words],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert named in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("tomos ")]
    assert len(lines) == 1
    assert not list(tmp_path.iterdir()), "something was left behind"


@pytest.mark.fast
def test_the_help_names_every_recipe():
    from tomos.cli.plan import RECIPES
    from tomos.plan import recipes

    assert all(name in RECIPES for name in recipes())


@pytest.mark.fast
def test_a_fault_of_ours_is_one_line_too(monkeypatch, capsys):
    from tomos.workflows import doctor

    def broken():
        raise ZeroDivisionError("of what")

    monkeypatch.setattr(doctor, "examine", broken)
    assert main(["doctor"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ZeroDivisionError" in said and "TOMOS_DEBUG" in said
    monkeypatch.setenv("TOMOS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_the_time_left_is_never_sixty_seconds(monkeypatch, capsys):
    from tomos.cli import terminal

    now = iter([0.0, 20.0, 39.95])  # made, begun, seen: six times 19.95 s are left
    monkeypatch.setattr(terminal, "time", SimpleNamespace(monotonic=lambda: next(now)))
    shown = terminal.Terminal()
    shown.step(0, 700)
    shown.step(100, 700)
    assert capsys.readouterr().err.splitlines()[-1] == "  100/700   2:00 left"
