"""DICOM segmentations: written and read back to the voxel; what contradicts itself is refused."""

import itertools
import shutil
import subprocess
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from seg_phantom import FACTS, NAMES, SIZE, affine, changed, labels, segmentation, series

from tomos import formats
from tomos.formats import dicom
from tomos.types import FormatError, GeometryError, Image, Mask, Origin, SettingsError


@pytest.fixture
def image(tmp_path) -> Image:
    (tmp_path / "ct").mkdir()
    return series(tmp_path / "ct")


@pytest.fixture
def mask(image) -> Mask:
    return Mask.on(image, labels(), NAMES)


@pytest.fixture
def written(tmp_path, image, mask):
    """The path of a segmentation of `image`."""
    formats.write_seg(mask, image, tmp_path / "seg.dcm", FACTS)
    return tmp_path / "seg.dcm"


@pytest.mark.parametrize("seed", range(6))
def test_oblique_series_come_back_to_the_voxel(tmp_path, seed):
    image = series(tmp_path / "ct", affine(seed))
    mask = Mask.on(image, labels(), NAMES)
    formats.write_seg(mask, image, tmp_path / "seg.dcm", FACTS)
    notes = []
    back = formats.read_mask(tmp_path / "seg.dcm", image, None, notes=notes)
    assert np.array_equal(back.labels, mask.labels)
    assert back.names == NAMES and back.affine is image.affine and notes == []
    # highdicom puts the frames of a source image together by its UID.
    theirs = highdicom.seg.segread(tmp_path / "seg.dcm")
    for z in range(SIZE[0]):
        uid = f"1.2.3.4.{z + 1 if image.pixels[0, 0, 0, 0] == 0 else SIZE[0] - z}"
        pixels = theirs.get_pixels_by_source_instance(
            [uid], combine_segments=True, assert_missing_frames_are_empty=True
        )
        assert np.array_equal(pixels[0], mask.labels[z])


def test_what_it_says_beside_the_voxels(written):
    dataset = pydicom.dcmread(written)
    assert dataset.PatientID == "p7" and str(dataset.PatientName) == "王^小東"
    assert (dataset.StudyInstanceUID, dataset.StudyDate) == ("1.2.3", "20240131")
    assert dataset.SeriesInstanceUID != "1.2.3.4" and dataset.SeriesNumber == 1007
    assert dataset.FrameOfReferenceUID == "1.2.3.5" and dataset.Modality == "SEG"
    assert dataset.SegmentationType == "BINARY" and dataset.BitsAllocated == 1
    assert dataset.NumberOfFrames == 3 + 4, "empty frames are left out"
    one, two = dataset.SegmentSequence
    assert (one.SegmentLabel, two.SegmentLabel) == NAMES
    assert one.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert two.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
    algorithm = one.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("lungs", "1.2")
    referenced = dataset.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == "1.2.3.4"
    assert len(referenced.ReferencedInstanceSequence) == SIZE[0]


def errors(path) -> list[str]:
    """What the checker of dicom3tools says is wrong."""
    if not shutil.which("dciodvfy"):
        pytest.skip("needs dciodvfy of Debian's dicom3tools")
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert "Segmentation" in said
    return [line for line in said.splitlines() if line.startswith("Error")]


def test_the_checker_of_dicom3tools_finds_no_error(written):
    assert errors(written) == []


