"""Which files of a folder are images, and which patient a file's name speaks of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomos.types import SettingsError

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff"}
IMAGES = PICTURES | {".dcm", ".dicom", ".ima", ".nii", ".gz", ".nrrd", ".mha", ".mhd"}
OTHER = {
    *(".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".toml", ".yaml", ".yml", ".html", ".pdf"),
    *(".py", ".ipynb", ".ini", ".db", ".zip", ".tar", ".xls", ".xlsx", ".doc", ".docx", ".npz"),
}
# Names that say who the patient is: the data set's public documentation says so.
KNOWN_NAMES = {
    "NIH ChestX-ray14 (patient_image)": re.compile(r"(\d{8})_\d{3}"),
}
PATIENT_FOLDER = re.compile(r"(?i)(p|pat|patient|case|subject|subj|sub|id|病人|患者)?[-_ ]?\d{2,}")
MOST = 0.9


@dataclass(frozen=True)
class Found:
    """Image files below a folder, as paths relative to it, sorted; and what was passed over."""

    root: Path
    files: tuple[Path, ...]
    ignored: int


def images_below(root: Path, exclude: Path | None = None) -> Found:
    """Every image below `root`, hidden files and `exclude` left out; links to folders not entered.

    A known suffix is believed (what cannot be read is found by `check`); others are looked into.
    """
    from tomos import formats

    files, ignored = [], 0
    for folder, below, names in os.walk(root):
        here = Path(folder)
        below[:] = sorted(b for b in below if not b.startswith(".") and here / b != exclude)
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if name.startswith((".", "Thumbs.db", "DICOMDIR")):
                continue
            if suffix in IMAGES or (suffix not in OTHER and formats.is_image(here / name)):
                files.append((here / name).relative_to(root))
            else:
                ignored += 1
    return Found(root, tuple(files), ignored)


def natural(text: str) -> list[tuple]:
    """Sort key under which '2' comes before '10'."""
    parts = [part for part in re.split(r"([0-9]+)", text) if part]
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]


def stem(path: Path) -> str:
    """'a/b.nii.gz' -> 'a/b', with forward slashes."""
    name = path.name
    for suffix in (".nii.gz", path.suffix):
        if suffix and name.endswith(suffix) and name != suffix:
            name = name[: -len(suffix)]
            break
    return path.with_name(name).as_posix()


def unique_stems(paths: Sequence[Path]) -> list[str]:
    """A name for each file: its path without suffix, with it where two would be called the same."""
    stems = [stem(path) for path in paths]
    seen: dict[str, int] = {}
    for name in stems:
        seen[name] = seen.get(name, 0) + 1
    return [
        name if seen[name] == 1 else path.as_posix()
        for name, path in zip(stems, paths, strict=True)
    ]


def patients(paths: Sequence[Path], rule: str) -> tuple[list[str], str]:
    """The patient of each path ("" = not known), and how it was told, in words.

    rule  a regular expression (its first group, else all it matches), "none", or "" for the names
          that are known (`KNOWN_NAMES`), folder by folder.
    """
    if rule == "none":
        return [""] * len(paths), "not known; each image counts as its own patient"
    if rule:
        return _by_expression(paths, rule)
    found = [""] * len(paths)
    said = []
    for title, pattern in KNOWN_NAMES.items():
        for rows in _by_folder(paths):
            matches = [pattern.fullmatch(Path(stem(paths[row])).name) for row in rows]
            if sum(match is not None for match in matches) < MOST * len(rows):
                continue
            for row, match in zip(rows, matches, strict=True):
                found[row] = match[1] if match else ""
            said.append(f"{paths[rows[0]].parent.as_posix()}: {title}")
    if not said:
        return found, "not known; each image counts as its own patient"
    return found, f"from file names ({'; '.join(said)}); turn this off with --patient none"


def _by_expression(paths: Sequence[Path], rule: str) -> tuple[list[str], str]:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise SettingsError(
            f"--patient {rule}: neither a column nor a regular expression ({error})"
        ) from None
    matches = [pattern.search(path.as_posix()) for path in paths]
    found = [(m[1] if pattern.groups else m[0]) or "" if m else "" for m in matches]
    if not any(found):
        raise SettingsError(
            f"--patient {rule}: fits no path, the first is {paths[0].as_posix()!r}; "
            "write an expression whose first group is the patient"
        )
    return found, f"from paths by the expression {rule}"


def _by_folder(paths: Iterable[Path]) -> list[list[int]]:
    folders: dict[Path, list[int]] = {}
    for row, path in enumerate(paths):
        folders.setdefault(path.parent, []).append(row)
    return list(folders.values())
