"""Patches at random places of a prepared case, from our store and from nnU-Net's.

    python benchmarks/patches.py [--nnunet PYTHON] [--ct FOLDER] [--rounds 3] [--patches 40]

A CT is put on another grid (so that its values are no longer whole numbers) and given mean 0 and
spread 1, with bone and air as labels. Both sides keep the same prepared values: ours as `tomos
train` does, through an import and `datasets.shelved`, nnU-Net's by `nnUNetDatasetBlosc2` with the
chunks that its own rule gives for the patch. Then patches of 150^3 are read at the same places, one
after another, image and labels, as float32. "memory" is the way that training takes where all cases
fit into memory: 16-bit values, not packed. Values are compared first: ours are 16-bit steps of the
largest one, and how far off they are is told. Sizes are those of the files, labels included.

`--nnunet` is the Python of an environment with nnU-Net v2, which cannot live in ours. Without it
there is no comparison. `--ct` is a folder with a DICOM series; without it a CT is drawn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from _child import answer, called, in_turn, ratio, summary, timed, without_torchvision_operators
from _record import goal, keep

PATCH = (150, 150, 150)
SIZE = (224, 420, 420)


def scan(folder: Path | None) -> np.ndarray:
    """(Z, Y, X) HU on a grid of its own: between the voxels of a scan, or of drawn tubes."""
    from scipy.ndimage import gaussian_filter, zoom

    if folder is None:
        rng = np.random.default_rng(0)
        noise = gaussian_filter(rng.standard_normal(SIZE, dtype=np.float32), 6)
        drawn = np.where(noise > 0, 40.0, -900.0) + 20 * rng.standard_normal(SIZE, np.float32)
        return drawn.astype(np.float32)
    from tomos import formats

    slab = formats.read(folder).pixels[0].astype(np.float32)
    slab = zoom(slab, (1, SIZE[1] / slab.shape[1], SIZE[2] / slab.shape[2]), order=1)
    # A few slices there and back, until the case is as long as a chest.
    there_and_back = np.concatenate([slab, slab[::-1]])
    many = np.concatenate([there_and_back] * -(-SIZE[0] // len(there_and_back)))
    return zoom(many[: SIZE[0]], 1.01, order=1)[: SIZE[0], : SIZE[1], : SIZE[2]]


def places(patches: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    free = np.array(SIZE) - np.array(PATCH)
    return (rng.random((patches, 3)) * (free + 1)).astype(int)


def tomos(work: Path, keep: bool = False):
    from tomos import datasets
    from tomos.transforms.prepare import Chain

    opened = datasets.open(work / "dataset")
    shelf = datasets.shelved(opened, Chain([]), work / "ours")
    if keep:
        shelf.to_memory()
    files = list(shelf.folder.glob("0.*.b2nd"))
    return lambda at: shelf.box(0, at, at + np.array(PATCH)), files


def memory(work: Path):
    return tomos(work, keep=True)


def nnunet(work: Path):
    from nnunetv2.training.dataloading.nnunet_dataset import (
        comp_blosc2_params,
        nnUNetDatasetBlosc2,
    )

    folder = work / "theirs"
    if not folder.is_dir():
        folder.mkdir()
        image, labels = np.load(work / "image.npy")[None], np.load(work / "labels.npy")[None]
        blocks, chunks = comp_blosc2_params(image.shape, PATCH)
        nnUNetDatasetBlosc2.save_case(
            image, labels.astype(np.int8), {}, str(folder / "case"), chunks=chunks, blocks=blocks
        )

    def one(at):
        # As its loader does: every patch opens its case.
        image, labels, _, _ = nnUNetDatasetBlosc2(str(folder))["case"]
        part = (slice(None), *(slice(a, a + n) for a, n in zip(at, PATCH, strict=True)))
        return image[part], labels[part][0]

    return one, list(folder.glob("*.b2nd"))


SIDES = {"tomos": tomos, "memory": memory, "nnunet": nnunet}


def child(side: str, job: dict) -> None:
    if side == "nnunet":
        without_torchvision_operators()
    work, low = Path(job["work"]), places(job["patches"])
    read, files = SIDES[side](work)
    image, labels = np.load(work / "image.npy"), np.load(work / "labels.npy")
    part = tuple(slice(a, a + n) for a, n in zip(low[0], PATCH, strict=True))
    found, marks = read(low[0])
    assert found.dtype == np.float32 and np.array_equal(marks, labels[part])
    error = float(np.abs(found[0] - image[part]).max())
    _, seconds = timed(lambda: [read(at) and None for at in low])
    answer(seconds=seconds, error=error, bytes=sum(path.stat().st_size for path in files))


def made(work: Path, ct: Path | None) -> None:
    """The prepared case, as arrays for nnU-Net and as a data set for ours."""
    from tomos import formats
    from tomos.types import Image, Mask
    from tomos.workflows.import_data import import_data

    values = scan(ct)
    labels = np.where(values > 200, 2, np.where(values < -900, 1, 0)).astype(np.uint8)
    values = ((values - values.mean()) / values.std()).astype(np.float32)
    np.save(work / "image.npy", values)
    np.save(work / "labels.npy", labels)
    image = Image(values[None], frame="patient", unit="1")
    for name in ("images", "masks"):
        (work / "source" / name).mkdir(parents=True)
    for case in ("a", "b"):  # a data set of one case has no part to learn from
        formats.write_nifti(image, work / "source" / "images" / f"{case}.nii.gz")
        mask = Mask.on(image, labels, ("air", "bone"))
        formats.write_mask(mask, work / "source" / "masks" / f"{case}.nii.gz")
    import_data(work / "source", work / "dataset", classes="air,bone")


def main() -> int:
    asked = called()
    if asked:
        child(*asked)
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nnunet", metavar="PYTHON", help="of an environment with nnU-Net v2")
    parser.add_argument("--ct", type=Path, metavar="FOLDER", help="a DICOM series")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patches", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder), args.ct)
        job = {"work": folder, "patches": args.patches}
        sides = {side: (sys.executable, side, job) for side in ("tomos", "memory")}
        if args.nnunet:
            sides["nnunet"] = (args.nnunet, "nnunet", job)
        seen = in_turn(__file__, sides, args.rounds, 1)
    found: dict = {"patch": PATCH, "size": SIZE, "patches": args.patches, "rounds": args.rounds}
    found["ct"] = "a chest CT, its slices there and back" if args.ct else "drawn"
    found["sides"] = {
        side: {
            **summary(rounds),
            "mib": round(rounds[0]["bytes"] / 2**20, 1),
            "largest_error": rounds[0]["error"],
        }
        for side, rounds in seen.items()
    }
    goals = [goal("16-bit steps: largest error of a prepared value", seen["tomos"][0]["error"],
                  most=1e-3)]  # fmt: skip
    if args.nnunet:
        for side in ("tomos", "memory"):
            found[f"{side}_and_nnunet"] = ratio(seen["nnunet"], seen[side])
        share = seen["tomos"][0]["bytes"] / seen["nnunet"][0]["bytes"]
        what = "patches of 150^3 from a prepared store"
        goals += [
            goal(f"{what}: times faster than nnU-Net", found["tomos_and_nnunet"]["wall"], least=4),
            goal(
                f"{what}, all in memory: times faster than nnU-Net's from its files",
                found["memory_and_nnunet"]["wall"],
                least=4,
            ),
            goal(f"{what}: size as a share of nnU-Net's", share, most=0.5),
        ]
    return keep("patches", found, goals)


if __name__ == "__main__":
    sys.exit(main())
