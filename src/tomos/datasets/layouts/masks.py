"""Images beside masks: `imagesTr`/`labelsTr` (MSD, nnU-Net), `images`/`masks`, or pairs of files.

A folder's own name says what is in it; a file of one folder belongs to that of another when their
names are equal but for what all names of a folder share: `28_training.tif`, `28_manual1.gif`.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tomos.datasets import channels
from tomos.datasets.cases import split_word
from tomos.datasets.dataset import container
from tomos.datasets.layouts import Draft, Request
from tomos.datasets.layouts._files import MOST, images_below, patients, stem
from tomos.types import Case, DatasetError, Progress

RANK = 60
TASK = "dataset.json"
IMAGES = re.compile(r"(?i).*images?|imgs?|images(tr|ts|val)|scans?|volumes?|originals?|原图|图像")
MASKS = re.compile(
    r"(?i).*(masks?|labels?|segmentations?)|labels(tr|ts|val)|seg|segmentation(s|class)|gt"
    r"|ground_?truth|annotations?|[12](st|nd)_manual|manual|标注|掩膜|掩码|分割"
)
MANUAL = re.compile(r"(?i)([12](st|nd)_)?manual")
ROI = re.compile(r"(?i)fov|roi|field_?of_?view|视野")
BESIDE = re.compile(r"(?i)[-_. ]?(masks?|seg(mentation)?|labels?|gt|annotation)$")


@dataclass(frozen=True)
class Place:
    """The files of one folder: `kind` its own name, `above` the folders around it, `split` theirs.

    Two folders belong together when `above` and `split` are equal.
    """

    kind: str
    above: tuple[str, ...]
    split: str
    files: tuple[Path, ...]


def detect(request: Request) -> bool:
    """Folders called images and masks, or most files in pairs, or masks that were asked for."""
    if not request.source.is_dir():
        return False
    if request.masks:
        return True
    if request.labels or request.columns:
        return False
    found = _folders(request.source)
    if any(MASKS.fullmatch(name) for name in found) and any(IMAGES.fullmatch(n) for n in found):
        return True
    return bool(_beside(_flat(request.source))) and not any(MASKS.fullmatch(n) for n in found)


def draft(request: Request, progress: Progress) -> Draft:
    """Images with their masks. Raises DatasetError where it is not clear which folder is which."""
    root = request.source.absolute()
    told = _told(root)
    found = images_below(root, request.exclude)
    places = _places(found.files)
    kinds = _roles(root, places, request)
    if kinds is None:
        pairs = _beside(found.files)
        if not pairs:
            raise DatasetError(
                f"{root}: expected a folder of images beside one of masks, or files in pairs "
                f"(1.png, 1_mask.png), found {_names(places)}; say which with --masks FOLDER"
            )
        rows = [_Row(stem(image), {"image": image}, mask, None, "") for image, mask in pairs]
        notes: list[str] = []
    else:
        rows, notes = _paired(places, kinds, told)
    rows, dropped = _labelled_only(rows)
    rows, more = _in_volumes(root, rows, channels.told_names(told))
    names = _short([row.name for row in rows])
    people, how = patients([row.first for row in rows], request.patient)
    cases = tuple(
        Case(
            name,
            {role: str(root / path) for role, path in row.images.items()},
            {"mask": str(root / row.mask) if row.mask else ""},
            patient=person,
            split=row.split,
            clinical={"roi": str(root / row.roi)} if row.roi else {},
        )
        for name, row, person in zip(names, rows, people, strict=True)
    )
    return Draft(
        layout="masks",
        name=told.get("name", "") or root.name,
        cases=cases,
        kinds={"mask": "mask"},
        classes={"mask": tuple(request.classes)},
        values=_values(told) if not request.classes else {},
        official=any(row.split == "test" for row in rows),
        patient=how,
        licence=str(told.get("licence", "") or told.get("license", "")),
        notes=(*notes, *dropped, *more),
    )


def pairs(root: Path, files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(image, mask) among files below `root`, as this layout would take them; [] where it would
    not, or could not tell which folder is which."""
    places = _places(files)
    try:
        roles = _roles(root, places, Request(root))
        if roles is None:
            return _beside(files)
        rows, _ = _paired(places, roles, {})
    except DatasetError:
        return []
    return [(row.first, row.mask) for row in rows if row.mask]


@dataclass(frozen=True)
class _Row:
    """One case; paths relative to the source."""

    name: str
    images: Mapping[str, Path]
    mask: Path | None
    roi: Path | None
    split: str

    @property
    def first(self) -> Path:
        return Path(container(str(next(iter(self.images.values()))))[0])


def _folders(root: Path) -> set[str]:
    """Names of the folders one and two levels down, where images usually lie."""
    names: set[str] = set()
    for entry in os.scandir(root):
        if entry.is_dir():
            names.add(entry.name)
            if split_word(entry.name):
                names |= {inner.name for inner in os.scandir(entry.path) if inner.is_dir()}
    return names


def _flat(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(Path(entry.name) for entry in os.scandir(root) if entry.is_file()))


