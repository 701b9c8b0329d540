"""`tomos predict`"""

from __future__ import annotations

import argparse
from collections import Counter

HELP = "A model on images: calibrated probabilities, and what to do with them. Needs no PyTorch."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="model.tomos, or the run's folder")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image, folder, x.npz, x.npz#test, x.npz#test/12; for a model that reads several "
        "images a case 't1.nii.gz|t2.nii.gz', files or a folder of x_0000, x_0001, a CSV with the "
        "columns case, image:t1, image:t2, or a data set",
    )
    parser.add_argument("-o", "--out", metavar="DIR", help="folder for the files of --as")
    parser.add_argument(
        "--as",
        dest="forms",
        default="",
        metavar="FORMS",
        help="what to write into DIR: json,png,nifti,dicom (json); of masks json,nifti,png,overlay "
        "(each label outlined in the slice where it is largest),dicom-seg,doubt (entropy of every "
        "voxel),probability (of each label, as the network gives it, not calibrated) "
        "(json,nifti)",
    )
    parser.add_argument(
        "--surfaces",
        default="",
        metavar="FORMS",
        help="of masks, a smoothed surface of each label into DIR, in millimetres (GLB: metres): "
        "stl,obj,glb",
    )
    parser.add_argument("--json", action="store_true", help="print the predictions as JSON")
    options(parser)


def options(parser: argparse.ArgumentParser) -> None:
    """What `predict` and `explain` have in common."""
    parser.add_argument("--threads", type=int, default=0, help="of one run (0: one a core)")
    runs = "what runs the networks: auto, onnxruntime or openvino (auto: the quickest there is)"
    parser.add_argument("--backend", default="auto", help=runs)
    parser.add_argument(
        "--trust", metavar="KEYS", help="accept only models signed by these public keys (PEM)"
    )


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import Terminal, print_json
    from tomos.workflows.predict import as_json, load, predict

    model = load(args.model, threads=args.threads, backend=args.backend, trust=args.trust)
    forms, surfaces = (tuple(filter(None, text.split(","))) for text in (args.forms, args.surfaces))
    predictions = predict(
        model, args.inputs, args.out, forms, surfaces=surfaces, progress=Terminal()
    )
    if args.json:
        print_json(as_json(model.name, predictions))
    else:
        for prediction in predictions:
            print(_line(prediction))
        if len(predictions) > 1:
            print(_closing(predictions))
    return 2 if any(prediction.error for prediction in predictions) else 0


def _line(prediction) -> str:
    if prediction.error:
        return f"{prediction.input}\n  not read: {prediction.error}"
    lines = [prediction.input]
    for answer in prediction.targets.values():
        scores = sorted(answer.scores.items(), key=lambda pair: -pair[1])
        said = [f"{name} {score:.3f}" for name, score in scores[:6]]
        said += [f"{name} {_amount(amount)}" for name, amount in answer.amounts.items()]
        lines.append("  " + "  ".join(said))
    lines.append(f"  {prediction.verdict}: {prediction.reason}")
    lines += [f"  note: {warning}" for warning in prediction.warnings]
    lines += [f"  wrote {path}" for path in prediction.files.values()]
    return "\n".join(lines)


def _closing(predictions) -> str:
    """How many of all want a reader's eye: the lines of a hundred images have scrolled by."""
    found = Counter("failed" if each.error else each.verdict for each in predictions)
    words = {"finding": "finding", "no finding": "no finding", "refer": "referred to a reader",
             "failed": "failed"}  # fmt: skip
    said = ", ".join(f"{found[name]} {text}" for name, text in words.items() if found[name])
    return f"{len(predictions)} images: {said}"


def _amount(amount) -> str:
    from tomos.types.words import plain

    unit = next((unit for unit in ("ml", "mm2") if unit in amount), "voxels")
    return f"{plain(amount[unit], 4)} {unit}"
