"""`tomos evaluate`"""

from __future__ import annotations

import argparse

HELP = "A model on a data set, every figure with its interval; two models -> paired comparison."


def arguments(parser: argparse.ArgumentParser) -> None:
    from tomos.cli.terminal import add_pdf

    parser.add_argument("model", nargs="+", help="model.tomos, or two of them to compare")
    parser.add_argument("dataset", help="folder with dataset.toml and cases.csv")
    parser.add_argument("--split", default="test", help="train, val, test or all (test)")
    parser.add_argument("-o", "--out", metavar="DIR", help="where metrics.json and report.html go")
    parser.add_argument("--by", action="append", default=[], metavar="COLUMN", help="subgroups")
    parser.add_argument("--prevalence", type=float, help="for PPV and NPV, as 0.05")
    parser.add_argument(
        "--tolerance",
        metavar="MM",
        help="of the NSD of masks: mm for all classes, or liver=2,tumour=1 (1)",
    )
    parser.add_argument("--threads", type=int, default=0, help="threads (0: all cores)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_pdf(parser)


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import Terminal, check_pdf, print_json, print_pdf
    from tomos.types import SettingsError
    from tomos.workflows.evaluate import Compared, compare, evaluate
    from tomos.workflows.job import Judged
    from tomos.workflows.judging_masks import tolerance_said

    if len(args.model) > 2:
        raise SettingsError(f"expected one model or two to compare, got {len(args.model)}")
    check_pdf(args)
    wishes = {
        "split": args.split,
        "out": args.out,
        "by": args.by,
        "prevalence": args.prevalence,
        "tolerance": tolerance_said(args.tolerance) if args.tolerance is not None else None,
        "threads": args.threads,
        "progress": Terminal(),
    }
    if len(args.model) == 2:
        done: Compared | Judged = compare(args.model[0], args.model[1], args.dataset, **wishes)
    else:
        done = evaluate(args.model[0], args.dataset, **wishes)
    if args.json:
        print_json(done.to_json())
    else:
        print("\n".join(done.lines()))
    print_pdf(args, done.page)
    return 0