def test_a_mask_turned_against_its_source_is_written_right(tmp_path, image, mask):
    turned = Mask(
        mask.labels[:, ::-1].transpose(2, 1, 0),
        mask.names,
        (image.affine @ np.array([[1, 0, 0, 0], [0, -1, 0, 5], [0, 0, 1, 0], [0, 0, 0, 1.0]]))[
            :, [2, 1, 0, 3]
        ],
        "patient",
    )
    formats.write_seg(turned, image, tmp_path / "seg.dcm", FACTS)
    back = formats.read_mask(tmp_path / "seg.dcm", image, None)
    assert np.array_equal(back.labels, mask.labels)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_frames_are_laid_on_a_grid_with_other_axes(written, image, mask, axes):
    """The same scan read from another format: no UIDs there, positions only."""
    for flips in ([k for k in range(3) if bits >> k & 1] for bits in range(8)):
        place = image.affine[:, [*axes, 3]].copy()
        wanted = np.flip(mask.labels.transpose(axes), flips)
        for axis in flips:
            place[:3, 3] += place[:3, axis] * (wanted.shape[axis] - 1)
            place[:3, axis] *= -1
        other = Image(np.zeros((1, *wanted.shape)), place, "patient")
        assert np.array_equal(formats.read_mask(written, other, NAMES).labels, wanted)


def test_the_order_of_frames_means_nothing(written, image, mask):
    def shuffle(dataset):
        count = dataset.NumberOfFrames
        order = np.random.default_rng(0).permutation(count)
        groups = dataset.PerFrameFunctionalGroupsSequence
        pixels = dataset.pixel_array[order]
        dataset.PerFrameFunctionalGroupsSequence = [groups[int(k)] for k in order]
        packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        dataset.PixelData = packed + b"\0" * (len(packed) % 2)

    back = formats.read_mask(changed(written, shuffle), image, None)
    assert np.array_equal(back.labels, mask.labels)


def test_one_slice_takes_the_frames_that_are_its(written, tmp_path, mask):
    for z in range(SIZE[0]):
        slice_image = formats.read(tmp_path / "ct" / f"{9 - z}.dcm")
        back = formats.read_mask(written, slice_image, NAMES)
        assert back.labels.shape == SIZE[1:]
        # The stack runs along the normal of the slices, which may be against their numbers.
        whole = formats.read(tmp_path / "ct")
        index = int(np.flatnonzero(whole.pixels[0, :, 0, 0] == z)[0])
        assert np.array_equal(back.labels, mask.labels[index])


def test_fractions_count_from_one_half_on_and_the_highest_wins(tmp_path, image):
    pixels = np.zeros((*SIZE, 2), np.float32)
    pixels[1, 0, :4] = [[0.49, 0], [0.51, 0], [0.6, 0.9], [0.9, 0.6]]
    path = segmentation(tmp_path / "seg.dcm", image, pixels, "FRACTIONAL")
    notes = []
    back = formats.read_mask(path, image, None, notes=notes)
    assert back.labels[1, 0, :4].tolist() == [0, 1, 2, 1]
    assert back.labels.sum() == 4 and "one half" in notes[0]


def test_label_maps_come_back_to_the_voxel(tmp_path, image):
    path = segmentation(tmp_path / "seg.dcm", image, labels(), "LABELMAP")
    assert pydicom.dcmread(path).SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert np.array_equal(formats.read_mask(path, image, None).labels, labels())
    swapped = formats.read_mask(path, image, ("b", "a"))
    assert np.array_equal(swapped.labels, np.array([0, 2, 1])[labels()])


def test_overlap_is_said_and_the_later_label_counts(tmp_path, image):
    pixels = np.zeros((*SIZE, 2), np.uint8)
    pixels[1, :3, :, 0] = pixels[1, 2:, :, 1] = 1
    path = segmentation(tmp_path / "seg.dcm", image, pixels, "BINARY")
    notes = []
    back = formats.read_mask(path, image, None, notes=notes)
    assert back.labels[1, :, 0].tolist() == [1, 1, 2, 2, 2, 2]
    assert f"overlap in {SIZE[2]} voxels" in notes[0]
    other = formats.read_mask(path, image, ("b", "a"), notes=[])
    assert other.labels[1, :, 0].tolist() == [2, 2, 2, 1, 1, 1], "the later label, not segment"


