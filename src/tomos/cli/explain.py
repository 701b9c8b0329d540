"""`tomos explain`"""

from __future__ import annotations

import argparse

from tomos.cli.predict import options

HELP = "Where a model looked: a map over each image, and on the image's own grid."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="model.tomos, or the run's folder")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image, folder, x.npz#test/12")
    parser.add_argument(
        "-o", "--out", metavar="DIR", default="explained", help="folder to write (explained)"
    )
    parser.add_argument(
        "--method",
        default="",
        help="cam, occlusion, gradcam, gradcam_pp, integrated_gradients (the model's own)",
    )
    parser.add_argument(
        "--as",
        dest="forms",
        default="png,nifti",
        metavar="FORMS",
        help="what to write: png,nifti,dicom (png,nifti)",
    )
    parser.add_argument("--label", default="", help="the class to look for (what was found)")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    options(parser)


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import Terminal, print_json
    from tomos.workflows.explain import explain
    from tomos.workflows.predict import load

    model = load(args.model, threads=args.threads, backend=args.backend, trust=args.trust)
    explained = explain(
        model,
        args.inputs,
        args.out,
        method=args.method,
        label=args.label,
        forms=tuple(filter(None, args.forms.split(","))),
        progress=Terminal(),
    )
    if args.json:
        print_json({"schema": 1, "explanations": [each.to_json() for each in explained]})
    else:
        for each in explained:
            print(each.input)
            if each.error:
                print(f"  not read: {each.error}")
                continue
            print(f"  {each.label} {each.score:.3f}, by {each.method}")
            for path in each.files.values():
                print(f"  wrote {path}")
    return 2 if any(each.error for each in explained) else 0
