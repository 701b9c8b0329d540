"""The rules for masks: from a fingerprint and a time budget to every choice.

Each rule is a small function that returns a value and the sentence that goes into the plan. Grid,
patch and strides follow nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z); what depends
on time follows this machine's measured speed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from tomos.plan import scaling, sentences
from tomos.plan.mask_fingerprint import EVEN, MaskFingerprint
from tomos.plan.probe import Speed
from tomos.types import Words
from tomos.types.words import joined

ANISOTROPIC = 3.0  # times: an axis that is so much coarser keeps a finer grid than its median
LEAST = 4  # voxels of a side of the coarsest maps
STAGES = {2: 5, 3: 6}
SEEN = 32  # times the thickness of a label: a patch need not show more around it
SIDE = {2: 128, 3: 64}  # voxels of a patch's side that it may have in any case
WIDEST = {2: 512, 3: 320}  # maps of any stage
# Voxels of a patch at most: more fit into memory, but are then seen too seldom. First guesses.
VOXELS = {("cpu", 2): 2**16, ("cpu", 3): 2**17, ("cuda", 2): 2**18, ("cuda", 3): 2**21}
# Voxels of a batch. In equal time on a processor many steps of few patches taught more than few
# steps of many: seen on one set of pictures, so a first guess, too.
AT_ONCE = {("cpu", "instance"): 2**15, ("cpu", "batch"): 2**16}
AT_ONCE |= {("cuda", "instance"): 2**18, ("cuda", "batch"): 2**18}
BATCHES = (2, 16)
# Networks and the maps of their first stage, the strongest first. Isensee et al. 2024
# (arXiv:2404.09556) found the residual encoder best where time is no object; a step of it takes
# half as long again as one of a U-Net as wide.
NETS = (
    ("residual_unet", 32),
    ("unet", 32),
    ("unet", 24),
    ("unet", 16),
    ("unet", 12),
    ("unet", 8),
)
# Of a network, beside its form: with the 1, 3, 4, 6 blocks of the paper a step took a third longer.
OPTIONS: dict[str, dict[str, Any]] = {"residual_unet": {"blocks": [1, 2, 2, 2]}}
# Maps are normalised each by itself, but over a batch where the light of pictures was evened out:
# every place is by then measured by its neighbours, and a tile without anything to find would be
# blown up like one that is full of it. First guesses, rate and batch with it: in trials two folds
# of vessels were learned better so, and one of cells in smears, whose light is even, was not.
RATE = {"instance": 2e-3, "batch": 5e-3}
# Patches that a network must be shown to be worth choosing, by its norm. In equal time 16 maps that
# were shown them learned one fold of vessels better than 32 maps that were shown half as many; of
# volumes a first guess.
SHOWN = {"instance": 5000, "batch": 16000}
EPOCHS = 40
SHARE = 0.8  # of the budget that learning may take
HARMLESS = 0.75  # below this, a flipped picture is hardly told from an upright one
WHOLE = 1024  # pixels of a side of a tile at inference, at most: what is kept of it is memory
PART = 0.5  # of an axis: a patch that sees less does not see on which side it lies
CLEARER = 1.25  # times further apart: even light then pays
TINY = 0.0005  # of a patch: a lesion so small is lost among the voxels around it
# Of patches are turned, and as many resized: resampling blurs the picture by up to half a voxel and
# moves the labels' rims as far. With all patches resampled less was learned in the same steps.
MOVED = 0.3
SQUARE = 0.01  # sides of pixels may differ by so much for a quarter turn
MIDDLE = 0.05  # of an axis: labels whose centres lie so near to its middle have no side


class Net(NamedTuple):
    """A network by name, as in `tomos models`, and the maps of its first stage."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Form:
    """Patch and stages: one number an axis in `patch`, in each of `strides` and of `kernels`;
    `norm`: over what maps are normalised."""

    patch: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    norm: str = "instance"

    @property
    def voxels(self) -> int:
        return int(np.prod(self.patch))

    def options(self, net: Net) -> dict[str, Any]:
        """Of the network in this form."""
        dims = len(self.patch)
        widths = [min(WIDEST[dims], net.width * 2**k) for k in range(len(self.strides))]
        return {
            "dims": dims,
            "widths": widths,
            "strides": [list(stride) for stride in self.strides],
            "kernels": [list(kernel) for kernel in self.kernels],
            **({} if self.norm == "instance" else {"norm": self.norm}),
            **OPTIONS.get(net.name, {}),
        }


