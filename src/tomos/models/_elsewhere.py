"""Networks of other libraries under our contract: `timm:NAME` and `monai:NAME`.

Both are brought in as they are; what the contract adds is found out by trying it, not assumed.
`linear`, which promises an exact class activation map, is set only when the mean of the maps and
the last layer give the logits of the library's own network.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tomos.config.plugins import did_you_mean
from tomos.models._net import Net
from tomos.types import MissingExtra, SettingsError

# Sides of the pictures that a net is tried on; one that takes only its own size refuses some.
PROBES = (64, 224)


def build(name: str, channels: int, classes: int, options: dict[str, Any]) -> Net:
    """`timm:NAME` or `monai:NAME` with `classes` logits.

    Raises MissingExtra when the library does not import, SettingsError when it has no such network,
    the options are not its own, or the result is no classifier of pictures.
    """
    library, _, inner = name.partition(":")
    make = {"timm": _timm, "monai": _monai}[library]
    body = make(inner, channels, classes, options)
    return Foreign(name, body, channels, classes)


class Foreign(Net):
    """A library's classifier, cut before its last linear layer.

    maps   the last (B, F, Y, X) tensor before global pooling, where pooling is a layer of its own
    embed  what the last linear layer is given
    """

    def __init__(self, name: str, body: nn.Module, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.name, self.body = name, body
        self._head, head = _last_linear(name, body, classes)
        self._pool = _last_pool(body)
        self._accepted: set[tuple[int, ...]] = set()
        self._probe(head)

    def embed(self, x_BCYX: Tensor) -> Tensor:
        return self._seen(self._head, x_BCYX)

    def classify(self, features_BF: Tensor) -> Tensor:
        return self.body.get_submodule(self._head)(features_BF)

    def maps(self, x_BCYX: Tensor) -> Tensor | None:
        return self._seen(self._pool, x_BCYX) if self._pool and self.linear is not None else None

    def forward(self, x_BCYX: Tensor) -> Tensor:
        self.check(x_BCYX)
        return self.body(x_BCYX)

    def check(self, x_BCYX: Tensor) -> None:
        """A size that was not seen yet is tried on shapes alone, so that the reason is clear."""
        super().check(x_BCYX)
        size = tuple(int(n) for n in x_BCYX.shape[2:])
        if size in self._accepted:
            return
        ghost = copy.deepcopy(self.body).to("meta").eval()
        try:
            with torch.no_grad():
                ghost(torch.empty(1, self.channels, *size, device="meta"))
        except NotImplementedError:
            pass  # an operation that knows no shapes without values
        except (RuntimeError, ValueError, AssertionError) as error:
            raise SettingsError(
                f"model {self.name}: does not take pictures of {size[0]}x{size[1]} px: "
                f"{str(error).splitlines()[0]}; choose another size in the plan"
            ) from error
        self._accepted.add(size)

    def renamed(self, key: str) -> str:
        """Files of the library know nothing of our wrapper."""
        return key if key.startswith("body.") else f"body.{key}"

    def stages(self) -> list[tuple[str, ...]]:
        head = f"body.{self._head}"
        layers = [
            f"body.{name}"
            for name, child in _units(self.body, head.removeprefix("body."))
            if any(True for _ in child.parameters())
        ]
        return [*((layer,) for layer in layers if layer != head), (head,)]

    def _seen(self, layer: str, x_BCYX: Tensor) -> Tensor:
        """What `layer` is given when the body runs on `x`."""
        seen: list[Tensor] = []
        with _watched(self.body.get_submodule(layer), seen):
            self.body(x_BCYX)
        return seen[-1]

    def _probe(self, head: nn.Linear) -> None:
        """Try the net on noise: it must give logits, by its last linear layer."""
        was_training, state = self.training, torch.random.get_rng_state()
        self.eval()
        try:
            for side in PROBES:
                noise = torch.rand(2, self.channels, side, side)
                with torch.no_grad():
                    try:
                        logits = self.body(noise)
                    except (RuntimeError, ValueError, AssertionError):
                        continue  # not a size that this net takes
                    self._try(head, noise, logits)
                return
        finally:
            self.train(was_training)
            torch.random.set_rng_state(state)

    def _try(self, head: nn.Linear, noise: Tensor, logits: Any) -> None:
        fits = isinstance(logits, Tensor) and logits.shape == (2, self.classes)
        if not fits or not _close(self.classify(self.embed(noise)), logits):
            raise SettingsError(
                f"model {self.name}: expected {self.classes} logits from a last linear layer, got "
                "something else; choose a classifier, without an activation after its last layer"
            )
        maps = self._seen(self._pool, noise) if self._pool else None
        if maps is not None and maps.ndim == 4 and maps.shape[1] == head.in_features:
            self.linear = head if _close(head(maps.mean((2, 3))), logits) else None


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


@contextmanager
def _watched(layer: nn.Module, seen: list[Tensor]) -> Iterator[None]:
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield
    finally:
        handle.remove()


def _last_linear(name: str, body: nn.Module, classes: int) -> tuple[str, nn.Linear]:
    found = [
        (path, layer)
        for path, layer in body.named_modules()
        if isinstance(layer, nn.Linear) and layer.out_features == classes
    ]
    if not found:
        raise SettingsError(
            f"model {name}: expected a network that ends in a linear layer of {classes} units, "
            "got none such; choose a classifier"
        )
    return found[-1]


def _last_pool(body: nn.Module) -> str:
    """The last global average pooling, by name; "" when it is no layer."""
    found = [
        path
        for path, layer in body.named_modules()
        if isinstance(layer, nn.AdaptiveAvgPool2d)
        or type(layer).__name__ == "SelectAdaptivePool2d"  # timm's
    ]
    return found[-1] if found else ""


def _units(body: nn.Module, head: str) -> Iterator[tuple[str, nn.Module]]:
    """The children of `body`, and of the child that holds the head, its children."""
    for name, child in body.named_children():
        if head.startswith(f"{name}."):
            for inner, unit in _units(child, head.removeprefix(f"{name}.")):
                yield f"{name}.{inner}", unit
        else:
            yield name, child


def _timm(name: str, channels: int, classes: int, options: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except Exception as error:
        # A timm beside a torchvision of another torch fails with RuntimeError, not ImportError.
        raise MissingExtra(f"model 'timm:{name}'", "timm", "timm") from error
    if not timm.is_model(name):
        raise SettingsError(f"timm has no model {name!r}{did_you_mean(name, timm.list_models())}")
    given = {"pretrained": False, "in_chans": channels, "num_classes": classes, **options}
    return _made(f"timm:{name}", lambda: timm.create_model(name, **given))


def _monai(name: str, channels: int, classes: int, options: dict[str, Any]) -> nn.Module:
    try:
        from monai.networks import nets
    except ImportError as error:
        raise MissingExtra(f"model 'monai:{name}'", "monai", "monai") from error
    known = [
        key
        for key, value in vars(nets).items()
        if not key.startswith("_") and callable(value) and not isinstance(value, type(inspect))
    ]
    if name not in known:
        raise SettingsError(f"MONAI has no network {name!r}{did_you_mean(name, known)}")
    make = getattr(nets, name)
    accepted = _parameters(make)
    given: dict[str, Any] = {}
    for names, value in (
        (("spatial_dims",), 2),
        (("in_channels", "n_input_channels", "input_channels"), channels),
        (("num_classes", "out_channels"), classes),
        (("pretrained",), False),
    ):
        given |= {key: value for key in names if key in accepted}
    return _made(f"monai:{name}", lambda: make(**given | options))


def _parameters(make: Callable[..., Any]) -> set[str]:
    """The names that a function of MONAI takes; what it passes on goes to the class it returns."""
    signature = inspect.signature(make)
    found = set(signature.parameters)
    for parent in make.__mro__[1:-1] if isinstance(make, type) else ():
        if parent is not nn.Module:
            found |= set(inspect.signature(parent).parameters)
    returned = signature.return_annotation
    if isinstance(returned, str):
        returned = getattr(inspect.getmodule(make), returned, None)
    if isinstance(returned, type) and returned is not make and issubclass(returned, nn.Module):
        found |= _parameters(returned)
    return found


def _made(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    try:
        net = make()
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"model {name}: its library needs another one: {reason}") from error
    except (TypeError, ValueError, KeyError, AssertionError) as error:
        raise SettingsError(
            f"model {name}: its library refuses these options: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(net, nn.Module):
        raise SettingsError(f"model {name}: expected a torch module, got {type(net).__name__}")
    return net
