"""`tomos explain`"""

from __future__ import annotations

import argparse

from tomos.cli.predict import options

HELP = "Where a model looked: a map over each image, and on the image's own grid."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="model.tomos, or the run's folder")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="as those of predict")
    parser.add_argument(
        "-o", "--out", metavar="DIR", default="explained", help="folder to write (explained)"
    )
    parser.add_argument(
        "--method",
        default="",
        help="cam, occlusion, gradcam, gradcam_pp, integrated_gradients (the model's own); of "
        "masks occlusion, gradcam (occlusion)",
    )
    parser.add_argument(
        "--as",
        dest="forms",
        default="png,nifti",
        metavar="FORMS",
        help="what to write: png,nifti,dicom (png,nifti)",
    )
    parser.add_argument(
        "--label",
        default="",
        help="the class to look for (what was found; of masks the largest)",
    )
    parser.add_argument(
        "--masks",
        metavar="DIR",
        help="folder of masks with the images' names (PNG, NIfTI): score how well maps point there",
    )
    parser.add_argument(
        "--sanity",
        action="store_true",
        help="do maps depend on what was learnt? compare with those of random weights; not of "
        "masks",
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    options(parser)


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import Terminal, print_json
    from tomos.workflows.explain import checkable, explain
    from tomos.workflows.masks import summary
    from tomos.workflows.predict import load
    from tomos.workflows.sanity import check_maps

    model = load(args.model, threads=args.threads, backend=args.backend, trust=args.trust)
    checked = checkable(model) if args.sanity else None
    progress = Terminal()
    explained = explain(
        model,
        args.inputs,
        args.out,
        method=args.method,
        label=args.label,
        forms=tuple(filter(None, args.forms.split(","))),
        masks=args.masks,
        progress=progress,
    )
    told: dict = {"schema": 1, "explanations": [each.to_json() for each in explained]}
    lines = [line for each in explained for line in each.lines()]
    if args.masks:
        scores = [each.localisation for each in explained]
        scored = summary(scores, [each.group for each in explained])
        told["localisation"] = scored.to_json()
        lines += ["", *scored.lines()]
    if checked is not None:
        sane = check_maps(checked, explained, progress=progress)
        told["sanity"] = sane.to_json()
        lines += ["", *sane.lines()]
    if args.json:
        print_json(told)
    else:
        print("\n".join(lines))
    return 2 if any(each.error for each in explained) else 0
