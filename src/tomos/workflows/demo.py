"""`tomos demo`: the main job on films drawn on the spot, and one answer on a film never seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos.config import atomic_write, free_or_raise
from tomos.datasets import phantom
from tomos.formats import dicom
from tomos.types import Image, Origin, Prediction, Progress, Silent
from tomos.workflows.explain import explain
from tomos.workflows.plan import needs_torch
from tomos.workflows.predict import predict
from tomos.workflows.run import Whole, run

PATIENTS = 380
SPACING = 1.4  # mm: a 36 cm detector in 256 pixels
SITES = (("North Hospital", "Planigraph A1"), ("South Hospital", "Planigraph B2"))
WITH, WITHOUT = "nodule", "normal"
FAULTS = """Faults planted in this folder, for `tomos check` to find:
- one film is cut off in the middle of its pixels
- one film is blank
- two films are the same, pixel by pixel, under one patient
- two films are the same with different labels
- three films have no label
"""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The demo's end: the whole run, and the answer on a new film."""

    whole: Whole
    film: Path
    answer: Prediction
    heat_map: Path | None

    @property
    def model(self) -> Path:
        return self.whole.model

    def to_json(self) -> dict:
        """The figures of the run, with the answer on the new film."""
        return {**self.whole.done.to_json(), "new_film": self.answer.to_json()}

    def lines(self) -> list[str]:
        scores = next(iter(self.answer.targets.values())).scores
        overall = self.whole.done.judged.metrics["overall"]["auroc"]
        return [
            "",
            f"A new film, {self.film}: {self.answer.verdict}",
            f"  probability of a nodule {scores[WITH]:.1%}; {self.answer.reason}",
            f"  how good the model is on patients it never saw: AUROC {overall['value']:.3f} "
            f"(95 % {overall['low']:.3f} to {overall['high']:.3f})",
            "",
            f"Open first:   {self.whole.done.folder / 'report.html'}   the report / 报告",
            f"Then:         {self.heat_map}   where the model looked / 热力图",
            f"The data:     {self.whole.checked.html}   faults found / 数据检查",
            f"In a browser: tomos serve {self.model} --open",
        ]


def demo(
    out: str | Path, *, seed: int = 0, minutes: float = 2.5, progress: Progress | None = None
) -> Shown:
    """Draw films into OUT, go the whole way, and answer on one film of a patient never seen.

    What is there already is kept, so that a stopped demo goes on.
    """
    progress = progress or Silent()
    needs_torch("training")
    folder = Path(out)
    films, labels = folder / "films", folder / "films.csv"
    if not labels.exists():
        make_films(films, labels, seed, progress)
    whole = run(films, folder, minutes=minutes, seed=seed, labels=labels, progress=progress)
    progress.say("reading a new film")
    film = folder / "new_film.dcm"
    _write_new(film, seed)
    answer = predict(whole.model, [film])[0]
    heat_map = explain(whole.model, [film], folder / "new_film")[0].overlay
    return Shown(whole, film, answer, heat_map)


def make_films(films: Path, labels: Path, seed: int, progress: Progress) -> None:
    """Films of PATIENTS patients as DICOM files under `films`, their labels in the CSV `labels`.

    The CSV is written last: with it, the set is whole.
    """
    free_or_raise(films.parent, 150_000_000, "the demo's films")
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str]] = []
    for number in range(PATIENTS):
        progress.step(number + 1, PATIENTS, "patients drawn")
        for path, header, pixels, finding in _films_of(number, films, rng):
            _save(path, header, pixels)
            rows.append((header["SOPInstanceUID"], finding))
    _plant(films, rows, np.random.default_rng([seed, 1]))
    atomic_write(films.parent / "FAULTS.txt", FAULTS.encode())
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("SOPInstanceUID", "label"), *rows])
    atomic_write(labels, text.getvalue().encode())


def _films_of(
    number: int, films: Path, rng: np.random.Generator
) -> Iterator[tuple[Path, dict[str, str], np.ndarray, str]]:
    """One to four films of one patient; a nodule stays from one film to the next."""
    body = phantom.person(rng)
    ill = rng.random() < 0.45
    study = _uid(rng)
    for index in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.2, 0.15]))):
        pixels, _ = phantom.film(body, rng, int(rng.integers(1, 4)) if ill else 0)
        header = _header(number, index, body, study, rng)
        path = films / header["PatientID"] / f"film{index + 1}.dcm"
        yield path, header, pixels, WITH if ill else WITHOUT


def _header(number, index, body, study, rng) -> dict[str, str]:
    site, device = SITES[number % 2]
    day = np.datetime64("2024-01-01") + int(rng.integers(0, 600)) + 90 * index
    return {
        "PatientID": f"DEMO{number:04d}",
        "PatientName": f"Phantom^{number:04d}",
        "PatientSex": body.sex,
        "PatientAge": f"{body.age:03d}Y",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": _uid(rng),
        "SOPInstanceUID": _uid(rng),
        "StudyDate": str(day).replace("-", ""),
        "InstitutionName": site,
        "ManufacturerModelName": device,
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
    }


def _uid(rng: np.random.Generator) -> str:
    """A UID made of a random UUID, PS3.5 B.2."""
    return f"2.25.{int.from_bytes(rng.bytes(16), 'big')}"


def _save(path: Path, header: dict[str, str], pixels: np.ndarray) -> None:
    image = Image(
        pixels[None],
        affine=np.diag([1.0, SPACING, SPACING, 1.0]),
        frame="detector",
        modality="DX",
        value_range=(0, 4095),
        origin=Origin(path=str(path)),
    )
    dicom.write(image, path, header)


def _plant(films: Path, rows: list[tuple[str, str]], rng: np.random.Generator) -> None:
    """The faults of FAULTS."""
    paths = sorted(films.glob("*/film1.dcm"))
    cut, blank = paths[3], paths[17]
    content = cut.read_bytes()
    atomic_write(cut, content[: len(content) * 2 // 3])
    body = phantom.person(rng)
    header = _header(17, 9, body, _uid(rng), rng)
    _save(blank.with_name("film9.dcm"), header, np.full((phantom.SIDE,) * 2, 200, np.uint16))
    rows.append((header["SOPInstanceUID"], WITHOUT))
    for number, findings in ((901, (WITH, WITH)), (902, (WITH, WITHOUT))):
        pixels, _ = phantom.film(phantom.person(rng), rng, 2)
        for index, finding in enumerate(findings):
            header = _header(number, index, body, _uid(rng), rng)
            _save(films / header["PatientID"] / f"film{index + 1}.dcm", header, pixels)
            rows.append((header["SOPInstanceUID"], finding))
    for row in (40, 41, 42):
        rows[row] = (rows[row][0], "")


def _write_new(path: Path, seed: int) -> None:
    """A film with two nodules of a patient who is in no part of the data."""
    rng = np.random.default_rng([seed, 2])
    body = phantom.person(rng)
    pixels, _ = phantom.film(body, rng, 2)
    _save(path, _header(990, 0, body, _uid(rng), rng), pixels)
