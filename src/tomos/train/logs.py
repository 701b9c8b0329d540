"""What a run tells while it runs: `log.jsonl`, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tomos.config import atomic_write
from tomos.types import StorageError


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of `log.jsonl`.

    epoch     from 1; `step` taken by then; `member` of the ensemble, from 0
    loss      mean over the epoch's cases, as they were shown
    rate      the learning rate at the end
    seconds   of work since the run began, over all resumes
    validation  figures of `validate.Validation`; None without a validation part
    slower    factor on the plan's learning rate: below 1 after a divergence
    kept      these were the weights to keep so far
    """

    member: int
    epoch: int
    step: int
    loss: float
    rate: float
    seconds: float
    validation: dict[str, float | None] | None
    kept: bool
    slower: float = 1.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def note(self) -> str:
        """The epoch in a few words, for the progress line."""
        words = [f"loss {self.loss:.3f}"]
        found = self.validation or {}
        if (value := found.get("log_loss")) is not None:
            words.append(f"val {value:.3f}")
        if (value := found.get("auroc")) is not None:
            words.append(f"AUROC {value:.3f}")
        return "  ".join(words)


class Log:
    """`log.jsonl`: one object an epoch, only ever appended to while a run goes on.

    history  what counts of every network that has begun, network by network
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._of: dict[int, list[Epoch]] = {}

    @property
    def history(self) -> tuple[Epoch, ...]:
        return tuple(epoch for _, epochs in sorted(self._of.items()) for epoch in epochs)

    def begins(self, member: int, epochs: Iterable[Epoch]) -> None:
        """A network begins with `epochs`: what the file holds beyond them is cut off."""
        self._of[member] = list(epochs)
        atomic_write(self.path, "".join(map(_line, self.history)).encode())

    def add(self, epoch: Epoch) -> None:
        """Append one line. Raises StorageError when the disk is full."""
        self._of[epoch.member].append(epoch)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(epoch))
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be written ({error.strerror}); "
                "make room and go on with --resume"
            ) from error


class Board:
    """TensorBoard events in `folder`; nothing, with a note, where tensorboard is not installed."""

    def __init__(self, folder: Path, say: Callable[[str], None], from_epoch: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._writer = None
            say("No TensorBoard events: pip install 'tomos[train]' brings tensorboard")
            return
        self._writer = SummaryWriter(str(folder), purge_step=from_epoch + 1, flush_secs=10)

    def add(self, epoch: Epoch) -> None:
        if self._writer is None:
            return
        self._writer.add_scalar("loss/train", epoch.loss, epoch.epoch)
        self._writer.add_scalar("learning rate", epoch.rate, epoch.epoch)
        for name, value in (epoch.validation or {}).items():
            if value is not None:
                self._writer.add_scalar(f"validation/{name}", value, epoch.epoch)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _line(epoch: Epoch) -> str:
    return json.dumps(epoch.to_json(), allow_nan=False) + "\n"
