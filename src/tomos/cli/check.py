"""tomos check DATASET"""

from __future__ import annotations

HELP = "Look a data set over: quality, duplicates, leakage, labels. Exit 1 when one must be fixed."


def arguments(parser) -> None:
    parser.add_argument("dataset", help="the data set's folder")
    parser.add_argument("-o", "--output", metavar="DIR", help="where check.html and check.json go")
    parser.add_argument("--json", action="store_true", help="what was found, as JSON on stdout")


def run(args) -> int:
    from tomos.cli.terminal import Terminal, print_json
    from tomos.workflows.check import check

    done = check(args.dataset, args.output, Terminal())
    if args.json:
        print_json(done.findings.to_json())
        return int(done.findings.must_fix)
    for problem in done.findings.problems:
        print(f"{problem.severity:<8} {problem.code}: {problem.message}")
    print(f"{len(done.findings.dataset)} cases; read {done.html}")
    return int(done.findings.must_fix)
