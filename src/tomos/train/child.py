"""`python -m tomos.train.child`: one network of a run, in a process that `beside` has started."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tomos.plan.schema import Plan
from tomos.train import beside
from tomos.train.device import machine
from tomos.train.logs import Epoch
from tomos.train.member import Member, School
from tomos.types import TomosError

OFTEN = 0.2  # seconds between two words on progress

Tell = Callable[..., None]


class Speaks:
    """The `Ear` at the other end of a pipe."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.last = tell, 0.0

    def say(self, text: str) -> None:
        self.tell("say", text)

    def note(self, text: str) -> None:
        self.tell("note", text)

    def begins(self, member: int, epochs: list[Epoch]) -> None:
        self.tell("begins", [epoch.to_json() for epoch in epochs])

    def step(self, member: int, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if now - self.last >= OFTEN or done == total:
            self.last = now
            self.tell("step", done, total, note)

    def add(self, epoch: Epoch) -> None:
        self.tell("add", epoch.to_json())

    def ends(self, member: int, why: str) -> None:
        self.tell("ends", why)


def main() -> int:
    # Ctrl-C reaches every process of a terminal; the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Only what is meant for the other end may reach it: anything printed goes to the complaints.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tell = _teller(out)
    spec = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    plan = Plan.model_validate(spec["plan"])
    val = None if spec["val"] is None else beside.opened(spec["val"])
    try:
        with machine("cpu", plan.train.threads) as place:
            data, folder = beside.opened(spec["data"]), Path(spec["folder"])
            school = School.of(plan, data, val, folder, place, spec["save_every"])
            Member(school, spec["member"], Speaks(tell), spec["seconds"]).learn(spec["resume"])
    except TomosError as error:
        tell(*beside.fault_of(error))
        return 1
    return 0


def _teller(out: BinaryIO) -> Tell:
    def tell(*words: Any) -> None:
        out.write(json.dumps({"told": words}).encode() + b"\n")
        out.flush()

    return tell


def _end_with_parent() -> None:
    """The other end holds this process's input open as long as it lives."""
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
