"""Writing a DICOM segmentation, PS3.3 A.51, by highdicom: binary, one segment a label.

The frames have the place and orientation of the slices of the source and refer to them one by one,
so that every viewer lays them over the very slices that were segmented. (What showed inverted in a
viewer were pictures made from the affine of a NIfTI file; here no orientation is made up.)
"""

from __future__ import annotations

import io
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tomos
from tomos.formats._colours import colour_of
from tomos.formats._facts import TISSUE, Code, SegmentationFacts
from tomos.formats._grid import lay
from tomos.formats._labels import kind_of
from tomos.formats._limits import Limits
from tomos.formats.dicom.source import Source, source_of
from tomos.types import FormatError, GeometryError, Image, Mask

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAKER = "Tomos"
SERIES_OFFSET = 1000
LONG_TEXT = 64  # characters of an LO, PS3.5 6.2
# PS3.3 C.7.1.1, C.7.2.1: type 2, which anonymisers drop though they must stand, empty.
EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
         "StudyDate", "StudyTime", "ReferringPhysicianName")  # fmt: skip


def write(
    mask: Mask, source: Image, path: str | Path, facts: SegmentationFacts, limits: Limits
) -> None:
    """`formats.write_seg`."""
    if source.origin.format != "dicom":
        raise FormatError(
            f"{path}: a DICOM segmentation refers to the DICOM images it was drawn on, and "
            f"{source.origin.path or 'the image'} is {source.origin.format or 'none'}; write NIfTI "
            "instead"
        )
    if not mask.names:
        raise FormatError(f"{path}: a DICOM segmentation needs at least one label, got none")
    behind = source_of(source, limits)
    labels = _on(mask, source)
    content = io.BytesIO()
    try:
        _segmentation(labels, mask.names, behind, facts).save_as(content)
    # highdicom checks what it is given, and says what is wrong by many kinds of error.
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        placeless = behind.multi and any(one.plane is None for one in behind.slices)
        why = (
            "its frames do not each say where they lie"
            if placeless
            else f"its header lacks or contradicts what a segmentation must say ({error})"
        )
        raise FormatError(f"{path}: cannot be written for {source.origin.path}: {why}") from error
    from tomos.config import atomic_write  # pydantic comes with it: late

    atomic_write(Path(path), content.getvalue())


def _on(mask: Mask, source: Image) -> np.ndarray:
    """The labels (Z, Y, X) in the order of the source's axes; only exactly."""
    if mask.frame != source.frame:
        raise GeometryError(
            f"{source.origin.path}: expected a mask in the same frame ({source.frame}), got one in "
            f"{mask.frame!r}; make it with Mask.on(image, ...)"
        )
    laid = lay(mask.labels, mask.affine, mask.frame, source, "the mask", [])
    return laid if laid.ndim == 3 else laid[None]


def _segmentation(
    labels: np.ndarray, names: tuple[str, ...], source: Source, facts: SegmentationFacts
) -> Dataset:
    from pydicom.uid import generate_uid

    images, labels = _images(source, labels)
    own = max(int(images[0].get("SeriesNumber") or 0), 0)
    written = _highdicom().seg.Segmentation(
        source_images=images,
        pixel_array=labels.astype(kind_of(len(names)), copy=False),
        segmentation_type="BINARY",
        segment_descriptions=[_segment(label, name, facts) for label, name in enumerate(names, 1)],
        series_instance_uid=generate_uid(prefix=None),
        series_number=facts.series_number or own + SERIES_OFFSET,
        series_description=facts.description[:LONG_TEXT],
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=facts.algorithm[:LONG_TEXT],
        software_versions=f"{facts.version}, Tomos {tomos.__version__}"[:LONG_TEXT],
        device_serial_number="none",
        content_label="SEGMENTATION",
        content_description=facts.description[:LONG_TEXT],
        # Names of labels may be in any script, whatever the source was written in.
        specific_character_set="ISO_IR 192",
        omit_empty_frames=bool(labels.any()),  # a mask of nothing keeps its frames
    )
    if source.slices[0].plane is None:  # PS3.3 C.7.6.1: asked for where no place is known
        written.PatientOrientation = images[0].get("PatientOrientation")
    return written


def _images(source: Source, labels: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """The headers, and the labels in their order: of one file, that of its frames."""
    from pydicom import dcmread

    # The scanner has been through these files: pydicom meets nothing that is too deep or too long.
    paths = dict.fromkeys(one.path for one in source.slices)
    images = [dcmread(path, stop_before_pixels=True) for path in paths]
    frame = images[0].get("FrameOfReferenceUID")
    if not frame and source.slices[0].plane is not None:
        # The same for all segmentations of one series, so that they lie over one another.
        frame = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, str(images[0].SeriesInstanceUID)).int}"
    for image in images:
        _mend(image)
        # Some anonymisers give every slice a frame of reference of its own, where one was: viewers
        # take that of the first slice for the series, and so does its segmentation.
        if frame:
            image.FrameOfReferenceUID = frame
    if not source.multi:
        return images, labels
    frames = np.zeros((int(images[0].NumberOfFrames), *labels.shape[1:]), labels.dtype)
    frames[[one.frame for one in source.slices]] = labels
    return images, frames


def _mend(image: Dataset) -> None:
    """Empty what anonymisers drop though it must stand, and what is not as the Standard has it:
    of patient and study, type 2."""
    from pydicom.valuerep import DA, TM

    for keyword in EMPTY:
        try:
            value = image.get(keyword)
            if value and keyword in ("PatientBirthDate", "StudyDate", "StudyTime"):
                (TM if keyword == "StudyTime" else DA)(str(value))
            keep = bool(value) and (keyword != "PatientSex" or value in ("M", "F", "O"))
        except ValueError:
            keep = False
        if not keep:
            setattr(image, keyword, None)


def _highdicom() -> Any:
    """highdicom. Its and pydicom's warnings repeat what is in a header, the patient's name as well,
    which does not belong into a log."""
    warnings.filterwarnings("ignore", module=r"(highdicom|pydicom)\.")
    import highdicom

    return highdicom


def _segment(label: int, name: str, facts: SegmentationFacts) -> Any:
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code as Coded

    def coded(known: Mapping[str, Code]) -> Coded:
        code = known.get(name, TISSUE)
        return Coded(code.value, code.scheme, code.meaning)

    highdicom = _highdicom()
    return highdicom.seg.SegmentDescription(
        segment_number=label,
        segment_label=name[:LONG_TEXT],
        segmented_property_category=coded(facts.categories),
        segmented_property_type=coded(facts.types),
        algorithm_type=facts.kind,
        algorithm_identification=None
        if facts.kind == "MANUAL"
        else highdicom.AlgorithmIdentificationSequence(
            name=facts.algorithm[:LONG_TEXT],
            version=facts.version[:LONG_TEXT],
            family=codes.cid7162.ArtificialIntelligence,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*colour_of(label)),
    )
