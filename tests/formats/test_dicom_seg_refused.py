"""DICOM segmentations that contradict themselves or their image: refused, with the reason."""

import numpy as np
import pytest
from seg_phantom import FACTS, NAMES, changed, labels, series

from tomos import formats
from tomos.types import FormatError, Image, Mask


@pytest.fixture
def image(tmp_path) -> Image:
    return series(tmp_path / "ct")


@pytest.fixture
def written(tmp_path, image):
    """The path of a segmentation of `image`."""
    formats.write_seg(Mask.on(image, labels(), NAMES), image, tmp_path / "seg.dcm", FACTS)
    return tmp_path / "seg.dcm"


def frame(dataset, number):
    return dataset.PerFrameFunctionalGroupsSequence[number]


def move(dataset):
    """Frame 2 to a slice that the image does not have, its reference with it."""
    frame(dataset, 2).PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    del frame(dataset, 2).DerivationImageSequence


def contradict(dataset):
    """Frame 2 refers to one slice and lies on another."""
    one, other = frame(dataset, 2), frame(dataset, 1)
    one.PlanePositionSequence = other.PlanePositionSequence


def foreign(dataset):
    """Every frame drawn on other images, in a frame of reference of their own."""
    dataset.FrameOfReferenceUID = "9.9"
    for each in dataset.PerFrameFunctionalGroupsSequence:
        source = each.DerivationImageSequence[0].SourceImageSequence[0]
        source.ReferencedSOPInstanceUID = "9.8"


def twice(dataset):
    groups = dataset.PerFrameFunctionalGroupsSequence
    dataset.PerFrameFunctionalGroupsSequence = [groups[0], *groups[:-1]]


def unknown_segment(dataset):
    frame(dataset, 1).SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def turned_a_little(dataset):
    shared = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    x, y = np.reshape(shared.ImageOrientationPatient, (2, 3)).astype(float)
    angle = 0.2
    x, y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    shared.ImageOrientationPatient = [f"{value:.9f}" for value in (*x, *y)]


def another_study(dataset):
    dataset.StudyInstanceUID = "9.7"


def undescribed(dataset):
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[1:]


def many(dataset):
    dataset.NumberOfFrames = 10**9


def no_segments(dataset):
    del dataset.SegmentSequence


@pytest.mark.parametrize(
    "change,reason",
    [
        (move, "#2: .*belongs to another image|#2: .*beside it"),
        (contradict, r"#2: refers to slice \d of the image and lies on slice \d"),
        (foreign, "frame of reference 9.9"),
        (twice, "another frame of the same segment"),
        (unknown_segment, "#1: .*segment 9"),
        (turned_a_little, "beside it"),
        (another_study, r"is of the study 1\.2\.3; it is of the study 9\.7"),
        (undescribed, "7 frames, of which 6 say"),
        (many, "declares|frames, of which"),
        (no_segments, "describes no segment"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_contradicts_itself_or_the_image_is_refused(written, image, change, reason):
    with pytest.raises(FormatError, match=reason):
        formats.read_mask(changed(written, change), image, NAMES)


def test_a_segmentation_that_is_cut_is_refused(written, image):
    whole = written.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 400):
        written.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            formats.read_mask(written, image, NAMES)
