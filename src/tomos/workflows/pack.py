"""From trained networks to `model.tomos`: export, proof, calibration, threshold, envelope."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tomos import package
from tomos.datasets import Dataset, Store
from tomos.datasets.dataset import CODE
from tomos.inference import Info, Predictor, Seen, envelope, example
from tomos.measures import calibration, operating
from tomos.package import Class, Code, GraphPart, InputPart, Manifest, Network, OperatingPoint
from tomos.plan import Plan
from tomos.tasks import classify
from tomos.types import FormatError, PackageError, Progress
from tomos.workflows.card import card
from tomos.workflows.learning import LearningData

PARITY = 1e-4  # largest difference of fp32 logits between the network and its graph
PARITY_CASES = 32
REFERRED_MOST = 0.05  # share of validation cases that may be referred for lying near a threshold
LOOKED_AT = 400  # training images whose headers the envelope is fitted on


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """points  class -> the operating point chosen on validation (two classes: the positive one)"""

    path: Path
    points: Mapping[str, operating.OperatingPoint]


def pack(
    path: Path,
    plan: Plan,
    nets: Sequence[Any],
    dataset: Dataset,
    train: Store,
    val: Store,
    progress: Progress,
) -> Packed:
    """Write `path`; PackageError when a graph does not reproduce its network.

    nets  the trained torch networks, on the CPU, in evaluation mode
    """
    graphs, parts = _export(nets, plan, val, progress)
    manifest = Manifest(
        name=dataset.info.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target=plan.target,
        kind=plan.kind,
        classes=_classes(dataset, plan),
        input=InputPart(channels=plan.channels, size=plan.size),
        prepare=plan.prepare,
        network=Network(name=plan.model.name, options=plan.model.options),
        graphs=parts,
        views=plan.predict.views,
        map_method="cam" if all("cam" in part.outputs for part in parts) else "occlusion",
        features=all("features" in part.outputs for part in parts),
        licence=dataset.info.licence,
        dataset=summary(dataset, plan, train, val),
        versions=versions(),
    )
    bare = _bare(path, manifest, graphs)
    progress.say("setting confidence, threshold and limits on the validation part")
    finding = finding_of(dataset, plan)
    manifest, points = _with_decision(manifest, bare, plan, finding, train, val)
    manifest, arrays = _with_envelope(manifest, bare, dataset, train, val)
    made = example.make(bare.chain, bare.networks, plan.channels, (plan.size[0], plan.size[1]))
    text = card(manifest, plan)
    manifest = manifest.model_copy(update={"example": made, "card": text.en, "card_zh": text.zh})
    extras = {f"envelope/{name}.npy": array for name, array in arrays.items()}
    package.write(path, manifest, graphs, extras)
    return Packed(path, points)


def add_figures(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put the test's figures into the model file, which carries them wherever it goes."""
    whole = package.read(path)
    kept = ("overall", "n_cases", "n_patients", "dataset", "split")
    manifest = whole.manifest.model_copy(
        update={"metrics": {name: metrics[name] for name in kept if name in metrics}}
    )
    graphs = [whole.graph(index) for index in range(len(manifest.graphs))]
    extras: dict[str, Any] = {
        name: content for name, content in whole.members.items() if not name.startswith("graphs/")
    }
    package.write(path, manifest, graphs, extras)


def _classes(dataset: Dataset, plan: Plan) -> tuple[Class, ...]:
    """With their codes, and which is the finding where the data set says so."""
    info = dataset.target(plan.target)
    codes = {
        name: tuple(
            Code.model_validate({key: text or "" for key, text in match.groupdict().items()})
            for code in info.codes.get(name, ())
            if (match := CODE.fullmatch(code))
        )
        for name in plan.classes
    }
    return tuple(
        Class(
            name=name, codes=codes[name], finding=name == info.positive if info.positive else None
        )
        for name in plan.classes
    )


def finding_of(dataset: Dataset, plan: Plan) -> str:
    """The class that has the threshold, of two: as dataset.toml says, else by its name."""
    return dataset.target(plan.target).positive or classify.positive(plan.classes)


def _export(nets, plan: Plan, val: Store, progress: Progress) -> tuple[list[bytes], tuple]:
    import torch

    from tomos import models
    from tomos.inference.network import OnnxRuntime

    cases = np.array(val.x[:PARITY_CASES], np.float32)
    graphs, parts = [], []
    for number, net in enumerate(nets):
        progress.step(number, len(nets), "exporting")
        graph = models.to_onnx(net, torch.zeros(2, plan.channels, *plan.size))
        runtime = OnnxRuntime(graph, f"graph {number}", plan.train.threads)
        with torch.no_grad():
            expected = net(torch.from_numpy(cases)).numpy()
        for batch in (1, 5):
            same(runtime, cases, expected, batch, number)
        graphs.append(graph)
        parts.append(GraphPart(file=f"graphs/{number}.onnx", outputs=runtime.outputs))
    return graphs, tuple(parts)


