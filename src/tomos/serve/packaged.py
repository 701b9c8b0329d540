"""A `model.tomos` as the server's `Reader`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tomos import explain, formats, package
from tomos.formats import LIMITS, Limits
from tomos.inference import Predictor
from tomos.inference.verdict import is_finding
from tomos.package import Manifest
from tomos.serve.reader import HeatMap, Reader, Sample
from tomos.serve.refusal import Refusal
from tomos.serve.sample import drawn_film
from tomos.types import FormatError, Image, PackageError, Prediction

FILM = {"modality": "DX", "body_part": "CHEST"}


class PackagedReader:
    """One model file, loaded and proved on its synthetic example.

    threads  of one run of the network
    limits   under which uploads are read
    trust    public keys that must have signed the file; None: any file is taken
    Raises PackageError when the file is refused or does not give its own answers here.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        backend: str = "onnxruntime",
        limits: Limits = LIMITS,
        trust: str | None = None,
    ):
        self._package = package.read(path, trust)
        if self._package.manifest.kind == "mask":
            raise PackageError(
                f"{path}: outlines masks, and those are not served yet; use tomos predict"
            )
        self._predictor = Predictor(self._package, backend, threads)
        self._predictor.verify()
        self._limits = limits
        steps = {step.get("step") for step in self._package.manifest.prepare}
        self._of_pictures = len(self._package.manifest.input.size) == 2 and "slice" not in steps
        self.manifest: Manifest = self._package.manifest
        self.name = self.manifest.name
        self.classes = self.manifest.class_names
        self.channels = self.manifest.input.channels

    def describe(self) -> Mapping[str, Any]:
        manifest = self.manifest
        precisions = sorted({part.precision for part in manifest.graphs})
        return {
            "name": self.name,
            "created": manifest.created,
            "task": manifest.task,
            "target": manifest.target,
            "kind": manifest.kind,
            "classes": [
                {
                    "name": each.name,
                    "finding": is_finding(manifest, each.name),
                    "codes": [code.model_dump() for code in each.codes],
                }
                for each in manifest.classes
            ],
            "input": {"channels": self.channels, "size": list(manifest.input.size)},
            "network": manifest.network.name,
            "members": len(manifest.graphs),
            "precision": ", ".join(precisions),
            "operating_point": manifest.operating_point.model_dump(mode="json"),
            "calibration": dict(manifest.calibration),
            "metrics": dict(manifest.metrics) or None,
            "envelope": envelope_summary(manifest.envelope),
            "map_method": manifest.map_method,
            "card": self._package.text("card.md") or manifest.card,
            "card_zh": manifest.card_zh,
            "licence": manifest.licence,
            "dataset": dict(manifest.dataset),
            "versions": dict(manifest.versions),
            "sha256": self._package.sha256,
            "example": manifest.example is not None,
        }

    def load(self, path: Path, member: int | None) -> tuple[Image, int]:
        addresses = formats.members(path, self._limits)
        if len(addresses) > 1:
            return formats.read(_pick(addresses, member, path), self._limits), len(addresses)
        image = formats.read(addresses[0], self._limits)
        if image.is_volume and self._of_pictures:
            return _slice(image, member, path), image.size[0]
        if member:
            raise _no_member(path, 1, member)
        return image, 1

    def predict(self, image: Image) -> Prediction:
        return self._predictor.predict_image(image)

    def explain(self, image: Image, prediction: Prediction) -> HeatMap | None:
        label = self._asked(prediction)
        if label is None:
            return None
        method = self.manifest.map_method
        return HeatMap(method, label, explain.heatmap(self._predictor, image, label))

    def example(self) -> Sample | None:
        facts = self.manifest.envelope.get("facts") or {}
        seen = {fact: (facts.get(fact) or {}).get("seen") or [] for fact in FILM}
        if all(value in seen[fact] for fact, value in FILM.items()):
            return drawn_film()
        image = self._predictor.example()
        if image is None:
            return None
        return Sample(formats.png_bytes(image.pixels), "image/png", "example.png")

    def _asked(self, prediction: Prediction) -> str | None:
        """The class to explain: what was called; where nothing was, the likeliest finding."""
        answer = next(iter(prediction.targets.values()), None)
        if answer is None:
            return None
        called = [name for name in answer.label.split("|") if name in self.classes]
        findings = [name for name in self.classes if is_finding(self.manifest, name)]
        wanted = [name for name in called if name in findings] or findings or called
        return max(wanted, key=lambda name: answer.scores[name], default=None)


def _pick(addresses: Sequence[str], member: int | None, path: Path) -> str:
    if (member or 0) >= len(addresses):
        raise _no_member(path, len(addresses), member)
    return addresses[member or 0]


def _slice(volume: Image, member: int | None, path: Path) -> Image:
    """One slice of a volume for a model of pictures: only the one that was asked for, since which
    slice is read is a decision that no program should take in silence.
    """
    count = volume.size[0]
    if member is None:
        raise Refusal(
            422,
            "volume",
            f"a volume of {count} slices, and this model reads single pictures: choose a slice",
            members=count,
        )
    if member >= count:
        raise _no_member(path, count, member)
    affine = volume.affine.copy()
    affine[:3, 3] += member * affine[:3, 0]
    return volume.with_pixels(volume.pixels[:, member], affine=affine)


def _no_member(path: Path, count: int, member: int | None) -> FormatError:
    return FormatError(f"{path}: expected an image from 0 to {count - 1}, got {member}")


def envelope_summary(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was made for, in a few plain values; empty where the file does not say."""
    facts = envelope.get("facts") or {}
    summary: dict[str, Any] = {}
    for fact in ("modality", "body_part"):
        seen = (facts.get(fact) or {}).get("seen")
        if seen:
            summary[fact] = list(seen)
    if facts.get("colour"):
        summary["colour"] = ["colour" if colour else "grey" for colour in facts["colour"]]
    if facts.get("side"):
        summary["side"] = [round(float(length)) for length in facts["side"]]
    return summary


def load_all(
    paths: Iterable[Path],
    threads: int = 1,
    backend: str = "onnxruntime",
    limits: Limits = LIMITS,
    trust: str | None = None,
) -> list[Reader]:
    """One reader a file. PackageError when two models have one name: addresses would be unclear."""
    readers: dict[str, Reader] = {}
    for path in paths:
        reader = PackagedReader(path, threads, backend, limits, trust)
        if reader.name in readers:
            raise PackageError(
                f"{path}: a second model named {reader.name!r}; serve them on two ports"
            )
        if "/" in reader.name:
            raise PackageError(f"{path}: the name {reader.name!r} cannot stand in an address")
        readers[reader.name] = reader
    return list(readers.values())
