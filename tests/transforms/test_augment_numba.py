"""Two ways to make a patch: torch and machine code give the same, to rounding."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from tomos.config import names
from tomos.transforms.augment import PatchChain, Way, _backend
from tomos.types import MissingExtra, SettingsError

pytest.importorskip("numba")

STEPS = [name for name in names("tomos.transforms.augment") if name != "mixup"]
STRONG = {
    "crop": {"area": (0.4, 0.8)},
    "elastic": {"strength": (0.02, 0.05)},
    "flip": {"x": 0.5, "y": 0.5, "z": 0.5},
    "rotate": {"degrees": 40},
    "scale": {"factor": (0.6, 1.6), "each_axis": True},
    "shear": {"degrees": 12},
    "shift": {"share": 0.3},
}
SHAPES = {3: [(30, 33, 36), (21, 40, 28), (9, 9, 9)], 2: [(60, 66), (40, 80), (9, 9)]}
SIZES = {3: (16, 20, 24), 2: (40, 36)}


def world(axes: int) -> tuple[list, list, np.ndarray]:
    """Sources of grains of spread 1, smooth enough to have a slope, and their masks."""
    rng = np.random.default_rng(3)
    images = [rng.standard_normal((3, *shape)).astype(np.float32) for shape in SHAPES[axes]]
    masks = [rng.integers(0, 4, shape).astype(np.uint8) for shape in SHAPES[axes]]
    return images, masks, np.array(SHAPES[axes]) // 2 - 1


def both(steps: list[dict], axes: int, spacing=None, world=world) -> None:
    images, masks, centres = world(axes)
    made = {}
    for backend in ("torch", "numba"):
        chain = PatchChain(steps, SIZES[axes], 11, spacing, Way(backend))
        numbers = chain.draw(0, 9)
        rows = np.arange(9)
        pick = rows % len(images)
        made[backend] = chain.apply(
            [images[i] for i in pick], [masks[i] for i in pick], numbers, rows, centres[pick]
        )
    (x, labels), (y, others) = made.values()
    spread = np.std(np.concatenate([image.ravel() for image in images]))
    assert (x - y).abs().max() < 1e-4 * spread
    # A label may be another where a place lies in the middle between two voxels, to rounding.
    assert (labels != others).float().mean() < 1e-4
    assert labels.dtype == others.dtype == torch.from_numpy(masks[0]).dtype


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_the_same_both_ways(name, axes):
    both([{"step": name, **STRONG.get(name, {})}], axes)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("padding", ["border", "zeros", "reflection"])
def test_all_geometry_at_once_is_the_same_both_ways(padding, axes):
    steps = [{"step": name, **settings, "padding": padding} for name, settings in STRONG.items()]
    both(steps, axes, (2.5, 1.0, 0.7)[:axes])
    both(steps[:1] + steps[2:], axes)


@pytest.mark.parametrize("kind, label", [(np.int16, np.uint8), (np.float64, np.uint16)])
def test_other_types_and_parts_of_arrays_are_the_same_both_ways(kind, label):
    def parts(axes: int):
        images, masks, centres = world(axes)
        images = [np.asarray(1000 * np.swapaxes(image, 1, 2), kind)[:, 1:, :-2] for image in images]
        masks = [np.swapaxes(mask, 0, 1)[1:, :-2].astype(label) for mask in masks]
        return images, masks, np.minimum(centres[:, [1, 0, 2]], 6)

    steps = [{"step": name, **STRONG[name]} for name in ("rotate", "elastic")]
    both([{**step, "padding": "zeros"} for step in steps], 3, world=parts)


def test_a_turn_in_the_plane_is_interpolated_in_the_plane():
    both([{"step": "rotate", "degrees": 40, "degrees_x": 0, "degrees_y": 0}], 3)
    both([{"step": "elastic", "in_plane": True}], 3)


def test_threads_change_nothing_and_are_given_back():
    image = np.random.default_rng(0).standard_normal((1, 80, 80, 80), np.float32)
    mask = (image[0] > 0).astype(np.uint8)
    steps = [{"step": "rotate", "degrees": 30}, {"step": "elastic"}, {"step": "noise"}]
    before, made = torch.get_num_threads(), []
    for threads in (1, 3):
        chain = PatchChain(steps, (64, 64, 64), way=Way("numba", threads))
        made.append(chain.apply([image], [mask], chain.draw(0, 1), [0], [[40, 40, 40]]))
        assert torch.get_num_threads() == before
    assert torch.equal(made[0][0], made[1][0]) and torch.equal(made[0][1], made[1][1])


def test_one_thread_is_one_thread(monkeypatch):
    """With one, no other thread is ever started."""
    import threading

    image = np.zeros((1, 70, 70, 70), np.float32)
    chain = PatchChain([{"step": "rotate"}], (64, 64, 64), way=Way("numba", 1))
    started = []
    begin = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda t: (started.append(t), begin(t))[1])
    chain.apply([image, image], None, chain.draw(0, 2), [0, 1], [[35] * 3] * 2)
    assert not started
    three = PatchChain([{"step": "rotate"}], (64, 64, 64), way=Way("numba", 3))
    three.apply([image, image], None, three.draw(0, 2), [0, 1], [[35] * 3] * 2)
    assert started


def test_the_backend_is_chosen_by_what_there_is(monkeypatch):
    cpu, other = torch.device("cpu"), torch.device("meta")
    assert _backend.chosen("auto", cpu) == _backend.chosen("numba", cpu) == "numba"
    assert _backend.chosen("torch", cpu) == _backend.chosen("auto", other) == "torch"
    with pytest.raises(SettingsError, match="'numba' runs on the CPU"):
        _backend.chosen("numba", other)
    monkeypatch.setitem(sys.modules, "numba", None)
    _backend.installed.cache_clear()
    try:
        assert _backend.chosen("auto", cpu) == "torch"
        with pytest.raises(MissingExtra, match=r"pip install 'tomos\[train\]'"):
            _backend.chosen("numba", cpu)
    finally:
        _backend.installed.cache_clear()


def test_a_second_start_compiles_nothing_and_torch_needs_no_numba():
    chain = PatchChain([{"step": "rotate"}], (8, 8, 8), way=Way("numba"))
    image, mask = np.zeros((1, 9, 9, 9), np.float32), np.zeros((9, 9, 9), np.uint8)
    chain.apply([image], [mask], chain.draw(0, 1), [0], [[4, 4, 4]])
    code = (
        "import sys, numpy as np\n"
        "from tomos.transforms.augment import PatchChain, Way, _backend\n"
        "x, m = np.zeros((1, 9, 9, 9), np.float32), np.zeros((9, 9, 9), np.uint8)\n"
        "for name in ('torch', 'numba'):\n"
        "    assert 'numba' not in sys.modules\n"
        "    c = PatchChain([{'step': 'rotate'}], (8, 8, 8), way=Way(name))\n"
        "    c.apply([x], [m], c.draw(0, 1), [0], [[4, 4, 4]])\n"
        "stats = _backend.compiled().resample.stats\n"
        "assert stats.cache_hits and not stats.cache_misses, stats\n"
    )
    # Two first starts at the same time may lose one another's code, once.
    starts = (subprocess.run([sys.executable, "-c", code]).returncode for _ in range(2))
    assert 0 in starts
