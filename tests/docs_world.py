"""Small data that stand in for the reader's, so that every block of the documentation can run.

Each function fills one name in a page's folder; `<!-- setup: films run -->` at the top of a page
calls `films` and `run`. All of it is drawn on the spot, never a patient's image.
"""

from __future__ import annotations

import csv
import shutil
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import docs_scans as scans_with_masks
import numpy as np

from tomos import formats
from tomos.datasets import phantom
from tomos.formats import dicom
from tomos.types import Image

REAL = Path(__file__).parents[2] / "shared" / "data"
PATIENTS, SIDE = 44, 64
CLASSES = ("normal", "nodule")
# A recipe spares the time in which a plan of the rules measures the networks of its choice.
QUICK = {"minutes": 0.5, "recipe": "small_cnn"}
SETTINGS = ("train.epochs=3", "model.options.grid=1")


@cache
def drawn() -> tuple[tuple[str, str, np.ndarray], ...]:
    """(patient, class, (Y, X) uint16) of two films of each of `PATIENTS` patients."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(PATIENTS):
        body, ill = phantom.person(rng), number % 2
        for _ in range(2):
            pixels, _ = phantom.film(body, rng, 3 * ill, SIDE)
            rows.append((f"P{number:03d}", CLASSES[ill], pixels))
    return tuple(rows)


def films(folder: Path) -> None:
    """`films/PATIENT/filmN.dcm` and `films.csv` with their labels by SOPInstanceUID."""
    rows = [("SOPInstanceUID", "label")]
    for number, (patient, label, pixels) in enumerate(drawn()):
        uid = f"2.25.{1000 + number}"
        rows.append((uid, label))
        _film(folder / "films" / patient / f"film{number % 2}.dcm", patient, uid, pixels)
    _table(folder / "films.csv", rows)


def _film(path: Path, patient: str, uid: str, pixels: np.ndarray) -> None:
    header = {
        "PatientID": patient,
        "PatientName": f"Phantom^{patient}",
        "PatientSex": "FM"[int(patient[1:]) // 2 % 2],
        "StudyInstanceUID": f"2.25.9{patient[1:]}",
        "SeriesInstanceUID": f"{uid}.1",
        "SOPInstanceUID": uid,
        "InstitutionName": ("North", "South")[int(patient[1:]) // 3 % 2],
        "BodyPartExamined": "CHEST",
    }
    affine = np.diag([1.0, 5.6, 5.6, 1.0])
    image = Image(pixels[None], affine, frame="detector", modality="DX", value_range=(0, 4095))
    dicom.write(image, path, header)


def new_film(folder: Path) -> None:
    """`new_film.dcm`, of a patient who is in no part of the data."""
    rng = np.random.default_rng(99)
    pixels, _ = phantom.film(phantom.person(rng), rng, 3, SIDE)
    _film(folder / "new_film.dcm", "P900", "2.25.99", pixels)


def outlined(folder: Path) -> None:
    """`outlined/NN.png`, films with nodules, and `masks/NN.png`, where they lie."""
    rng = np.random.default_rng(5)
    y, x = np.indices((SIDE, SIDE))
    for number in range(8):
        pixels, lesions = phantom.film(phantom.person(rng), rng, 2, SIDE)
        mask = np.any([np.hypot(y - at.y, x - at.x) <= at.radius for at in lesions], axis=0)
        _picture(folder / "outlined" / f"{number:02d}.png", pixels)
        _picture(folder / "masks" / f"{number:02d}.png", np.where(mask, 4080, 0))


def scans(folder: Path) -> None:
    """`scans/CLASS/PATIENT_N.png`: a folder per class."""
    for number, (patient, label, pixels) in enumerate(drawn()):
        _picture(folder / "scans" / label / f"{patient}_{number % 2}.png", pixels)


def table(folder: Path) -> None:
    """`images/NNN.png` and `findings.csv`, whose columns are called otherwise than ours."""
    rows = [("image ID", "class label", "MRN", "age")]
    for number, (patient, label, pixels) in enumerate(drawn()):
        _picture(folder / "images" / f"{number:03d}.png", pixels)
        rows.append((str(number), label, patient, str(30 + number % 50)))
    _table(folder / "findings.csv", rows)


def npz(folder: Path) -> None:
    """`pneumoniamnist.npz`: the real one where it is, else drawn in its form, 28 x 28."""
    if (REAL / "medmnist/pneumoniamnist.npz").is_file():
        (folder / "pneumoniamnist.npz").symlink_to(REAL / "medmnist/pneumoniamnist.npz")
        return
    from tomos.transforms.prepare import Chain

    small = Chain([{"step": "resize", "size": [28, 28]}])
    rows = drawn()
    arrays = {}
    for part, chosen in (("train", rows[:56]), ("val", rows[56:68]), ("test", rows[68:])):
        shrunk = [small(Image(pixels[None])).pixels[0] / 16 for _, _, pixels in chosen]
        arrays[f"{part}_images"] = np.clip(np.stack(shrunk), 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = np.array([[CLASSES.index(label)] for _, label, _ in chosen])
    np.savez(folder / "pneumoniamnist.npz", **arrays)


def sources(folder: Path) -> None:
    """`chest/CLASS/...`: real films of two sources where they are, else drawn ones, of which one
    class comes with a dark border."""
    if (REAL / "cxr_three_class").is_dir():
        (folder / "chest").symlink_to(REAL / "cxr_three_class")
        return
    names = ("Covid-19", "No_findings", "Pneumonia")
    for number, (patient, _, pixels) in enumerate(drawn()):
        label = names[number // 2 % 3]
        framed = pixels.copy()
        if label == "Covid-19":
            framed[:, :5] = framed[:, -5:] = 0
        _picture(folder / "chest" / label / f"{patient}_{number % 2}.png", framed)


def elsewhere(folder: Path) -> None:
    """`other/dataset`: films of other patients, all of them test."""
    rng = np.random.default_rng(11)
    lines = ["case,patient,image,label,split,site"]
    for number in range(24):
        pixels, _ = phantom.film(phantom.person(rng), rng, 3 * (number % 2), SIDE)
        _film(folder / "other" / f"{number}.dcm", f"P{500 + number}", f"2.25.5{number}", pixels)
        label = CLASSES[number % 2]
        lines.append(f"e{number},Q{number},../{number}.dcm,{label},test,East")
    there = folder / "other" / "dataset"
    there.mkdir()
    (there / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (there / "dataset.toml").write_text(
        'schema = 1\nname = "east-hospital"\nclasses = ["normal", "nodule"]\n'
        '[targets.label]\nkind = "class"\n',
        encoding="utf-8",
    )


def examples(folder: Path) -> None:
    """The repository's `examples`, as they are in a checkout."""
    (folder / "examples").symlink_to(Path(__file__).parents[1] / "examples")


