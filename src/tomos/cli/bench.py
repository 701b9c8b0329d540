"""`tomos bench`"""

from __future__ import annotations

import argparse

HELP = "Measure speed against the usual tools, in turns and in one run (in a checkout)."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", help="benchmarks to run (default: all the short ones)")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument(
        "--with", dest="words", default="", metavar="FLAGS", help="flags for it, as '--rounds 3'"
    )


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import Terminal
    from tomos.workflows.bench import bench, listed

    if args.list:
        for name, about in listed().items():
            print(f"{name:<14} {about}")
        return 0
    codes = bench(args.name, args.words.split(), Terminal())
    return 1 if any(codes.values()) else 0
