"""Settings: what is unknown or of the wrong kind is refused by name; writing is all or nothing."""

import subprocess
import sys

import pytest
from pydantic import Field

from tomos.config import (
    Settings,
    atomic_write,
    check_assignments,
    load,
    override,
    plugin,
    save,
    writable_or_raise,
)
from tomos.types import SettingsError, StorageError

pytestmark = pytest.mark.fast


class Inner(Settings):
    epochs: int = Field(10, ge=1)
    rate: float = 0.1


class Outer(Settings):
    name: str = "x"
    train: Inner = Inner()
    steps: tuple[dict, ...] = ({"step": "resize", "size": [28, 28]},)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    save(Outer(name="肺"), path, "two\nlines")
    assert load(Outer, path) == Outer(name="肺")


def test_override_is_typed():
    changed = override(
        Outer(), ["train.epochs=50", "train.rate=1e-3", "name=abc", "steps.0.size=[8, 8]"]
    )
    assert changed.train == Inner(epochs=50, rate=1e-3)
    assert changed.name == "abc"
    assert changed.steps[0]["size"] == [8, 8]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.epoch=5", "did you mean 'epochs'"),
        ("trian.epochs=5", "did you mean 'train'"),
        ("train.epochs=many", "train.epochs.*integer.*'many'"),
        ("train.epochs", "KEY=VALUE"),
        ("steps.3.size=1", "index below 1"),
    ],
)
def test_a_wrong_override_says_what_was_expected(assignment, message):
    with pytest.raises(SettingsError, match=message):
        override(Outer(), [assignment])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.epoch=5", "did you mean 'epochs'"),
        ("train.epochs=abc", "train.epochs: .*integer.*'abc'"),
        ("epochs=abc", "did you mean train.epochs"),
        ("train.epochs=0", "train.epochs: .*greater than or equal to 1, got 0"),
        ("train=3", "train: .*got 3"),
        ("steps=7", "steps: .*got 7"),
        ("train.epochs", "KEY=VALUE"),
    ],
)
def test_a_wrong_override_is_seen_before_there_are_settings(assignment, message):
    with pytest.raises(SettingsError, match=message):
        check_assignments(Outer, [assignment])


def test_what_only_the_settings_can_tell_waits_for_them():
    good = ["train.epochs=5", "train.rate=1", "name=x", "steps.7.size=no", "steps=[{a = 1}]"]
    check_assignments(Outer, good)


def test_an_unknown_key_in_a_file_is_refused_with_the_file(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text("nam = 'x'\n")
    with pytest.raises(SettingsError, match=r"plan\.toml.*'nam'.*did you mean 'name'"):
        load(Outer, path)


def test_a_plugin_is_found_by_file_name():
    assert plugin("tomos.transforms.prepare", "resize").Step(size=(4, 4)).size == (4, 4)
    with pytest.raises(SettingsError, match="did you mean 'resize'"):
        plugin("tomos.transforms.prepare", "reszie")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    atomic_write(path, b"old")

    def broken(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk is full; the previous file is whole"):
        atomic_write(path, broken)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_where_nothing_can_be_written_is_said_before_and_after(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    writable_or_raise(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()
    with pytest.raises(StorageError, match=r"to write in, but .*file is a file; choose another"):
        writable_or_raise(tmp_path / "file" / "deeper")
    with pytest.raises(StorageError, match=r"cannot be written \(.*\); choose another folder"):
        atomic_write(tmp_path / "file" / "a.bin", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_file_that_cannot_grow_leaves_the_old_one(tmp_path):
    """The kernel itself refuses the bytes, as a full disk does."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, sys, pathlib\n"
        "from tomos.config import atomic_write\nfrom tomos.types import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    atomic_write(pathlib.Path(sys.argv[1]), bytes(5000))\n"
        "except StorageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "previous file is whole" in done.stdout, done.stderr
    assert path.read_bytes() == b"old"
