"""Weights from a file into a network, and back, with an account of what fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tomos.config import atomic_write
from tomos.models import _torch_file
from tomos.models._net import Net
from tomos.types import FormatError, MissingExtra, PackageError


@dataclass(frozen=True)
class Fit:
    """What became of a weight file.

    fitted   names in the net that took the file's values as they are
    adapted  name -> how the file's values were changed to fit
    fresh    name -> why the net's own initial values stay
    unused   name in the file -> why nothing in the net took it
    """

    path: str
    fitted: tuple[str, ...]
    adapted: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)
    unused: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line a fact, for a log or a person."""
        total = len(self.fitted) + len(self.adapted) + len(self.fresh)
        lines = [f"{self.path}: {len(self.fitted)} of {total} tensors fit"]
        for title, part in (
            ("adapted", self.adapted),
            ("left fresh", self.fresh),
            ("not used", self.unused),
        ):
            lines += [f"{title}: {line}" for line in _by_reason(part)]
        return "\n".join(lines)


def _by_reason(part: Mapping[str, str]) -> list[str]:
    """ "names: why", names of one reason together, at most three of them written out."""
    grouped: dict[str, list[str]] = {}
    for name, why in part.items():
        grouped.setdefault(why, []).append(name)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {why}"
        for why, names in grouped.items()
    ]


def load_weights(net: Net, path: Path | str) -> Fit:
    """Give `net` the weights in `path` (safetensors, or .pt/.pth as torch.save wrote it).

    Names must be the net's own, which for the classic nets are torchvision's; wrappers' prefixes
    ("module.", "_orig_mod.") are taken off. The first convolution of a net for another number of
    channels gets the average over the file's channels, scaled so that a grey picture in all of them
    gives what it gave. What has another shape (the head, for another number of classes) stays
    fresh. The account says all this; a net is never half loaded: it changes only on success.

    Raises PackageError when nothing fits, a value is not finite, or the file holds more than
    tensors; FormatError when it is no weight file.
    """
    path = Path(path)
    given = {net.renamed(key): value for key, value in _tensors(path).items()}
    taken, adapted, fresh = _matched(net, given)
    if not any(value.is_floating_point() for value in taken.values()):
        raise PackageError(
            f"{path}: none of its {len(given)} tensors fits model {net.name}: expected names such "
            f"as {_some(net.state_dict())}, got {_some(given)}; is it the file of another model?"
        )
    for name, value in taken.items():
        if not bool(torch.isfinite(value).all()):
            raise PackageError(f"{path}: {name} holds infinities or NaN; fetch or save it again")
    net.load_state_dict({**net.state_dict(), **taken})
    unused = {
        name: fresh.get(name, "the net has nothing of this name")
        for name in given
        if name not in taken and not name.endswith("num_batches_tracked")
    }
    fitted = tuple(name for name in taken if name not in adapted)
    return Fit(str(path), fitted, adapted, fresh, unused)


def _matched(
    net: Net, given: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str], dict[str, str]]:
    """What the net takes of `given`, how it was changed, and why the rest of the net stays."""
    first = _first_convolution(net)
    taken: dict[str, Tensor] = {}
    adapted, fresh = {}, {}
    for name, mine in net.state_dict().items():
        value = given.get(name)
        if value is None:
            # Files older than torch 0.4.1 do not count batches, and nothing depends on it.
            if not name.endswith("num_batches_tracked"):
                fresh[name] = "not in the file"
        elif value.shape == mine.shape:
            taken[name] = value
        elif name == first and _only_channels_differ(value, mine):
            taken[name] = _other_channels(value, mine.shape[1])
            adapted[name] = (
                f"averaged over its {value.shape[1]} input channels for {mine.shape[1]}, "
                f"times {value.shape[1]}/{mine.shape[1]}"
            )
        else:
            fresh[name] = f"expected shape {tuple(mine.shape)}, the file has {tuple(value.shape)}"
    return taken, adapted, fresh


def save_weights(net: nn.Module, path: Path | str) -> None:
    """Write all weights and running statistics of `net` to `path` as safetensors, whole or not at
    all. Raises StorageError when the disk is full."""
    try:
        from safetensors.torch import save
    except ImportError:
        raise MissingExtra("writing weights", "safetensors", "train") from None
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    about = {"format": "pt"}
    if isinstance(net, Net):
        about |= {"net": net.name, "channels": str(net.channels), "classes": str(net.classes)}
    atomic_write(Path(path), save(tensors, about))


def _tensors(path: Path) -> dict[str, Tensor]:
    """The state dictionary in a weight file of either kind."""
    if not path.is_file():
        raise FormatError(f"{path}: expected a weight file, there is none")
    with path.open("rb") as file:
        head = file.read(9)
    # safetensors: 8 bytes of length, then a JSON object
    if head[8:9] == b"{":
        return _safetensors(path)
    return _state(path, _torch_file.read(path))


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise MissingExtra("reading weights", "safetensors", "train") from None
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise PackageError(f"{path}: damaged safetensors ({error}); fetch it again") from error


# Where training scripts put the weights in what they save.
_PLACES = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights", "params")
_WRAPPERS = ("module.", "_orig_mod.")


def _state(path: Path, value: Any) -> dict[str, Tensor]:
    if isinstance(value, dict):
        for place in _PLACES:
            if isinstance(value.get(place), dict):
                return _state(path, value[place])
        state = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)}
        if state:
            return _unwrapped(state)
    raise PackageError(
        f"{path}: expected a dictionary of tensors by name (a state_dict), "
        f"got {type(value).__name__}{f' with {_some(value)}' if isinstance(value, dict) else ''}"
    )


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            return _unwrapped({name.removeprefix(wrapper): v for name, v in state.items()})
    return state


def _some(names: Mapping[Any, Any]) -> str:
    return ", ".join(repr(name)[:60] for name in list(names)[:3])


def _first_convolution(net: Net) -> str:
    """The name of the weights that see the picture: the first convolution's."""
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d):
            return f"{name}.weight"
    return ""


def _only_channels_differ(value: Tensor, mine: Tensor) -> bool:
    return (
        value.ndim == mine.ndim == 4
        and value.shape[1] > 0
        and (value.shape[0], *value.shape[2:]) == (mine.shape[0], *mine.shape[2:])
    )


def _other_channels(value_OIYX: Tensor, channels: int) -> Tensor:
    mean_O1YX = value_OIYX.float().mean(1, keepdim=True) * (value_OIYX.shape[1] / channels)
    return mean_O1YX.expand(-1, channels, -1, -1).to(torch.float32)
