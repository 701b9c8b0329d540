"""A full disk: the previous checkpoint stays whole, and the message says so."""

import contextlib
import os
import resource
import signal
import subprocess

import pytest
from boxes_world import Boxes, a_mask_plan
from squares_world import a_plan, squares_of

from tomos import train
from tomos.train import checkpoint
from tomos.types import StorageError


class FillsTheDisk:
    """A neighbour who, after a few steps, takes all the room but `left` bytes."""

    def __init__(self, folder, after=3, left=2000):
        self.folder, self.after, self.left = folder, after, left

    def say(self, text):
        pass

    def step(self, done, total, note=""):
        if done == self.after:
            free = os.statvfs(self.folder)
            size = free.f_bavail * free.f_frsize - self.left
            with (self.folder / "neighbour").open("wb") as file:
                file.write(bytes(max(0, size)))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("needs the mount command")
    if made.returncode:
        pytest.skip(f"may not mount here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def of_classes():
    return a_plan(epochs=3), squares_of(40), squares_of(20, 1)


def of_masks():
    plan = a_mask_plan(axes=3, side=16, widths=(4, 8), epochs=3)
    return plan, *(Boxes(n, side=24, axes=3, box_side=6, seed=n) for n in (4, 2))


@pytest.mark.parametrize("world", [of_classes, of_masks])
def test_a_full_disk_leaves_the_previous_checkpoint_and_the_run_goes_on_later(
    world, small_disk, tmp_path, equal
):
    p, data, val = world()
    whole = train.train(p, data, val, tmp_path / "whole")
    run = small_disk / "run"
    with pytest.raises(StorageError, match=r"the disk is full.*Make room and run it again"):
        train.train(p, data, val, run, FillsTheDisk(small_disk, after=4), save_every=0)
    _, facts = checkpoint.read(run / "checkpoints" / "last.safetensors")
    assert facts["learner"]["step"] == 3
    assert not list((run / "checkpoints").glob(".*.part"))
    (small_disk / "neighbour").unlink()
    rest = train.train(p, data, val, run, resume=True)
    assert equal(whole.nets[0], rest.nets[0])


@contextlib.contextmanager
def files_end_at(size):
    """As with a quota: no file of this process may grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_refused_write_leaves_the_previous_checkpoint(plan, squares, run):
    p, data, val = plan(epochs=2), squares(40), squares(20, 1)
    train.train(p, data, val, run)
    before = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    taught = train.new(p, train.device.choose("cpu"))
    last = run / "checkpoints" / "last.safetensors"
    with files_end_at(1000), pytest.raises(StorageError, match="the previous file is whole"):
        checkpoint.save(last, taught, {}, {})
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before
