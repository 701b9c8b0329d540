"""From a predictor to what a method is called with: the network, the picture, the class."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tomos import config
from tomos.config.plugins import did_you_mean
from tomos.inference import AnyPredictor, Predictor
from tomos.inference.network import OnnxRuntime
from tomos.package.randomised import randomised
from tomos.types import Image, MissingExtra, PackageError, SettingsError


def module_of(method: str) -> ModuleType:
    """The file of a method; SettingsError with the nearest for an unknown one.

    Looking takes milliseconds (all installed distributions are asked), so once a call of a user.
    """
    return config.plugin("tomos.explain", method, "method of explaining")


def net_of(predictor: Predictor, method: str, torch: bool, random: int | None = None) -> Any:
    """The network as `method` takes it: the predictor's own, or its graphs in torch.

    torch   what the method's NEEDS_TORCH says
    random  a seed: the same graphs with random weights instead of what was learnt
    """
    if random is None and not torch:
        return predictor.network
    package = predictor.package
    if package is None:
        raise PackageError(f"{method} needs a model file, or a torch network through `maps`")
    if torch:
        require_torch(method)
    graphs = [package.graph(i) for i in range(len(package.manifest.graphs))]
    if random is not None:
        graphs = [randomised(graph, random) for graph in graphs]
    if not torch:
        nets = [OnnxRuntime(graph, "random weights", predictor.threads) for graph in graphs]
        return Predictor.of(predictor.manifest, nets).network
    from tomos.models._from_onnx import Ensemble

    # Their views do not take part.
    return Ensemble(graphs, predictor.shape)


def prepare(predictor: Predictor, image: Image) -> Image:
    """The image as the network takes it; PackageError where it comes out in another shape."""
    prepared = predictor.chain(image)
    if prepared.pixels.shape != predictor.shape:
        raise PackageError(
            f"{image.origin.path or 'image'}: prepared to {prepared.pixels.shape}, "
            f"the model takes {predictor.shape}"
        )
    return prepared


def index_of(predictor: AnyPredictor, label: str) -> int:
    """The place of a class; SettingsError with the nearest for an unknown one."""
    if label not in predictor.classes:
        raise SettingsError(f"no class {label!r}{did_you_mean(label, list(predictor.classes))}")
    return predictor.classes.index(label)


def require_torch(method: str) -> Any:
    """torch, or MissingExtra."""
    try:
        import torch
    except ImportError:
        raise MissingExtra(f"the map {method!r} follows gradients and", "torch", "train") from None
    return torch
