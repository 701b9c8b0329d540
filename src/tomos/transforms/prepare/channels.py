"""As many channels as the model takes: grey to colour, colour to grey, alpha dropped."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from tomos.transforms.prepare._stack import StackStep, limits
from tomos.types import FormatError, Image
from tomos.types.words import counted

# ITU-R BT.601-7, 2.5.1: the luma of R'G'B'.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Step(StackStep):
    """Bring the channels to `to`.

    to     1 (grey) or 3 (RGB), or the number of bands of a multi-band set, which then pass as they
           are. Two bands are read as grey + alpha, four as RGBA, and the alpha is dropped
    bands  what to do with any other number of bands: "refuse", take the "first" `to`, or repeat
           their "mean"

    Several images of one case (`Image.parts`) pass as they are: what is a channel there is never
    taken for another's alpha or colour.

    Raises FormatError for a number of bands with no meaning here.
    """

    to: int = Field(1, ge=1)
    bands: Literal["refuse", "first", "mean"] = "refuse"

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if x.shape[1] == self.to:
            return x, {}
        if like.parts:
            raise FormatError(
                f"{like.origin.path or 'image'}: expected {counted(self.to, 'channel')}, got "
                f"{x.shape[1]} of {len(like.parts)} images of one case"
            )
        if x.shape[1] in (2, 4) and self.to in (1, 3):
            x = x[:, :-1]
        found = x.shape[1]
        if found == self.to:
            return x, {}
        if found == 3 and self.to == 1:
            x = np.einsum("ncp,c->np", x.reshape(*x.shape[:2], -1), _LUMA).reshape(
                len(x), 1, *x.shape[2:]
            )
            return x, {"value_range": limits(like)}
        if found == 1:
            return np.repeat(x, self.to, axis=1), {}
        return self._other(x, like)

    def _other(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if self.bands == "first" and x.shape[1] > self.to:
            return x[:, : self.to], {}
        if self.bands == "mean":
            mean = x.mean(axis=1, keepdims=True, dtype=np.float32)
            return np.repeat(mean, self.to, axis=1), {"value_range": limits(like)}
        raise FormatError(
            f"{like.origin.path or 'image'}: expected {counted(self.to, 'channel')}, or 1 to 4 "
            f"that have a meaning as grey or colour, got {like.channels}; "
            'say bands = "first" or "mean" in the step `channels` to use it all the same'
        )