def test_segments_are_found_by_name_or_by_number(written, image, mask):
    swapped = formats.read_mask(written, image, ("Tumour", NAMES[0]))
    assert np.array_equal(swapped.labels, np.array([0, 2, 1])[mask.labels])
    with pytest.raises(FormatError, match=r"1 \(左肺 left lung\) are none of the labels tumour"):
        formats.read_mask(written, image, ("tumour",))
    one = formats.read_mask(written, image, ("tumour",), {1: 0, 2: 1})
    assert np.array_equal(one.labels, mask.labels == 2)
    with pytest.raises(SettingsError, match="labels from 0 to 1"):
        formats.read_mask(written, image, ("tumour",), {1: 0, 2: 2})


def test_frames_of_another_series_are_laid_by_position(tmp_path, written, mask):
    """Drawn on T1, laid on T2 of the same study and frame of reference."""
    other = series(
        tmp_path / "other", SeriesInstanceUID="1.2.3.6", SOPInstanceUID=lambda z: f"1.2.3.6.{z}"
    )
    notes = []
    back = formats.read_mask(written, other, NAMES, notes=notes)
    assert np.array_equal(back.labels, mask.labels) and "another series" in notes[0]


def test_a_frame_of_reference_for_every_slice(tmp_path):
    """What some anonymisers make of it."""
    image = series(tmp_path / "ct", FrameOfReferenceUID=lambda z: f"1.2.3.5.{z}")
    mask = Mask.on(image, labels(), NAMES)
    formats.write_seg(mask, image, tmp_path / "seg.dcm", FACTS)
    assert np.array_equal(formats.read_mask(tmp_path / "seg.dcm", image, None).labels, mask.labels)


@pytest.mark.parametrize("frame", ["patient", "detector"])
def test_a_single_picture(tmp_path, frame):
    place = affine(0) if frame == "patient" else np.diag([1, 0.2, 0.2, 1])
    made = Image(np.zeros((1, 6, 8), np.uint16), place, frame, modality="DX")
    dicom.write(made, tmp_path / "x.dcm", {"Modality": "CT" if frame == "patient" else "DX"})
    picture = formats.read(tmp_path / "x.dcm")
    assert picture.frame == frame
    mask = Mask.on(picture, labels()[1], NAMES)
    formats.write_seg(mask, picture, tmp_path / "seg.dcm", FACTS)
    back = formats.read_mask(tmp_path / "seg.dcm", picture, None)
    assert np.array_equal(back.labels, mask.labels)
    assert errors(tmp_path / "seg.dcm") == []


def test_a_segmentation_of_another_film_is_refused(tmp_path):
    """Films have no place: the UID alone says which one was segmented."""
    films = []
    for name in "ab":
        made = Image(np.zeros((1, 6, 8), np.uint16), np.diag([1, 0.2, 0.2, 1]), "detector")
        dicom.write(made, tmp_path / f"{name}.dcm", {"Modality": "DX", "StudyInstanceUID": "1.2"})
        films.append(formats.read(tmp_path / f"{name}.dcm"))
    mask = Mask.on(films[0], labels()[1], NAMES)
    formats.write_seg(mask, films[0], tmp_path / "seg.dcm", FACTS)
    with pytest.raises(GeometryError, match=r"2 frames refer to other images than .*b\.dcm"):
        formats.read_mask(tmp_path / "seg.dcm", films[1], NAMES)
    with pytest.raises(GeometryError, match="does not say where it lies"):
        formats.read_mask(tmp_path / "seg.dcm", Image(np.zeros((1, 6, 8))), NAMES)


@pytest.mark.data
def test_frames_of_one_file(shared, tmp_path):
    """An enhanced object of dcmqi: all of its frames, and one alone."""
    path = shared / "dicom/awkward/dcmqi/data/segmentations/24x38x3/multiframe/mf.dcm"
    for address in (path, f"{path}#1"):
        image = formats.read(address)
        found = np.random.default_rng(0).integers(0, 3, image.size).astype(np.uint8)
        mask = Mask.on(image, found, NAMES)
        formats.write_seg(mask, image, tmp_path / "seg.dcm", FACTS)
        back = formats.read_mask(tmp_path / "seg.dcm", image, None)
        assert np.array_equal(back.labels, mask.labels)


