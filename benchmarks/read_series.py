"""Reading a CT series: `tomos.formats.read` against the usual pydicom loop.

    python benchmarks/read_series.py [FOLDER] [--rounds N]

Values are compared first; then both are timed in turns. One JSON object is printed: seconds (best
and median of each) and their ratios. `ratio`, which the goal is about, is of the medians;
`ratio_best`, of the best rounds, is what an idle machine would come near to; `ratio_processor`, of
the medians of processor time, all threads together, is what others on the machine disturb least.
The usual loop reads stored values only; Tomos also sorts the slices, checks their geometry and
rescales to Hounsfield units.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from _record import goal, keep

DEFAULT = Path(__file__).parents[2] / "shared" / "data" / "dicom" / "ct_chest"


def usual(files: list[Path]) -> list[np.ndarray]:
    """What most programs do."""
    import pydicom

    return [pydicom.dcmread(file).pixel_array for file in files]


def ours(folder: Path) -> np.ndarray:
    """The volume; what was seen of the folder and its files before is forgotten, so that each round
    is the first reading of files that the system already has in memory, as in the usual loop."""
    from tomos.formats import read
    from tomos.formats.dicom import stack

    stack.forget()
    return read(folder).pixels


def check_equal(folder: Path, files: list[Path]) -> None:
    """The same values in every slice: pydicom's, rescaled by pydicom's own function."""
    import pydicom
    from pydicom.pixels import apply_rescale

    datasets = [pydicom.dcmread(file) for file in files]
    datasets.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    volume = ours(folder)[0]
    assert len(volume) == len(datasets)
    for slice_yx, dataset in zip(volume, datasets, strict=True):
        assert np.array_equal(slice_yx, apply_rescale(dataset.pixel_array, dataset)), (
            dataset.filename
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    files = sorted(path for path in args.folder.iterdir() if path.is_file())
    check_equal(args.folder, files)
    seconds: dict[str, list[float]] = {"pydicom": [], "tomos": []}
    processor: dict[str, list[float]] = {"pydicom": [], "tomos": []}
    for _ in range(args.rounds):
        for name, work in (("pydicom", lambda: usual(files)), ("tomos", lambda: ours(args.folder))):
            start, spent = time.perf_counter(), time.process_time()
            work()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - spent)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    busy = {name: statistics.median(times) for name, times in processor.items()}
    result = {
        "files": len(files),
        "equal": True,
        "seconds": {n: {"median": median[n], "best": min(t)} for n, t in seconds.items()},
        "processor_seconds": busy,
        "ratio": median["pydicom"] / median["tomos"],
        "ratio_best": min(seconds["pydicom"]) / min(seconds["tomos"]),
        "ratio_processor": busy["pydicom"] / busy["tomos"],
    }
    what = "reading a CT series: times faster than the usual pydicom loop"
    return keep("read_series", result, [goal(what, result["ratio"], least=4)])


if __name__ == "__main__":
    sys.exit(main())
