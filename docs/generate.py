"""Write `docs/reference/*.md` from the code: `make docs`, or `python docs/generate.py`.

Every flag, setting, step, network, error, key and address is read from where it is defined, so that
the reference cannot say anything else. What has no description is named, and nothing is written.
`python docs/generate.py --check` only says which pages are out of date.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from describing import (
    WORDS,
    Undocumented,
    figures,
    flags,
    function,
    inner,
    limits,
    modules,
    paths,
    prose,
    same,
    settings,
    steps,
    table,
)
from mask_pages import mask_metrics
from measured import measured as figures_measured

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate.py from the code; change it there, then run: make docs -->"


def page(title: str, lead: str, *parts: str) -> str:
    return "\n\n".join([NOTE, f"# {title}", lead, *parts]) + "\n"


def commands() -> str:
    from tomos import cli

    present = {module.name for module in pkgutil.iter_modules(cli.__path__)}
    parts = []
    for name in cli.ONE_LINE:
        if name.replace("import", "import_") not in present:
            continue
        parser = parser_of(name)
        heading = f"## tomos {name}\n\n{parser.description}"
        parts.append(f"{heading}\n\n{flags(parser, name)}")
    lead = (
        "Progress goes to stderr, the result to stdout; `--json` makes the result one "
        "machine-readable object. Every command works offline. `tomos COMMAND --help` shows the "
        "same as this page.\n\n"
        + table(
            ("exit code", "meaning"),
            (
                ("0", "done"),
                ("1", "the data need fixing, or a split leaks (`check`, `train`, `run`)"),
                ("2", "bad input or setting, a file that is refused; one or two lines say why"),
                ("130", "interrupted; what was written so far is whole"),
            ),
        )
    )
    return page("Commands", lead, *parts)


def parser_of(name: str) -> argparse.ArgumentParser:
    """As `tomos NAME` builds it."""
    module = importlib.import_module(f"tomos.cli.{name.replace('import', 'import_')}")
    parser = argparse.ArgumentParser(prog=f"tomos {name}", description=module.HELP)
    module.arguments(parser)
    return parser


def dataset() -> str:
    from tomos.datasets import cases, layouts
    from tomos.datasets import dataset as files

    kinds = (files.DatasetInfo, files.TargetInfo, files.Provenance)
    columns = table(("column", "meaning"), ((f"`{k}`", v) for k, v in WORDS["cases.csv"].items()))
    known = {"case", "patient", "image", "label", "split", "site", "date", "index"}
    known |= {*cases.OWN, *cases.ADDRESS_TARGETS, *cases.ADDRESS_CLINICAL}
    same("cases.csv", known, set(WORDS["cases.csv"]) - {"image:ROLE", "label:TARGET"})
    return page(
        "Data sets",
        "A data set is a folder with `dataset.toml` and `cases.csv`. Both are made by "
        "`tomos import` and may be edited by hand. "
        "The idea: [Data sets and the leak rule](../concepts/datasets.md).",
        "## cases.csv\n\nOne row a case. Every other column is kept as a clinical value, by which "
        f"figures can be split into subgroups.\n\n{columns}",
        *(f"## {kind.__name__}\n\n{settings(kind)}" for kind in kinds),
        "## Layouts that are recognised\n\n" + modules(layouts),
    )


def check() -> str:
    from tomos.datasets.findings import SEVERITY, TEXTS

    rows = ((f"`{c}`", SEVERITY.get(c, "warning"), en) for c, (en, _) in sorted(TEXTS.items()))
    return page(
        "What `tomos check` can find",
        "`check.json` holds `{schema, problems, duplicates, ...}`; a problem has `code`, "
        "`severity`, `cases` and `message`. An error makes the exit code 1; a warning should be "
        "known; a note is for the report. Words in braces are filled in.",
        table(("code", "severity", "message"), rows),
    )


def plan() -> str:
    from tomos.config import load
    from tomos.plan import Fingerprint, recipe, schema
    from tomos.plan.mask_fingerprint import LabelFacts, MaskFingerprint, RoleFacts

    kinds = (schema.Plan, schema.DatasetPart, schema.ModelPart, schema.TrainPart, schema.AlsoPart)
    kinds += (
        schema.PredictPart,
        schema.BudgetPart,
        Fingerprint,
        MaskFingerprint,
        LabelFacts,
        RoleFacts,
    )
    recipes = (
        (f"`{name}`", load(recipe.Recipe, recipe.FOLDER / f"{name}.toml").source)
        for name in recipe.recipes()
    )
    return page(
        "Plans",
        "`plan.toml`, as `tomos plan` writes it and `tomos train` carries it out. Any setting can "
        "be overridden with `--set KEY=VALUE`, as in `--set train.epochs=50`. "
        "The idea: [Plans](../concepts/plan.md).",
        *(f"## {kind.__name__}\n\n{settings(kind)}" for kind in kinds),
        "## Recipes\n\nNamed plans of others, for `--recipe NAME`.\n\n"
        + table(("name", "source"), recipes),
    )


def prepare() -> str:
    return page(
        "Preparation steps",
        "The entries of `prepare` in a plan and in a model file, as "
        '`{ step = "resize", size = [224, 224] }`. Training and serving run the same code, on '
        "numpy. A step that changes the grid changes the image's affine with it.",
        *steps("tomos.transforms.prepare"),
    )


def augment() -> str:
    return page(
        "Augmentation steps",
        'The entries of `augment` in a plan, as `{ step = "rotate", degrees = 12 }`. They change '
        "pictures while a network learns, never when it is judged or used. Every step also takes "
        "`probability`, the share of pictures that it is carried out for; steps that move pixels "
        "take `padding`.",
        *steps("tomos.transforms.augment"),
    )


def models() -> str:
    from tomos import models as nets
    from tomos.workflows.models import CONVENTION, overview

    rows = [
        (f"`{m['name']}`", m["task"], f"{m['parameters']:,}", f"{m['flops'] / 1e9:.2f} G",
         "yes" if m["exact_cam"] else "no")
        if "refused" not in m else (f"`{m['name']}`", m["task"], "", "", m["refused"])
        for m in overview((224, 224))["models"]
    ]  # fmt: skip
    parts = []
    for name in (*nets.architectures("classify"), *nets.architectures("segment")):
        module = importlib.import_module(f"tomos.models.{name}")
        variants = ", ".join(f"`{variant.__name__}`" for variant in module.VARIANTS)
        text = f"## {name}\n\n{variants}\n\n{prose(module.__doc__)}"
        parts.append(f"{text}\n\n{settings(module.Options, f'models.{name}')}")
        parts += [f"### {kind.__name__}\n\n{settings(kind)}" for kind in inner(module.Options)]
    return page(
        "Networks",
        "For `model.name` of a plan. `timm:NAME` and `monai:NAME` are resolved by those libraries "
        "where they are installed. `tomos models NAME --size 64` shows one layer by layer.",
        f"For one channel, two classes, 224 x 224 pixels; {CONVENTION}.",
        table(("name", "task", "parameters", "flops", "exact map"), rows),
        *parts,
    )


def learning() -> str:
    from tomos.measures import losses
    from tomos.train import schedules
    from tomos.train.optimisers import OPTIMISERS

    named = ((f"`{name}`", made.__doc__.splitlines()[0]) for name, made in OPTIMISERS.items())
    parts = []
    for name in losses.names():
        module = importlib.import_module(f"tomos.measures.losses.{name}")
        kinds = ", ".join(module.Loss.KINDS)
        text = f"### {name}\n\n{prose(module.__doc__)}\n\nFor targets of kind: {kinds}."
        parts.append(f"{text}\n\n{settings(module.Loss, f'losses.{name}')}")
    return page(
        "Losses, optimisers, schedules",
        "Names for `train.loss`, `train.optimiser` and `train.schedule` of a plan.",
        "## Losses\n\nOptions go into `train.loss_options`.",
        *parts,
        "## Optimisers\n\n" + table(("name", "what it is"), named),
        "## Schedules\n\n" + prose(schedules.factor.__doc__),
    )


def explain() -> str:
    from tomos import explain as maps

    rows = []
    for name in maps.methods():
        module = importlib.import_module(f"tomos.explain.{name}")
        needs = "`tomos[train]`" if module.NEEDS_TORCH else "base install"
        rows.append((f"`{name}`", needs, module.__doc__.split("\n\n")[0]))
    return page(
        "Heat-map methods",
        "For `--method` of `tomos explain`. Without it, the method that the model file names.",
        table(("name", "needs", "what it does"), rows),
        prose(maps.__doc__.split("\n\n")[-1]),
        "## Scores against masks\n\nFor `--masks` of `tomos explain`.",
        prose(maps.Localisation.__doc__),
        "## The check with random weights\n\nFor `--sanity` of `tomos explain`.",
        prose(maps.sanity.__doc__),
    )


def manifest() -> str:
    from tomos.package import manifest as parts

    kinds = (parts.Manifest, parts.Class, parts.Code, parts.InputPart, parts.Network)
    kinds += (parts.GraphPart, parts.MaskPart, parts.OperatingPoint, parts.Example)
    return page(
        "model.tomos: the manifest",
        "`manifest.json` inside a model file. The idea: [Model files](../concepts/package.md).",
        *(f"## {kind.__name__}\n\n{settings(kind)}" for kind in kinds),
    )


def errors() -> str:
    from tomos.types import errors as tree

    tops = inspect.cleandoc(tree.__doc__).split("\n\n", 2)
    found = [e for e in vars(tree).values() if inspect.isclass(e) and e.__module__ == tree.__name__]
    rows = (
        (f"`{e.__name__}`", f"`{e.__bases__[0].__name__}`", str(getattr(e, "exit_code", "")),
         e.__doc__.split("\n\n")[0])
        for e in found
    )  # fmt: skip
    drawing = inspect.cleandoc(tops[2])
    return page(
        "Errors",
        tops[1],
        f"```text\n{drawing}\n```",
        table(("error", "is a", "exit code", "meaning"), rows),
        "In Python: `from tomos.types import TomosError`.",
    )


def metrics() -> str:
    """Keys of a real `metrics.json`: two classes and a threshold. Each must be described."""
    import numpy as np

    from tomos.evaluate import Table, score
    from tomos.evaluate.names import MEANING
    from tomos.measures import operating

    rng = np.random.default_rng(0)
    truth = np.tile([0, 1], 40)
    chance = np.clip(0.3 + 0.4 * truth + rng.normal(0, 0.2, 80), 0.01, 0.99)
    groups = np.array([f"p{i // 2}" for i in range(80)])
    made = Table(
        [f"c{i}" for i in range(80)], groups, truth, np.stack([1 - chance, chance], 1),
        ("normal", "finding"), columns={"site": ["A", "B"] * 40},
    )  # fmt: skip
    found = score(made, operating.choose(truth, chance, groups=groups), resamples=20)
    words, figure = WORDS["metrics.json"], WORDS["figure"]
    keys = paths(found, {"overall", "per_class", "subgroups", "n_per_class", "targets"})
    same("metrics.json", set(keys), set(words))
    same("a figure", figures(found) | {"note", "method"}, set(WORDS["figure"]))
    named = ((f"`{name}`", words.en) for name, words in MEANING.items())
    return page(
        "metrics.json",
        "What `tomos train` and `tomos evaluate` write, and `--json` prints. All intervals are "
        "95 %, over patients. A value that is not defined on the cases is `null` with a `note`.",
        "## Keys\n\n" + table(("key", "meaning"), ((f"`{key}`", words[key]) for key in keys)),
        "## A figure\n\n" + table(("key", "meaning"), ((f"`{k}`", v) for k, v in figure.items())),
        "## Names of figures\n\n" + table(("name", "meaning"), named),
        "## Operating-point rules\n\n" + prose(operating.choose.__doc__),
        *mask_metrics(),
    )


def http() -> str:
    from tomos.serve.application import create
    from tomos.serve.metrics import server_metrics
    from tomos.serve.schemas import REFUSALS
    from tomos.serve.service import build

    api = create(build([])).app.openapi()
    rows, parts = [], []
    for path, verbs in api["paths"].items():
        for verb, route in verbs.items():
            rows.append((f"`{verb.upper()} {path}`", route.get("summary", "")))
            asked = [p for p in route.get("parameters", [])
                     if p["in"] == "query" and p["name"] != "version"]  # fmt: skip
            if asked:
                listed = table(
                    ("query", "meaning"),
                    ((f"`{p['name']}`", p.get("description") or p["schema"].get("description", ""))
                     for p in asked),
                )  # fmt: skip
                words = route.get("description", "")
                parts.append(f"## {verb.upper()} {path}\n\n{words}\n\n{listed}")
    refused = ((str(code), entry["description"]) for code, entry in REFUSALS.items())
    lines = [line[7:].partition(" ") for line in server_metrics().text().splitlines()
             if line.startswith("# HELP ")]  # fmt: skip
    counted = ((f"`{name}`", text) for name, _, text in lines)
    return page(
        "HTTP service",
        "`tomos serve MODEL` answers on `http://127.0.0.1:8080`. The whole description, for "
        "generating clients: `GET /openapi.json`.",
        table(("address", "what it does"), rows),
        *parts,
        '## Refusals\n\nA refusal is `{"error": reason}`.\n\n'
        + table(("status", "meaning"), refused),
        "## Metrics\n\n" + table(("name", "meaning"), counted),
    )


def index() -> str:
    """All other pages."""
    titles = WORDS["reference"]
    same("reference", set(PAGES) - {"index"}, set(titles))
    parts = ((name, *titles[name].split(": ", 1)) for name in PAGES if name != "index")
    rows = ((f"[{title}]({name}.md)", about) for name, title, about in parts)
    return page(
        "Reference",
        "Made from the code by `make docs`; a test fails where it is out of date.",
        table(("page", "what it lists"), rows),
    )


def python() -> str:
    verbs = ["import_data", "check", "plan", "train", "run", "evaluate", "predict"]
    verbs += ["explain", "describe"]
    parts = []
    for module in verbs:
        name = "make_plan" if module == "plan" else module
        found = getattr(importlib.import_module(f"tomos.workflows.{module}"), name)
        parts.append(f"## {name}\n\n`from tomos.workflows.{module} import {name}`\n\n"
                     + function(found, name))  # fmt: skip
    from tomos.formats import read
    from tomos.inference import MaskPredictor, Predictor
    from tomos.types import Image, Mask

    parts.append("## Limits\n\n`from tomos.formats import Limits`\n\n" + limits())
    parts.append("## formats.read\n\n`from tomos import formats`\n\n" + function(read, "read"))
    for kind in (Image, Mask, Predictor, MaskPredictor):
        home = kind.__module__.rsplit(".", 1)[0]
        parts.append(f"## {kind.__name__}\n\n`from {home} import {kind.__name__}`\n\n"
                     + prose(kind.__doc__))  # fmt: skip
    return page(
        "Python",
        "Every command is one function of `tomos.workflows`, from files to files, silent unless "
        "given a `progress` (`tomos.types.Progress`). Refusals are [errors](errors.md).",
        *parts,
    )


def measured() -> str:
    """Accuracy and speed, as the benchmarks left them."""
    return page(
        "Measured figures",
        "What `tomos bench` (`make bench`) and the longer runs of `benchmarks/` found, read from "
        "`benchmarks/results/`.",
        *figures_measured(),
    )


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands, "dataset": dataset, "check": check, "plan": plan, "prepare": prepare,
    "augment": augment, "models": models, "learning": learning, "explain": explain,
    "manifest": manifest, "metrics": metrics, "errors": errors, "http": http, "python": python,
    "measured": measured, "index": index,
}  # fmt: skip


def made(names: list[str] | None = None) -> dict[Path, str]:
    """Path -> content of the pages `names` (all). Raises Undocumented, with a gap of each page."""
    pages, silent = {}, []
    for name in names or list(PAGES):
        try:
            pages[FOLDER / f"{name}.md"] = PAGES[name]()
        except Undocumented as gap:
            silent.append(str(gap))
    if silent:
        raise Undocumented("; ".join(silent))
    return pages


def main() -> int:
    check_only = "--check" in sys.argv[1:]
    try:
        pages = made()
    except Undocumented as gap:
        print(f"not documented (docstring, help text or docs/words.toml): {gap}", file=sys.stderr)
        return 1
    stale = [p for p, text in pages.items() if not p.exists() or p.read_text("utf-8") != text]
    for path in stale:
        if not check_only:
            path.write_text(pages[path], encoding="utf-8")
        print(f"{'out of date' if check_only else 'wrote'}: {path.name}")
    return int(check_only and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
