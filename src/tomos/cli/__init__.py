"""One small command per workflow, no logic.

A command is a file of this folder: `HELP` (one line), `arguments(parser)` and `run(args)`, which
returns an exit code or None. Its file is imported only when it is the one that was asked for, so
that `tomos --help` is instant; ONE_LINE below is checked against the files by a test.
"""

from __future__ import annotations

import os
import sys

ONE_LINE = {
    "demo": "the main job, on data made on the spot, then where to look",
    "run": "the whole way on your own data: import, check, plan, train, evaluate, report",
    "inspect": "read files with pixels, or say why they are refused",
    "import": "a folder of images -> a data set",
    "check": "quality, duplicates, leakage, labels; exit 1 when something must be fixed",
    "plan": "look at a data set and write plan.toml, with a reason for every choice",
    "train": "carry out a plan -> a run with model.tomos and report.html",
    "evaluate": "a model on a data set, with intervals; two models -> paired comparison",
    "predict": "a model on images",
    "explain": "where a model looked, on the image's own grid",
    "serve": "a model as a web page and an HTTP service",
    "models": "the networks there are, with parameters and FLOPs",
    "describe": "what a model file or a plan holds",
    "doctor": "what this machine has, and what is missing",
    "bench": "measure speed against the usual tools",
}


def main(argv: list[str] | None = None) -> int:
    """Entry point of `tomos`; returns the exit code (0, 1 data need fixing, 2 bad input, 130)."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        from tomos import __version__

        print(f"tomos {__version__}")
        return 0
    _calm_threads()
    from tomos.types import TomosError

    try:
        return _command(words[0], words[1:])
    except TomosError as error:
        print(f"tomos {words[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\ntomos {words[0]}: interrupted; what was written so far is whole", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except MemoryError:
        print(f"tomos {words[0]}: out of memory; close other programs, or choose smaller pictures "
              "or batches (--set train.batch=8)", file=sys.stderr)  # fmt: skip
        return 2
    except Exception as error:
        if os.environ.get("TOMOS_DEBUG"):
            raise
        print(f"tomos {words[0]}: {_fault(error)}", file=sys.stderr)
        return 2


def _fault(error: Exception) -> str:
    """An error that Tomos should have told in its own words: one line, no traceback."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    kind = type(error).__name__
    return (
        f"a fault in Tomos ({kind}: {error}, at {last.name}:{last.lineno}). What was written so "
        "far is whole. For a report of it, run the same with TOMOS_DEBUG=1"
    )


def _calm_threads() -> None:
    """What numpy and OpenMP read when they are first imported, so before anything else is.

    Threads that wait for the next piece of work must not spin: they take the processor from those
    that have one. numpy's small products run inside our own reading threads, one core each.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _command(name: str, words: list[str]) -> int:
    import argparse
    import importlib

    from tomos.types import SettingsError

    if name not in ONE_LINE:
        from tomos.config.plugins import did_you_mean

        raise SettingsError(f"no such command{did_you_mean(name, list(ONE_LINE))}")
    module = importlib.import_module(f"tomos.cli.{name.replace('import', 'import_')}")
    parser = argparse.ArgumentParser(prog=f"tomos {name}", description=module.HELP)
    module.arguments(parser)
    return module.run(parser.parse_args(words)) or 0


def _overview() -> str:
    width = max(map(len, ONE_LINE))
    lines = [f"  {name:<{width}}  {line}" for name, line in ONE_LINE.items()]
    return "\n".join(
        [
            "Tomos: from a folder of medical images to a model that can be trusted.",
            "",
            "usage: tomos COMMAND [...]        tomos COMMAND --help",
            "",
            *lines,
            "",
            "Start with: tomos demo            on your own images: tomos run FOLDER --serve",
        ]
    )
