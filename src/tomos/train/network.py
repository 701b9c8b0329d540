"""A torch net where inference expects a network: a callable, dict of arrays -> dict of arrays."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from tomos.models import Net
from tomos.train.batches import tensor
from tomos.types import SettingsError


class TorchNetwork:
    """An `inference.Network` around a net: the outputs are those of the exported base graph.

    The net is copied, put into evaluation mode and never changed after, so that several threads may
    call it; later training of the given net does not show here.
    """

    def __init__(self, net: Net) -> None:
        self._net = copy.deepcopy(net).eval().requires_grad_(False)
        self._device = next(self._net.parameters()).device
        self.outputs: tuple[str, ...] = ("logits", "features")
        if net.linear is not None:
            self.outputs += ("cam",)
        self.where = f"model {net.name}"
        self.runtime = f"torch {torch.__version__}"

    @torch.no_grad()
    def __call__(
        self, inputs: Mapping[str, np.ndarray], wanted: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        if unknown := [name for name in wanted if name not in self.outputs]:
            raise SettingsError(
                f"{self.where}: expected outputs among {', '.join(self.outputs)}, "
                f"got {unknown[0]!r}"
            )
        x_BCYX = tensor(inputs["image"]).to(self._device)
        net, found = self._net, {}
        net.check(x_BCYX)
        if net.linear is None:
            features_BF = net.embed(x_BCYX)
        else:
            maps_BFYX = net.maps(x_BCYX)
            assert maps_BFYX is not None, "a net with `linear` has maps"
            features_BF = net.pool(maps_BFYX)
            if "cam" in (wanted or self.outputs):
                found["cam"] = F.conv2d(maps_BFYX, net.linear.weight[:, :, None, None])
        found |= {"logits": net.classify(features_BF), "features": features_BF}
        return {name: found[name].float().cpu().numpy() for name in wanted or self.outputs}
