"""A model for masks at work: addresses or images -> labels on each image's own grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos import formats
from tomos import package as model_file
from tomos.inference import example
from tomos.inference.averaged import Averaged, check_views
from tomos.inference.decision import Ask, Labelled
from tomos.inference.grids import Grid
from tomos.inference.labelling import labels_on_grid
from tomos.inference.network import Network, networks
from tomos.inference.stitch import Cancel, stitched
from tomos.inference.tiles import Tiling
from tomos.package import Manifest, Package
from tomos.tasks import segment
from tomos.transforms.prepare import Chain
from tomos.types import (
    Answer,
    Image,
    Mask,
    PackageError,
    Prediction,
    Progress,
    SettingsError,
    TomosError,
)
from tomos.types.prediction import Verdict

BATCH = 2  # tiles in one run of the network
MOST = 2**30  # bytes of scores that are held at once


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """prepared  the image as the networks see it; logits (K + 1, [Z,] Y, X) float32 on its grid"""

    prepared: Image
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """(K + 1, [Z,] Y, X) float32, which sum up to 1."""
        shifted = np.exp(self.logits - self.logits.max(axis=0))
        return shifted / shifted.sum(axis=0)


class MaskPredictor:
    """A model file for masks, ready. Safe to call from several threads.

    The arguments are those of `Predictor`.
    """

    def __init__(
        self,
        package: Package | Path | str,
        backend: str = "onnxruntime",
        threads: int = 0,
        cache: Path | None = None,
    ):
        if not isinstance(package, Package):
            package = model_file.read(package)
        nets = networks(package, backend, threads)
        self._set(package.manifest, nets, threads, str(package.path))
        self.package: Package | None = package
        runtime = getattr(nets[0], "runtime", backend)
        example.verify_once(package, self.chain, nets, runtime, cache)

    @classmethod
    def of(cls, manifest: Manifest, networks: Sequence[Network], threads: int = 0) -> MaskPredictor:
        """A predictor over networks that training hands in: the same path as for a file."""
        self = cls.__new__(cls)
        self._set(manifest, networks, threads, manifest.name)
        self.package = None
        return self

    def _set(
        self, manifest: Manifest, networks: Sequence[Network], threads: int, where: str
    ) -> None:
        if manifest.kind != "mask":
            raise PackageError(f"{where}: expected a model for masks, got kind {manifest.kind!r}")
        self.manifest, self.networks = manifest, tuple(networks)
        self.threads, self._where = threads, where
        try:
            self.chain = Chain(manifest.prepare)
        except SettingsError as error:
            raise PackageError(f"{where}: {error}") from None
        check_views(manifest.views, manifest.input.size)
        self.network = Averaged(self.networks, manifest.views, maps=("logits",))
        self.tiling = Tiling(
            tile=manifest.input.size,
            overlap=manifest.mask.overlap,
            batch=BATCH,
            air=manifest.mask.air,
            threads=threads,
        )

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.class_names

    def predict(
        self, addresses: Iterable[str | Path], doubt: bool = False, progress: Progress | None = None
    ) -> Iterator[Prediction]:
        """One prediction an address, in order; an input that is refused gives one with `error`.

        doubt  whether each answer carries the entropy of its voxels
        """
        for address in map(str, addresses):
            try:
                yield self.predict_image(formats.read(address), address, doubt, progress)
            except TomosError as error:
                if getattr(error, "exit_code", 2) == 130:
                    raise
                yield Prediction(address, error=str(error))

    def predict_image(
        self,
        image: Image,
        name: str = "",
        doubt: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        scores: Scores | None = None,
    ) -> Prediction:
        """The prediction for one image; refusals are raised (FormatError, PackageError).

        scores  what `scores` gave for this image, where it is there already
        """
        found = self.labelled(image, progress, cancel, scores)
        labels = segment.cleaned(found.labels, self.classes, self.manifest.mask.largest)
        mask = Mask.on(image, labels, self.classes)
        answer = Answer(
            scores={},
            label=segment.said(mask.extents()),
            mask=mask,
            amounts=_amounts(found, mask),
            doubt=found.entropy if doubt else None,
        )
        verdict, reason = self._verdict(answer)
        return Prediction(
            input=name or image.origin.path or "image",
            targets={self.manifest.target: answer},
            verdict=verdict,
            reason=reason,
            warnings=image.warnings,
        )

    def labelled(
        self,
        image: Image,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        scores: Scores | None = None,
    ) -> Labelled:
        """Labels of every voxel of the image, as the networks say, with entropy and expected
        voxels. Raises PackageError for an image of other channels or axes."""
        ask = Ask(classes=self.manifest.outputs, uncertainty=True, threads=self.threads)
        if scores is not None:
            slabs: Iterable[np.ndarray] = [scores.logits]
            prepared = scores.prepared
        else:
            prepared = self._prepared(image)
            slabs = self._slabs(prepared, progress, cancel)
        return labels_on_grid(slabs, Grid.of(prepared), Grid.of(image), ask)

    def scores(self, image: Image, most: int = MOST) -> Scores | None:
        """Logits of the whole prepared image; None where they would take more than `most` bytes."""
        prepared = self._prepared(image)
        if 4 * self.manifest.outputs * prepared.pixels[0].size > most:
            return None
        slabs = [slab.copy() for slab in self._slabs(prepared)]
        return Scores(prepared, np.concatenate(slabs, axis=1))

    def _prepared(self, image: Image) -> Image:
        prepared = self.chain(image)
        self._check(prepared)
        return prepared

    def _slabs(
        self, prepared: Image, progress: Progress | None = None, cancel: Cancel | None = None
    ) -> Iterator[np.ndarray]:
        outputs = self.manifest.outputs
        return stitched(self.network, prepared.pixels, outputs, self.tiling, progress, cancel)

    def example(self) -> Image | None:
        """The synthetic picture of the model file, None where it has none."""
        made = self.manifest.example
        return example.picture(made.seed, made.size, made.channels, made.spacing) if made else None

    def verify(self) -> None:
        """Run the synthetic example now; PackageError when the answer is not the stated one."""
        example.verify(self.manifest, self.chain, self.networks, self._where)

    def _check(self, prepared: Image) -> None:
        given = self.manifest.input
        if prepared.channels != given.channels or len(prepared.size) < len(given.size):
            raise PackageError(
                f"{prepared.origin.path or 'image'}: expected {given.channels} channel(s) and "
                f"{len(given.size)} axes for this model, got {prepared.channels} and "
                f"{len(prepared.size)}"
            )

    def _verdict(self, answer: Answer) -> tuple[Verdict, str]:
        """A reader must look where the sum of the probabilities and the labels disagree more than
        they did on validation; else whether anything was found."""
        assert answer.mask is not None
        unit = answer.mask.unit
        for name, (low, high) in self.manifest.mask.doubt.items():
            outlined, expected = answer.amounts[name][unit], answer.amounts[name]["expected"]
            # A trace of probability where nothing was found is not a finding that was missed.
            if outlined and not low <= expected / outlined <= high:
                return "refer", (
                    f"{name}: the network is unsure of its extent: {outlined:.3g} {unit} were "
                    f"outlined, {expected:.3g} {unit} expected"
                )
        if answer.label == segment.NONE:
            return "no finding", f"nothing of {', '.join(self.classes)}"
        return "finding", answer.label.replace("|", ", ")


def _amounts(found: Labelled, mask: Mask) -> dict[str, dict[str, float]]:
    assert found.expected is not None
    counts, extents = mask.counts(), mask.extents()
    return {
        name: {
            "voxels": counts[name],
            mask.unit: round(extents[name], 6),
            "expected": round(float(voxels) * mask.each, 6),
        }
        for name, voxels in zip(mask.names, found.expected[1:], strict=True)
    }
