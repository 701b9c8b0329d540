"""How long one step takes on this machine, and in which form it is fastest. Needs torch."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What a second thread adds to the first, seen over nets and sizes; the probe itself counts
# processor time on one thread, which other programs on the machine hardly change.
GAIN = 0.8


@dataclass(frozen=True, slots=True)
class Speed:
    """The quickest form found. seconds: of one picture's share of a training step, on `threads`."""

    seconds: float
    memory_mb: float
    precision: str
    channels_last: bool
    threads: int


def machine() -> str:
    """The processor and its cores, as a person names it."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    return f"{name}, {cores()} cores, {platform.system()}"


def cores() -> int:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def speed(
    name: str, options: Mapping[str, Any], shape: tuple[int, ...], classes: int, batch: int,
    device: str = "cpu",
) -> Speed:  # fmt: skip
    """Time training steps of a network on noise (batch, *shape), in each form worth trying.

    bf16 is tried only where the processor multiplies it in hardware: elsewhere it is two to three
    times slower. It is taken when it saves a fifth, since it costs digits.
    """
    forms = [("fp32", False), ("fp32", True)]
    if _half_in_hardware(device):
        forms.append(("bf16", True))
    found = [_time(name, options, shape, classes, batch, device, *form) for form in forms]
    best = min(found[:2], key=lambda s: s.seconds)
    half = found[2:]
    return half[0] if half and half[0].seconds < 0.8 * best.seconds else best


def _half_in_hardware(device: str) -> bool:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    return device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _has_bf16_units()


def _has_bf16_units() -> bool:
    info = Path("/proc/cpuinfo")
    flags = info.read_text(errors="replace") if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _time(name, options, shape, classes, batch, device, precision, channels_last) -> Speed:
    import torch

    from tomos import models

    threads = cores() if device == "cpu" else 0
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = models.build(name, shape[0], classes, **options)
            x = torch.randn(batch, *shape)
        net = net.to(device).to(memory_format=layout).train()  # type: ignore[call-overload]
        x = x.to(device).contiguous(memory_format=layout)
        y = torch.arange(batch, device=device) % classes
        optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
        seconds = _best_of(lambda: _step(net, optimiser, x, y, precision), device)
        return Speed(seconds / batch, _memory_mb(net, x), precision, channels_last, threads)
    finally:
        torch.set_num_threads(before)


def _step(net, optimiser, x, y, precision) -> None:
    import torch

    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = torch.nn.functional.cross_entropy(net(x).float(), y)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def _best_of(step, device: str, most: float = 3.0) -> float:
    """The quickest of up to five steps after one to warm up, within `most` seconds."""
    import torch

    clock = time.process_time if device == "cpu" else time.perf_counter
    times: list[float] = []
    end = time.perf_counter() + most
    for _ in range(6):
        start = clock()
        step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(clock() - start)
        if time.perf_counter() > end:
            break
    return min(times[1:] or times)


def _memory_mb(net, x) -> float:
    """Weights with gradient and Adam's two averages, and every activation kept for the way back."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if hasattr(output, "numel"):
            total += output.numel() * 4

    import torch

    hooks = [m.register_forward_hook(count) for m in net.modules() if not list(m.children())]
    with torch.no_grad():
        net(x[:2])
    for hook in hooks:
        hook.remove()
    weights = sum(p.numel() for p in net.parameters()) * 4 * 4
    return (total / 2 * len(x) * 2 + weights) / 1e6 + 350
