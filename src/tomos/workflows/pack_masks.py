"""From trained networks for masks to `model.tomos`: export, proof, what to keep, when to refer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tomos import datasets, package
from tomos.datasets import Dataset
from tomos.inference import MaskPredictor, example
from tomos.inference.memory import OutOfMemory
from tomos.measures.segmentation import figure_table, measure
from tomos.package import Class, GraphPart, InputPart, Manifest, MaskPart, Network
from tomos.plan import Plan
from tomos.tasks import segment
from tomos.types import FormatError, Progress
from tomos.workflows import mask_calibration
from tomos.workflows.card import mask_card
from tomos.workflows.mask_limits import limits
from tomos.workflows.pack import same, summary, versions

PARITY_CASES = 4  # tiles of the validation part, one and two at a time
BETTER = 0.002  # Dice by which keeping only the largest part must be better on validation
SURELY = 2.0  # standard errors of that gain which it must be above 0
DOUBT = 3.0  # standard deviations of the validation's own spread
FEWEST = 5  # validation cases that a class must be in for these to be known
MOST = 50  # validation cases that are looked at to decide


def pack(
    path: Path,
    plan: Plan,
    nets: Sequence[Any],
    dataset: Dataset,
    parts: tuple[datasets.Shelf, datasets.Shelf],
    progress: Progress,
) -> Path:
    """Write `path`; PackageError when a graph does not reproduce its network.

    nets   the trained torch networks, on the CPU, in evaluation mode
    parts  what was learned from, and the validation part
    """
    train, val = parts
    kinds = plan.networks[: len(nets)]  # there may have been no time for the others
    graphs, named = _export(nets, kinds, val, progress)
    manifest = Manifest(
        name=dataset.info.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task="segment",
        target=plan.target,
        kind="mask",
        classes=tuple(Class(name=name) for name in plan.classes),
        input=_input(plan).model_copy(update={"files": _numbers(plan, dataset)}),
        prepare=plan.prepare,
        network=Network(name=plan.model.name, options=plan.model.options),
        graphs=named,
        views=plan.predict.views,
        mask=MaskPart(
            tile=plan.predict.tile, overlap=plan.predict.overlap, largest=plan.predict.largest
        ),
        map_method="none",
        features=all("features" in part.outputs for part in named),
        licence=dataset.info.licence,
        dataset=summary(dataset, plan, train, val),
        versions=versions(),
    )
    manifest = _with_decision(manifest, graphs, dataset, val, progress)
    data, arrays = limits(dataset, parts)
    manifest = manifest.model_copy(update={"envelope": data})
    bare = _predictor(manifest, graphs)
    looking = example.looking(manifest, bare.networks)
    size = example.size_for([manifest.input_of(part) for part in named], plan.axes)
    made = example.make(bare.chain, looking, plan.channels, size, spacing=_spacing(plan))
    text = mask_card(manifest, plan)
    manifest = manifest.model_copy(update={"example": made, "card": text.en, "card_zh": text.zh})
    extras = {f"envelope/{name}.npy": array for name, array in arrays.items()}
    package.write(path, manifest, graphs, extras)
    return path


def _spacing(plan: Plan) -> tuple[float, ...]:
    """Of the synthetic example: what the preparation makes of it must hold one tile."""
    return plan.spacing if any(step["step"] == "resample" for step in plan.prepare) else ()


def _input(kind: Plan) -> InputPart:
    flat = len(kind.size) < kind.axes
    return InputPart(
        channels=kind.channels,
        size=kind.size,
        roles=kind.roles,
        volumes=flat,
        context=kind.context,
    )


def _numbers(plan: Plan, dataset: Dataset) -> tuple[int, ...]:
    """The place of each role among those of the data set, where the reference is not the first."""
    numbers = tuple(dataset.info.roles.index(role) for role in plan.roles)
    return () if numbers == tuple(range(len(numbers))) else numbers


def _export(
    nets: Sequence[Any], kinds: Sequence[Plan], val: datasets.Shelf, progress: Progress
) -> tuple[list[bytes], tuple[GraphPart, ...]]:
    """The graph of each network, which is of the kind beside it; the first kind is the one that the
    manifest speaks of."""
    import torch

    from tomos import models
    from tomos.inference.network import OnnxRuntime
    from tomos.train.segment import tiles_of

    graphs, parts, main = [], [], kinds[0]
    for number, (net, kind) in enumerate(zip(nets, kinds, strict=True)):
        progress.step(number, len(nets), "exporting")
        tiles = tiles_of(kind, val, PARITY_CASES)
        graph = models.to_onnx(net, torch.zeros(2, kind.inputs, *kind.size))
        runtime = OnnxRuntime(graph, f"graph {number}", kind.train.threads)
        with torch.no_grad():
            expected = net(torch.from_numpy(tiles)).numpy()
        for batch in (1, 2):
            same(runtime, tiles, expected, batch, number)
        graphs.append(graph)
        alike = (kind.model, _input(kind)) == (main.model, _input(main))
        own = {} if alike else _own(kind)
        parts.append(GraphPart(file=f"graphs/{number}.onnx", outputs=runtime.outputs, **own))
    return graphs, tuple(parts)


def _own(kind: Plan) -> dict[str, Any]:
    """What a graph's part of the manifest says where it is of another kind than the first."""
    network = Network(name=kind.model.name, options=kind.model.options)
    return {"input": _input(kind), "network": network}


