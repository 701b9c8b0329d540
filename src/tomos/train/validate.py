"""How good a net is after an epoch, and which epoch is the one to keep. No random step is taken."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from tomos.train import batches
from tomos.train.batches import Source

BATCH = 256  # cases at once where nothing is learned: no gradients need room


def evaluate_net(
    net: nn.Module,
    images: np.ndarray | Source,
    batch: int = BATCH,
    device: torch.device | str | None = None,
    channels_last: bool = False,
) -> np.ndarray:
    """Logits (N, K) float32 of (N, C, Y, X) prepared images, in evaluation mode and full precision.

    The net stays on its device (or goes to `device`), and each of its modules gets back the mode,
    training or evaluation, that it had.
    """
    if device is not None:
        net = net.to(device)
    place = next(net.parameters()).device
    source = images if isinstance(images, Source) else Source(images, place)
    modes = {module: module.training for module in net.modules()}
    net.eval()
    found: list[Tensor] = []
    try:
        with torch.no_grad():
            for x_BCYX in source.stream(batches.cut(len(source.images), batch)):
                if channels_last:
                    x_BCYX = x_BCYX.contiguous(memory_format=torch.channels_last)
                found.append(net(x_BCYX).float().cpu())
    finally:
        for module, training in modes.items():
            module.training = training
    return torch.cat(found).numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """One epoch on the validation part.

    log_loss     mean loss of the probabilities as the net gives them
    refined      the same after the one temperature that suits this epoch best: how well the net
                 tells cases apart, whatever its confidence, which calibration sets right later
                 (Berta et al. 2025, arXiv:2501.19195)
    temperature  that temperature
    auroc        macro one-versus-rest; NaN when the part holds one class
    values       (N,) the refined loss of each assessed case
    """

    log_loss: float
    refined: float
    temperature: float
    auroc: float
    values: np.ndarray

    def figures(self) -> dict[str, float | None]:
        """What the log shows; None where there is no number."""
        keys = ("log_loss", "refined", "temperature", "auroc")
        return {k: v if np.isfinite(v := getattr(self, k)) else None for k in keys}


def judge(
    logits_NK: np.ndarray, targets: np.ndarray, kind: str, weights: np.ndarray | None = None
) -> Validation:
    """Score logits. `targets` as in `Data`; rows without a target are left out.

    `weights` (N,): how much each case counts, when learning was balanced in the same way.
    """
    rows = batches.assessed(targets)
    logits = np.asarray(logits_NK, np.float64)[rows]
    truth = np.asarray(targets)[rows]
    share = np.ones(len(rows)) if weights is None else weights[rows] / weights[rows].mean()
    losses = {"multilabel": _binary, "ordinal": _cumulative}.get(kind, _log_loss)

    def mean(temperature: float) -> float:
        return float((losses(logits / temperature, truth) * share).mean())

    temperature = _lowest(mean)
    values = losses(logits / temperature, truth) * share
    return Validation(mean(1.0), float(values.mean()), temperature, _auroc(logits, truth), values)


@dataclass
class Best:
    """Which epoch to keep: the latest that is not worse, beyond chance, than the lowest.

    The lowest loss of many noisy ones is partly luck, and with few validation cases mostly luck;
    later epochs have learned more at a smaller rate. So an epoch is kept when its refined loss is
    lower than every one before, or when it lies above the lowest by no more than one standard error
    of the difference, case by case, between the two. `since` counts epochs after the lowest one:
    early stopping goes by it.
    """

    epoch: int = 0
    lowest: int = 0
    since: int = 0
    reference: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def keep(self, epoch: int, values: np.ndarray | None) -> bool:
        """Note the losses (N,) of `epoch`; True when its weights are the ones to keep so far.

        Without validation (None) the last epoch is.
        """
        if values is None or not self.lowest:
            self.epoch = epoch
            if values is not None:
                self.lowest, self.reference = epoch, values
            return True
        difference = values - self.reference
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
        if difference.mean() < 0:
            self.lowest, self.reference, self.since = epoch, values, 0
        else:
            self.since += 1
        kept = bool(difference.mean() <= error)
        if kept:
            self.epoch = epoch
        return kept


def _log_loss(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    top = logits.max(1)
    log_sum = top + np.log(np.exp(logits - top[:, None]).sum(1))
    return log_sum - logits[np.arange(len(truth)), truth.astype(int)]


def _binary(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    known = ~np.isnan(truth)
    values = np.logaddexp(0, logits) - logits * np.where(known, truth, 0)
    return (values * known).sum(1) / known.sum(1)


def _cumulative(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """As `measures.losses.ordinal`, in numpy."""
    log_sum = np.logaddexp.accumulate(logits, axis=1)
    above = np.logaddexp.accumulate(logits[:, ::-1], axis=1)[:, ::-1]
    cuts = np.arange(1, logits.shape[1])
    chosen = np.where(truth[:, None] >= cuts, above[:, 1:], log_sum[:, :-1])
    return (log_sum[:, -1:] - chosen).mean(1)


def _lowest(loss, low: float = -3.0, high: float = 3.0) -> float:
    """The temperature exp(t), t in low..high, of the least loss, by golden section: in 1/T the loss
    has one valley."""
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(np.exp(left)), loss(np.exp(right))
    for _ in range(24):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(np.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(np.exp(right))
    return float(np.exp((low + high) / 2))


def _auroc(logits: np.ndarray, truth: np.ndarray) -> float:
    from tomos.measures.ranking import auroc, macro_auroc

    if truth.ndim == 1:
        # Softmax first: one-versus-rest ranks the probability of a class, not its logit.
        scores = np.exp(logits - logits.max(1, keepdims=True))
        return macro_auroc(truth.astype(int), scores / scores.sum(1, keepdims=True))[0]
    values = []
    for column, scores in zip(truth.T, logits.T, strict=True):
        known = ~np.isnan(column)
        values.append(auroc(column[known].astype(int), scores[known]))
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
