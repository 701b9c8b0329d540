"""tomos import SOURCE DATASET"""

from __future__ import annotations

import argparse

HELP = "Make a data set of class folders, images with masks, a CSV, a MedMNIST npz or DICOM."


FLAGS = {
    "--images": ("PATTERN", "how a cell of the image column becomes a file name: '{:03d}.bmp'"),
    "--labels": ("CSV", "a table with the labels of a folder of images: by path, UID or patient"),
    "--patient": ("RULE", "a column, a regular expression over the path, or 'none'"),
    "--positive": ("CLASS", "which of two classes is the finding, where their names do not tell"),
    "--layout": (
        "NAME",
        "folders, masks, table, medmnist, dicom or dicom_seg, where not found out",
    ),
}
# What `run` has, too.
MASKS = {
    "--masks": ("FOLDER", "the folder of the masks, where several look like it"),
    "--roi": ("FOLDER", "the folder of the fields of view: outside nothing is learned or judged"),
    "--classes": ("A,B", "what the labels of the masks are called, in the order of their values"),
    "--target": ("NAME", "what is learned, where a table has several: label, mask, ..."),
    "--reference": ("ROLE", "of cases with several images, the one whose grid counts (the first)"),
}


def arguments(parser) -> None:
    flag = parser.add_argument
    flag("source", help="a folder, a CSV or an npz; its layout is found out")
    flag("dataset", help="the folder to make; the originals stay where they are")
    flag("--dry-run", action="store_true", help="show what it would be, write nothing")
    flag("--copy", action="store_true", help="copy the images into the data set")
    add_column(parser)
    for name, (value, meaning) in {**FLAGS, **MASKS}.items():
        flag(name, default="", metavar=value, help=meaning)
    meaning = "shares of train, val and test where the source has no split (default 70/10/20)"
    flag("--split", default="70/10/20", metavar="T/V/T", help=meaning)
    meaning = "what must not be divided (default patient)"
    flag("--by", choices=("patient", "site"), default="patient", help=meaning)
    flag("--seed", type=int, default=0, help="of the split (default 0)")
    flag("--json", action="store_true", help="the result as JSON on stdout")


def add_column(parser: argparse.ArgumentParser) -> None:
    """--column, which `run` has, too."""
    meaning = "what a table's column means: label='class label', image='image ID', patient=..."
    parser.add_argument(
        "--column", action="append", default=[], metavar="OURS=THEIRS", help=meaning
    )


def add_masks(parser: argparse.ArgumentParser) -> None:
    for name, (value, meaning) in MASKS.items():
        parser.add_argument(name, default="", metavar=value, help=meaning)


def column_names(pairs: list[str]) -> dict[str, str]:
    """OURS=THEIRS words as a table. SettingsError for a word without "="."""
    from tomos.types import SettingsError

    columns = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals:
            raise SettingsError(f"--column {pair}: expected OURS=THEIRS, as in label='class label'")
        columns[ours.strip()] = theirs.strip()
    return columns


def run(args) -> None:
    from tomos.cli.terminal import Terminal, print_json
    from tomos.workflows.import_data import import_data

    made = import_data(
        args.source,
        args.dataset,
        columns=column_names(args.column),
        images=args.images,
        labels=args.labels,
        patient=args.patient,
        layout=args.layout,
        ratios=args.split,
        by=args.by,
        seed=args.seed,
        positive=args.positive,
        masks=args.masks,
        roi=args.roi,
        classes=args.classes,
        target=args.target,
        reference=args.reference,
        copy=args.copy,
        dry_run=args.dry_run,
        progress=Terminal(),
    )
    if args.json:
        print_json(made.to_json())
        return
    print(made.summary())
