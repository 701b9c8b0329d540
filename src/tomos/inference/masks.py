"""A model for masks at work: addresses or images -> labels on each image's own grid."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from pathlib import Path
from typing import TypeVar

import numpy as np

from tomos import formats
from tomos import package as model_file
from tomos.inference import example
from tomos.inference.decision import Ask, Labelled
from tomos.inference.foresight import Foresight, Way
from tomos.inference.grids import Grid
from tomos.inference.labelling import ended, labels_on_grid
from tomos.inference.mask_envelope import MaskEnvelope
from tomos.inference.memory import OutOfMemory, is_out_of_memory
from tomos.inference.network import Network, networks
from tomos.inference.reading import check_images
from tomos.inference.sight import probabilities, sights, slabs_of
from tomos.inference.stitch import Cancel
from tomos.inference.tiles import Tiling
from tomos.package import Manifest, Package
from tomos.tasks import segment
from tomos.transforms.prepare import Chain, straightened
from tomos.types import (
    Answer,
    Image,
    Mask,
    PackageError,
    Prediction,
    Progress,
    SettingsError,
    Silent,
    TomosError,
)
from tomos.types.prediction import Verdict
from tomos.types.words import plain

T = TypeVar("T")
MOST = 2**30  # bytes of scores that are held at once
SHRUNK = "for want of memory the network saw less of the image at once than it was tried with"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """prepared  the image as the networks see it; logits (K + 1, [Z,] Y, X) float32 on its grid,
    divided by the model's temperature
    notes, shrunk  as in `Labelled`"""

    prepared: Image
    logits: np.ndarray
    notes: tuple[str, ...] = ()
    shrunk: bool = False

    @property
    def probabilities(self) -> np.ndarray:
        """(K + 1, [Z,] Y, X) float32, which sum up to 1."""
        return probabilities(self.logits)


class MaskPredictor:
    """A model file for masks, ready. Safe to call from several threads.

    memory  bytes that one image may take; 0: what is free when it comes
    The other arguments are those of `Predictor`. Where an image does not fit into memory with the
    usual steps it is gone through in smaller ones, which the prediction's warnings say; where it
    does not fit at all, OutOfMemory names it.
    """

    def __init__(
        self,
        package: Package | Path | str,
        backend: str = "auto",
        threads: int = 0,
        cache: Path | None = None,
        memory: int = 0,
    ):
        if not isinstance(package, Package):
            package = model_file.read(package)
        nets = networks(package, backend, threads)
        arrays = package.envelope_arrays()
        self._set(package.manifest, nets, threads, str(package.path), memory, arrays)
        self.package: Package | None = package
        runtime = getattr(nets[0], "runtime", backend)
        try:
            self.foresight.check_tile(str(package.path))
            example.verify_once(package, self.chain, nets, runtime, cache)
        except OutOfMemory as error:
            self.unproved = (
                "the model was not tried on its synthetic example, which takes more memory than "
                f"there is: {error}"
            )

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        networks: Sequence[Network],
        threads: int = 0,
        memory: int = 0,
        envelope: Mapping[str, np.ndarray] | None = None,
    ) -> MaskPredictor:
        """A predictor over networks that training hands in: the same path as for a file."""
        self = cls.__new__(cls)
        self._set(manifest, networks, threads, manifest.name, memory, envelope or {})
        self.package = None
        return self

    def _set(
        self,
        manifest: Manifest,
        networks: Sequence[Network],
        threads: int,
        where: str,
        memory: int,
        envelope: Mapping[str, np.ndarray],
    ) -> None:
        if manifest.kind != "mask":
            raise PackageError(f"{where}: expected a model for masks, got kind {manifest.kind!r}")
        self.manifest, self.networks = manifest, tuple(networks)
        self.threads, self._where = threads, where
        try:
            self.chain = Chain(manifest.prepare)
        except SettingsError as error:
            raise PackageError(f"{where}: {error}") from None
        try:
            self.envelope = MaskEnvelope(manifest.envelope, envelope)
        except (ValueError, TypeError, AttributeError) as error:
            raise PackageError(f"{where}: its envelope is not readable ({error})") from None
        self.sights = sights(manifest, self.networks, threads)
        self.foresight = Foresight(manifest, self.sights, memory)
        self.temperature = _temperature(manifest, where)
        self.unproved = ""  # why the synthetic example was not run

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def tiling(self) -> Tiling:
        """Of the first kind of graph."""
        return self.sights[0].tiling

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
        chances: np.ndarray | None = None,
    ) -> Prediction:
        """The prediction for one image; refusals are raised (FormatError, PackageError, OutOfMemory
        where it does not fit into memory, Cancelled).

        scores   what `scores` gave for this image, where it is there already
        chances  zeros for the answer's `chances`, which may lie on disk
        """
        found = self.labelled(image, doubt, progress, cancel, scores, chances)
        labels = segment.cleaned(found.labels, self.classes, self.manifest.mask.largest)
        mask = Mask.on(image, labels, self.classes)
        amounts = _amounts(found, mask)
        answer = Answer(
            scores={},
            label=segment.said({name: amount["voxels"] for name, amount in amounts.items()}),
            mask=mask,
            amounts=amounts,
            doubt=found.entropy,
            chances=chances,
        )
        verdict, reason = self._verdict(answer)
        if found.shrunk:
            verdict, reason = "refer", SHRUNK
        if found.judgement.refuse:
            verdict, reason = "refer", "; ".join(found.judgement.reasons)
        unproved = (self.unproved,) if self.unproved else ()
        return Prediction(
            input=name or _name(image),
            targets={self.manifest.target: answer},
            verdict=verdict,
            reason=reason,
            warnings=(*image.warnings, *found.notes, *found.judgement.warnings, *unproved),
        )

    def labelled(
        self,
        image: Image,
        doubt: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        scores: Scores | None = None,
        chances: np.ndarray | None = None,
    ) -> Labelled:
        """Labels of every voxel of the image, as the networks say, with expected voxels and, where
        `doubt`, entropy; `chances` as for `labels_on_grid`. Raises PackageError for an image of
        other channels or axes, OutOfMemory."""
        ask = Ask(self.manifest.outputs, uncertainty=True, entropy=doubt, threads=self.threads)
        scan = Grid.of(image)
        prepared = scores.prepared if scores is not None else self.prepared(image)
        judgement, grid = self.envelope.judge(image, prepared.pixels), Grid.of(prepared)
        if scores is not None:
            found = labels_on_grid([scores.logits], grid, scan, ask, chances)
            return replace(found, notes=scores.notes, shrunk=scores.shrunk, judgement=judgement)
        begun = False

        def work(slabs: Iterable[np.ndarray]) -> Labelled:
            nonlocal begun
            if begun and chances is not None:
                chances[...] = 0  # of an attempt for which the memory did not do
            begun = True
            return labels_on_grid(slabs, grid, scan, ask, chances)

        ways = self.foresight.ways(prepared, ask, scan, _name(image))
        found, notes, shrunk = self._gone(ways, prepared, work, progress, cancel)
        notes = (*prepared.warnings[len(image.warnings) :], *notes)
        return replace(found, notes=notes, shrunk=shrunk, judgement=judgement)

    def scores(self, image: Image, most: int = MOST) -> Scores | None:
        """Logits of the whole prepared image; None where they would take more than `most` bytes, or
        more than there are."""
        prepared = self.prepared(image)
        shape = (self.manifest.outputs, *prepared.size)
        if 4 * prod(shape) > most:
            return None

        def work(slabs: Iterable[np.ndarray]) -> np.ndarray:
            logits, row = np.empty(shape, np.float32), 0
            for slab in slabs:
                logits[:, row : row + slab.shape[1]] = slab
                row += slab.shape[1]
            return logits

        try:
            ways = self.foresight.ways(prepared, None, Grid.of(image), _name(image))
            logits, notes, shrunk = self._gone(ways, prepared, work)
        except OutOfMemory:
            return None
        notes = (*prepared.warnings[len(image.warnings) :], *notes)
        return Scores(prepared, logits, notes, shrunk)

    def prepared(self, image: Image) -> Image:
        """The image as the networks see it. Raises PackageError for other images than the model
        reads, for one of other channels or axes; OutOfMemory."""
        check_images(image, self.roles, _name(image))
        self.foresight.check_preparing(image, self.chain, _name(image))
        try:
            prepared = self.chain(straightened(image))
        except MemoryError:
            raise OutOfMemory(f"{_name(image)}: not enough memory to prepare it") from None
        self._check(prepared)
        return prepared

    def _gone(
        self,
        ways: Iterator[Way],
        prepared: Image,
        work: Callable[[Iterable[np.ndarray]], T],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[T, tuple[str, ...], bool]:
        """What `work` makes of the scores of a prepared image, slab by slab; what is to be said of
        the way; whether tiles were smaller. Where memory runs out after all, with smaller steps."""
        problem, outputs = "", self.manifest.outputs
        for way in ways:
            heard = _Heard(progress or Silent())
            try:
                pixels = prepared.pixels
                gone = list(zip(self.sights, way.tilings, strict=True))
                found = work(self._tempered(slabs_of(gone, pixels, outputs, heard, cancel)))
            except Exception as error:
                # A network may turn out to take no smaller tiles; what it lacked was memory.
                refused = bool(problem) and isinstance(error, PackageError)
                if not refused and not is_out_of_memory(error):
                    raise
                problem = problem or str(error) or "no more was given"
                continue
            self.foresight.ran(way)
            notes = (*filter(None, [way.note]), *heard.said)
            return found, notes, way.shrunk
        raise OutOfMemory(f"{_name(prepared)}: the memory ran out even with small steps; {problem}")

    def _tempered(self, slabs: Iterator[np.ndarray]) -> Generator[np.ndarray]:
        """Logits whose probabilities are those seen on validation; the order of classes stays."""
        cooler = np.float32(1 / self.temperature)
        with ended(slabs):
            for slab in slabs:
                if cooler != 1:
                    slab *= cooler
                yield slab

    def example(self) -> Image | None:
        """The synthetic picture of the model file, None where it has none."""
        made = self.manifest.example
        return example.picture(made.seed, made.size, made.channels, made.spacing) if made else None

    def verify(self) -> None:
        """Run the synthetic example now; PackageError when the answer is not the stated one."""
        example.verify(self.manifest, self.chain, self.networks, self._where)

    @property
    def roles(self) -> tuple[str, ...]:
        """Of a model that reads several images a case, what these are called; () else."""
        return self.manifest.input.roles

    def _check(self, prepared: Image) -> None:
        channels = self.manifest.input.channels
        tilings = [sight.tiling for sight in self.sights]
        # Slices that see their neighbours are those of a volume.
        axes = max(3 if tiling.context else len(tiling.tile) for tiling in tilings)
        if prepared.channels != channels or len(prepared.size) < axes:
            raise PackageError(
                f"{_name(prepared)}: expected {channels} channel(s) and {axes} axes for this "
                f"model, got {prepared.channels} and {len(prepared.size)}"
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
                    f"{name}: the network is unsure of its extent: {plain(outlined, 3)} {unit} "
                    f"were outlined, {plain(expected, 3)} {unit} expected"
                )
        if answer.label == segment.NONE:
            return "no finding", f"nothing of {', '.join(self.classes)}"
        return "finding", answer.label.replace("|", ", ")


class _Heard:
    """Progress that is passed on; what it says is kept."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
        self._progress.say(text)

    def step(self, done: int, total: int, note: str = "") -> None:
        self._progress.step(done, total, note)


def _name(image: Image) -> str:
    return image.origin.path or "image"


def _temperature(manifest: Manifest, where: str) -> float:
    """By which logits are divided; 1 where the model was not calibrated."""
    found = manifest.calibration.get("temperature", 1.0)
    if not isinstance(found, int | float) or not 0 < found < inf:
        raise PackageError(f"{where}: calibration: expected a temperature above 0, got {found!r}")
    return float(found)


def _amounts(found: Labelled, mask: Mask) -> dict[str, dict[str, float]]:
    assert found.expected is not None
    # Plane by plane: counting takes eight bytes a voxel.
    classes = len(mask.names) + 1
    counts = np.zeros(classes, np.int64)
    for plane in mask.labels:
        counts += np.bincount(plane.ravel(), minlength=classes)
    return {
        name: {
            "voxels": int(count),
            mask.unit: round(int(count) * mask.each, 6),
            "expected": round(float(voxels) * mask.each, 6),
        }
        for name, count, voxels in zip(mask.names, counts[1:], found.expected[1:], strict=True)
    }
