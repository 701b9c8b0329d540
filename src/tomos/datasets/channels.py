"""Files that hold the images of one case: `x_0000.nii.gz` and `x_0001.nii.gz`, by nnU-Net's
convention, or the volumes of one file, as in the Medical Segmentation Decathlon."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tomos import formats
from tomos.datasets.layouts._files import stem
from tomos.types import DatasetError, FormatError

CHANNEL = re.compile(r"(?P<name>.+)_(?P<channel>\d{4})")


def numbered(path: Path) -> tuple[str, int] | None:
    """'a/x_0001.nii.gz' -> ('a/x', 1); None for another name."""
    match = CHANNEL.fullmatch(Path(stem(path)).name)
    return match and (path.with_name(match["name"]).as_posix(), int(match["channel"]))


def told_names(told: Mapping[str, Any]) -> dict[int, str]:
    """Channel -> its name, as `dataset.json` has it; a name that stands twice gets its number."""
    listed = told.get("channel_names") or told.get("modality") or {}
    if isinstance(listed, list):
        listed = dict(enumerate(listed))
    names = {int(k): re.sub(r"[@|,\s]+", " ", str(v)).strip() for k, v in listed.items()}
    count = Counter(names.values())
    return {k: v if v and count[v] == 1 else f"{v or 'image'} {k}" for k, v in names.items()}


def by_case(files: Sequence[Path], names: Mapping[int, str]) -> dict[str, dict[str, Path]]:
    """Case -> role -> file, in the order of the channels; one file a case has the role "image"."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in files:
        channel = numbered(path)
        if channel is None:
            return {stem(path): {"image": path} for path in files}
        found[channel[0]][channel[1]] = path
    if max(map(len, found.values()), default=0) == 1:
        return {name: {"image": path} for name, of in found.items() for path in of.values()}
    return {
        name: {names.get(k, f"{k:04d}"): path for k, path in sorted(of.items())}
        for name, of in found.items()
    }


def volumes(files: Sequence[Path], names: Mapping[int, str]) -> tuple[str, ...]:
    """The roles of the volumes in each of these files; () where a file is one image. The first
    that can be read tells for all. Raises DatasetError where it has other volumes than named."""
    for path in files:
        try:
            count = len(formats.members(path))
        except FormatError:
            continue
        if count == 1 or len(names) < 2:
            return ()
        if count != len(names):
            raise DatasetError(
                f"{path}: expected {len(names)} volumes, as dataset.json names "
                f"{', '.join(names.values())}, got {count}; mend the list in dataset.json"
            )
        return tuple(names[k] for k in sorted(names))
    return ()