def test_a_mask_of_nothing(tmp_path, image):
    empty = Mask.on(image, labels() * 0, NAMES)
    formats.write_seg(empty, image, tmp_path / "seg.dcm", FACTS)
    assert not formats.read_mask(tmp_path / "seg.dcm", image, NAMES).labels.any()


def test_a_source_that_is_no_dicom_is_refused(tmp_path, mask, image):
    formats.write_nifti(image, tmp_path / "x.nii")
    with pytest.raises(FormatError, match=r"x\.nii is nifti; write NIfTI instead"):
        formats.write_seg(mask, formats.read(tmp_path / "x.nii"), tmp_path / "seg.dcm", FACTS)
    made = replace(image, origin=Origin())
    with pytest.raises(FormatError, match="the image is none"):
        formats.write_seg(mask, made, tmp_path / "seg.dcm", FACTS)
    assert not (tmp_path / "seg.dcm").exists()


def test_a_grid_that_is_not_the_source_s_is_refused(tmp_path, mask, image):
    moved = replace(mask, affine=mask.affine + np.eye(4)[:, [3, 0, 1, 2]] * 0.1)
    with pytest.raises(GeometryError, match="the mask: expected a mask on the grid"):
        formats.write_seg(moved, image, tmp_path / "seg.dcm", FACTS)
    cropped = image.with_pixels(image.pixels[:, 1:], image.affine)
    with pytest.raises(GeometryError, match="cropped, turned or resampled"):
        formats.write_seg(
            Mask.on(cropped, mask.labels[1:], NAMES), cropped, tmp_path / "seg.dcm", FACTS
        )
    turned = image.with_pixels(
        image.pixels[..., ::-1],
        image.affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 7], [0, 0, 0, 1.0]]),
    )
    with pytest.raises(GeometryError, match="cropped, turned or resampled"):
        formats.write_seg(Mask.on(turned, mask.labels, NAMES), turned, tmp_path / "seg.dcm", FACTS)
    (tmp_path / "ct" / "7.dcm").unlink()
    with pytest.raises(GeometryError, match="missing"):
        formats.write_seg(mask, image, tmp_path / "seg.dcm", FACTS)


@pytest.mark.data
def test_a_real_chest_with_an_ellipsoid(shared, tmp_path):
    image = formats.read(shared / "dicom" / "ct_chest")
    grid = np.indices(image.size, sparse=True)
    centre, radius = (28, 256, 180), (20, 90, 70)
    inside = sum(((grid[k] - centre[k]) / radius[k]) ** 2 for k in range(3)) < 1
    mask = Mask.on(image, inside.astype(np.uint8), ("lung",))
    formats.write_seg(mask, image, tmp_path / "seg.dcm", FACTS)
    back = formats.read_mask(tmp_path / "seg.dcm", image, ("lung",))
    assert np.array_equal(back.labels, mask.labels)
    assert (tmp_path / "seg.dcm").stat().st_size < 39 * 512 * 512 / 8 + 100_000


@pytest.mark.data
@pytest.mark.parametrize("size", ["24x38x3", "23x38x3"])
def test_segmentations_by_dcmqi_are_its_own_volumes(shared, size):
    """Its test files hold each label as DICOM and as NRRD."""
    folder = shared / "dicom" / "awkward" / "dcmqi" / "data" / "segmentations" / size
    image = formats.read(folder / "image")
    ours = formats.read_mask(folder / "seg" / "label.seg", image, ("Liver",))
    theirs = formats.read_mask(folder / "nrrd" / "label.nrrd", image, ("Liver",))
    assert np.array_equal(ours.labels, theirs.labels) and ours.labels.sum() > 300
