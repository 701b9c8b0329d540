"""`tomos run`"""

from __future__ import annotations

import argparse

HELP = "The whole way on your own data: import, check, plan, train, evaluate, explain, report."


def arguments(parser: argparse.ArgumentParser) -> None:
    from tomos.cli.import_ import add_column, add_masks
    from tomos.cli.plan import options
    from tomos.cli.terminal import add_pdf

    parser.add_argument("source", help="folder, CSV, npz or data set")
    parser.add_argument("-o", "--out", metavar="DIR", help="where everything goes (SOURCE-tomos)")
    parser.add_argument("--serve", action="store_true", help="open the model in the browser after")
    parser.add_argument("--port", type=int, default=8080, help="port of --serve (8080)")
    parser.add_argument("--labels", metavar="CSV", help="labels by path, UID or patient")
    parser.add_argument("--patient", default="", help="column or pattern that names the patient")
    parser.add_argument(
        "--positive", default="", metavar="CLASS", help="the finding of two classes"
    )
    add_column(parser)
    add_masks(parser)
    parser.add_argument("--images", default="", metavar="PATTERN", help="as '{:03d}.bmp'")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_pdf(parser)
    options(parser)


def run(args: argparse.Namespace) -> int:
    from tomos.cli.import_ import column_names
    from tomos.cli.plan import wishes
    from tomos.cli.terminal import Terminal, check_pdf, print_json, print_pdf
    from tomos.workflows.run import run as run_all

    check_pdf(args)
    done = run_all(
        args.source,
        args.out,
        **wishes(args),
        labels=args.labels,
        patient=args.patient,
        positive=args.positive,
        columns=column_names(args.column),
        images=args.images,
        masks=args.masks,
        roi=args.roi,
        classes=args.classes,
        target=args.target,
        reference=args.reference,
        progress=Terminal(),
    )
    if args.json:
        print_json(done.done.to_json())
    else:
        print("\n".join(done.lines()))
    print_pdf(args, done.done.judged.page)
    return serve(done.model, args.port) if args.serve else 0


def serve(model, port: int) -> int:
    """The same as `tomos serve MODEL --open`."""
    from tomos.cli import main

    return main(["serve", str(model), "--port", str(port), "--open"])
