"""How a source is laid out on disk -> a draft of a data set. One layout, one file.

A layout module has `RANK` (detection asks the lower first), `detect(request) -> bool`, cheap, and
`draft(request, progress) -> Draft`, which reads names and tables but no pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tomos.config import names, plugin
from tomos.datasets.dataset import TargetInfo
from tomos.types import Case, DatasetError, Progress


@dataclass(frozen=True)
class Request:
    """What was asked of `tomos import`.

    exclude  the data set's own folder, which may lie inside the source
    columns  our column -> the table's own name
    images   how a cell of the image column becomes a file name: "{:03d}.bmp"
    labels   a CSV with the labels of a folder of images
    patient  a column, a regular expression over the path, "none", or "" to find out
    masks    the folder that holds the masks, `roi` the one that holds where to learn and score
    classes  names of the masks' labels, in the order of their values
    target   the target that is learned, where a table has several
    reference  of cases with several images, the one whose grid counts
    """

    source: Path
    exclude: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    images: str = ""
    labels: Path | None = None
    patient: str = ""
    masks: str = ""
    roi: str = ""
    classes: tuple[str, ...] = ()
    target: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Draft:
    """A data set before it is split and written; addresses are absolute.

    kinds    target -> its kind; `classes` target -> classes in order, where the source states them
    targets  what a data set of ours that is the source says of its targets
    values   class -> its value in the masks, where the source states them
    roles    of cases with several images, in order, and `reference` among them, where the source
             says so
    official the split of the cases is the source's own
    patient  how patients were told apart, in words
    notes    what a person should know
    """

    layout: str
    name: str
    cases: tuple[Case, ...]
    kinds: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    targets: Mapping[str, TargetInfo] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    reference: str = ""
    official: bool = False
    patient: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: str = ""
    licence: str = ""
    modalities: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(request: Request, layout: str = "", progress: Progress | None = None) -> Draft:
    """The draft of the first layout that recognises the source, or of the named one.

    Raises DatasetError when none does, SettingsError for an unknown layout's name.
    """
    from tomos.types import Silent

    if not request.source.exists():
        raise DatasetError(f"{request.source}: there is no such file or folder to import")
    modules = [plugin(__name__, name) for name in ([layout] if layout else names(__name__))]
    for module in sorted(modules, key=lambda module: module.RANK):
        if layout or module.detect(request):
            return module.draft(request, progress or Silent())
    raise DatasetError(
        f"{request.source}: expected a folder of images (a folder per class, train/test pairs, "
        "DICOM), a CSV or a MedMNIST .npz; found none of them"
    )
