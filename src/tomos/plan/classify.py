"""The rules for classifying pictures: from a fingerprint and a time budget to every choice.

Each rule is a small function that returns a value and the sentence that goes into the plan. The
numbers are checked by cross-validation on train + validation parts only (`benchmarks/rules.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tomos.plan.fingerprint import Fingerprint
from tomos.plan.probe import Speed
from tomos.plan.sentences import COLOUR, GREY, told
from tomos.types import PlanError, Words
from tomos.types.words import joined, plain

# Sides of square inputs worth trying, in pixels.
LADDER = (28, 32, 48, 64, 96, 128, 160, 224, 320)
# Below this, a flipped picture is hardly told from an upright one (plan/symmetry.py).
HARMLESS = 0.75
# Pictures that a network must be shown to be worth choosing: a first guess.
SHOWN_LEAST, SHOWN_EACH, SHOWN_MOST = 30_000, 25, 400_000
# Times that many before another network brings more: a first guess, from breast pictures only
# (`benchmarks/rules.py DATASET --only plan --epochs N` judges it).
FULL = 3
NETWORKS = 5
# Times the least that larger pictures must be shown to be worth more than smaller ones shown more:
# from one fold of one set (benchmarks/results/folds-cxr_three_class.json).
LARGER = 2
# Networks side by side, each on one core, slow each other down by up to a tenth.
CROWD = 1.1
# The share of the budget that learning may take; the rest is preparation, judging and packing.
SHARE = 0.8
EPOCHS_LEAST, EPOCHS_MOST = 12, 400


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network at a picture size."""

    name: str
    options: dict[str, Any]
    side: int


class Machine(Protocol):
    """What times networks: `quick` in the likeliest form, `measured` in the best, with a batch."""

    def quick(self, candidate: Candidate, batch: int) -> Speed: ...
    def measured(self, candidate: Candidate, batch: int) -> Speed: ...
    def work(self, candidate: Candidate) -> int:
        """Multiply-adds of one picture."""
        ...


def prepare(fp: Fingerprint, size: tuple[int, int]) -> tuple[list[dict[str, Any]], Words]:
    """The steps from a file's pixels to the network's input, and why."""
    if fp.volumes > 0:
        raise PlanError(
            "these cases are volumes, and this plan is for single pictures; "
            "import single slices (one file or frame a case)"
        )
    steps: list[dict[str, Any]] = [{"step": "channels", "to": channels(fp)}]
    reasons = [COLOUR if channels(fp) == 3 else GREY]
    if "HU" in fp.units:
        steps.append({"step": "window", "source": "fixed", "centre": 0.0, "width": 2400.0})
        reasons.append(
            Words(
                "CT values are absolute: one wide window, -1200 to 1200 HU, for all",
                "CT 值为绝对值：全部采用 -1200 至 1200 HU 的宽窗",
            )
        )
    elif any(not kind.endswith("int8") for kind in fp.types):
        steps.append({"step": "window", "source": "percentile", "low": 0.5, "high": 99.5})
        reasons.append(
            Words(
                "more than 8 bits: the outermost half percent of values is clipped",
                "超过 8 位：两端各 0.5 % 的像素值被截断",
            )
        )
    mode = "pad" if fp.aspect > 2 else "stretch"
    steps.append({"step": "resize", "size": list(size), "mode": mode})
    reasons.append(
        Words(
            f"shapes differ by a factor of {plain(fp.aspect)}, so ",
            f"宽高比相差达 {plain(fp.aspect)} 倍，因此",
        )
        + (
            Words("the shape is kept and the rest filled", "保持形状，其余部分填充")
            if mode == "pad"
            else Words("each axis is fitted", "各轴分别缩放")
        )
    )
    if "HU" in fp.units:
        steps.append({"step": "normalise", "kind": "fixed", "mean": [0.5], "std": [0.25]})
    else:
        steps.append({"step": "normalise", "kind": "zscore"})
        reasons.append(
            Words(
                "brightness depends on exposure, so each picture gets mean 0 and spread 1",
                "亮度取决于曝光，因此每幅图像归一化为均值 0、标准差 1",
            )
        )
    return steps, joined(reasons, "; ", "；")


def channels(fp: Fingerprint) -> int:
    """3 where any noticeable share of pictures has colour."""
    return 3 if fp.colour > 0.02 else 1