def spacing(fp: MaskFingerprint) -> tuple[float, ...]:
    """Of the prepared grid, in mm: the median of the cases, a finer one along a coarse axis."""
    low, median, _ = (np.array(row) for row in fp.spacings)
    target = median.copy()
    coarse = int(target.argmax())
    others = np.delete(target, coarse)
    if fp.axes == 3 and target[coarse] > ANISOTROPIC * others.min():
        # Never finer than the others: nothing is there to be seen.
        target[coarse] = max(low[coarse], others.max())
    return tuple(round(float(value), 5) for value in target)


def channels(fp: MaskFingerprint) -> int:
    if fp.roles:
        return sum(role.channels for role in fp.roles)
    return 3 if fp.colour > 0.02 else 1


def prepare(fp: MaskFingerprint) -> tuple[list[dict[str, Any]], Words]:
    """The steps from a file's pixels to the network's input, and why."""
    steps: list[dict[str, Any]] = [{"step": "channels", "to": channels(fp)}]
    colour = sentences.COLOUR if channels(fp) == 3 else sentences.GREY
    reasons = [sentences.several(fp.roles) if fp.roles else colour]
    if fp.axes == 3:
        steps.append({"step": "orient"})
    target = spacing(fp)
    if fp.placed and fp.axes == 3:
        steps.append({"step": "resample", "spacing": list(target)})
        reasons.append(sentences.grid(target))
    else:
        reasons.append(sentences.OWN_GRID)
    if uneven(fp):
        steps.append({"step": "even", "window": EVEN})
        gains = {name: (of.apart, of.apart_even) for name, of in fp.labels.items()}
        reasons.append(sentences.evened(gains))
    values, why = scaling.scaled(fp)
    return [*steps, *values], joined([*reasons, *why], "; ", "；")


def uneven(fp: MaskFingerprint) -> bool:
    """Whether the labels of pictures stand out better once the light is evened out, none worse."""
    known = [of for of in fp.labels.values() if of.apart and of.apart_even]
    if not known or "HU" in fp.units:
        return False
    gains = [of.apart_even / of.apart for of in known]
    return min(gains) >= 1 and max(gains) >= CLEARER


def size(fp: MaskFingerprint) -> np.ndarray:
    """The median case on the prepared grid, in voxels."""
    median, old = np.array(fp.sizes[1]), np.array(fp.spacings[1])
    return np.maximum(1, np.round(median * old / np.array(spacing(fp)))).astype(int)


def enough(fp: MaskFingerprint) -> np.ndarray:
    """Sides of a patch, in voxels of the prepared grid, that show enough around every label: of a
    thin vessel its neighbourhood, of an organ all there is."""
    thick = max((of.thickness for of in fp.labels.values()), default=0.0)
    if not thick:
        return size(fp)
    finer = size(fp) / np.maximum(1, np.array(fp.sizes[1]))
    return np.maximum(SIDE[fp.axes], np.ceil(SEEN * thick * finer)).astype(int)


def form(fp: MaskFingerprint, device: str) -> Form:
    """The largest patch within the allowance, in the shape of the median case, and its stages."""
    most = VOXELS[_kind(device), fp.axes]
    patch, grid = np.minimum(size(fp), enough(fp)), np.array(spacing(fp))
    found = _form(patch, grid)
    while found.voxels > most:
        # The side that is longest against the others loses a step, as it has most to lose.
        step = np.prod(found.strides, axis=0)
        longest = int((np.array(found.patch) / size(fp)).argmax())
        sides = np.array(found.patch) / step
        axis = longest if sides[longest] > 1 else int(sides.argmax())
        patch = np.array(found.patch)
        patch[axis] = max(LEAST, patch[axis] - step[axis])
        found = _form(patch, grid)
    return replace(found, norm="batch") if fp.axes == 2 and uneven(fp) else found