def _predictor(manifest: Manifest, graphs: Sequence[bytes]) -> MaskPredictor:
    from tomos.inference.network import OnnxRuntime

    nets = [OnnxRuntime(graph, f"graph {n}") for n, graph in enumerate(graphs)]
    return MaskPredictor.of(manifest, nets)


def _with_decision(
    manifest: Manifest,
    graphs: Sequence[bytes],
    dataset: Dataset,
    val: datasets.Shelf,
    progress: Progress,
) -> Manifest:
    """How sure the networks are, of which classes only the largest part is kept, and how far the
    probabilities' sum and the labels usually disagree: all on the validation part."""
    warm = mask_calibration.fitted(_predictor(manifest, graphs), dataset, val.cases, progress)
    if warm is not None:
        manifest = manifest.model_copy(update={"calibration": warm.data()})
    predictor = _predictor(manifest, graphs)
    classes = predictor.classes
    plain: list[Any] = []
    kept: list[Any] = []
    single: list[list[bool]] = []
    ratios: list[list[float]] = []
    cases = val.cases[:MOST]
    for done, case in enumerate(cases, 1):
        progress.step(done, len(cases), "deciding on validation")
        try:
            image = dataset.read(case)
            truth = datasets.true_mask(dataset, case, image)
            answer = predictor.predict_image(image).targets[manifest.target]
        except (FormatError, OutOfMemory):
            continue  # it was left out of the validation part, too, or is too large to look at
        assert answer.mask is not None
        labels = answer.mask.labels
        for labelled, into in ((labels, plain), (segment.cleaned(labels, classes, classes), kept)):
            into.append(measure(labelled, truth.labels, classes, image.spacing, 1.0))
        single.append(_single(truth.labels, classes))
        ratios.append([_ratio(answer.amounts[name], answer.mask.unit) for name in classes])
    if not plain:
        return manifest
    gains = figure_table(kept, "dice") - figure_table(plain, "dice")
    pieces = [all(each) for each in zip(*single, strict=True)]
    largest = [name for name, *of in zip(classes, gains.T, pieces, strict=True) if _better(*of)]
    part = manifest.mask.model_copy(
        update={
            "largest": tuple(dict.fromkeys([*manifest.mask.largest, *largest])),
            "doubt": _doubt(classes, np.array(ratios)),
        }
    )
    return manifest.model_copy(update={"mask": part})


def _single(labels: np.ndarray, classes: Sequence[str]) -> list[bool]:
    """Of each class, whether it is in one piece or not there."""
    whole = segment.cleaned(labels, classes, classes)
    return [bool(np.array_equal(whole == k, labels == k)) for k in range(1, len(classes) + 1)]


def _better(gains: np.ndarray, single: bool) -> bool:
    """Whether Dice is higher by more than chance; NaN where a case has not the class. Fewer cases
    tell only of what is `single`, in one piece in all of them: two images of vessels once gained by
    chance what others lost."""
    known = gains[np.isfinite(gains)]
    if not len(known) or (len(known) < FEWEST and not single):
        return False
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) >= FEWEST else 0.0
    return bool(known.mean() > max(BETTER, SURELY * error))


def _ratio(amount: Mapping[str, float], unit: str) -> float:
    return amount["expected"] / amount[unit] if amount[unit] else np.nan


def _doubt(classes: Sequence[str], ratios: np.ndarray) -> dict[str, tuple[float, float]]:
    """(low, high) of expected over found that a class may have, where enough cases tell."""
    found = {}
    for name, column in zip(classes, ratios.T, strict=True):
        logs = np.log(column[np.isfinite(column) & (column > 0)])
        if len(logs) >= FEWEST:
            middle = float(np.median(logs))
            # At least a tenth: fifty cases do not know what the next one may be.
            spread = max(DOUBT * float(logs.std()), 0.1)
            found[name] = (
                round(float(np.exp(middle - spread)), 4),
                round(float(np.exp(middle + spread)), 4),
            )
    return found
