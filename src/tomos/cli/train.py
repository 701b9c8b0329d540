"""`tomos train`"""

from __future__ import annotations

import argparse

HELP = "Carry out a plan: a run folder with model.tomos, metrics.json and report.html."


def arguments(parser: argparse.ArgumentParser) -> None:
    from tomos.cli.plan import add_fold, options
    from tomos.cli.terminal import add_pdf

    parser.add_argument("dataset", help="folder with dataset.toml and cases.csv")
    parser.add_argument("-o", "--out", metavar="RUN", help="run folder (default: runs/DATASET)")
    parser.add_argument(
        "--plan", metavar="FILE", help="a plan to carry out; without it, one is made"
    )
    add_fold(parser)
    parser.add_argument("--resume", action="store_true", help="go on where the run in RUN stopped")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_pdf(parser)
    options(parser)


def run(args: argparse.Namespace) -> int:
    from tomos.cli.plan import wishes
    from tomos.cli.terminal import Terminal, check_pdf, print_json, print_pdf
    from tomos.workflows.train import train

    check_pdf(args)
    done = train(
        args.dataset,
        args.out,
        plan_file=args.plan,
        **wishes(args),
        resume=args.resume,
        fold=args.fold,
        progress=Terminal(),
    )
    if args.json:
        print_json(done.to_json())
    else:
        print("\n".join(done.lines()))
    print_pdf(args, done.judged.page)
    return 0
