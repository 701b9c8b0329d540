"""Frames and their functional groups, PS3.3 C.7.6.16."""

from __future__ import annotations

from tomos.formats.dicom.dataset import Dataset
from tomos.types import FormatError

# The sequences that say something of single frames.
FUNCTIONAL = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")


def functional(dataset: Dataset, frame: int, sequence: str) -> Dataset | None:
    """The item of functional group `sequence` for `frame` (from 0): its own, shared, or the
    data set's; None where there is none."""
    if not dataset.sequences:
        return None
    own = dataset.items("PerFrameFunctionalGroupsSequence")
    if frame < len(own):
        item = own[frame].first(sequence)
        if item is not None:
            return item
    shared = dataset.first("SharedFunctionalGroupsSequence")
    if shared is not None:
        item = shared.first(sequence)
        if item is not None:
            return item
    return dataset.first(sequence)


def frame_number(member: str, count: int, where: str) -> int:
    """ "3" -> 3; frames are counted from 0 in an address, as rows are."""
    if not member.isdecimal() or int(member) >= count:
        raise FormatError(f"{where}#{member}: expected a frame from 0 to {count - 1}")
    return int(member)
