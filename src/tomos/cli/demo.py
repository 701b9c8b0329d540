"""`tomos demo`"""

from __future__ import annotations

import argparse

HELP = "The main job on data made on the spot: films, check, training, report, one answer."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", default="demo", metavar="DIR", help="folder (demo)")
    parser.add_argument("--serve", action="store_true", help="open the result in the browser")
    parser.add_argument("--port", type=int, default=8080, help="port of --serve (8080)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other films (0)")
    parser.add_argument("--minutes", type=float, default=2.5, help="minutes of training (2.5)")
    parser.add_argument("--json", action="store_true", help="print figures and answer as JSON")


def run(args: argparse.Namespace) -> int:
    from tomos.cli.run import serve
    from tomos.cli.terminal import Terminal, print_json
    from tomos.workflows.demo import demo

    done = demo(args.out, seed=args.seed, minutes=args.minutes, progress=Terminal())
    if args.json:
        print_json(done.to_json())
    else:
        print("\n".join(done.lines()))
    return serve(done.model, args.port) if args.serve else 0
