"""Files to fetch after an answer: in memory, for a short while, within a budget.

An address holds a random key, so that nobody finds a result who was not given it. Nothing of it is
logged, and nothing is written to disk.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tomos.serve.metrics import Metrics
from tomos.serve.refusal import Refusal

ADDRESS = "/api/results"
KEY_BYTES = 18


@dataclass(frozen=True, slots=True)
class Product:
    """One file to fetch: its bytes, their media type, and the name to save it under."""

    content: bytes
    media: str
    name: str

    @property
    def disposition(self) -> str:
        """`Content-Disposition` for any name, RFC 6266 section 4.3."""
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", self.name)
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(self.name)}"


@dataclass(frozen=True, slots=True)
class _Entry:
    products: Mapping[str, Product]
    size: int
    until: float


class Results:
    """Keeps the newest results; safe to call from several threads.

    most     bytes of all that is kept; the oldest goes first
    seconds  how long one is kept, whether fetched or not
    """

    def __init__(self, most: int, seconds: float, metrics: Metrics):
        self.most, self.seconds = most, seconds
        self._metrics = metrics
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def keep(self, products: Mapping[str, Product]) -> dict[str, str]:
        """Member -> its address. What is larger than the whole budget is not kept, so not there."""
        kept: dict[str, Product] = {}
        size = 0
        for member, product in products.items():
            if size + len(product.content) <= self.most:
                kept[member] = product
                size += len(product.content)
        if not kept:
            return {}
        key = secrets.token_urlsafe(KEY_BYTES)
        with self._lock:
            while self._entries and self._held() + size > self.most:
                self._entries.popitem(last=False)
            self._entries[key] = _Entry(kept, size, time.monotonic() + self.seconds)
            self._tidy()
        return {member: f"{ADDRESS}/{key}/{member}" for member in kept}

    def get(self, key: str, member: str) -> Product:
        """Refusal 404 when it is not kept any more, or never was."""
        with self._lock:
            self._tidy()
            entry = self._entries.get(key)
        if entry is None or member not in entry.products:
            minutes = f"{self.seconds / 60:g}"
            raise Refusal(404, "gone_result", f"no such result: results are kept for {minutes} "
                          "minutes at most; send the image again")  # fmt: skip
        return entry.products[member]

    def forget(self, key: str) -> None:
        """Let a result go before its time; a key that is not there is passed over."""
        with self._lock:
            self._entries.pop(key, None)
            self._tidy()

    def close(self) -> None:
        with self._lock:
            self._entries.clear()
            if self._timer is not None:
                self._timer.cancel()

    def _held(self) -> int:
        return sum(entry.size for entry in self._entries.values())

    def _tidy(self) -> None:
        """Drop what is too old, and come back when the next one will be. The lock is held."""
        now = time.monotonic()
        while self._entries and next(iter(self._entries.values())).until <= now:
            self._entries.popitem(last=False)
        self._metrics.set("tomos_results_bytes", self._held())
        if self._entries and self._timer is None:
            wait = next(iter(self._entries.values())).until - now
            self._timer = threading.Timer(wait, self._wake)
            self._timer.daemon = True
            self._timer.start()

    def _wake(self) -> None:
        with self._lock:
            self._timer = None
            self._tidy()
