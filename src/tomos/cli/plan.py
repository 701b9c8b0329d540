"""`tomos plan`"""

from __future__ import annotations

import argparse

RECIPES = (
    "auto, or settings that others wrote down: fundus_cnn, liver_cnn, lung_ct_resnet18, "
    "resnet18_fixed, small_cnn (auto)"
)
HELP = "Look at a data set and write plan.toml: every choice, with its reason."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="folder with dataset.toml and cases.csv")
    parser.add_argument(
        "-o", "--out", metavar="FILE", help="plan file (default: DATASET/plan.toml)"
    )
    options(parser)
    add_fold(parser)
    parser.add_argument(
        "--find-rate", action="store_true", help="find the learning rate by a range test"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def options(parser: argparse.ArgumentParser) -> None:
    """What `plan`, `train` and `run` have in common."""
    parser.add_argument("--minutes", type=float, help="wall time that training may take (10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of every choice of chance (0)")
    parser.add_argument("--recipe", default="auto", help=RECIPES)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="as train.epochs=50"
    )
    parser.add_argument(
        "--accept-leak", default="", metavar="REASON", help="go on although the split leaks"
    )


def add_fold(parser: argparse.ArgumentParser) -> None:
    """--fold, of `plan` and `train`."""
    parser.add_argument(
        "--fold",
        default="",
        metavar="N/K",
        help="as 2/5: cross-validation, judged on that fold; the test stays locked",
    )


def wishes(args: argparse.Namespace) -> dict:
    """What `options` asked for, as the workflows take it."""
    return {
        "minutes": args.minutes,
        "seed": args.seed,
        "recipe": args.recipe,
        "device": args.device,
        "overrides": args.set,
        "accept_leak": args.accept_leak,
    }


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import Terminal, print_json
    from tomos.types.words import counted
    from tomos.workflows.plan import make_plan

    made, path = make_plan(
        args.dataset,
        args.out,
        **wishes(args),
        find_rate=args.find_rate,
        fold=args.fold,
        progress=Terminal(),
    )
    if args.json:
        print_json(made.model_dump(mode="json"))
        return 0
    units = "voxels" if len(made.size) == 3 else "pixels"
    print(
        f"{path}: {made.model.name} at {' x '.join(map(str, made.size))} {units}, "
        f"{counted(made.train.epochs, 'epoch')}, {counted(made.train.members, 'network')}"
    )
    for part, reason in made.reasons.items():
        print(f"  {part}: {reason}")
    budget = made.budget
    print(
        f"  foreseen on this machine: {budget.predicted_seconds / 60:.1f} minutes, "
        f"{budget.predicted_memory_mb / 1000:.1f} GB of memory"
    )
    return 0
