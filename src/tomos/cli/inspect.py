"""`tomos inspect FILE...`: what is in a file, or why it is refused."""

from __future__ import annotations

import argparse
import sys

HELP = (
    "Read files with their pixels: format, shape, type, unit, place, lowest and highest value, "
    "SHA-256 of the pixels, warnings; or why a file is refused. A FILE may be an address: "
    "x.npz#train/12, FOLDER#SeriesInstanceUID, file.dcm#3. Exit code 2 when any is refused."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders or addresses")
    parser.add_argument("--json", action="store_true", help="one machine-readable object on stdout")


def run(args: argparse.Namespace) -> int:
    """Print one entry a file, in order."""
    from tomos.formats import inspect
    from tomos.types import FormatError

    entries = []
    for address in args.files:
        try:
            entry = inspect(address)
        except FormatError as error:
            entry = {"input": address, "error": str(error)}
        entries.append(entry)
        if not args.json:
            _print(entry)
    if args.json:
        from tomos.cli.terminal import print_json

        print_json({"schema": 1, "files": entries})
    return 2 if any("error" in entry for entry in entries) else 0


def _print(entry: dict) -> None:
    if "error" in entry:
        print(f"refused: {entry['error']}", file=sys.stderr)
        return
    size = " x ".join(map(str, entry["shape"]))
    spacing = " x ".join(f"{step:g}" for step in entry["spacing"])
    unit = "" if entry["unit"] == "1" else f" {entry['unit']}"
    kind = " ".join(filter(None, [entry["format"], entry["modality"], entry["transfer_syntax"]]))
    where = {"patient": "mm in the patient", "detector": "mm, place in the patient unknown",
             "pixel": "pixels, no physical size known"}[entry["frame"]]  # fmt: skip
    print(entry["input"])
    print(f"  {kind}")
    print(f"  {size} {entry['dtype']}, {entry['min']} to {entry['max']}{unit}")
    print(f"  spacing {spacing} {where}")
    if entry["frame"] == "patient":
        rows = [" ".join(f"{value:.6g}" for value in row) for row in entry["affine"][:3]]
        print(f"  affine (z y x 1 -> RAS mm)  {'  |  '.join(rows)}")
    print(f"  sha256 {entry['sha256']}")
    for warning in entry["warnings"]:
        print(f"  note: {warning}")