def augment(fp: Fingerprint) -> tuple[list[dict[str, Any]], Words]:
    """The random changes that leave the label true, and why."""
    flips = [axis for axis in ("x", "y") if fp.told_apart[f"flip_{axis}"] < HARMLESS]
    free = len(flips) == 2 and fp.told_apart["transpose"] < HARMLESS
    steps: list[dict[str, Any]] = []
    if flips:
        chance = {axis: 0.5 if axis in flips else 0.0 for axis in ("x", "y")}
        steps.append({"step": "flip", **chance})
    steps += [
        {"step": "rotate", "degrees": 180.0 if free else 12.0},
        {"step": "scale", "factor": [0.85, 1.18], "each_axis": True},
        {"step": "shift", "share": 0.08},
        {"step": "contrast", "factor": [0.75, 1.33]},
        {"step": "brightness", "shift": 0.25},
        {"step": "gamma", "gamma": [0.75, 1.33]},
        {"step": "noise", "sigma": [0.0, 0.1]},
    ]
    if channels(fp) == 3:
        steps.append({"step": "colour", "hue": 8.0, "saturation": [0.8, 1.25]})
    return steps, _flipped(fp, flips, free)


def _flipped(fp: Fingerprint, flips: list[str], free: bool) -> Words:
    chosen = {
        0: Words("no flips", "不翻转"),
        1: Words(f"flips along {flips[0]}", f"沿 {flips[0]} 轴翻转") if flips else Words(""),
        2: Words("flips both ways", "沿两轴翻转"),
    }[len(flips)]
    turned = Words("any rotation", "任意角度旋转")
    turned = turned if free else Words("small rotations only", "仅小角度旋转")
    return joined([told(fp.told_apart) + chosen, turned], ", ", "，") + Words(
        "; small changes of place, size and exposure, as between two takes",
        "；位置、大小和曝光略有变化，如同两次拍摄之间",
    )


def candidates(fp: Fingerprint) -> list[Candidate]:
    """Networks from the one wanted most to the cheapest, by the pictures' own size."""
    native = max(fp.sides[0][1], fp.sides[1][1])
    sides = [side for side in reversed(LADDER) if side <= min(native, 224)] or [native]
    if native <= 40:
        sides = [native]
    listed = [Candidate("resnet_small", _shape(side, 24), side) for side in sides]
    return [*listed, Candidate("resnet_small", _shape(sides[-1], 16), sides[-1])]


def _shape(side: int, width: int) -> dict[str, Any]:
    """Stages until the last map is 7 to 10 pixels wide: coarser, and a heat map shows nothing."""
    if side <= 40:
        return {"width": width, "blocks": [1, 2, 2], "stem": "small"}
    if side <= 100:
        return {"width": width, "blocks": [1, 2, 2], "stem": "medium"}
    if side <= 160:
        return {"width": width, "blocks": [1, 1, 2, 2], "stem": "medium"}
    return {"width": width, "blocks": [1, 2, 2, 1], "stem": "imagenet"}


def wanted(n: int) -> int:
    """Pictures to show to a network at least: more data take more, but not in proportion."""
    return min(SHOWN_MOST, SHOWN_LEAST + SHOWN_EACH * n)