def _places(files: Sequence[Path]) -> list[Place]:
    """Files by folder. A folder such as `imagesTs` tells its split itself."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in files:
        by_folder[path.parent].append(path)
    found = []
    for folder, inside in sorted(by_folder.items()):
        parts = list(folder.parts)
        ending = re.fullmatch(r"(?i)(images|labels)(tr|ts|val)", parts[-1]) if parts else None
        kind = parts.pop() if ending or (parts and not split_word(parts[-1])) else ""
        split = ""
        for part in [*parts, *(["images" + ending[2]] if ending else [])]:
            split = split_word(part) or split
        above = tuple(part for part in parts if not split_word(part))
        kind = ending[1] if ending else kind
        found.append(Place(kind, above, split, tuple(inside)))
    return found


@dataclass(frozen=True)
class _Roles:
    images: str
    masks: str
    roi: str
    notes: tuple[str, ...] = ()


def _roles(root: Path, places: Sequence[Place], request: Request) -> _Roles | None:
    """Which kind of folder holds what; None where no folder holds masks."""
    kinds = list(dict.fromkeys(place.kind for place in places if place.kind))
    roi = _asked(root, kinds, request.roi, "--roi")
    roi = roi or next((kind for kind in kinds if ROI.fullmatch(kind)), "")
    masks = _asked(root, kinds, request.masks, "--masks")
    rest = [kind for kind in kinds if kind != roi and MASKS.fullmatch(kind)]
    notes: tuple[str, ...] = ()
    if not masks and not roi and len(rest) == 2 and any(MANUAL.fullmatch(kind) for kind in rest):
        # DRIVE and sets like it: `1st_manual` is what was drawn, `mask` the field of view.
        roi = next((kind for kind in rest if not MANUAL.fullmatch(kind)), "")
        rest = [kind for kind in rest if kind != roi]
        notes = (f"{roi!r} beside {rest[0]!r} is taken as the field of view, where figures count",)
    if not masks and len(rest) > 1:
        raise DatasetError(
            f"{root}: several folders look like masks: {', '.join(map(repr, rest))}; say which "
            f"with --masks {rest[0]} (and --roi for a field of view)"
        )
    masks = masks or (rest[0] if rest else "")
    if not masks:
        return None
    images = [kind for kind in kinds if kind not in (masks, roi) and IMAGES.fullmatch(kind)]
    images = images or [k for k in kinds if k not in (masks, roi) and not MASKS.fullmatch(k)]
    if len(images) != 1:
        raise DatasetError(
            f"{root}: expected one folder of images beside {masks!r}, found "
            f"{', '.join(map(repr, images)) or 'none'}; keep the images in a folder 'images'"
        )
    return _Roles(images[0], masks, roi, notes)


def _asked(root: Path, kinds: Sequence[str], wish: str, flag: str) -> str:
    if wish and wish not in kinds:
        raise DatasetError(
            f"{root}: {flag} {wish}: there is no such folder with images; there are "
            f"{', '.join(map(repr, kinds)) or 'none'}"
        )
    return wish


def _paired(
    places: Sequence[Place], roles: _Roles, told: Mapping[str, Any]
) -> tuple[list[_Row], list[str]]:
    """Each image with the files of the other folders that carry its name."""
    rows, notes, unused = [], list(roles.notes), 0
    for place in places:
        if place.kind != roles.images:
            continue
        images = channels.by_case(place.files, channels.told_names(told))
        masks, rois = (
            [path for other in places if _beside_of(place, other, kind) for path in other.files]
            for kind in (roles.masks, roles.roi)
        )
        for files, kind in ((place.files, "image"), (masks, "mask"), (rois, "field of view")):
            _check_alone(files, kind)
        to_mask, to_roi = _matched(list(images), masks), _matched(list(images), rois)
        unused += len(masks) - len(to_mask)
        rows += [
            _Row(name, files, to_mask.get(name), to_roi.get(name), place.split)
            for name, files in images.items()
        ]
    if not any(row.mask for row in rows):
        one = next((p for p in places if p.kind == roles.masks), None)
        raise DatasetError(
            f"no mask belongs to an image by its name: {rows[0].first if rows else 'no image'} "
            f"and {one.files[0] if one else 'no mask'}; name both alike"
        )
    if unused:
        notes.append(f"{unused} masks belong to no image and are left out")
    return rows, notes


def _check_alone(files: Sequence[Path], kind: str) -> None:
    """Raises DatasetError for x.nii beside x.nii.gz: which of them is meant is not clear."""
    seen: dict[str, Path] = {}
    for path in files:
        other = seen.setdefault(stem(path), path)
        if other != path:
            raise DatasetError(
                f"{other} and {path.name}: expected one {kind} of a name, found two; keep one of "
                "them in the folder"
            )


def _beside_of(place: Place, other: Place, kind: str) -> bool:
    return bool(kind) and (other.kind, other.above, other.split) == (kind, place.above, place.split)


def _matched(names: Sequence[str], files: Sequence[Path]) -> dict[str, Path]:
    """Image name -> the file that is called the same, but for what all of a folder share."""
    if not names or not files:
        return {}
    own = dict(zip(_keys([Path(name).name for name in names]), names, strict=True))
    theirs = dict(zip(_keys([Path(stem(path)).name for path in files]), files, strict=True))
    plain = {Path(stem(path)).name: path for path in files}
    same = {name: plain[Path(name).name] for name in names if Path(name).name in plain}
    other = {name: theirs[key] for key, name in own.items() if key in theirs}
    return same if len(same) >= len(other) else other


def _keys(names: Sequence[str]) -> list[str]:
    """Names without the words that all of them begin and end with; digits always stay."""
    if len(names) == 1:
        return [re.sub(r"[^0-9]+$", "", re.sub(r"^[^0-9]+", "", names[0])) or names[0]]
    head = _common(names).rstrip("0123456789")
    tail = _common([name[::-1] for name in names])[::-1].lstrip("0123456789")
    shortest = min(map(len, names))
    if len(head) + len(tail) >= shortest:
        tail = ""
    return [name[len(head) : len(name) - len(tail)] for name in names]


def _common(names: Sequence[str]) -> str:
    """What all names begin with."""
    first, last = min(names), max(names)
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:alike]


def _beside(files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(image, mask) of one folder: x.bmp and x.png, or x.png and x_mask.png; [] where most files
    have no partner."""
    plain = {path for path in files if path.suffix.lower() not in (".csv", ".txt", ".json")}
    found = _by_ending(plain) or _by_suffix(plain)
    return sorted(found) if 2 * len(found) >= MOST * max(1, len(plain)) else []