def made_run(folder: Path) -> None:
    """A data set `dataset` of the films and a finished run `run` on it."""
    from tomos.workflows.import_data import import_data
    from tomos.workflows.train import train

    films(folder)
    import_data(folder / "films", folder / "dataset", labels=folder / "films.csv")
    train(folder / "dataset", folder / "run", device="cpu", overrides=SETTINGS, **QUICK)


def copied(what: str, here: Path, there: Path) -> None:
    """A part of a shared run into a page's folder; a data set with the images it refers to."""
    what = what.removeprefix("mask_")
    images = ("films", "films.csv", "volumes") if what == "dataset" else ()
    for name in (what, *images):
        if (there / name).exists() or not (here / name).exists():
            continue
        if (here / name).is_dir():
            shutil.copytree(here / name, there / name)
        else:
            shutil.copy2(here / name, there / name)


def put_on_path(package: Path, site: Path) -> None:
    """What `pip install` of a package of single modules leaves: its files and its entry points."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shutil.copytree(package, site)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {module}" for name, module in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


CURL = """#!{python}
import sys, httpx
*flags, url = [word for word in sys.argv[1:] if word != "-s"]
files = [flags[i + 1].partition("=@") for i, flag in enumerate(flags) if flag == "-F"]
sent = {{name: open(path, "rb") for name, _, path in files}}
print((httpx.post(url, files=sent) if sent else httpx.get(url)).text)
"""


def curl(path: Path) -> None:
    """`curl -s [-F NAME=@FILE] URL`, found last on the path: for machines without it."""
    path.parent.mkdir(parents=True)
    path.write_text(CURL.format(python=sys.executable), encoding="utf-8")
    path.chmod(0o755)


def _picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(formats.png_bytes((pixels[None] // 16).astype(np.uint8)))


def _table(path: Path, rows: list) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


# Names for `setup`; those of SHARED are copied from one training that all pages share.
MAKERS: dict[str, Callable[[Path], None]] = {
    "films": films,
    "new_film.dcm": new_film,
    "outlined": outlined,
    "scans": scans,
    "table": table,
    "npz": npz,
    "sources": sources,
    "elsewhere": elsewhere,
    "examples": examples,
    "volumes": scans_with_masks.volumes,
    "ct": scans_with_masks.ct,
    "hippocampus": scans_with_masks.hippocampus,
    "faulty": scans_with_masks.faulty,
    "pet_ct": scans_with_masks.pet_ct,
    "vessels": scans_with_masks.vessels,
    "cells": scans_with_masks.cells,
}
# Name -> what makes the folder it is copied from, where it is called so but for "mask_".
SHARED: dict[str, Callable[[Path], None]] = {
    "dataset": made_run,
    "run": made_run,
    "mask_dataset": scans_with_masks.made_masks,
    "mask_run": scans_with_masks.made_masks,
}
