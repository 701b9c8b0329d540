"""How long one step takes on this machine, and in which form it is fastest. Needs torch."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Speed:
    """The quickest form found.

    seconds  of one picture's share of a training step, by the clock
    single   the same on one thread; `cores` networks may be trained so, side by side
    """

    seconds: float
    memory_mb: float
    precision: str
    channels_last: bool
    threads: int
    single: float = math.inf
    cores: int = 1


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
    name: str,
    options: Mapping[str, Any],
    shape: tuple[int, ...],
    classes: int,
    batch: int,
    device: str = "cpu",
    quick: bool = False,
) -> Speed:
    """Time training steps of a network on noise (batch, *shape) in the forms worth trying.

    Number format and memory layout are compared by processor time on one thread, which other
    programs hardly disturb; one thread or all by the clock, since on a busy machine threads that
    wait for each other are slower than one alone. bf16 is tried only where the processor multiplies
    it in hardware (elsewhere it is two to three times slower), and taken when it saves a fifth.

    quick  the likeliest form only, to choose among networks
    """
    with _Steps(name, options, shape, classes, batch, device) as steps:
        half = _half_in_hardware(device)
        if quick:
            form = ("bf16" if half else "fp32", True)
        else:
            form = _best_form(steps, half)
        found = _by_threads(steps, form, device, 0.7 if quick else 2.0)
        threads = min(found, key=lambda n: found[n])
        single = found.get(1, math.inf)
        memory = steps.memory_mb()
        beside = max(1, *found)  # 0 threads: not on the CPU, where nothing is trained side by side
        return Speed(found[threads] / batch, memory, *form, threads, single / batch, beside)


def multiply_adds(name: str, options: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    """The work of one picture on its way through, from shapes alone."""
    from tomos import models

    net = models.build(name, shape[0], 2, **options)
    return models.describe(net, shape[1:]).multiplies


def _best_form(steps: _Steps, half: bool) -> tuple[str, bool]:
    forms = [("fp32", False), ("fp32", True)] + [("bf16", True)] * half
    found = {form: steps.seconds(form, threads=1, clock=time.process_time) for form in forms}
    plain = min(forms[:2], key=lambda form: found[form])
    if half and found[forms[2]] < 0.8 * found[plain]:
        return forms[2]
    return plain


def _by_threads(
    steps: _Steps, form: tuple[str, bool], device: str, most: float
) -> dict[int, float]:
    """Seconds of a step with each number of threads worth trying; 0 threads: not on the CPU."""
    if device != "cpu":
        return {0: steps.seconds(form, threads=1, most=most)}
    return {n: steps.seconds(form, threads=n, most=most) for n in {cores(): 0, 1: 0}}


def _half_in_hardware(device: str) -> bool:
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    return device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _has_bf16_units()


def _has_bf16_units() -> bool:
    info = Path("/proc/cpuinfo")
    flags = info.read_text(errors="replace") if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


class _Steps:
    """Training steps of one network on noise; leaves torch's threads as they were."""

    def __init__(self, name, options, shape, classes, batch, device) -> None:
        import torch

        from tomos import models

        self.device, self.batch = device, batch
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = models.build(name, shape[0], classes, **options).to(device).train()
            self.x = torch.randn(batch, *shape).to(device)
        # A net for masks answers for every voxel.
        places = shape[1:] if hasattr(self.net, "deep") else ()
        self.y = torch.arange(batch, device=device).view(-1, *[1] * len(places)) % classes
        self.y = self.y.expand(batch, *places).contiguous()
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=1e-5)

    def __enter__(self) -> _Steps:
        import torch

        self._threads = torch.get_num_threads()
        return self

    def __exit__(self, *error: object) -> None:
        import torch

        torch.set_num_threads(self._threads)

    def seconds(
        self,
        form: tuple[str, bool],
        threads: int,
        clock: Callable[[], float] = time.perf_counter,
        most: float = 2.0,
    ) -> float:
        """The median of up to five steps after one to warm up, within about `most` seconds."""
        import torch

        torch.set_num_threads(threads)
        last = torch.channels_last if self.x.ndim == 4 else torch.channels_last_3d
        layout = last if form[1] else torch.contiguous_format
        self.net.to(memory_format=layout)  # type: ignore[call-overload]
        x = self.x.contiguous(memory_format=layout)
        times: list[float] = []
        end = time.perf_counter() + most
        while len(times) < 6 and (len(times) < 2 or time.perf_counter() < end):
            start = clock()
            self._step(x, form[0])
            times.append(clock() - start)
        return statistics.median(times[1:])

    def _step(self, x, precision: str) -> None:
        import torch

        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(self.net(x).float(), self.y)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()

    def memory_mb(self) -> float:
        """Weights, gradient and Adam's two averages, and every activation kept for the way back."""
        import torch

        kept = 0

        def count(module, inputs, output):
            nonlocal kept
            if hasattr(output, "numel"):
                kept += output.numel() * 4

        leaves = [module for module in self.net.modules() if not list(module.children())]
        hooks = [module.register_forward_hook(count) for module in leaves]
        with torch.no_grad():
            self.net(self.x[:2])
        for hook in hooks:
            hook.remove()
        weights = sum(p.numel() for p in self.net.parameters()) * 4 * 4
        return (kept / 2 * self.batch * 2 + weights) / 1e6 + 350
