"""`tomos describe`: what a model file or a plan holds, as plain data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tomos import config, package
from tomos.inference.verdict import is_finding
from tomos.package import Package
from tomos.types.words import counted


def describe(source: str | Path, trust: str | Path | None = None) -> dict[str, Any]:
    """A summary of a model file (or a run's folder) or of a plan.toml, as plain data for JSON."""
    path = Path(source)
    if path.suffix in (".toml", ".json"):
        return _plan(path)
    return _model(package.read(path, trust))


def _plan(path: Path) -> dict[str, Any]:
    from tomos.plan.schema import Plan

    plan = config.load(Plan, path)
    return {"schema": 1, "what": "plan", "file": str(path), **plan.model_dump(mode="json")}


def _model(read: Package) -> dict[str, Any]:
    manifest = read.manifest
    return {
        "schema": 1,
        "what": "model",
        "file": str(read.path),
        "sha256": read.sha256,
        "bytes": {name: len(content) for name, content in read.members.items()},
        "signed_by": read.signed_by,
        **manifest.model_dump(mode="json", exclude={"checksums", "schema_number"}),
        "findings": [name for name in manifest.class_names if is_finding(manifest, name)],
        "card": read.text("card.md") or manifest.card,
    }


def in_words(summary: dict[str, Any]) -> str:
    """The summary as lines for a terminal."""
    return _plan_words(summary) if summary["what"] == "plan" else _model_words(summary)


def _model_words(s: dict[str, Any]) -> str:
    size = " x ".join(map(str, s["input"]["size"]))
    units = "voxels" if len(s["input"]["size"]) == 3 else "pixels"
    network = s["network"]["name"] or "a network"
    graphs = f", {len(s['graphs'])} graphs averaged" if len(s["graphs"]) > 1 else ""
    lines = [
        f"{s['name']}   {s['file']}",
        f"  made        {s['created'] or 'unknown'}, {sum(s['bytes'].values()) / 1e6:.1f} MB, "
        f"SHA-256 {s['sha256'][:16]}...",
        f"  answers     {s['target']}: {_classes(s)}",
        f"  input       {counted(s['input']['channels'], 'channel')}, {size} {units} after "
        f"{' -> '.join(step.get('step', '?') for step in s['prepare']) or 'no preparation'}",
        *_images(s["input"].get("roles", ())),
        f"  network     {network}{graphs}, {s['graphs'][0]['precision']}, "
        f"views {', '.join(s['views'])}, map by {s['map_method']}",
        *_decision(s),
        *_envelope(s["envelope"]),
        *_figures(s["metrics"]),
    ]
    if s["signed_by"]:
        lines.append(f"  signed by   {s['signed_by']}")
    if s["licence"]:
        lines.append(f"  licence     {s['licence']}")
    if s["card"]:
        lines += ["", s["card"].strip()]
    return "\n".join(lines)


def _images(roles: Sequence[str]) -> list[str]:
    """Of a model that reads several images of a case."""
    if not roles:
        return []
    return [f"  images      {', '.join(roles)} of one case; the answer lies on {roles[0]}"]


def _classes(s: dict[str, Any]) -> str:
    return ", ".join(
        each["name"]
        + (" (finding)" if each["name"] in s["findings"] else "")
        + "".join(f" [{code['system']} {code['code']}]" for code in each["codes"])
        for each in s["classes"]
    )


def _decision(s: dict[str, Any]) -> list[str]:
    point, lines = s["operating_point"], []
    temperature = s["calibration"].get("temperature")
    if temperature:
        lines.append(f"  calibrated  by temperature {temperature:.3f}")
    for name, least in point["thresholds"].items():
        chosen = f" ({point['rule']}, on {point['split'] or 'unknown'})" if point["rule"] else ""
        lines.append(f"  calls       {name} from a probability of {least:.3f}{chosen}")
    for name, (low, high) in point["refer"].items():
        lines.append(f"  refers      {name} between {low:.3f} and {high:.3f} to a reader")
    if not point["thresholds"]:
        lines.append("  calls       the most probable class")
    return lines


def _envelope(envelope: dict[str, Any]) -> list[str]:
    facts = envelope.get("facts") or {}
    words = []
    for fact in ("modality", "body_part"):
        seen = (facts.get(fact) or {}).get("seen")
        if seen:
            words.append("/".join(seen))
    words += ["colour" if colour else "grey" for colour in facts.get("colour", [])]
    if facts.get("side"):
        words.append(f"sides {facts['side'][0]:.0f} to {facts['side'][1]:.0f} pixels")
    looks = sorted((envelope.get("looks") or {}).get("usual") or {})
    if looks:
        words.append(f"looks judged by {', '.join(looks)}")
    return [f"  made for    {', '.join(words)}; other input is referred"] if words else []


def _figures(metrics: dict[str, Any]) -> list[str]:
    overall = metrics.get("overall")
    if not isinstance(overall, dict):
        overall = metrics
    lines = []
    for name, value in overall.items():
        if isinstance(value, dict) and {"value", "low", "high"} <= value.keys():
            if all(isinstance(value[key], int | float) for key in ("value", "low", "high")):
                lines.append(
                    f"    {name:<20} {value['value']:.3f}   "
                    f"(95 % interval {value['low']:.3f} to {value['high']:.3f})"
                )
        elif isinstance(value, int | float) and not isinstance(value, bool):
            lines.append(f"    {name:<20} {value:.3f}")
    where = f" on {metrics['split']}" if isinstance(metrics.get("split"), str) else ""
    return [f"  figures{where}", *lines] if lines else []


def _plan_words(s: dict[str, Any]) -> str:
    train, budget = s["train"], s["budget"]
    lines = [
        f"plan for {s['dataset']['name']}   {s['file']}",
        f"  learns      {s['target']}: {', '.join(s['classes'])}",
        f"  from        {s['dataset']['n_train']} training and {s['dataset']['n_val']} validation "
        f"cases of {s['dataset']['n_patients']} patients",
        f"  network     {s['model']['name']} at {' x '.join(map(str, s['size']))} "
        f"{'voxels' if len(s['size']) == 3 else 'pixels'}, {train['members']} of them",
        f"  by          {train['optimiser']}, {train['loss']}, {train['epochs']} epochs of batches "
        f"of {train['batch']}, learning rate {train['learning_rate']:g}",
        f"  foreseen    {budget['predicted_seconds'] / 60:.1f} minutes and "
        f"{budget['predicted_memory_mb'] / 1000:.1f} GB on {budget['machine'] or 'this machine'}",
    ]
    if s["reasons"]:
        lines.append("  because")
        lines += [f"    {part}: {reason}" for part, reason in s["reasons"].items()]
    return "\n".join(lines)
