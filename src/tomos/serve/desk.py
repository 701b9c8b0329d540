"""Who is served when: a bounded queue before a few workers, so that the server never drowns.

The event loop only moves bytes; reading a file and running a model happen in worker threads (both
release the interpreter's lock for most of the time), so `/health` answers meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from tomos.serve.metrics import Metrics
from tomos.serve.refusal import Refusal

T = TypeVar("T")
LOOK_SECONDS = 0.5  # between two looks whether somebody still waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server accepts.

    upload_bytes   largest body, counted while it arrives
    json_bytes     largest JSON body (numbers as text take many times their size in memory)
    workers        images read at the same time
    waiting        requests that may wait beyond those; more get 503 at once
    seconds        from admission to answer; then 504
    mask_seconds   the same for a model of masks, which may read a whole volume
    idle_seconds   longest pause between two pieces of a body; then 408
    instances      images in one request of the two model protocols
    files          files of one DICOM series
    kept_bytes     of masks that can be fetched after the answer
    kept_seconds   for how long they can
    """

    upload_bytes: int = 256 << 20
    json_bytes: int = 32 << 20
    workers: int = 2
    waiting: int = 32
    seconds: float = 60.0
    mask_seconds: float = 600.0
    idle_seconds: float = 20.0
    instances: int = 64
    files: int = 4096
    kept_bytes: int = 512 << 20
    kept_seconds: float = 600.0


class Ticket:
    """An admitted request: when it must be answered, whether its work is to run alone, whether
    somebody still waits for it, and, as a `Progress`, how far it is.
    """

    def __init__(self, seconds: float, alone: bool = False):
        self.seconds = seconds
        self.alone = alone
        self.deadline = time.monotonic() + seconds
        self.abandoned = False
        self.done, self.total = 0, 0

    @property
    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    @contextlib.asynccontextmanager
    async def while_awaited(self, gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
        """Give the work up when whoever asked for it has `gone`: a volume takes minutes, and others
        wait for their turn.
        """
        watch = asyncio.create_task(self._watch(gone))
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self, gone: Callable[[], Awaitable[bool]]) -> None:
        while not await gone():
            await asyncio.sleep(LOOK_SECONDS)
        self.abandoned = True

    def say(self, text: str) -> None:
        """Nobody reads it."""

    def step(self, done: int, total: int, note: str = "") -> None:
        self.done, self.total = done, total

    def check(self) -> None:
        """Called by a worker between two images: stops work that nobody waits for any more."""
        if self.abandoned:
            raise Refusal(504, "timeout", "the request took too long and was given up")


class Desk:
    """Admits, queues and runs. One per server."""

    def __init__(self, limits: Limits, metrics: Metrics):
        self.limits = limits
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="tomos-worker")
        self._slots = asyncio.Semaphore(limits.workers)
        self._alone = asyncio.Semaphore(1)
        self._inside = 0

    @contextlib.asynccontextmanager
    async def admit(self, alone: bool = False) -> AsyncIterator[Ticket]:
        """A place in the queue, taken before the body is read. Refusal 503 when there is none.

        alone  for work of which only one runs at a time: that of a model of masks
        """
        if self._inside >= self.limits.workers + self.limits.waiting:
            raise Refusal(
                503, "busy", "the server is busy; try again in a few seconds", retry_after=2
            )
        self._inside += 1
        try:
            yield Ticket(self.limits.mask_seconds if alone else self.limits.seconds, alone)
        finally:
            self._inside -= 1

    async def run(
        self, ticket: Ticket, work: Callable[..., T], *args: Any, after: Callable[[], None]
    ) -> T:
        """`work(*args)` in a worker, by the ticket's deadline; Refusal 504 past it.

        A thread cannot be stopped: past the deadline it keeps its slot until it ends, so that no
        more than `workers` ever run, and `ticket.check()` lets it end early. `after()` is called
        once, when the work has ended or was given up before it began.
        """
        slots = [self._alone, self._slots] if ticket.alone else [self._slots]
        self._metrics.add("tomos_queue_waiting", 1)
        try:
            await asyncio.wait_for(_acquire(slots), ticket.left)
        except TimeoutError:
            after()
            raise _late(ticket) from None
        except asyncio.CancelledError:
            after()
            raise
        finally:
            self._metrics.add("tomos_queue_waiting", -1)
        self._metrics.add("tomos_workers_busy", 1)
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        future.add_done_callback(partial(self._free, after, slots))
        try:
            return await asyncio.wait_for(asyncio.shield(future), ticket.left)
        except TimeoutError:
            ticket.abandoned = True
            raise _late(ticket) from None
        except asyncio.CancelledError:
            ticket.abandoned = True
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _free(
        self, after: Callable[[], None], slots: list[asyncio.Semaphore], future: asyncio.Future
    ) -> None:
        for slot in slots:
            slot.release()
        after()
        self._metrics.add("tomos_workers_busy", -1)
        if not future.cancelled():
            future.exception()  # marks it as seen when nobody waits for it any more


async def _acquire(slots: list[asyncio.Semaphore]) -> None:
    """All of them or, when it is given up meanwhile, none."""
    taken: list[asyncio.Semaphore] = []
    try:
        for slot in slots:
            await slot.acquire()
            taken.append(slot)
    except asyncio.CancelledError:
        for slot in taken:
            slot.release()
        raise


def _late(ticket: Ticket) -> Refusal:
    return Refusal(
        504, "timeout", f"no answer within {ticket.seconds:g} s; try again", retry_after=5
    )
