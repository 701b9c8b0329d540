"""Bodies from outside: counted while they arrive, kept in files that go away with the request."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from tomos.serve.desk import Limits
from tomos.serve.refusal import Refusal

UNNAMED = "upload"  # a file that came without a name


@dataclass(slots=True)
class Sent:
    """One file of a form: the field it came in, what the sender called it, and where it lies."""

    field: str
    name: str
    path: Path


@dataclass(slots=True)
class Upload:
    """What was received, in a folder of its own.

    path   the file; of several, the folder they lie in
    name   what the sender called it
    sent   the files of a form
    roles  of several images of one case, which file is which: role -> what the sender called it
    """

    folder: Path
    path: Path
    name: str
    sent: list[Sent] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """Where each file of a form lies -> what the sender called it."""
        return {str(one.path): one.name for one in self.sent}

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


async def pieces(request: Request, limit: int, limits: Limits) -> AsyncIterator[bytes]:
    """The body piece by piece. Refusal 413 past `limit` bytes, whatever the headers promised,
    408 when nothing comes for `idle_seconds`.
    """
    _check_declared(request, limit)
    count = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            piece = await asyncio.wait_for(stream.__anext__(), limits.idle_seconds)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise Refusal(408, "slow", "the upload stalled; send it again") from None
        except ClientDisconnect:
            raise Refusal(400, "gone", "the upload ended before its end") from None
        count += len(piece)
        if count > limit:
            raise too_large(limit)
        if piece:
            yield piece
    request.state.received = count


async def receive_bytes(request: Request, limit: int, limits: Limits) -> bytes:
    """The whole body in memory; Refusal as `pieces`."""
    return b"".join([piece async for piece in pieces(request, limit, limits)])


async def receive_file(request: Request, folder: Path, limits: Limits) -> Upload:
    """The uploaded file: the raw body, or the files of a multipart form; several are those of one
    DICOM series or, for a model that reads several, the images of one case.

    Refusal 400 for an empty or broken body, 413 and 408 as `pieces`.
    """
    kind = request.headers.get("content-type", "")
    form = kind.partition(";")[0].strip().lower() == "multipart/form-data"
    upload = _place(folder)
    try:
        if form:
            await _from_form(request, upload, limits)
        else:
            with upload.path.open("wb") as file:
                async for piece in pieces(request, limits.upload_bytes, limits):
                    file.write(piece)
        if upload.path.is_file() and upload.path.stat().st_size == 0:
            if upload.name != UNNAMED:
                told = f"{upload.name}: the file is empty; copy it again from its source"
                raise Refusal(400, "empty", told)
            raise Refusal(400, "empty", "the body holds no file; send one, as the raw body or "
                          "as multipart/form-data with a field named 'file'")  # fmt: skip
        return upload
    except BaseException:
        upload.discard()
        raise


def store_bytes(content: bytes, folder: Path) -> Upload:
    """A file that came inside a JSON or binary request."""
    upload = _place(folder)
    upload.path.write_bytes(content)
    upload.name = "image"
    return upload


def _place(folder: Path) -> Upload:
    """Room for a file. Its name is random, so that it is found again in what a reader says of it
    (`refusal.from_error`).
    """
    place = Path(tempfile.mkdtemp(prefix="upload-", dir=folder))
    path = place / place.name
    path.touch()
    return Upload(place, path, UNNAMED)


def too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"the body is larger than the {_size(limit)} this server "
                   "accepts (tomos serve --max-upload-mb)")  # fmt: skip


async def _from_form(request: Request, upload: Upload, limits: Limits) -> None:
    stream = pieces(request, limits.upload_bytes, limits)
    parser = MultiPartParser(request.headers, stream, max_files=limits.files, max_fields=8)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, "form", f"not a usable multipart form: {error.message}") from None
    try:
        items = [each for each in form.multi_items() if not isinstance(each[1], str)]
        files = [value for _, value in items if not isinstance(value, str)]
        if not files:
            return
        upload.name = printable(files[0].filename or UNNAMED)
        if len(files) > 1:
            upload.path.unlink()
            upload.path = upload.folder
            upload.name += f" and {len(files) - 1} more"
        for number, value in enumerate(files):
            one = len(files) == 1
            path = upload.path if one else upload.folder / f"{upload.folder.name}-{number:04d}"
            with path.open("wb") as file:
                while piece := await value.read(1 << 20):
                    file.write(piece)
            name = printable(value.filename or UNNAMED)
            upload.sent.append(Sent(items[number][0], name, path))
    finally:
        await form.close()


def printable(name: str) -> str:
    """The last part of a sender's file name, without control characters, at most 200 long."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[:200] or "upload"


def _check_declared(request: Request, limit: int) -> None:
    """Refuse by the declared length before a byte is read, where it is declared."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)


def _size(count: int) -> str:
    return f"{count / (1 << 20):.0f} MB" if count >= 1 << 20 else f"{count / 1024:.0f} kB"