def same(runtime, cases: np.ndarray, expected: np.ndarray, batch: int, number: int) -> None:
    """Refuse a graph whose logits are not the network's: PackageError, nothing written. Logits of
    more than 1 are compared relative to the largest."""
    came = np.concatenate(
        [
            runtime({"image": cases[i : i + batch]}, ("logits",))["logits"]
            for i in range(0, len(cases), batch)
        ]
    )
    off, largest = float(np.abs(came - expected).max()), float(np.abs(expected).max())
    if not off <= PARITY * (max(1.0, largest) if expected.ndim > 2 else 1.0):
        raise PackageError(
            f"export: the graph of network {number} differs from the trained network by {off:.2g} "
            f"in logits of up to {largest:.3g} ({PARITY:g} is allowed, batch {batch}); nothing was "
            "written. Please report this with the plan.toml"
        )


def _bare(path: Path, manifest: Manifest, graphs: Sequence[bytes]) -> Predictor:
    """A predictor without calibration and limits, by the very path that serving takes."""
    from tomos.inference.network import OnnxRuntime

    nets = [OnnxRuntime(graph, f"{path}: graph {n}") for n, graph in enumerate(graphs)]
    return Predictor.of(manifest, nets)


def _with_decision(
    manifest: Manifest, bare: Predictor, plan: Plan, finding: str, train: Store, val: Store
):
    """Calibration and thresholds, both fitted on the validation part."""
    data = LearningData.of(val, plan)
    logits = bare.logits(val.x)
    plain = "multilabel" if plan.kind == "multilabel" else "class"
    fitted = calibration.fit_temperature(logits, data.targets, plain, _shift(plan, train))
    chances = fitted.apply(logits)
    points = _points(plan, finding, chances, data)
    decision = OperatingPoint(
        thresholds={name: point.threshold for name, point in points.items()},
        refer={name: _band(point, name, plan, chances) for name, point in points.items()},
        rule=next((point.rule for point in points.values()), "most probable"),
        reason="; ".join(point.reason for point in points.values()),
        split="val",
        figures={name: point.data() for name, point in points.items()},
    )
    update = {"calibration": fitted.data(), "operating_point": decision}
    return manifest.model_copy(update=update), points


def _shift(plan: Plan, train: Store) -> tuple[float, ...]:
    """Back from classes that counted alike in learning to classes as they come; () where they did.

    Of several labels none is exclusive, and how often each was shown depends on the others.
    """
    own, balance = plan.train.class_weights, plan.train.balance
    if plan.kind == "multilabel" or (balance == "none" and not own):
        return ()
    weights = np.array(own or [1.0] * len(plan.classes))
    if balance == "none" or (balance == "weights" and own):  # a plan's own weights stand instead
        return calibration.prior_shift(1 / weights)
    targets = LearningData.of(train, plan).targets
    counts = np.bincount(targets[targets >= 0].astype(int), minlength=len(plan.classes))
    return calibration.prior_shift(counts / weights)


def _points(plan: Plan, finding: str, chances: np.ndarray, data: LearningData) -> dict:
    if plan.kind == "multilabel":
        found = {}
        for k, name in enumerate(plan.classes):
            known = np.isfinite(data.targets[:, k])
            found[name] = operating.choose(
                data.targets[known, k], chances[known, k], groups=data.groups[known]
            )
        return found
    if plan.kind != "class" or not finding:
        return {}
    known = data.targets >= 0
    index = plan.classes.index(finding)
    chosen = operating.choose(
        data.targets[known] == index, chances[known, index], groups=data.groups[known]
    )
    return {finding: chosen}


def _band(point, name: str, plan: Plan, chances: np.ndarray) -> tuple[float, float]:
    """The plateau around the threshold, narrowed until few validation cases lie in it."""
    scores = chances[:, plan.classes.index(name)]
    low, high = point.low, point.high
    for share in np.linspace(1, 0, 21):
        below = point.threshold - share * (point.threshold - low)
        above = point.threshold + share * (high - point.threshold)
        if np.mean((scores > below) & (scores < above)) <= REFERRED_MOST:
            break
    return float(below), float(above)


def _with_envelope(manifest, bare: Predictor, dataset: Dataset, train: Store, val: Store):
    def seen(store: Store) -> Seen:
        return Seen(_infos(dataset, store), store.x, bare.features(store.x))

    data, arrays = envelope.fit(seen(train), seen(val))
    return manifest.model_copy(update={"envelope": data}), arrays


def _infos(dataset: Dataset, store: Store) -> list[Info]:
    """Header facts of evenly spread images; reading all again would take as long as preparing."""
    from tomos.formats import read_many

    rows = np.unique(np.linspace(0, len(store) - 1, min(LOOKED_AT, len(store))).astype(int))
    images = read_many(dataset.image(store.cases[row]) for row in rows)
    return [Info.of(image) for image in images if not isinstance(image, FormatError)]


def summary(dataset: Dataset, plan: Plan, train: Any, val: Any) -> dict[str, Any]:
    return {
        "name": dataset.info.name,
        "checksum": dataset.checksum,
        "n_train": len(train),
        "n_val": len(val),
        "n_patients": len(set(train.groups)) + len(set(val.groups)),
        "patients_known": all(case.patient for case in train.cases),
        "counts": plan.fingerprint.get("counts", {}),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("tomos", "torch", "numpy", "onnxruntime"):
        found[name] = metadata.version(name)
    return found
