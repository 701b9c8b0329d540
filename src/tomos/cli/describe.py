"""`tomos describe`"""

from __future__ import annotations

import argparse

HELP = "What a model file or a plan holds: classes, figures, thresholds, limits, card."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="model.tomos, a run's folder, or plan.toml")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--trust", metavar="KEYS", help="accept only a model signed by these public keys (PEM)"
    )


def run(args: argparse.Namespace) -> None:
    from tomos.cli.terminal import print_json
    from tomos.workflows.describe import describe, in_words

    summary = describe(args.source, args.trust)
    if args.json:
        print_json(summary)
    else:
        print(in_words(summary))
