"""`tomos models`"""

from __future__ import annotations

import argparse
from typing import Any

HELP = "The networks there are, with parameters and FLOPs; with a name, its layers."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", help="a network, timm:NAME, monai:NAME, or a plan.toml: its layers"
    )
    parser.add_argument(
        "--size",
        default="224",
        metavar="[Z,]Y,X",
        help="size of the pictures (224: 224 x 224) or volumes (64,128,128)",
    )
    parser.add_argument("--channels", type=int, default=1, help="channels of the pictures (1)")
    parser.add_argument("--classes", type=int, default=2, help="number of classes (2)")
    parser.add_argument(
        "--effective", action="store_true", help="measure the effective receptive field too"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(args: argparse.Namespace) -> int:
    from tomos.cli.terminal import print_json
    from tomos.workflows.models import describe, overview

    size = _size(args.size)
    if args.name:
        found = describe(args.name, size, args.channels, args.classes, args.effective)
    else:
        found = overview(size, args.channels, args.classes)
    if args.json:
        print_json(found)
    elif args.name:
        _print_one(found)
    else:
        _print_all(found)
    return 0


def _size(text: str) -> tuple[int, ...]:
    from tomos.types import SettingsError

    parts = text.replace("x", ",").split(",")
    if len(parts) > 3 or not all(part.strip().isdigit() and int(part) for part in parts):
        raise SettingsError(
            f"--size: expected pixels as 224 or 224,160, or voxels as 64,128,128, got {text!r}"
        )
    return (int(parts[0]),) * 2 if len(parts) == 1 else tuple(int(part) for part in parts)


def _print_all(found: dict[str, Any]) -> None:
    print(_heading(found))
    head = f"{'name':<18}{'parameters':>13}{'flops':>9}  {'maps':<16}{'field':<13}exact map"
    task = ""
    for model in found["models"]:
        if model["task"] != task:
            task = model["task"]
            print(f"\nto {task}\n{head}")
        if "refused" in model:
            print(f"{model['name']:<18}{model['refused']}")
        else:
            print(
                f"{model['name']:<18}{model['parameters']:>13,}{_amount(model['flops']):>9}  "
                f"{_sides(model['maps'], 'none'):<16}{_field(model):<13}"
                f"{'yes' if model['exact_cam'] else 'no'}"
            )
    print()
    print(f"{found['convention']}; field: receptive field of a pixel of the maps;")
    print("exact map: class activation maps are exact. One in detail: tomos models NAME")


def _print_one(found: dict[str, Any]) -> None:
    print(f"{found['name']}, {_heading(found)}")
    print(found["about"])
    for key, value in found["options"].items():
        print(f"  {key} = {value}")
    width = max(len(layer["name"]) for layer in found["layers"])
    print(f"{'layer':<{width}}  {'kind':<18}{'output':<16}{'parameters':>13}{'flops':>9}  field")
    for layer in found["layers"]:
        print(
            f"{layer['name']:<{width}}  {layer['kind']:<18}{_sides(layer['size']):<16}"
            f"{layer['parameters']:>13,}{_amount(layer['flops']):>9}  {_field(layer)}"
        )
    print(f"in all: {found['parameters']:,} parameters, {_amount(found['flops'])} flops")
    if "effective_receptive_field" in found:
        print(f"effective receptive field: {found['effective_receptive_field']} px")
    print(found["convention"])


def _heading(found: dict[str, Any]) -> str:
    from tomos.types.words import counted

    volumes = len(found["size"]) == 3
    return (
        f"for {'volumes' if volumes else 'pictures'} of {_sides(found['size'])} "
        f"{'voxels' if volumes else 'px'}, {counted(found['channels'], 'channel')}, "
        f"{counted(found['classes'], 'class', 'classes')}"
    )


def _field(part: dict[str, Any]) -> str:
    sides = part["receptive_field"]
    if sides is None:
        return "whole"
    return str(sides[0]) if len(set(sides)) == 1 else _sides(sides)


def _sides(sides: Any, none: str = "") -> str:
    return none if sides is None else "x".join(str(side) for side in sides)


def _amount(number: int) -> str:
    """1814073344 -> 1.81 G"""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
