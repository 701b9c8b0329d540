"""What a DICOM folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Series:
    """The files of one SeriesInstanceUID below one folder, sorted by path.

    address  `FOLDER#SeriesInstanceUID`, for `formats.read`
    volume   whether the files say where each lies in the patient, so that they can be one volume;
             else they are read one by one
    """

    uid: str
    folder: Path
    files: tuple[Path, ...]
    modality: str = ""
    description: str = ""
    patient: str = ""
    study: str = ""
    volume: bool = False

    @property
    def address(self) -> str:
        return f"{self.folder}#{self.uid}"
