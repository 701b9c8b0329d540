"""Mutated files: each is accepted or refused with a FormatError; no hang, no crash, bounded memory.

The work is done in a child process, so that its memory and its death can be seen.
"""

import gzip
import json
import random
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tomos import formats
from tomos.formats import dicom
from tomos.types import FormatError, Image, LimitError

SECONDS = 2.0
MEMORY = 4 * 2**30
# Reads every file named on stdin; one JSON line each: what came, and in how many seconds.
CHILD = """
import json, sys, time, threading
from tomos.formats._reading import read_stored  # also frames of one bit, those of segmentations
from tomos.types import FormatError
read_stored(sys.argv[1])             # codecs and libraries are imported before the clock runs
if len(sys.argv) > 2:
    read_stored(sys.argv[2])
for line in sys.stdin:
    start, cpu = time.perf_counter(), time.process_time()
    try:
        said = "accepted %s" % (read_stored(line.strip()).pixels.shape,)
    except FormatError as error:
        said = "refused " + str(error)
    except BaseException as error:
        said = "broke %s: %s" % (type(error).__name__, error)
    took = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps([line.strip(), said, *took]), flush=True)
"""


def phantom(shape=(1, 40, 30), kind=np.uint16) -> Image:
    """A ramp and a bright ball: something that compresses and has an inside."""
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    ball = ((y - shape[-2] / 2) ** 2 + (x - shape[-1] / 2) ** 2 < 64) * 100
    return Image(np.broadcast_to((x + y + ball).astype(kind), shape).copy())


def nifti_bytes(zipped: bool) -> bytes:
    import nibabel

    content = nibabel.Nifti1Image(
        np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10), np.eye(4)
    )
    raw = content.to_bytes()
    return gzip.compress(raw, mtime=0) if zipped else raw


def originals(folder: Path, shared: Path | None) -> list[Path]:
    """Unmutated files of the three formats, written here, and small real ones where there are."""
    made = {
        "grey.png": formats.png_bytes(phantom().pixels),
        "colour.png": formats.png_bytes(phantom((3, 40, 30), np.uint8).pixels),
        "volume.nii": nifti_bytes(False),
        "volume.nii.gz": nifti_bytes(True),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    dicom.write(phantom(), folder / "grey.dcm", {"Modality": "DX", "PatientID": "1"})
    dicom.write(phantom((3, 40, 30), np.uint8), folder / "colour.dcm")
    files = sorted(folder.iterdir())
    if shared is not None:
        base = shared / "dicom" / "awkward" / "pydicom_test_files" / "test_files"
        names = ("MR_small_RLE", "JPEGLSNearLossless_08", "SC_rgb_jpeg_dcmtk", "CT_small",
                 "MR_small_jp2klossless", "rtdose_1frame", "image_dfl", "liver_1frame",
                 "SC_rgb_small_odd_big_endian", "JPGExtended")  # fmt: skip
        files += [base / f"{name}.dcm" for name in names if (base / f"{name}.dcm").is_file()]
    return files


def nested(depth: int) -> bytes:
    """A DICOM file with `depth` sequences inside one another, as in 2.5 KB that stop a server."""
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    opened = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    opened += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return b"\0" * 128 + b"DICM" + meta + opened * depth + closed * depth


def mutate(content: bytes, how: str, rng: random.Random) -> bytes:
    data = bytearray(content)
    head = min(len(data), 2000)
    if how == "flip":
        for _ in range(rng.randint(1, 12)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "flip the head":
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(head)] ^= 1 << rng.randrange(8)
    elif how == "truncate":
        del data[rng.randrange(1, len(data)) :]
    elif how == "length":
        at = rng.randrange(0, head - 4)
        data[at : at + 4] = struct.pack("<I", rng.choice([0xFFFFFFFF, 0xFFFFFFFE, 2**31, 2**24]))
    elif how == "dimensions":
        for keyword in (b"\x28\x00\x10\x00", b"\x28\x00\x11\x00", b"\x28\x00\x08\x00"):
            at = data.find(keyword)
            if at >= 0:
                data[at + 8 : at + 10] = b"\xff\xff"
        if data[:4] == b"\x89PNG":
            data[16:24] = struct.pack(">II", *rng.choices([2**31 - 1, 60000, 0, 16000], k=2))
        if data[344:347] == b"n+1":
            data[42:48] = struct.pack("<3h", *rng.choices([32767, -1, 0, 2000], k=3))
    elif how == "insert":
        at = rng.randrange(head)
        data[at:at] = rng.randbytes(rng.randint(1, 64))
    return bytes(data)


def mutants(folder: Path, files: list[Path], count: int, seed: int) -> list[Path]:
    rng = random.Random(seed)
    ways = ("flip", "flip the head", "truncate", "length", "dimensions", "insert")
    made = []
    for number in range(count):
        source = files[number % len(files)]
        if number % 25 == 24:
            content = nested(rng.choice([40, 60, 240, 5000, 100_000]))
        else:
            content = mutate(source.read_bytes(), ways[number // len(files) % len(ways)], rng)
        path = folder / f"{number:03d}-{source.name}"
        path.write_bytes(content)
        made.append(path)
    return made


def read_in_child(files: list[Path], warm: list[Path]) -> tuple[list, int]:
    """What the child says of each file, and the most memory that it and its own child took."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, warm)],
        input="\n".join(map(str, files)),
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(files), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return answers, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def check(folder: Path, shared: Path | None, count: int, seed: int) -> None:
    sources = folder / "sources"
    sources.mkdir()
    files = originals(sources, shared)
    compressed = [f for f in files if f.name.startswith("MR_small_RLE")]
    warm = [sources / "volume.nii", *compressed]
    whole, _ = read_in_child(files, warm)
    assert all(said.startswith("accepted") for _, said, _, _ in whole), whole
    made = folder / "made"
    made.mkdir()
    answers, memory = read_in_child(mutants(made, files, count, seed), warm)
    assert not [a for a in answers if a[1].startswith("broke")]
    # Other work may share the machine: processor time is what counts, the wall clock only roughly.
    assert not [a for a in answers if a[3] > SECONDS or a[2] > 6 * SECONDS]
    assert memory < MEMORY
    refused = [a for a in answers if a[1].startswith("refused")]
    assert len(refused) > count // 4, "the mutations are too mild to mean anything"
    assert all(Path(a[0]).name in a[1] for a in refused), "a refusal names its file"


@pytest.fixture
def real():
    folder = Path(__file__).parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


def test_sixty_mutants(tmp_path, real):
    check(tmp_path, real, 60, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_two_hundred_mutants(tmp_path, real, seed):
    check(tmp_path, real, 200, seed)


@pytest.mark.fast
@pytest.mark.parametrize("depth", [40, 1000, 200_000])
def test_deep_nesting_is_refused(tmp_path, depth):
    path = tmp_path / "deep.dcm"
    path.write_bytes(nested(depth))
    with pytest.raises(LimitError, match="nested more than 32 deep"):
        formats.read(path)


@pytest.mark.fast
def test_ten_levels_are_scanned(tmp_path):
    path = tmp_path / "ten.dcm"
    path.write_bytes(nested(10))
    with pytest.raises(FormatError, match="no image"):
        formats.read(path)
