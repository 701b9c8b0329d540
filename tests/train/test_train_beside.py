"""Networks trained side by side are the networks that are trained one after another."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from squares_world import a_plan, same, squares_of

from tomos import train
from tomos.train import beside, checkpoint
from tomos.types import StorageError, TrainingError

HERE = Path(__file__).parent


def two(epochs=3, **more):
    plan = a_plan(epochs=epochs, batch=8, ema=0.9, members=3, together=2, **more)
    return plan.model_copy(update={"augment": ({"step": "rotate"}, {"step": "noise"})})


def one_after_another(plan):
    alone = plan.train.model_copy(update={"together": 1})
    return plan.model_copy(update={"train": alone})


def without_clock(history):
    return [{**epoch.to_json(), "seconds": 0} for epoch in history]


def children(parent: int) -> set[int]:
    """The processes that train one network now and were started by `parent`."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            status = (folder / "status").read_text()
        except OSError:
            continue
        if beside.MODULE.encode() in line and f"\nPPid:\t{parent}\n" in status:
            found.add(int(folder.name))
    return found


def alive(processes: set[int]) -> set[int]:
    return {number for number in processes if Path(f"/proc/{number}").exists()}


@pytest.fixture
def whole(tmp_path):
    return train.train(
        one_after_another(two()), squares_of(60), squares_of(20, 1), tmp_path / "whole"
    )


def test_side_by_side_gives_the_same_networks_log_and_notes(tmp_path, heard, whole):
    run, data = tmp_path / "run", squares_of(60)
    mapped = np.memmap(tmp_path / "x.f32", np.float32, "w+", shape=data.images.shape)
    mapped[:] = data.images
    mapped.flush()
    data.images = np.memmap(tmp_path / "x.f32", np.float32, "r", shape=data.images.shape)
    done = train.train(two(), data, squares_of(20, 1), run, heard)
    assert all(map(same, done.nets, whole.nets)) and len(done.nets) == 3
    assert done.epochs == whole.epochs and done.stopped == whole.stopped
    assert without_clock(done.history) == without_clock(whole.history)
    assert len((run / "log.jsonl").read_text().splitlines()) == 9
    assert heard.steps[-1][0] == heard.steps[-1][1] == 3 * 3 * 8
    assert [done for done, *_ in heard.steps] == sorted(done for done, *_ in heard.steps)
    assert not list(run.glob(f"{beside.SHARED}*"))
    assert (run / "events" / "member2").is_dir()


class Interrupts:
    """A person who presses Ctrl-C once the second network has come somewhere."""

    def say(self, text):
        pass

    def step(self, done, total, note=""):
        if done > total // 4:
            raise KeyboardInterrupt


def test_ctrl_c_ends_all_and_the_run_goes_on(tmp_path, whole):
    data, val, run = squares_of(60), squares_of(20, 1), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train.train(two(), data, val, run, Interrupts(), save_every=0)
    assert not children(os.getpid()) and not list(run.glob(f"{beside.SHARED}*"))
    done = train.train(two(), data, val, run, resume=True)
    assert all(map(same, done.nets, whole.nets))
    assert without_clock(done.history) == without_clock(whole.history)


KILLED = """
import sys
from pathlib import Path
from squares_world import squares_of
from test_train_beside import two
from tomos import train
train.train(two(120), squares_of(60), squares_of(20, 1), Path(sys.argv[1]), resume=True,
            save_every=0)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_no_process_is_left_when_the_run_is_killed(tmp_path):
    run = tmp_path / "run"
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    victim = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(run)], env={**os.environ, "PYTHONPATH": path}
    )
    files = [checkpoint.folder_of(run, member) / "last.safetensors" for member in (0, 1)]
    until = time.monotonic() + 120
    while not all(file.exists() for file in files):
        assert victim.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    started = children(victim.pid)
    assert len(started) == 2
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    until = time.monotonic() + 5
    while alive(started):
        assert time.monotonic() < until, "a process outlived its run"
        time.sleep(0.01)
    steps = [checkpoint.read(file)[1]["learner"]["step"] for file in files]
    assert all(0 < step < 120 * 8 for step in steps)
    assert list(run.glob(f"{beside.SHARED}*"))
    done = train.train(two(120), squares_of(60), squares_of(20, 1), run, resume=True)
    assert done.stopped == ("finished",) * 3
    assert not list(run.glob(f"{beside.SHARED}*"))


def test_a_killed_network_is_told_with_what_to_do(tmp_path):
    class Kills:
        struck = False

        def say(self, text):
            pass

        def step(self, done, total, note=""):
            if not self.struck:
                self.struck = True
                os.kill(min(children(os.getpid())), signal.SIGKILL)

    words = r"network [12] of 3 was ended by signal 9.*memory.*--resume.*train\.together=1"
    with pytest.raises(TrainingError, match=words):
        train.train(two(200), squares_of(60), None, tmp_path / "run", Kills())
    assert not children(os.getpid())


def test_a_network_killed_in_the_middle_of_a_line_is_told(tmp_path, monkeypatch, heard):
    """The reader of its lines died of the half one, and the run waited for ever."""
    speaks = tmp_path / "speaks_half.py"
    speaks.write_text('print(\'{"told": ["say", "at wor\', end="", flush=True)\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(beside, "MODULE", "speaks_half")
    with pytest.raises(TrainingError, match=r"network [12] of 3 ended with code 0"):
        train.train(two(), squares_of(60), None, tmp_path / "run", heard)


def test_what_a_network_raises_is_raised(tmp_path):
    with pytest.raises(TrainingError, match=r"diverged.*learning_rate"):
        train.train(two(learning_rate=1e12), squares_of(60), None, tmp_path / "run")
    run = tmp_path / "full"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "member2").write_text("not a folder")
    with pytest.raises(StorageError, match="member2"):
        train.train(two(), squares_of(60), None, run)


def test_a_late_run_starts_no_further_network(tmp_path, heard):
    plan = two(3)
    hasty = plan.budget.model_copy(update={"minutes": 1e-6})
    done = train.train(
        plan.model_copy(update={"budget": hasty}), squares_of(60), None, tmp_path / "r", heard
    )
    assert done.stopped == ("budget", "budget") and len(done.nets) == 2
    assert "out of time: 2 of 3 networks were trained" in done.notes
