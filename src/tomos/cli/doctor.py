"""`tomos doctor`"""

from __future__ import annotations

import argparse

HELP = "What this machine has, what is missing, and what to do about it."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import print_json
    from tomos.workflows.doctor import examine

    findings = examine()
    if args.json:
        print_json({"schema": 1, "findings": [finding.to_json() for finding in findings]})
    else:
        for finding in findings:
            print(f"{'ok     ' if finding.ok else 'missing'}  {finding.name}: {finding.what}")
    return 0 if all(finding.ok or finding.optional for finding in findings) else 1
