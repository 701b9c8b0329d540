"""A zip of a DICOM series, taken out with what it declares checked first."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from tomos.serve.body import Upload
from tomos.serve.desk import Limits
from tomos.serve.refusal import Refusal

ZIP = b"PK\x03\x04"
LOCAL_HEADER = 30  # bytes before a member's name, APPNOTE 4.3.7
GROWTH = 4  # times the largest upload: DICOM pixels shrink to a half or a third
PLAIN, ENCRYPTED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), 1
PIECE = 1 << 20


def unpack(upload: Upload, limits: Limits) -> None:
    """Where the upload is a zip of files, those become the upload; a numpy container stays.

    Refusal 422 for one that is damaged, encrypted or overlaps itself, 413 for more files or bytes
    than are taken.
    """
    if not upload.path.is_file():
        return
    with upload.path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            return
    try:
        with zipfile.ZipFile(upload.path) as archive:
            members = _members(archive)
            if any(member.filename.endswith(".npy") for member in members):
                return
            _check(members, upload, limits)
            for number, member in enumerate(members):
                path = upload.folder / f"{upload.folder.name}-{number:04d}"
                _take_out(archive, member, path)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise _refused(upload, f"not a whole zip file ({error}); pack it again") from None
    upload.path.unlink()
    upload.path = upload.folder


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files, without what systems hide beside them."""
    return [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not Path(member.filename).name.startswith(".")
        and "__MACOSX" not in Path(member.filename).parts
    ]


def _check(members: list[zipfile.ZipInfo], upload: Upload, limits: Limits) -> None:
    if not members:
        raise _refused(upload, "a zip without files in it")
    total = sum(member.file_size for member in members)
    if len(members) > limits.files or total > GROWTH * limits.upload_bytes:
        raise Refusal(413, "limit", f"{upload.name}: a zip of {len(members)} files and "
                      f"{total >> 20} MB; at most {limits.files} files and "
                      f"{GROWTH * limits.upload_bytes >> 20} MB are taken out")  # fmt: skip
    # Members that overlap are how a few kilobytes become gigabytes.
    end = 0
    for member in sorted(members, key=lambda each: each.header_offset):
        if member.header_offset < end:
            raise _refused(upload, "its members overlap, which no packing program does")
        end = member.header_offset + LOCAL_HEADER + member.compress_size
        if member.flag_bits & ENCRYPTED or member.compress_type not in PLAIN:
            raise _refused(upload, "encrypted, or packed in another way than by deflate")


def _take_out(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    left = member.file_size
    with archive.open(member) as source, path.open("wb") as target:
        while piece := source.read(min(PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise ValueError("a member is longer than it declares")
            target.write(piece)


def _refused(upload: Upload, reason: str) -> Refusal:
    return Refusal(422, "format", f"{upload.name}: {reason}")
