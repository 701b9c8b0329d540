"""Reading `.nii.gz`: `tomos.formats.read` against nibabel and MONAI's `LoadImage`.

    python benchmarks/nifti_gz.py [--rounds N] [--slices N]

Two volumes of 512 x 512 are made, one like a CT (a body with noise, int16) and one of labels
(uint8, 16 ellipsoids), and twenty small ones of labels, as a crop of an MR has them. They are
written by nibabel with the level it has by default. Every reader's values are compared with what
was written, and the affines with one another; then all read in turns, from files that the system
has in memory. One thread each. `ratio` is of the medians of wall time, `ratio_processor` of those
of processor time. Writing is timed too, Tomos (whose file is on the disk when it returns) against
nibabel.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from _record import goal, keep

from tomos import formats
from tomos.types import Image

GOALS = {("ct", "nibabel"): 2, ("labels", "nibabel"): 2, ("ct", "monai"): 4, ("labels", "monai"): 8}
AFFINE = np.array([[-0.7, 0, 0, 180], [0, -0.7, 0, 160], [0, 0, 1.5, -900], [0, 0, 0, 1]])
SMALL = 20


def volumes(slices: int) -> dict[str, list[np.ndarray]]:
    """Arrays (X, Y, Z), as nibabel has them."""
    rng = np.random.default_rng(0)
    x, y, z = np.ogrid[-1:1:512j, -1:1:512j, -1 : 1 : slices * 1j]
    body = np.where((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, 40, -1000) + 0 * z
    ct = np.rint(body + rng.normal(0, 25, body.shape)).astype(np.int16)
    small = [_ellipsoids(rng, (35, 51, 35), 2) for _ in range(SMALL)]
    return {"ct": [ct], "labels": [_ellipsoids(rng, (512, 512, slices), 16)], "small": small}


def _ellipsoids(rng: np.random.Generator, size: tuple[int, ...], count: int) -> np.ndarray:
    grid = np.ogrid[tuple(slice(-1, 1, length * 1j) for length in size)]
    labels = np.zeros(size, np.uint8)
    for label in range(1, count + 1):
        middle, radius = rng.uniform(-0.6, 0.6, 3), rng.uniform(0.1, 0.35, 3)
        inside = sum(((grid[k] - middle[k]) / radius[k]) ** 2 for k in range(3)) < 1
        labels[inside] = label
    return labels


def by_tomos(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(X, Y, Z) and the affine of that order."""
    image = formats.read(path)
    return image.pixels[0].T, image.affine[:, [2, 1, 0, 3]]


def by_nibabel(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nibabel.load(path)
    return np.asanyarray(image.dataobj), image.affine


def by_monai() -> Callable[[Path], tuple[np.ndarray, np.ndarray]]:
    from monai.transforms import LoadImage

    load = LoadImage(image_only=True)

    def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
        image = load(path)
        return image.numpy(), image.affine.numpy()

    return read


def check_equal(
    readers: dict[str, Callable], paths: dict[str, list[Path]], arrays: dict[str, list[np.ndarray]]
) -> None:
    for name, files in paths.items():
        for path, array in zip(files, arrays[name], strict=True):
            for reader in readers.values():
                values, affine = reader(path)
                assert np.array_equal(values, array), path
                assert np.allclose(affine, AFFINE, atol=1e-4), path


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict]:
    """name -> seconds and processor seconds: median and best."""
    wall: dict[str, list[float]] = {name: [] for name in works}
    busy: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start, spent = time.perf_counter(), time.process_time()
            work()
            wall[name].append(time.perf_counter() - start)
            busy[name].append(time.process_time() - spent)
    return {
        name: {
            "median": statistics.median(wall[name]),
            "best": min(wall[name]),
            "processor": statistics.median(busy[name]),
        }
        for name in works
    }


def ratios(times: dict[str, dict]) -> dict[str, dict]:
    """How many times quicker than each of the others Tomos is."""
    ours = times["tomos"]
    return {
        name: {
            "ratio": theirs["median"] / ours["median"],
            "ratio_processor": theirs["processor"] / ours["processor"],
        }
        for name, theirs in times.items()
        if name != "tomos"
    }


def write_in_turns(folder: Path, arrays: dict[str, list[np.ndarray]], rounds: int) -> dict:
    found = {}
    for name in ("ct", "labels"):
        array = arrays[name][0]
        pixels = np.ascontiguousarray(array.T)[None]
        image = Image(pixels, AFFINE[:, [2, 1, 0, 3]], "patient")
        theirs = nibabel.Nifti1Image(array, AFFINE)
        ours_path, their_path = folder / f"ours-{name}.nii.gz", folder / f"theirs-{name}.nii.gz"
        times = in_turns(
            {
                "tomos": lambda i=image, p=ours_path: formats.write_nifti(i, p),
                "nibabel": lambda i=theirs, p=their_path: nibabel.save(i, p),
            },
            rounds,
        )
        assert np.array_equal(by_nibabel(ours_path)[0], array)
        sizes = {"tomos": ours_path.stat().st_size, "nibabel": their_path.stat().st_size}
        found[name] = {"seconds": times, **ratios(times)["nibabel"], "bytes": sizes}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    arrays = volumes(args.slices)
    readers = {"tomos": by_tomos, "nibabel": by_nibabel, "monai": by_monai()}
    result: dict = {"rounds": args.rounds, "slices": args.slices, "equal": True, "read": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = {}
        for name, several in arrays.items():
            paths[name] = [folder / f"{name}-{k}.nii.gz" for k in range(len(several))]
            for path, array in zip(paths[name], several, strict=True):
                nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)
        check_equal(readers, paths, arrays)
        for name, files in paths.items():
            works = {
                who: lambda read=read, files=files: [read(path) for path in files]
                for who, read in readers.items()
            }
            times = in_turns(works, args.rounds)
            result["read"][name] = {"seconds": times, "against": ratios(times)}
        result["write"] = write_in_turns(folder, arrays, max(args.rounds // 3, 1))
    goals = [
        goal(
            f"reading .nii.gz, {name}: times faster than {peer}",
            result["read"][name]["against"][peer]["ratio"],
            least=least,
        )
        for (name, peer), least in GOALS.items()
    ]
    return keep("nifti_gz", result, goals, args.out)


if __name__ == "__main__":
    sys.exit(main())
