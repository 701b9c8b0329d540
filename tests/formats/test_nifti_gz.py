"""NIfTI held against nibabel: every way to write a header, and what is packed badly."""

import gzip
import struct
import subprocess
import sys
import time
import zlib

import nibabel
import numpy as np
import pytest

from tomos import formats
from tomos.formats import nifti
from tomos.types import FormatError, GeometryError, Image, LimitError

pytestmark = pytest.mark.fast

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(-900, 900, (6, 5, 4)).astype(np.int16)


def rotation(seed: int) -> np.ndarray:
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned if np.linalg.det(turned) > 0 else -turned


def affine(seed: int) -> np.ndarray:
    """Oblique, with three different spacings; every second one mirrored."""
    made = np.eye(4)
    made[:3, :3] = rotation(seed) * [0.7, 1.1, 5.0 * (-1) ** seed]
    made[:3, 3] = [-40, 60, 900]
    return made


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("form", ["sform", "qform", "both", "none"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_affine_and_values_are_nibabel_s(tmp_path, kind, form, seed):
    image = kind(VOLUME, affine(seed))
    image.set_sform(affine(seed), 1 if form in ("sform", "both") else 0)
    image.set_qform(affine(seed) if form != "sform" else None, form in ("qform", "both"))
    image.to_filename(tmp_path / "x.nii.gz")
    theirs, ours = nibabel.load(tmp_path / "x.nii.gz"), formats.read(tmp_path / "x.nii.gz")
    assert np.array_equal(ours.pixels[0], np.asarray(theirs.dataobj).T)
    assert ours.pixels.dtype == np.int16
    assert ours.affine[:, [2, 1, 0, 3]] == pytest.approx(theirs.affine, rel=1e-6, abs=1e-5)
    assert ours.frame == ("detector" if form == "none" else "patient")


@pytest.mark.parametrize("code", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("end", [".nii", ".nii.gz", ".hdr"])
def test_every_type_in_both_orders(tmp_path, code, order, end):
    values = (VOLUME if code[0] != "u" else abs(VOLUME)).astype(code)
    kind = nibabel.Nifti1Pair if end == ".hdr" else nibabel.Nifti1Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(code))
    kind(values, affine(1), header).to_filename(tmp_path / f"x{end}")
    assert nibabel.load(tmp_path / f"x{end}").header.endianness == order
    ours = formats.read(tmp_path / f"x{end}")
    assert np.array_equal(ours.pixels[0], values.T)
    assert ours.pixels.dtype == np.dtype(code) and ours.pixels.dtype.isnative


def test_scaled_values_are_nibabel_s_in_single_precision(tmp_path):
    image = nibabel.Nifti1Image(VOLUME, affine(0))
    image.header.set_slope_inter(0.37, -1024.5)
    image.to_filename(tmp_path / "x.nii.gz")
    theirs = np.asarray(nibabel.load(tmp_path / "x.nii.gz").dataobj)
    ours = formats.read(tmp_path / "x.nii.gz").pixels[0]
    assert ours.dtype == np.float32
    assert np.array_equal(ours, theirs.T.astype(np.float32))


@pytest.mark.parametrize("third", [0.0, 1.0, -1.0])
def test_a_third_axis_of_sign_zero_counts_as_plus(tmp_path, third):
    """nifti1.h says so; nibabel refuses it."""
    image = nibabel.Nifti1Image(VOLUME, affine(2))
    image.set_sform(None, 0)
    image.set_qform(affine(2), 1)
    raw = bytearray(image.to_bytes())
    raw[76:80] = struct.pack("<f", third)
    (tmp_path / "x.nii").write_bytes(raw)
    ours = formats.read(tmp_path / "x.nii").affine[:, [2, 1, 0, 3]]
    assert ours[:, :2] == pytest.approx(affine(2)[:, :2], abs=1e-4)
    assert ours[:3, 2] == pytest.approx(affine(2)[:3, 2] * (-1 if third < 0 else 1), abs=1e-4)


def test_what_a_header_may_not_say(tmp_path):
    raw = nibabel.Nifti1Image(VOLUME, affine(0)).to_bytes()

    def written(at, code, *values):
        (tmp_path / "x.nii").write_bytes(
            raw[:at] + struct.pack(code, *values) + raw[at + struct.calcsize(code) :]
        )
        return tmp_path / "x.nii"

    with pytest.raises(FormatError, match="datatype 1536"):
        formats.read(written(70, "<h", 1536))
    with pytest.raises(FormatError, match="begin at byte nan"):
        formats.read(written(108, "<f", float("nan")))
    with pytest.raises(GeometryError, match="onto a plane"):
        formats.read(written(280, "<f", float("nan")))
    with pytest.raises(GeometryError, match="onto a plane"):  # a quaternion that is no number
        formats.read(written(252, "<2hf", 1, 0, float("nan")))
    with pytest.raises(GeometryError, match="spacing above 0"):
        formats.read(_negative(tmp_path, raw))
    with pytest.raises(FormatError, match="1 to 7 positive"):
        formats.read(written(40, "<8h", 3, 6, -5, 4, 1, 1, 1, 1))


def _negative(folder, raw):
    """A qform beside a spacing below 0."""
    changed = bytearray(raw)
    changed[76:92] = struct.pack("<4f", 1, -1, 1, 1)
    changed[252:256] = struct.pack("<2h", 1, 0)
    (folder / "x.nii").write_bytes(changed)
    return folder / "x.nii"


def test_names_are_looked_for_with_care(tmp_path):
    def extended(content: bytes, size: int | None = None):
        size = -(-(8 + len(content)) // 16) * 16 if size is None else size
        raw = bytearray(nibabel.Nifti1Image(VOLUME, affine(0)).to_bytes())
        raw[108:112] = struct.pack("<f", 352 + 16 * -(-(8 + len(content)) // 16))
        body = struct.pack("<2i", size, 6) + content
        body = body.ljust(-(-len(body) // 16) * 16, b"\0")
        (tmp_path / "x.nii").write_bytes(bytes(raw[:348]) + b"\1\0\0\0" + body + bytes(raw[352:]))
        assert np.array_equal(formats.read(tmp_path / "x.nii").pixels[0], VOLUME.T)
        return nifti.label_names(tmp_path / "x.nii")

    assert extended(b'{"labels": {"1": "a", "2": "b"}}') == ("a", "b")
    assert extended(b"what somebody wrote") == ()
    assert extended(b'{"labels": {"1": "a", "3": "b"}}') == ()
    assert extended(b'{"labels": {"1": 7}}') == ()
    assert extended(b"[" * 100_000) == ()
    assert extended(b'{"labels": {"1": "a"}}', size=2**31 - 1) == ()
    assert extended(b'{"labels": {"1": "a"}}', size=0) == ()


@pytest.fixture
def packed(tmp_path):
    nibabel.Nifti1Image(VOLUME, affine(0)).to_filename(tmp_path / "x.nii.gz")
    return (tmp_path / "x.nii.gz").read_bytes()


def test_what_is_cut_is_refused_wherever_it_is_cut(tmp_path, packed):
    for length in (30, len(packed) // 2, len(packed) - 9, len(packed) - 8, len(packed) - 1):
        (tmp_path / "cut.nii.gz").write_bytes(packed[:length])
        with pytest.raises(FormatError, match=r"cut short|compression is damaged"):
            formats.read(tmp_path / "cut.nii.gz")


def test_a_checksum_that_is_wrong_is_refused(tmp_path, packed):
    (tmp_path / "x.nii.gz").write_bytes(packed[:-8] + b"\0\0\0\0" + packed[-4:])
    with pytest.raises(FormatError, match="compression is damaged"):
        formats.read(tmp_path / "x.nii.gz")


def test_many_members_are_one_file(tmp_path, packed):
    """As `bgzip` and `pigz -i` write: RFC 1952 2.2."""
    raw = gzip.decompress(packed)
    parts = [gzip.compress(raw[at : at + 400]) for at in range(0, len(raw), 400)]
    assert len(parts) > 1
    (tmp_path / "x.nii.gz").write_bytes(b"".join(parts) + b"\0" * 7)
    assert np.array_equal(formats.read(tmp_path / "x.nii.gz").pixels[0], VOLUME.T)


def test_a_volume_of_a_sequence_is_taken_without_those_behind_it(tmp_path):
    sequence = np.stack([VOLUME, VOLUME + 1, VOLUME + 2], axis=-1)
    nibabel.Nifti1Image(sequence, affine(0)).to_filename(tmp_path / "x.nii.gz")
    for index in range(3):
        ours = formats.read(f"{tmp_path}/x.nii.gz#{index}").pixels[0]
        assert np.array_equal(ours, VOLUME.T + index)
    # What lies behind the second is not needed for it.
    whole = (tmp_path / "x.nii.gz").read_bytes()
    (tmp_path / "x.nii.gz").write_bytes(whole[:-60])
    assert np.array_equal(formats.read(f"{tmp_path}/x.nii.gz#0").pixels[0], VOLUME.T)
    with pytest.raises(FormatError):
        formats.read(f"{tmp_path}/x.nii.gz#2")


@pytest.mark.seconds
def test_a_bomb_costs_what_it_declares(tmp_path):
    raw = nibabel.Nifti1Image(VOLUME, affine(0)).to_bytes()
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = machine.compress(raw) + machine.compress(bytes(2**27)) + machine.flush()
    (tmp_path / "x.nii.gz").write_bytes(bomb)
    start = time.process_time()
    assert np.array_equal(formats.read(tmp_path / "x.nii.gz").pixels[0], VOLUME.T)
    assert time.process_time() - start < 0.1, "2**27 bytes behind it are not unpacked"
    huge = bytearray(raw)
    huge[42:48] = struct.pack("<3h", 800, 800, 800)
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(bytes(huge)))
    with pytest.raises(LimitError, match="declares"):
        formats.read(tmp_path / "x.nii.gz", formats.Limits(memory=2**24))
    start = time.process_time()
    with pytest.raises(FormatError, match="cut short"):
        formats.read(tmp_path / "x.nii.gz")
    assert time.process_time() - start < 0.5, "a gigabyte that is declared is not touched"


def test_without_isal_the_same_is_read_and_written(tmp_path):
    image = Image(VOLUME.T[None].copy(), affine(0)[:, [2, 1, 0, 3]], "patient")
    formats.write_nifti(image, tmp_path / "x.nii.gz")
    code = (
        "import sys; sys.modules['isal'] = None\n"
        "from tomos import formats\n"
        "image = formats.read(sys.argv[1]); formats.write_nifti(image, sys.argv[2])"
    )
    command = [sys.executable, "-c", code, tmp_path / "x.nii.gz", tmp_path / "y.nii.gz"]
    subprocess.run([str(word) for word in command], check=True, timeout=60)
    for name in "xy":
        assert np.array_equal(formats.read(tmp_path / f"{name}.nii.gz").pixels, image.pixels)
        theirs = nibabel.load(tmp_path / f"{name}.nii.gz")
        assert np.array_equal(np.asarray(theirs.dataobj), VOLUME)
        assert gzip.decompress((tmp_path / f"{name}.nii.gz").read_bytes())[344:348] == b"n+1\0"
