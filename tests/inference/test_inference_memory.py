"""Memory: foreseen, or survived in smaller steps, or refused by name."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from bright_masks import Bright, manifest, model_file, predictor, volume

from tomos import formats
from tomos.inference import MaskPredictor, foresight, memory, sight
from tomos.inference.appetite import measured, step_of
from tomos.inference.memory import UNKNOWN, OutOfMemory, free_memory, is_out_of_memory
from tomos.inference.preparing import Preparing
from tomos.transforms.prepare import Chain
from tomos.types import PackageError

pytestmark = pytest.mark.fast
GIB = 2**30
RESAMPLED = [{"step": "orient"}, {"step": "resample", "spacing": [1.0, 1.0, 1.0]},
             {"step": "normalise", "kind": "fixed", "mean": [0.0], "std": [1.0]}]  # fmt: skip


# -- how much there is


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The files in which Linux says how much memory there is; returns a writer of them."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "cgroup")

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 8388608 kB\n")
    write("proc/self/cgroup", "")
    return write


def test_what_the_machine_has_left(machine):
    assert free_memory() == 8 * GIB


@pytest.mark.parametrize("above", ["", "jobs"])
def test_a_container_has_less_than_its_machine(machine, above):
    """Version 2; the limit may stand on the group itself or on one above it."""
    machine("proc/self/cgroup", "0::/jobs/mine\n")
    machine("cgroup/jobs/mine/memory.max", "max\n")
    folder = f"cgroup/{above}" if above else "cgroup"
    machine(f"{folder}/memory.max", str(3 * GIB))
    machine(f"{folder}/memory.current", str(2 * GIB))
    machine(f"{folder}/memory.stat", f"anon 5\ninactive_file {GIB // 2}\n")
    assert free_memory() == 1.5 * GIB, "a cache of files is given back when asked for"


def test_a_container_of_version_1_that_sees_the_path_of_its_host(machine):
    machine("proc/self/cgroup", "9:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n")
    machine("cgroup/memory/memory.limit_in_bytes", str(2 * GIB))
    machine("cgroup/memory/memory.usage_in_bytes", str(3 * GIB))
    machine("cgroup/memory/memory.stat", "total_inactive_file 0\n")
    assert free_memory() == 0


def test_where_nothing_is_said_half_of_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "PROC", tmp_path)
    assert 0 < free_memory() < UNKNOWN
    assert memory.held() is None
    assert measured(Bright(), (1, 1, 8, 8), 1.0) is None


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (OutOfMemory("x"), True),
        (RuntimeError("bad allocation"), True),
        (RuntimeError("std::bad_alloc"), True),
        (
            RuntimeError(
                "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal "
                "Failed to allocate memory for requested buffer of size 4294967296"
            ),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("no more"), True),
        (RuntimeError("expected 3 channels"), False),
        (PackageError("/data/out of memory/model.tomos is damaged"), False),
    ],
)
def test_every_runtime_says_it_in_its_own_words(error, is_it):
    assert is_out_of_memory(error) is is_it


# -- what is needed


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.7, 1.3), (0.5, 0.5, 0.5)])
@pytest.mark.parametrize("kind", ["zscore", "fixed", "percentile"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("flipped", [False, True])
def test_the_memory_foreseen_for_preparing_is_the_memory_taken(spacing, kind, dtype, flipped):
    steps = [*RESAMPLED[:2], {"step": "normalise", "kind": kind, "mean": [0.0], "std": [1.0]}]
    image, chain = volume((60, 70, 80), spacing), Chain(steps)
    affine = image.affine * ([1, 1, -1, 1] if flipped else 1)
    image = image.with_pixels((100 * image.pixels).astype(dtype), affine)
    chain(image)  # weights of resampling are kept
    tracemalloc.start()
    prepared = chain(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    foreseen = Preparing.through(image, chain)
    assert prepared.size == foreseen.size
    assert 0.75 * foreseen.peak < peak < 1.01 * foreseen.peak + 2**16


def test_what_a_network_takes_is_seen_while_it_runs():
    class Hungry(Bright):
        def __call__(self, inputs, wanted=()):
            taken = np.ones(1000 * inputs["image"].size, np.uint8)
            for _ in range(5):
                taken += 1  # long enough to be seen
            return super().__call__(inputs, wanted)

    # 64 MB: what is below 32 MiB glibc may take from memory that the process holds already.
    found = measured(Hungry(), (1, 1, 40, 40, 40), 1.0)
    if found is not None:
        assert 900 < found.each < 1500
        assert found.kept < 500
        assert measured(Bright(), (1, 1, 8, 8), 1e6).each == 1e6


def test_by_what_tiles_are_divisible():
    options = {"widths": [8, 16, 32], "strides": [1, 2]}
    assert step_of(options, (40, 56, 40)) == (4, 4, 4)
    options = {"widths": [8, 16, 32], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]]}
    assert step_of(options, (40, 56, 40)) == (2, 4, 4)
    assert step_of({}, (40, 96, 7)) == (8, 32, 1)


# -- smaller steps


@pytest.fixture
def two_at_once(monkeypatch):
    """Tiles of volumes two by two, as those of pictures: so there is a smaller step."""
    monkeypatch.setitem(sight.BATCHES, 3, 2)


def tiles_of(network):
    return {shape[2:] for shape in network.shapes}


def test_with_enough_memory_nothing_is_said():
    network = Bright(each=100)
    found = predictor(network).predict_image(volume())
    assert found.warnings == () and tiles_of(network) == {(16, 16, 16)}
    assert {shape[0] for shape in network.shapes} == {1}


@pytest.mark.parametrize(
    ("budget", "tile", "batch", "said"),
    [
        (7.2e6, (16, 16, 16), 2, None),
        (6.9e6, (16, 16, 16), 1, "gone through one tile at a time"),
        (3.9e6, (8, 16, 16), 1, "gone through in tiles of 8 x 16 x 16 in place of 16 x 16 x 16"),
        (1.2e6, (8, 8, 8), 1, "tiles of 8 x 8 x 8 in place of 16 x 16 x 16; the network saw less"),
    ],
)
def test_a_budget_is_kept_by_smaller_steps(budget, tile, batch, said, monkeypatch, two_at_once):
    """600 bytes a voxel: two tiles of 16 x 16 x 16 take 6.1 million with the reserve of a quarter,
    sums of scores and labels 0.7, the image 0.25."""
    monkeypatch.setattr(foresight, "PLENTY", 10**6)  # however little a tile needs, it is counted
    network = Bright(each=600)
    image = volume()
    found = predictor(network, int(budget)).predict_image(image)
    assert tiles_of(network) == {tile}
    assert max(shape[0] for shape in network.shapes) == batch
    if said is None:
        assert found.warnings == ()
    else:
        (warning,) = found.warnings
        assert said in warning and "MiB of memory would be needed" in warning
    assert found.verdict == ("finding" if tile == (16, 16, 16) else "refer")
    usual = predictor(Bright(each=1)).predict_image(image)
    assert np.array_equal(found.targets["mask"].mask.labels, usual.targets["mask"].mask.labels)
    assert found.targets["mask"].mask.labels.any()


@pytest.mark.parametrize(
    ("budget", "tile", "verdict"),
    [(8e6, (64, 64), "finding"), (4e5, (16, 16), "finding"), (3e5, (8, 16), "refer")],
)
def test_tiles_of_pictures_may_shrink_to_patches_before_anything_is_lost(
    budget, tile, verdict, monkeypatch
):
    """600 bytes a pixel; tiles of 64 x 64, patches of 16 x 16."""
    monkeypatch.setattr(foresight, "PLENTY", 10**6)
    network = Bright(each=600)
    given = {"tile": (16, 16), "mask": {"tile": (64, 64), "overlap": 0.25}}
    image = volume().with_pixels(np.tile(volume().pixels[:, 10], (1, 3, 3)), np.eye(4))
    found = predictor(network, int(budget), **given).predict_image(image)
    assert tiles_of(network) == {tile}
    assert found.verdict == verdict
    assert bool(found.warnings) == (tile != (64, 64))
    usual = predictor(**given).predict_image(image).targets["mask"].mask.labels
    assert usual.any() and np.array_equal(found.targets["mask"].mask.labels, usual)


def test_a_tile_smaller_than_the_patches_is_no_tile():
    with pytest.raises(PackageError, match=r"mask\.tile: expected sides of \(16, 16\) or more"):
        predictor(tile=(16, 16), mask={"tile": (16, 8)})
    with pytest.raises(PackageError, match=r"mask\.tile"):
        predictor(tile=(16, 16, 16), mask={"tile": (64, 64)})


def test_what_does_not_fit_at_all_is_refused_by_name():
    network = Bright(each=600)
    with pytest.raises(OutOfMemory) as refused:
        predictor(network, 450_000).predict_image(volume(path="big.nii.gz"))
    said = str(refused.value)
    assert said.startswith("big.nii.gz: expected 0.4 MiB of free memory (")
    assert "for the network" in said and "got" in said and "with more memory" in said
    assert not network.shapes, "nothing was begun"
    with pytest.raises(OutOfMemory, match=r"for the image while it is prepared\), got 1\.0 MiB"):
        predictor(network, 2**20, prepare=RESAMPLED).predict_image(volume(spacing=(2, 2, 2)))


def test_one_that_is_too_large_fails_alone(tmp_path):
    for name, size in (("small", (40, 36, 44)), ("large", (140, 136, 144))):
        formats.write_nifti(volume(size), tmp_path / f"{name}.nii")
    paths = [tmp_path / "large.nii", tmp_path / "small.nii"]
    large, small = predictor(Bright(each=10), 12_000_000).predict(paths)
    assert large.error.startswith(f"{paths[0]}: expected ") and "of free memory" in large.error
    assert small.error == "" and small.targets["mask"].label == "ball"


@pytest.mark.parametrize(
    "raises",
    [MemoryError, type("OutOfMemoryError", (RuntimeError,), {}), OutOfMemory],
    ids=lambda kind: kind.__name__,
)
@pytest.mark.parametrize(
    ("room", "tile", "said"),
    [
        (16**3, (16, 16, 16), "2 tiles at once do not fit into memory; going on with 1"),
        (16**3 // 2, (8, 16, 16), "the memory ran out: gone through in tiles of 8 x 16 x 16"),
        (8**3, (8, 8, 8), "the memory ran out: gone through in tiles of 8 x 8 x 8"),
    ],
)
def test_memory_that_runs_out_is_survived_and_said(room, tile, said, raises, two_at_once):
    network, image = Bright(room, raises), volume()
    found = predictor(network).predict_image(image)
    assert network.shapes[-1][2:] == tile
    assert said in found.warnings[-1]
    assert (found.verdict == "refer") == (tile != (16, 16, 16)), "it was not tried with such tiles"
    usual = predictor().predict_image(image).targets["mask"].mask.labels
    assert np.array_equal(found.targets["mask"].mask.labels, usual) and usual.any()


def test_memory_that_never_suffices_ends_with_the_name_of_the_file():
    with pytest.raises(OutOfMemory, match=r"case\.nii\.gz: the memory ran out even with small"):
        predictor(Bright(room=10)).predict_image(volume())


def test_another_error_is_not_taken_for_it():
    with pytest.raises(ZeroDivisionError):
        predictor(Bright(10, ZeroDivisionError)).predict_image(volume())


def test_a_graph_for_tiles_of_one_size_is_given_no_others(two_at_once):
    network = Bright(16**3, takes=(None, 1, 16, 16, 16))
    found = predictor(network).predict_image(volume())
    assert tiles_of(network) == {(16, 16, 16)} and len(found.warnings) == 1
    network = Bright(100, takes=(None, 1, 16, 16, 16))
    with pytest.raises(OutOfMemory, match="even with small steps"):
        predictor(network).predict_image(volume())
    network = Bright(takes=(1, 1, 16, 16, 16))  # exported for one tile at a time
    predictor(network).predict_image(volume())
    assert {shape[0] for shape in network.shapes} == {1}


def test_a_network_that_takes_no_smaller_tiles_after_all_lacked_memory():
    class Whole(Bright):
        def __call__(self, inputs, wanted=()):
            if inputs["image"].shape[2:] != (16, 16, 16):
                raise PackageError("the run failed: 2 by 3")
            return super().__call__(inputs, wanted)

    with pytest.raises(OutOfMemory, match=r"small steps; 1 tile of \(16, 16, 16\)"):
        predictor(Whole(room=100)).predict_image(volume())


def test_pictures_that_are_turned_stay_square():
    image = volume((1, 70, 70))
    image = image.with_pixels(image.pixels[:, 0], image.affine)
    network = Bright(17 * 17)
    options = {"dims": 2, "widths": [4, 8], "strides": [1, 2]}
    views = ("identity", "rotate_90")
    changes = {"views": views, "network": {"name": "unet", "options": options}}
    known = manifest(tile=(32, 32), **changes)
    found = MaskPredictor.of(known, [network], threads=1).predict_image(image)
    assert network.shapes[-1][2:] == (16, 16)
    assert "tiles of 16 x 16 in place of 32 x 32" in found.warnings[-1]


def test_scores_are_kept_only_where_there_is_room():
    image = volume()
    scores = predictor(Bright(16**3 // 2)).scores(image)
    assert scores.logits.shape == (2, *image.size) and "tiles of 8 x 16 x 16" in scores.notes[-1]
    np.testing.assert_allclose(scores.probabilities.sum(axis=0), 1, rtol=1e-6)
    assert predictor(Bright(each=600), 700_000).scores(image) is None
    assert predictor(Bright(room=1)).scores(image) is None
    found = predictor().predict_image(image, scores=scores)
    assert scores.notes[-1] in found.warnings and found.verdict == "refer"


# -- real runtimes

CHILD = """
import resource, sys
sys.path.insert(0, {here!r})
import numpy as np
from bright_masks import graph, manifest, volume
from tomos.inference import MaskPredictor
from tomos.inference.network import {runtime}
kind = {runtime}
net = kind(graph(64), "toy", 1)
known = manifest(tile=(64, 64, 64))
image = volume((64, 70, 64))
usual = MaskPredictor.of(manifest(), [kind(graph(8), "toy", 1)], 1).predict_image(image)
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + {room}
resource.setrlimit(resource.RLIMIT_AS, (most, most))
found = MaskPredictor.of(known, [net], 1, memory={memory}).predict_image(image)
same = np.array_equal(found.targets["mask"].mask.labels, usual.targets["mask"].mask.labels)
print(same, "|".join(found.warnings))
"""


@pytest.mark.seconds
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's limits")
@pytest.mark.parametrize(
    ("runtime", "limit", "said"),
    [
        ("OnnxRuntime", 0, "memory would be needed"),
        ("OnnxRuntime", 2**50, "memory"),
        ("OpenVino", 2**50, "memory"),
    ],
    ids=["foreseen", "hit", "hit in OpenVINO"],
)
def test_a_runtime_in_little_memory(runtime, limit, said):
    """64 maps of 64 x 64 x 64 take 67 MB a tile, and 60 MB are allowed. The process lives on."""
    pytest.importorskip("onnx")
    if runtime == "OpenVino":
        pytest.importorskip("openvino")
    code = CHILD.format(
        here=str(Path(__file__).parent), runtime=runtime, room=60_000_000, memory=limit
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    same, warnings = done.stdout.strip().split(" ", 1)
    assert same == "True" and said in warnings and "in place of 64 x 64 x 64" in warnings


def test_a_model_whose_own_example_does_not_fit_says_so(tmp_path, cache):
    pytest.importorskip("onnx")
    options = {"dims": 3, "widths": [64, 64], "strides": [1, 2]}
    changes = {"tile": (32, 32, 32), "network": {"name": "unet", "options": options}}
    path = model_file(tmp_path / "m.tomos", maps=64, **changes)
    small = MaskPredictor(path, threads=1, memory=16_000_000)
    found = small.predict_image(volume())
    assert found.targets["mask"].label == "ball"
    assert any("was not tried on its synthetic example" in text for text in found.warnings)
    usual = MaskPredictor(path, threads=1)
    assert usual.predict_image(volume()).warnings == ()
