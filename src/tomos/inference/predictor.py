"""A model at work: addresses or images -> predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from tomos import package as model_file
from tomos.inference import example
from tomos.inference.averaged import Averaged, check_views
from tomos.inference.envelope import Envelope, Judgement
from tomos.inference.network import Network, networks
from tomos.inference.reading import Input, prepare_one, read_ahead
from tomos.inference.verdict import verdict
from tomos.package import Manifest, Package
from tomos.tasks import classify
from tomos.transforms.prepare import Chain
from tomos.types import Image, PackageError, Prediction, SettingsError

BATCH = 32


class Predictor:
    """A model file, ready. Safe to call from several threads.

    package  a `Package`, or the path of one
    backend  "onnxruntime", "openvino" or "auto", the quickest of those installed
    threads  of one run of the network; 0: one a core
    cache    folder of the marker that the synthetic example passed; None: the user's cache folder
    Raises PackageError when the file is refused or does not give its own answers here.
    """

    def __init__(
        self,
        package: Package | Path | str,
        backend: str = "auto",
        threads: int = 0,
        cache: Path | None = None,
    ):
        if not isinstance(package, Package):
            package = model_file.read(package)
        where = str(package.path)
        self.threads = threads
        nets = networks(package, backend, threads)
        self._set(package.manifest, nets, package.envelope_arrays(), where)
        self.package: Package | None = package
        runtime = getattr(nets[0], "runtime", backend)
        example.verify_once(package, self.chain, nets, runtime, cache)

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        networks: Sequence[Network],
        envelope: Mapping[str, np.ndarray] | None = None,
    ) -> Predictor:
        """A predictor over networks that training hands in: the same path as for a file."""
        self = cls.__new__(cls)
        self.threads = 0
        self._set(manifest, networks, envelope or {}, manifest.name)
        self.package = None
        return self

    def _set(
        self,
        manifest: Manifest,
        networks: Sequence[Network],
        envelope: Mapping[str, np.ndarray],
        where: str,
    ) -> None:
        self.manifest = manifest
        self.networks = tuple(networks)
        self._where = where
        try:
            self.chain = Chain(manifest.prepare)
        except SettingsError as error:
            raise PackageError(f"{where}: {error}") from None
        check_views(manifest.views, manifest.input.size)
        self.network = Averaged(self.networks, manifest.views)
        try:
            self.envelope = Envelope(manifest.envelope, envelope, manifest.input.size)
        except (ValueError, TypeError, AttributeError) as error:
            raise PackageError(f"{where}: its envelope is not readable ({error})") from None

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.manifest.class_names

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, Y, X) that the network takes."""
        return (self.manifest.input.channels, *self.manifest.input.size)

    def predict(
        self, addresses: Iterable[str | Path], batch: int = BATCH, workers: int = 0
    ) -> Iterator[Prediction]:
        """One prediction an address, in order; an input that is refused gives one with `error`.

        batch    pictures a run of the network; workers: threads that read (0: one a core)
        """
        inputs = read_ahead(map(str, addresses), self.chain, self.shape, workers)
        for group in iter(lambda: list(islice(inputs, batch)), []):
            yield from self._answer(group)

    def predict_image(self, image: Image, name: str = "") -> Prediction:
        """The prediction for one image; refusals are raised (FormatError, PackageError)."""
        address = name or image.origin.path or "image"
        given = prepare_one(image, self.chain, self.shape, address)
        if given.error:
            raise PackageError(given.error)
        return next(iter(self._answer([given])))

    def logits(self, x_NCYX: np.ndarray, batch: int = BATCH) -> np.ndarray:
        """(N, K) float32 of prepared pictures: averaged over graphs and views, not calibrated."""
        return self.run(x_NCYX, ("logits",), batch)["logits"]

    def features(self, x_NCYX: np.ndarray, batch: int = BATCH) -> np.ndarray | None:
        """(N, F) float32 of prepared pictures, None where the network gives none."""
        if "features" not in self.network.outputs:
            return None
        return self.run(x_NCYX, ("features",), batch)["features"]

    def probabilities(self, x_NCYX: np.ndarray, batch: int = BATCH) -> np.ndarray:
        """(N, K) calibrated probabilities of prepared pictures."""
        return self.calibrated(self.logits(x_NCYX, batch))

    def calibrated(self, logits_NK: np.ndarray) -> np.ndarray:
        """Averaged logits -> calibrated probabilities (N, K)."""
        return classify.probabilities(logits_NK, self.manifest.kind, self.manifest.calibration)

    def run(
        self, x_NCYX: np.ndarray, wanted: Sequence[str] = (), batch: int = BATCH
    ) -> dict[str, np.ndarray]:
        """The averaged outputs of prepared pictures (N, C, Y, X), which may lie on disk."""
        if x_NCYX.ndim != 4 or x_NCYX.shape[1:] != self.shape or not len(x_NCYX):
            raise PackageError(
                f"{self._where}: expected prepared pictures (N, {', '.join(map(str, self.shape))}),"
                f" got {x_NCYX.shape}"
            )
        parts = [
            self.network({"image": np.ascontiguousarray(x_NCYX[i : i + batch], np.float32)}, wanted)
            for i in range(0, len(x_NCYX), batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def example(self) -> Image | None:
        """The synthetic picture of the model file, None where it has none."""
        made = self.manifest.example
        return example.picture(made.seed, made.size, made.channels) if made else None

    def verify(self) -> None:
        """Run the synthetic example now; PackageError when the answer is not the stated one."""
        example.verify(self.manifest, self.chain, self.networks, self._where)

    def _answer(self, inputs: Sequence[Input]) -> list[Prediction]:
        whole = [given for given in inputs if given.pixels is not None]
        answers = iter(self._predictions(whole) if whole else [])
        return [
            Prediction(given.address, error=given.error) if given.pixels is None else next(answers)
            for given in inputs
        ]

    def _predictions(self, inputs: Sequence[Input]) -> list[Prediction]:
        x = np.stack([given.pixels for given in inputs if given.pixels is not None])
        wanted = [name for name in ("logits", "features") if name in self.network.outputs]
        outputs = self.network({"image": x}, wanted)
        features = outputs.get("features")
        scores = self.calibrated(outputs["logits"])
        judged = self.envelope.judge([given.info for given in inputs], x, features)
        return [
            self._prediction(given, row, judgement, None if features is None else features[i])
            for i, (given, row, judgement) in enumerate(zip(inputs, scores, judged, strict=True))
        ]

    def _prediction(
        self,
        given: Input,
        scores: np.ndarray,
        judgement: Judgement,
        features: np.ndarray | None,
    ) -> Prediction:
        answer = classify.decode(
            scores, self.classes, self.manifest.kind, self.manifest.operating_point.thresholds
        )
        word, reason = verdict(self.manifest, answer, judgement)
        return Prediction(
            input=given.address,
            targets={self.manifest.target: answer},
            verdict=word,
            reason=reason,
            warnings=(*given.warnings, *judgement.warnings),
            features=features,
        )
