"""Another stain, lamp or camera."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import Around, IntensityStep, Span, spread, spread_log
from tomos.types import SettingsError

# RGB -> luma and two colour differences (YIQ, the NTSC 1953 primaries), where hue is an angle and
# saturation a length.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


class Step(IntensityStep):
    """Turn the hue and stretch the saturation of RGB pictures; the luma stays.

    hue         degrees, from .. to; a single number means -number .. number
    saturation  factor, uniform in its logarithm

    Raises SettingsError for pictures that have not three channels.
    """

    columns = ("degrees", "log_saturation")
    chances = 2

    hue: Around = Field(default=(-10.0, 10.0), validate_default=True)
    saturation: Span = (0.8, 1.25)

    def values(self, u: np.ndarray) -> np.ndarray:
        return np.stack([spread(u[:, 0], self.hue), spread_log(u[:, 1], self.saturation)], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        if x.shape[1] != 3:
            raise SettingsError(
                f"augment step 'colour': expected pictures of 3 channels, got {x.shape[1]}; "
                "leave the step out of the plan"
            )
        angle = np.deg2rad(numbers[:, 0].astype(np.float64))
        length = np.exp(numbers[:, 1].astype(np.float64))
        turn = np.tile(np.eye(3), (len(numbers), 1, 1))
        turn[:, 1, 1] = turn[:, 2, 2] = length * np.cos(angle)
        turn[:, 1, 2], turn[:, 2, 1] = -length * np.sin(angle), length * np.sin(angle)
        matrix = np.linalg.inv(_YIQ) @ turn @ _YIQ
        mix = torch.from_numpy(matrix.astype(np.float32)).to(x.device)
        return torch.bmm(mix, x.flatten(2)).view(x.shape)
