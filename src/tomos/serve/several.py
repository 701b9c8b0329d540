"""The images of one case, sent as several files: which of them is which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import formats
from tomos.package import InputPart
from tomos.serve.body import Sent, Upload
from tomos.serve.desk import Limits
from tomos.serve.refusal import Refusal
from tomos.serve.unpack import unpack
from tomos.workflows.given import by_number, case_of


def arranged(upload: Upload, part: InputPart, limits: Limits) -> str:
    """The address of the case; `upload` is told which file is which, and is called by the first.

    Told by the names of the form's fields, where one of them is that of a role: all files of a
    field are then one image, a DICOM series. Else by the numbers in the files' names (x_0000,
    x_0001), else in the order in which they were sent. The volumes of one file are a case, too.
    Refusal 422 for other files than the model reads.
    """
    sent = upload.sent
    if len(sent) < 2 and not any(one.field in part.roles for one in sent):
        whole = case_of(upload.path, part)
        if not whole:
            raise _refused(upload, part, 1)
        return whole
    if any(one.field in part.roles for one in sent):
        groups = [[one for one in sent if one.field == role] for role in part.roles]
        strangers = sorted({one.field for one in sent} - set(part.roles))
        if strangers or not all(groups):
            raise _refused(upload, part, sum(map(bool, groups)), strangers)
    elif len(sent) == len(part.roles):
        groups = [[one] for one in _in_order(sent, part)]
    else:
        raise _refused(upload, part, len(sent))
    upload.roles = {role: own[0].name for role, own in zip(part.roles, groups, strict=True)}
    upload.name = groups[0][0].name
    return formats.joined(str(_one(upload, k, own, limits)) for k, own in enumerate(groups))


def _in_order(sent: Sequence[Sent], part: InputPart) -> list[Sent]:
    named = by_number([Path(one.name) for one in sent], part)
    whole = next((of for of in named.values() if len(of) == len(sent)), None)
    if whole is None:
        return list(sent)
    return [next(one for one in sent if one.name == whole[k].name) for k in range(len(sent))]


def _one(upload: Upload, number: int, own: Sequence[Sent], limits: Limits) -> Path:
    """A file, or the folder of the files of a series, in which no other image lies."""
    place = upload.folder / f"{upload.folder.name}-of-{number}"
    place.mkdir()
    for k, one in enumerate(own):
        # Not the name of a member of a zip that is taken out beside it.
        one.path = one.path.rename(place / (f"{place.name}-{k:04d}" if k else place.name))
    image = Upload(place, own[0].path if len(own) == 1 else place, own[0].name)
    unpack(image, limits)
    return image.path


def _refused(upload: Upload, part: InputPart, got: int, strangers: Sequence[str] = ()) -> Refusal:
    roles = ", ".join(part.roles)
    fields = f" ({', '.join(strangers)} is none of them)" if strangers else ""
    return Refusal(
        422,
        "images",
        f"{upload.name}: this model reads {len(part.roles)} images a case: {roles}; got {got}"
        f"{fields}. Send a form with a file for each, in fields called {roles}, or in this order",
    )
