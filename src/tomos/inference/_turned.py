"""Labels on a grid that is truly turned or sheared against the prepared one: a gather in pieces.

Here the scores of the whole prepared volume are kept: a row of the scan crosses many prepared
planes. The volume of the labels' grid times the classes never exists.
"""

from __future__ import annotations

from concurrent.futures import Executor
from math import prod

import numpy as np

from tomos.inference.decision import Ask, Decision, Sheet
from tomos.inference.grids import Grid, change
from tomos.transforms.prepare import gathered

_AT_ONCE = 2**18  # scores of one piece


class Turned:
    """Takes prepared planes until all are there, then answers voxel by voxel."""

    def __init__(self, ask: Ask, grids: tuple[Grid, Grid], answer: Sheet, pool: Executor):
        prepared, scan = grids
        self.ask, self.answer, self.pool = ask, answer, pool
        self._flat = answer.seen(lambda whole: whole.reshape(-1))
        self.to_prepared = change(prepared, scan)
        self._scores = np.empty((ask.classes, *prepared.size), np.float32)
        self._planes, self._decision = 0, Decision(ask)

    @staticmethod
    def memory(ask: Ask, prepared: Grid) -> int:
        """Bytes at most: the scores, and for each thread coordinates and scores of one piece."""
        piece = max(1, _AT_ONCE // ask.classes) * (ask.classes * (13 + 4 * ask.entropy) + 240)
        return 4 * ask.classes * prod(prepared.size) + ask.workers * piece

    def add(self, scores: np.ndarray) -> None:
        """The next prepared planes (K, planes, Y, X)."""
        self._scores[:, self._planes : self._planes + scores.shape[1]] = scores
        self._decision.check(scores)
        self._planes += scores.shape[1]

    def finish(self) -> tuple[int, np.ndarray]:
        """Fill the answer: how many voxels were covered, and what is expected of them."""
        workers = [Decision(self.ask) for _ in range(self.ask.workers)]
        step = max(1, _AT_ONCE // self.ask.classes)
        size = self.answer.labels.size
        pieces = [range(i, min(i + step, size)) for i in range(0, size, step)]

        def work(worker: int) -> int:
            mine = pieces[worker :: len(workers)]
            return sum(self._piece(workers[worker], np.asarray(piece)) for piece in mine)

        covered = sum(self.pool.map(work, range(len(workers))))
        return covered, np.sum([worker.expected for worker in workers], axis=0)

    def _piece(self, decision: Decision, flat: np.ndarray) -> int:
        """Voxels `flat` of the scan; how many of them lie on the prepared grid."""
        index = np.stack(np.unravel_index(flat, self.answer.labels.shape)).astype(float)
        where = self.to_prepared[:3, :3] @ index + self.to_prepared[:3, 3:]
        top = np.array(self._scores.shape[1:])[:, None] - 1
        inside = ((where >= -0.5 - 1e-6) & (where <= top + 0.5 + 1e-6)).all(axis=0)
        flat, where = flat[inside], np.clip(where[:, inside], 0, top)
        if not len(flat):
            return 0
        scores = gathered(self._scores, where)
        classes = np.arange(len(scores), dtype=self.ask.dtype)
        self._flat.write((flat,), scores, classes, decision)
        return len(flat)