def _by_ending(files: set[Path]) -> list[tuple[Path, Path]]:
    images = {stem(path): path for path in files if not BESIDE.search(stem(path))}
    return [
        (images[key], path)
        for path in files
        if (key := BESIDE.sub("", stem(path))) != stem(path) and key in images
    ]


def _by_suffix(files: set[Path]) -> list[tuple[Path, Path]]:
    """Of two files of one name the mask is the PNG or GIF: no lossy format keeps labels."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        groups[stem(path)].append(path)
    pairs = [sorted(g, key=lambda p: p.suffix.lower()) for g in groups.values() if len(g) == 2]
    kinds = Counter(tuple(path.suffix.lower() for path in pair) for pair in pairs)
    if len(kinds) != 1:
        return []
    suffixes = next(iter(kinds))
    mask = next((s for s in (".png", ".gif") if s in suffixes), "")
    if not mask or suffixes[0] == suffixes[1]:
        return []
    at = suffixes.index(mask)
    return [(pair[1 - at], pair[at]) for pair in pairs]


def _labelled_only(rows: list[_Row]) -> tuple[list[_Row], list[str]]:
    """Official test images usually come without masks: there is nothing to judge on them."""
    bare = [row for row in rows if row.split == "test" and not row.mask]
    kept = [row for row in rows if row not in bare]
    if not bare or not kept:
        return rows, []
    note = f"{len(bare)} test images have no mask and are left out; tomos predict reads them"
    if not any(row.split == "test" for row in kept):
        kept = [_Row(r.name, r.images, r.mask, r.roi, "") for r in kept]
    return kept, [note]


def _in_volumes(
    root: Path, rows: list[_Row], names: Mapping[int, str]
) -> tuple[list[_Row], list[str]]:
    """Rows with an image for each volume of their file, where the source names several."""
    if len(names) < 2 or max(len(row.images) for row in rows) > 1:
        return rows, []
    told = f"{TASK} names the images {', '.join(names.values())}"
    roles = channels.volumes([root / row.first for row in rows], names)
    if not roles:
        return rows, [f"{told}; each case has one, and that alone is learned from"]
    split = [
        replace(row, images={role: Path(f"{row.first}#{k}") for k, role in enumerate(roles)})
        for row in rows
    ]
    return split, [f"{told}: they are the volumes of each file"]


def _short(names: Sequence[str]) -> list[str]:
    """The files' own names where these tell all cases apart, else with their folders."""
    short = [Path(name).name for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _told(root: Path) -> dict[str, Any]:
    """`dataset.json` as MSD and nnU-Net write it; {} where there is none."""
    file = root / TASK
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file}: cannot be read ({error}); mend or remove it") from None
    return told if isinstance(told, dict) else {}


def _values(told: Mapping[str, Any]) -> dict[str, int]:
    """Class -> value. MSD writes {"1": "left"}, nnU-Net {"left": 1}; regions are not read."""
    found: dict[str, int] = {}
    for key, value in (told.get("labels") or {}).items():
        name, number = (value, key) if str(key).isdigit() else (key, value)
        if isinstance(number, list):
            raise DatasetError(
                f"{TASK}: the class {name!r} is a region of several labels, {number}; regions are "
                "not read yet: give the labels themselves"
            )
        if int(number) != 0:
            found[str(name)] = int(number)
    return dict(sorted(found.items(), key=lambda entry: entry[1]))


def _names(places: Sequence[Place]) -> str:
    return ", ".join(repr(p.kind or "files") for p in places[:6]) or "nothing"