@dataclass(frozen=True, slots=True)
class Choice:
    """What fits the budget: the network, how often it sees the data, how many of them.

    together  networks trained at the same time, each with `threads` threads
    pace      seconds a picture of one network then takes
    """

    candidate: Candidate
    speed: Speed
    epochs: int
    members: int
    together: int
    threads: int
    pace: float
    reason: Words

    def seconds(self, shown: float) -> float:
        """Of learning, when an epoch shows so many pictures."""
        return self.pace * shown * self.epochs * -(-self.members // self.together)


def choose(fp: Fingerprint, minutes: float, machine: Machine, batch: int) -> Choice:
    """The largest pictures that can be shown often enough in the time, else the cheapest network.

    The cheapest is timed, the others are guessed from their multiply-adds; only those that may fit
    are timed, too.
    """
    seconds = minutes * 60 * SHARE
    want = wanted(fp.n_cases)
    listed = candidates(fp)
    cheapest = listed[-1]
    rate = _at_best(machine.quick(cheapest, batch)) / machine.work(cheapest)
    for candidate in listed[:-1]:
        need = want if candidate.side == cheapest.side else LARGER * want
        # Large maps are worked on more efficiently than small ones, hence the generous guess.
        if 0.6 * rate * machine.work(candidate) * need > seconds:
            continue
        if _at_best(machine.quick(candidate, batch)) * need <= seconds:
            return _fill(fp, candidate, machine.measured(candidate, batch), seconds, want)
    return _fill(fp, cheapest, machine.measured(cheapest, batch), seconds, want)


def _at_best(speed: Speed) -> float:
    """Seconds a picture when the machine is made full use of: one network, or several at once."""
    crowd = min(speed.cores, NETWORKS)
    return min(speed.seconds, CROWD * speed.single / crowd)


def _fill(fp: Fingerprint, candidate: Candidate, speed: Speed, seconds: float, want: int) -> Choice:
    full = FULL * want
    shown = seconds / speed.seconds
    rounds, together = max(1, min(NETWORKS, int(shown // full))), 1
    threads, pace = speed.threads, speed.seconds
    # Two networks shown a picture n times each are worth one shown it 2n times, and more once that
    # is a lot: so what counts is how much is shown in all.
    crowd, each = min(speed.cores, NETWORKS), seconds / (CROWD * speed.single)
    if crowd > 1 and each >= want and crowd * each > shown:
        shown, together, threads, pace = crowd * each, crowd, 1, CROWD * speed.single
        rounds = max(1, min(NETWORKS // crowd, int(each // full)))
    members = rounds * together
    epochs = int(min(shown / members, 1.5 * full) // max(1, fp.n_cases))
    epochs = max(EPOCHS_LEAST if shown >= want else 1, min(EPOCHS_MOST, epochs))
    reason = _enough(candidate, speed, shown, want) + _several(members, together)
    return Choice(candidate, speed, epochs, members, together, threads, pace, reason)


def _enough(candidate: Candidate, speed: Speed, shown: float, want: int) -> Words:
    side, pace, full = candidate.side, plain(1e3 * speed.seconds), FULL * want
    return Words(
        f"at {side} px one picture takes {pace} ms to learn from here, so the minutes allow "
        f"{shown:,.0f}; {want:,} are the least for one network, up to {full:,} make it better",
        f"边长 {side} 像素时，本机每学习一幅图像需 {pace} 毫秒，"
        f"给定时间内可学习 {shown:,.0f} 幅次；"
        f"一个网络至少需要 {want:,} 幅次，增至 {full:,} 幅次仍有提高",
    )


def _several(members: int, together: int) -> Words:
    said = Words("")
    if together > 1:
        said += Words(
            f"; a network this small leaves cores idle, so {together} are trained side by side, "
            "which shows more in the same time",
            f"；网络较小，部分处理器核会空闲，因此同时训练 {together} 个，同样时间内学习更多图像",
        )
    if members > 1:
        said += Words(
            f"; the answers of {members} networks are averaged", f"；{members} 个网络的预测取平均"
        )
    return said


def train(
    fp: Fingerprint, choice: Choice, batch: int, seed: int, kind: str
) -> tuple[dict[str, Any], Words]:
    """Optimiser, schedule, loss and averaging, and why."""
    counts = sorted(fp.counts.values())
    skew = counts[-1] / max(1, counts[0])
    values: dict[str, Any] = {
        "loss": {"multilabel": "bce", "ordinal": "ordinal"}.get(kind, "cross_entropy"),
        "label_smoothing": 0.05,
        "optimiser": "adamw",
        "learning_rate": 2e-3,
        "weight_decay": 0.05,
        "schedule": "cosine",
        "warmup": 0.05,
        "clip": 5.0,
        "ema": _decay(fp.n_cases, batch, choice.epochs),
        "epochs": choice.epochs,
        "batch": batch,
        "members": choice.members,
        "together": choice.together,
        "precision": choice.speed.precision,
        "channels_last": choice.speed.channels_last,
        "threads": choice.threads,
        "seed": seed,
    }
    reason = Words(
        "AdamW with warm-up and cosine decay; the average of the last weights is kept, which "
        "is steadier than the last; targets are softened by 5 % against overconfidence",
        "AdamW，学习率先预热、再余弦衰减；保留末段权重的平均值，它比最后的权重更稳定；"
        "标签平滑 5 %，以避免过度自信",
    )
    if skew > 4 and kind != "multilabel":
        values["balance"] = "sampler"
        reason += Words(
            f"; the largest class is {skew:.0f} times the smallest, so classes are drawn alike "
            "and probabilities are carried back to how often each comes",
            f"；最大类别的例数是最小类别的 {skew:.0f} 倍，因此各类别等概率抽取，"
            "概率再按各类别的实际频率换算回来",
        )
    return values, reason


def _decay(n: int, batch: int, epochs: int) -> float:
    """An average over about the last twentieth of all steps."""
    steps = max(1, n // batch) * epochs
    return round(max(0.9, min(0.9995, 1 - 20 / steps)), 5)


def batch_size(fp: Fingerprint) -> int:
    """Small enough for at least about ten steps an epoch, 16 to 64."""
    return next((b for b in (64, 32) if fp.n_cases >= 12 * b), 16)