def _form(patch: np.ndarray, grid: np.ndarray) -> Form:
    """Stages for a patch: halve every axis that is not coarser than twice the finest one."""
    dims = len(patch)
    sides, apart = patch.astype(float), grid.astype(float)
    strides, kernels = [(1,) * dims], [_kernel(apart)]
    while len(strides) < STAGES[dims]:
        long = sides / 2 >= LEAST
        if not long.any():
            break
        step = np.where(long & (apart < 2 * apart[long].min()), 2, 1)
        sides, apart = sides / step, apart * step
        strides.append(tuple(int(k) for k in step))
        kernels.append(_kernel(apart))
    whole = np.prod(strides, axis=0)
    fitting = -(-patch // whole) * whole
    return Form(tuple(int(n) for n in fitting), tuple(strides), tuple(kernels))


def _kernel(apart: np.ndarray) -> tuple[int, ...]:
    return tuple(3 if value < 2 * apart.min() else 1 for value in apart)


def _kind(device: str) -> str:
    return "cuda" if device.startswith("cuda") else "cpu"


def batch(found: Form, device: str) -> int:
    low, high = BATCHES
    return max(low, min(high, AT_ONCE[_kind(device), found.norm] // found.voxels))


def flips(fp: MaskFingerprint, found: Form) -> list[str]:
    """The axes along which a mirrored patch is one that could have come.

    The whole picture looks the same mirrored; or a patch sees a small part of it, and the labels
    have no side: a vessel has none, a left kidney has.
    """
    free = []
    for axis, at in (("x", -1), ("y", -2)):
        centres = [facts.centre[at] for facts in fp.labels.values() if facts.centre]
        middle = bool(centres) and max(abs(centre - 0.5) for centre in centres) < MIDDLE
        part = found.patch[at] < PART * size(fp)[at]
        if fp.told_apart[f"flip_{axis}"] < HARMLESS or (part and middle):
            free.append(axis)
    return free


def square(fp: MaskFingerprint) -> bool:
    """Whether a quarter turn in the plane leaves the grid as it is."""
    y, x = spacing(fp)[-2:]
    return abs(y - x) <= SQUARE * x


def views(fp: MaskFingerprint, found: Form) -> tuple[str, ...]:
    """Mirrored pictures whose scores are averaged: of a picture, which costs little, by every flip;
    of a volume none."""
    free = flips(fp, found) if fp.axes == 2 else []
    both = ["rotate_180"] if len(free) == 2 else []
    return ("identity", *(f"flip_{axis}" for axis in free), *both)


def predict(fp: MaskFingerprint, found: Form) -> dict[str, Any]:
    """How inference goes over an image. Where maps are normalised over a batch, a place is answered
    for alike in a tile of any size: then the whole of a usual picture is one, and of larger ones
    tiles have half a patch in common."""
    views_ = {"views": views(fp, found)}
    if found.norm == "instance":
        return views_
    step = np.prod(found.strides, axis=0)
    sides = -(-np.minimum(size(fp), WHOLE) // step) * step
    sides = np.maximum(sides, found.patch)
    share = max(n / (2 * side) for n, side in zip(found.patch, sides, strict=True))
    return {**views_, "tile": tuple(int(n) for n in sides), "overlap": round(min(0.5, share), 3)}


def augment(fp: MaskFingerprint, found: Form) -> tuple[list[dict[str, Any]], Words]:
    """The random changes that leave the mask true, and why."""
    free = flips(fp, found)
    coarse = fp.axes == 3 and found.kernels[0][0] < max(found.kernels[0])
    flat = {"degrees_x": 0.0, "degrees_y": 0.0} if fp.axes == 3 else {}
    steps: list[dict[str, Any]] = []
    if free:
        steps.append({"step": "flip", **dict.fromkeys(free, 0.5)})
    if len(free) == 2 and square(fp):
        steps.append({"step": "rotate", "quarter_turns": True, **flat})
    steps += [
        # Slices that lie far apart hold nothing of what a turn across them would show.
        {"step": "rotate", "degrees": 15.0, "probability": MOVED, **(flat if coarse else {})},
        {"step": "scale", "factor": [0.8, 1.25], "probability": MOVED},
        {"step": "noise", "sigma": [0.0, 0.1], "probability": 0.2},
        {"step": "blur", "sigma": [0.5, 1.0], "probability": 0.2},
        {"step": "contrast", "factor": [0.75, 1.33], "probability": 0.3},
        {"step": "brightness", "shift": 0.25, "probability": 0.3},
        {"step": "gamma", "gamma": [0.7, 1.5], "probability": 0.3},
    ]
    small = any(fp.told_apart[f"flip_{axis}"] >= HARMLESS for axis in free)
    why = sentences.told(fp.told_apart) + sentences.flips(free, small)
    return steps, why + (sentences.IN_PLANE if coarse else "") + sentences.moved(MOVED)


class Machine(Protocol):
    """What times networks in a form: `quick` with the likeliest precision and layout, `measured`
    with the best."""

    def quick(self, found: Form, net: Net, batch: int) -> Speed: ...
    def measured(self, found: Form, net: Net, batch: int) -> Speed: ...
    def work(self, found: Form, net: Net) -> int:
        """Multiply-adds of one patch."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """net  and the `speed` of it; `patches` in each of `epochs`"""

    net: Net
    speed: Speed
    epochs: int
    patches: int
    reason: Words

    @property
    def seconds(self) -> float:
        return self.speed.seconds * self.patches * self.epochs


def choose(found: Form, minutes: float, machine: Machine, batch: int) -> Choice:
    """The strongest network that can be shown enough patches in the time, else the lightest.

    The lightest is timed, the others are guessed from their multiply-adds; only those that may fit
    are timed, too.
    """
    seconds, needed = minutes * 60 * SHARE, SHOWN[found.norm]
    *stronger, light = (Net(*each) for each in NETS)
    rate = machine.quick(found, light, batch).seconds / machine.work(found, light)
    for net in stronger:
        # Many maps are worked on more efficiently than few, hence the generous guess.
        if 0.5 * rate * machine.work(found, net) * needed > seconds:
            continue
        if machine.quick(found, net, batch).seconds * needed <= seconds:
            break
    else:
        net = light
    speed = machine.measured(found, net, batch)
    shown = seconds / speed.seconds
    epochs = int(max(1, min(EPOCHS, shown // (4 * batch))))
    patches = max(1, round(shown / epochs / batch)) * batch
    reason = sentences.enough(found.patch, net, speed.seconds, shown, needed)
    return Choice(net, speed, epochs, patches, reason)


def tiny(fp: MaskFingerprint, found: Form) -> list[str]:
    """The classes of which even a case's largest piece is typically tiny beside a patch."""
    finer = np.prod(size(fp).astype(float)) / np.prod(np.array(fp.sizes[1], float))
    most = TINY * found.voxels
    return [name for name, of in fp.labels.items() if of.pieces and of.piece * finer < most]


def loss(fp: MaskFingerprint, found: Form) -> tuple[dict[str, Any], Words]:
    """Which loss, and why."""
    small = tiny(fp, found)
    if small:
        return {"loss": "tversky", "loss_options": {"cross_entropy": 1.0}}, sentences.tversky(small)
    return {"loss": "dice_cross_entropy"}, sentences.DICE


def train(
    fp: MaskFingerprint, found: Form, choice: Choice, batch: int, seed: int
) -> tuple[dict[str, Any], Words]:
    """Optimiser, schedule, loss and sampling, and why."""
    steps = choice.epochs * choice.patches // batch
    error, why = loss(fp, found)
    values: dict[str, Any] = {
        **error,
        "optimiser": "adamw",
        "learning_rate": RATE[found.norm],
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warmup": 0.05,
        "clip": 12.0,
        "ema": round(max(0.9, min(0.999, 1 - 20 / max(1, steps))), 5),
        "epochs": choice.epochs,
        "patches": choice.patches,
        "foreground": 0.5,
        "batch": batch,
        "precision": choice.speed.precision,
        "channels_last": choice.speed.channels_last,
        "threads": choice.speed.threads,
        "seed": seed,
    }
    return values, why + sentences.SAMPLED
