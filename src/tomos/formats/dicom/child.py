"""The parent's side of the decoding process: started once, asked for many files, replaced when it
dies."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from tomos.formats._limits import Limits
from tomos.types import FormatError, LimitError

PROGRAM = Path(__file__).with_name("decoder.py")
MOST = 4
PATIENCE = 8.0  # wall clock by processor time: other work may share the machine
STARTING_SECONDS = 60.0
OVERHEAD = 512 * 2**20  # address space of Python, numpy and the codecs themselves


class _Child:
    """One process. `ask` is for one thread at a time; `_Pool` sees to that."""

    def __init__(self, memory: int):
        self.memory = memory
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM), str(memory + OVERHEAD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.timed_out = False
        self._within(STARTING_SECONDS, self._receive)

    def ask(self, request: dict[str, Any], payload: bytes, seconds: float) -> tuple[dict, bytes]:
        """The answer and its payload. Raises EOFError or OSError when the process ended."""
        text = json.dumps({**request, "size": len(payload), "seconds": seconds}).encode()
        return self._within(PATIENCE * seconds, self._exchange, text, payload)

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.process.kill()
        self.process.wait()

    def _within(self, seconds: float, work, *arguments):
        """Run `work`; a process that does not answer in time is killed, which ends the reading."""
        clock = threading.Timer(seconds, self._kill)
        clock.daemon = True
        clock.start()
        try:
            return work(*arguments)
        finally:
            clock.cancel()

    def _kill(self) -> None:
        self.timed_out = True
        self.process.kill()

    def _exchange(self, text: bytes, payload: bytes) -> tuple[dict, bytes]:
        pipe = self.process.stdin
        assert pipe is not None
        pipe.write(struct.pack("<I", len(text)) + text)
        pipe.write(payload)
        pipe.flush()
        return self._receive()

    def _receive(self) -> tuple[dict, bytes]:
        length = struct.unpack("<I", self._read(4))[0]
        answer = json.loads(self._read(length))
        return answer, self._read(answer["size"])

    def _read(self, count: int) -> bytes:
        assert self.process.stdout is not None
        data = self.process.stdout.read(count)
        if len(data) < count:
            raise EOFError
        return data


class _Pool:
    """At most MOST processes, started when they are needed. A fork starts with none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.owner = os.getpid()
        self.idle: SimpleQueue[_Child] = SimpleQueue()
        self.slots = threading.BoundedSemaphore(min(MOST, os.cpu_count() or 1))

    def ask(
        self, request: dict, payload: bytes, limits: Limits, samples: int, where: str
    ) -> tuple[dict, bytes]:
        with self._lock:
            if self.owner != os.getpid():
                self._forget()
        seconds = limits.allowance(samples)
        with self.slots:
            child = self._child(limits.memory, where)
            try:
                answer = child.ask(request, payload, seconds)
            except (EOFError, OSError, ValueError, KeyError):
                child.close()
                raise _why(child, seconds, where) from None
            except BaseException:
                child.close()
                raise
            self.idle.put(child)
        return answer

    def _child(self, memory: int, where: str) -> _Child:
        while not self.idle.empty():
            child = self.idle.get()
            if child.memory == memory and child.process.poll() is None:
                return child
            child.close()
        try:
            return _Child(memory)
        except (EOFError, OSError, ValueError) as error:
            raise FormatError(
                f"{where}: compressed pixels need the decoder process, which does not start "
                f"({error or 'it ended'}); run `tomos doctor`"
            ) from None

    def close(self) -> None:
        while self.owner == os.getpid() and not self.idle.empty():
            self.idle.get().close()


def _why(child: _Child, seconds: float, where: str) -> FormatError:
    import signal

    profile = getattr(signal, "SIGPROF", None)
    if child.timed_out or (profile is not None and child.process.returncode == -profile):
        return LimitError(
            f"{where}: decoding took more than {seconds:.1f} s of processor time and was stopped; "
            "raise Limits.seconds if the file is trusted"
        )
    return FormatError(
        f"{where}: its compressed pixels crashed the decoder (status {child.process.returncode}), "
        "which runs apart for this reason; the file is damaged"
    )


_pool = _Pool()
atexit.register(_pool.close)


def decode(
    request: dict[str, Any], payload: bytes, limits: Limits, samples: int, where: str
) -> tuple[dict[str, Any], np.ndarray]:
    """Decode in a child process: `request` as `decoder._decode` reads it -> (facts, array).

    Raises FormatError when the pixels are damaged, LimitError when they need more time or memory
    than `limits` allow.
    """
    facts, raw = _pool.ask(request, payload, limits, samples, where)
    if "error" in facts:
        if facts.get("limit"):
            raise LimitError(f"{where}: decoding needs more than {limits.memory} bytes of memory")
        raise FormatError(f"{where}: its compressed pixels are damaged ({facts['error']})")
    return facts, np.frombuffer(raw, np.dtype(facts["dtype"])).reshape(facts["shape"])
