"""What a model file says of itself, as plain data: the answer of `/api/models/NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomos.inference.verdict import is_finding
from tomos.package import Manifest, Package


def summary(package: Package) -> dict[str, Any]:
    """Classes, operating point, figures, envelope and card of a model file."""
    manifest = package.manifest
    precisions = sorted({part.precision for part in manifest.graphs})
    return {
        "name": manifest.name,
        "created": manifest.created,
        "task": manifest.task,
        "target": manifest.target,
        "kind": manifest.kind,
        "classes": [
            {
                "name": each.name,
                "finding": _finding(manifest, each.name),
                "codes": [code.model_dump() for code in each.codes],
            }
            for each in manifest.classes
        ],
        "input": {
            "channels": manifest.input.channels,
            "size": list(manifest.input.size),
            "axes": manifest.input.axes,
            "roles": list(manifest.input.roles),
        },
        "network": manifest.network.name,
        "members": len(manifest.graphs),
        "precision": ", ".join(precisions),
        "operating_point": manifest.operating_point.model_dump(mode="json"),
        "calibration": dict(manifest.calibration),
        "mask": manifest.mask.model_dump(mode="json") if manifest.kind == "mask" else None,
        "metrics": dict(manifest.metrics) or None,
        "envelope": envelope_summary(manifest.envelope),
        "map_method": manifest.map_method,
        "card": package.text("card.md") or manifest.card,
        "card_zh": manifest.card_zh,
        "licence": manifest.licence,
        "dataset": dict(manifest.dataset),
        "versions": dict(manifest.versions),
        "sha256": package.sha256,
        # Of a model that reads several images one file would be no example.
        "example": manifest.example is not None and not manifest.input.roles,
    }


def envelope_summary(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was made for, in a few plain values; empty where the file does not say."""
    facts = envelope.get("facts") or {}
    found: dict[str, Any] = {}
    for fact in ("modality", "body_part"):
        seen = (facts.get(fact) or {}).get("seen")
        if seen:
            found[fact] = list(seen)
    if facts.get("colour"):
        found["colour"] = ["colour" if colour else "grey" for colour in facts["colour"]]
    if facts.get("side"):
        found["side"] = [round(float(length)) for length in facts["side"]]
    return found


def _finding(manifest: Manifest, name: str) -> bool:
    """Of masks every label that is there is one."""
    return manifest.kind == "mask" or is_finding(manifest, name)
