"""Class activation map: the weights of the last layer on the maps that it averages.

    C_k(y, x) = sum_f w_kf A_f(y, x)        logit_k = mean of C_k over y, x + bias_k
    M_k = C_k - mean of all C               where the classes exclude each other

Exact where a network ends in global average pooling and one linear layer: nothing is approximated,
nothing is sampled, and no gradient is needed, since the graph gives it as the output `cam`.

Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning Deep Features for Discriminative Localization.
CVPR 2016, arXiv:1512.04150.
"""

from __future__ import annotations

import numpy as np

from tomos.explain._heat import against_others, enlarge, targets, to_unit
from tomos.inference import Network
from tomos.types import PackageError

NEEDS_TORCH = False


def explain(
    net: Network, x_BCYX: np.ndarray, target: int | np.ndarray, kind: str = "class"
) -> np.ndarray:
    """maps_BYX. PackageError where the network has no output `cam`."""
    if "cam" not in net.outputs:
        raise PackageError(
            "the network does not end in average pooling and one linear layer, so it has no class "
            "activation map; use occlusion, or gradcam"
        )
    cam = net({"image": np.asarray(x_BCYX, np.float32)}, ("cam",))["cam"]
    chosen = against_others(cam, kind)[np.arange(len(cam)), targets(target, len(cam))]
    return to_unit(enlarge(chosen, x_BCYX.shape[2:]))
