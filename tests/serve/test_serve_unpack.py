"""A zip of a series: taken out where it is one, refused where it lies."""

import io
import zipfile

import numpy as np
import pytest

from tomos.serve.body import store_bytes
from tomos.serve.desk import Limits
from tomos.serve.refusal import Refusal
from tomos.serve.unpack import unpack

pytestmark = pytest.mark.fast
LIMITS = Limits(upload_bytes=1000, files=3)


def zipped(members: dict[str, bytes], way: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def unpacked(content: bytes, folder) -> dict[str, bytes]:
    upload = store_bytes(content, folder)
    unpack(upload, LIMITS)
    assert upload.path.is_dir()
    found = sorted(path for path in upload.path.iterdir())
    return [path.read_bytes() for path in found]


def test_files_come_out_whatever_they_are_called(tmp_path):
    content = {"../../up.dcm": b"a", "/root.dcm": b"b", "deep/er/c.dcm": b"c" * 900}
    assert unpacked(zipped(content), tmp_path) == [b"a", b"b", b"c" * 900]
    assert not (tmp_path.parent / "up.dcm").exists()


def test_what_systems_hide_is_passed_over(tmp_path):
    content = {"__MACOSX/._a.dcm": b"?", ".DS_Store": b"?", "a.dcm": b"a"}
    assert unpacked(zipped(content), tmp_path) == [b"a"]


def test_other_files_stay_as_they_are(tmp_path):
    arrays = io.BytesIO()
    np.savez(arrays, test_images=np.zeros((2, 28, 28), np.uint8))
    for content in (arrays.getvalue(), b"\x89PNG and so on"):
        upload = store_bytes(content, tmp_path)
        unpack(upload, LIMITS)
        assert upload.path.read_bytes() == content


def overlapping() -> bytes:
    """Two entries of the directory that name one and the same member."""
    plain = zipped({"a": b"a" * 600, "b": b"b"}, zipfile.ZIP_STORED)
    first = plain.index(b"PK\x01\x02")
    second = plain.index(b"PK\x01\x02", first + 1)
    offset = second + 42  # APPNOTE 4.3.12: relative offset of local header
    return plain[:offset] + b"\0\0\0\0" + plain[offset + 4 :]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (zipped({"a": b"a" * 5000}), 413, "at most 3 files and 0 MB"),
        (zipped({str(n): b"a" for n in range(4)}), 413, "a zip of 4 files"),
        (zipped({"a": b"abc" * 99})[:-30], 422, "not a whole zip"),
        (overlapping(), 422, "overlap"),
        (zipped({"a": b"a"}, zipfile.ZIP_LZMA), 422, "another way than by deflate"),
    ],
    ids=["large", "many", "cut", "overlapping", "lzma"],
)
def test_refused(tmp_path, content, status, said):
    upload = store_bytes(content, tmp_path)
    with pytest.raises(Refusal, match=said) as refused:
        unpack(upload, LIMITS)
    assert refused.value.status == status
