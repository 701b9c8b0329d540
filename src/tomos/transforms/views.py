"""Views of one picture for test-time averaging: exact flips and quarter turns.

They work on numpy arrays and on torch tensors alike, without importing either; the last two axes
are (Y, X). Serving uses them without torch.
"""

from __future__ import annotations

from typing import Any

from tomos.config.plugins import did_you_mean
from tomos.types import SettingsError

# name -> (swap Y and X first?, flip Y?, flip X?); turns are counter-clockwise as seen.
_VIEWS = {
    "identity": (False, False, False),
    "flip_x": (False, False, True),
    "flip_y": (False, True, False),
    "rotate_180": (False, True, True),
    "rotate_90": (True, True, False),
    "rotate_270": (True, False, True),
    "transpose": (True, False, False),
    "transpose_other": (True, True, True),
}
NAMES = tuple(_VIEWS)


def view(x: Any, name: str) -> Any:
    """The view `name` of x (..., Y, X); it may share memory with x.

    Raises SettingsError, with the nearest names, for a view that is not known.
    """
    swap, flip_y, flip_x = _known(name)
    if swap:
        x = x.swapaxes(-1, -2)
    return _flip(x, flip_y, flip_x)


def undo(x: Any, name: str) -> Any:
    """What `view(x, name)` came from: brings a map of a view back onto the picture."""
    swap, flip_y, flip_x = _known(name)
    x = _flip(x, flip_y, flip_x)
    return x.swapaxes(-1, -2) if swap else x


def _known(name: str) -> tuple[bool, bool, bool]:
    if name not in _VIEWS:
        raise SettingsError(f"no view named {name!r}{did_you_mean(name, list(NAMES))}")
    return _VIEWS[name]


def _flip(x: Any, flip_y: bool, flip_x: bool) -> Any:
    axes = [axis for axis, flip in ((-2, flip_y), (-1, flip_x)) if flip]
    if not axes:
        return x
    if hasattr(x, "flip"):  # torch has no negative strides
        return x.flip(axes)
    return x[
        ..., slice(None, None, -1 if flip_y else None), slice(None, None, -1 if flip_x else None)
    ].copy()
