"""Instance norm with leaky ReLU, forward and backward, channels last: ours against torch's.

    python benchmarks/instance_norm.py [--rounds 15] [--threads 2]

Torch's is a group norm with a map a group, which keeps the layout (its instance norm loses it),
and then the activation in place. Ours is first compared with the formula in double precision (its
slopes are, in the tests). Both take turns; the median of the ratios counts. No peer's figure asks
for this: the goal is not to be slower in any form.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import torch
import torch.nn.functional as F
from _record import goal, keep

from tomos.models._instance_norm import InstanceNorm

SHAPES = ((2, 16, 128, 128), (2, 32, 64, 64), (2, 64, 32, 32), (2, 16, 40, 56, 40))
SLOPE = 0.01
NEAR = {torch.float32: 1e-5, torch.bfloat16: 2**-5}  # beside a spread of 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found, goals = {}, []
    for shape in SHAPES:
        for dtype in NEAR:
            name = f"{' x '.join(map(str, shape))} {str(dtype).removeprefix('torch.')}"
            found[name] = compared(shape, dtype, args.rounds)
            what = f"norm and activation, {name}: times as fast as torch's"
            goals.append(goal(what, found[name]["ratio"], least=1.0))
    about = {"torch": torch.__version__, "threads": args.threads, "shapes": found}
    return keep("instance_norm", about, goals)


def compared(shape: tuple[int, ...], dtype: torch.dtype, rounds: int) -> dict:
    torch.manual_seed(0)
    layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    norm = InstanceNorm(shape[1], slope=SLOPE)
    x, pull = ((torch.randn(shape) + 3 * k).to(dtype) for k in (1, 0))
    x = x.contiguous(memory_format=layout).requires_grad_()
    pull = pull.contiguous(memory_format=layout)

    def torchs() -> torch.Tensor:
        y = F.group_norm(x, shape[1], norm.weight, norm.bias, norm.eps)
        return F.leaky_relu_(y, SLOPE)

    off = (norm(x).double() - exact(x.detach().double())).abs().max()
    if off > NEAR[dtype]:
        sys.exit(f"{shape} {dtype}: off by {off:g}")
    sides = {"tomos": lambda: norm(x), "torch": torchs}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 2):
        for name, side in sides.items():
            taken[name].append(seconds(side, (x, norm.weight, norm.bias), pull))
    kept = {name: times[2:] for name, times in taken.items()}  # the first ones warm up
    ratios = [b / a for a, b in zip(kept["tomos"], kept["torch"], strict=True)]
    each = {name: round(1e3 * statistics.median(times), 3) for name, times in kept.items()}
    return {"ratio": round(statistics.median(ratios), 2), "milliseconds": each, "off": float(off)}


def exact(x: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(2, x.ndim))
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return F.leaky_relu((x - mean) / (var + 1e-5).sqrt(), SLOPE)


def seconds(side: Callable[[], torch.Tensor], of: tuple, pull: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.autograd.grad(side(), of, pull)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
