"""Networks of one run trained side by side, each in a process of its own.

A small network keeps one core busy and little more: several side by side are shown more in the same
minutes than one after another. A process gets the plan and the addresses of the arrays in one line
of JSON on its standard input, tells how it gets on in lines of JSON on its standard output, and
ends itself when its input closes: so that none is left when the run is killed.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomos.plan.schema import Plan
from tomos.train.batches import Data
from tomos.train.logs import Epoch
from tomos.train.member import Ear, overtime
from tomos.types import DatasetError, PlanError, StorageError, TomosError, TrainingError

MODULE = "tomos.train.child"
SHARED = ".shared-"  # arrays that lie in no file yet, in a folder of the run that goes at its end
LAST_WORDS = 2000  # characters of a process's complaint that are kept
FAULTS = {kind.__name__: kind for kind in (DatasetError, PlanError, StorageError, TrainingError)}


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """`Data` as it is handed on."""

    images: np.ndarray
    targets: np.ndarray
    groups: np.ndarray


def train(
    plan: Plan,
    data: Data,
    val: Data | None,
    folder: Path,
    ear: Ear,
    resume: bool,
    save_every: float,
) -> list[str]:
    """Train all networks, `plan.train.together` at a time; why each ended, in their order. Those
    that no time was left for are missing at the end.

    Raises what a network raised; the others are ended then, at their last checkpoints.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _shared(folder) as place:
        spec = {
            "plan": plan.model_dump(mode="json", by_alias=True),
            "data": _address(data, place, "train"),
            "val": None if val is None else _address(val, place, "val"),
            "folder": str(folder),
            "resume": resume,
            "save_every": save_every,
        }
        return Processes(plan, spec, ear).run()


class Processes:
    """The processes of one run, and what they say in the order in which it comes."""

    def __init__(self, plan: Plan, spec: dict[str, Any], ear: Ear) -> None:
        self.plan, self.spec, self.ear = plan, spec, ear
        self.heard: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.complaints: dict[int, Any] = {}
        self.listeners: dict[int, threading.Thread] = {}
        self.stopped: dict[int, str] = {}
        self.seconds, self.note = 0.0, ""

    def run(self) -> list[str]:
        waiting = list(range(self.plan.train.members))
        try:
            while waiting or self.running:
                late = bool(self.stopped) and self.seconds > overtime(self.plan)
                while waiting and len(self.running) < self.plan.train.together and not late:
                    self._start(waiting.pop(0))
                if not self.running:
                    break
                member, message = self.heard.get()
                if message is None:
                    self._ended(member)
                else:
                    self._hear(member, message)
        finally:
            self._end_all()
        return [why for _, why in sorted(self.stopped.items())]

    def _start(self, member: int) -> None:
        threads = str(max(1, self.plan.train.threads))
        env = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
        complaint = tempfile.TemporaryFile()  # noqa: SIM115, closed by _end_all
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaint,
            env=env,
        )
        listener = threading.Thread(target=self._listen, args=(member, process), daemon=True)
        self.running[member], self.complaints[member] = process, complaint
        self.listeners[member] = listener
        listener.start()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # why it ended at once is heard below
            spec = {**self.spec, "member": member, "seconds": self.seconds}
            process.stdin.write(json.dumps(spec).encode() + b"\n")
            process.stdin.flush()

    def _listen(self, member: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith(b"\n"):
                break  # half a line: the process was killed while it spoke
            self.heard.put((member, json.loads(line)))
        self.heard.put((member, None))

    def _hear(self, member: int, message: dict[str, Any]) -> None:
        ear, (kind, *said) = self.ear, message["told"]
        if kind == "step":
            # One line on the screen: it speaks of the first network that is at work.
            if member == min(self.running):
                self.note = said[2]
            ear.step(member, said[0], said[1], self.note)
        elif kind == "add":
            epoch = Epoch(**said[0])
            self.seconds = max(self.seconds, epoch.seconds)
            ear.add(epoch)
        elif kind == "begins":
            epochs = [Epoch(**epoch) for epoch in said[0]]
            self.seconds = max([self.seconds, *(epoch.seconds for epoch in epochs)])
            ear.begins(member, epochs)
        elif kind == "say":
            ear.say(said[0])
        elif kind == "note":
            ear.note(said[0])
        elif kind == "ends":
            ear.ends(member, said[0])
            self.stopped[member] = said[0]
        elif kind == "fault":
            raise FAULTS.get(said[0], TrainingError)(said[1])

    def _ended(self, member: int) -> None:
        """A process is over. Raises TrainingError when it had not come to its end."""
        code = self._closed(member, self.running.pop(member))
        if member in self.stopped:
            return
        words = self._last_words(member)
        reason = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        memory = "; it may have been the system, short of memory" if code == -9 else ""
        raise TrainingError(
            f"network {member + 1} of {self.plan.train.members} {reason}{memory}. Go on with "
            f"--resume, or train one after another with --set train.together=1. {words}".strip()
        )

    def _last_words(self, member: int) -> str:
        file = self.complaints[member]
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_WORDS))
        return file.read().decode(errors="replace").strip()

    def _closed(self, member: int, process: subprocess.Popen[bytes]) -> int:
        """Wait for a process that ends, and for its last line; its code."""
        self.listeners[member].join()
        with contextlib.suppress(BrokenPipeError), process:
            pass
        return process.returncode

    def _end_all(self) -> None:
        for process in self.running.values():
            process.kill()
        for member, process in self.running.items():
            self._closed(member, process)
        for complaint in self.complaints.values():
            complaint.close()


@contextlib.contextmanager
def _shared(folder: Path) -> Iterator[Path]:
    """A folder for arrays; what a killed run left of an earlier one goes."""
    for old in folder.glob(f"{SHARED}*"):
        shutil.rmtree(old, ignore_errors=True)
    try:
        place = tempfile.TemporaryDirectory(prefix=SHARED, dir=folder)
    except OSError as error:
        raise _unwritten(folder, error) from error
    with place:
        yield Path(place.name)


def _unwritten(path: Path, error: OSError) -> StorageError:
    why = error.strerror or error
    return StorageError(f"{path}: cannot be written ({why}); make room and train again")


def _address(data: Data, place: Path, part: str) -> dict[str, Any]:
    """Where each array lies: in the file that it is mapped from, else in a new one."""
    return {
        name: _mapped(getattr(data, name)) or _saved(getattr(data, name), place / f"{part}-{name}")
        for name in ("images", "targets", "groups")
    }


def _mapped(array: np.ndarray) -> dict[str, Any] | None:
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return None  # a part of a mapped array does not know where it begins
    if not array.flags.c_contiguous or array.mode != "r":
        return None
    return {
        "file": str(Path(array.filename).resolve()),
        "offset": array.offset,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
    }


def _saved(array: np.ndarray, path: Path) -> dict[str, Any]:
    array = np.ascontiguousarray(array)
    try:
        array.tofile(path)
    except OSError as error:
        raise _unwritten(path, error) from error
    return {
        "file": str(path.resolve()),
        "offset": 0,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
    }


def opened(address: dict[str, Any]) -> Arrays:
    """The arrays that another process named."""

    def one(at: dict[str, Any]) -> np.ndarray:
        shape = tuple(at["shape"])
        if 0 in shape:
            return np.zeros(shape, at["dtype"])
        return np.memmap(at["file"], at["dtype"], "r", offset=at["offset"], shape=shape)

    return Arrays(**{name: one(at) for name, at in address.items()})


def fault_of(error: TomosError) -> list[str]:
    """How an error is told to another process."""
    return ["fault", type(error).__name__, str(error)]
