"""Addresses, dispatch by content, reading ahead, inspection, and what stays unimported."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from tomos import cli, formats
from tomos.types import FormatError, Image

PIXELS = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        formats.write_png(Image(PIXELS + number), tmp_path / f"{number}.png")
    (tmp_path / "note.png").write_text("not a picture")
    (tmp_path / "empty.dcm").write_bytes(b"")
    return tmp_path


@pytest.mark.fast
def test_read_many_keeps_the_order_and_goes_on_after_a_refusal(folder):
    names = ["3.png", "note.png", "0.png", "absent.png", "4.png"]
    answers = list(formats.read_many([folder / name for name in names]))
    assert [isinstance(answer, Image) for answer in answers] == [True, False, True, False, True]
    assert [answers[k].pixels.min() for k in (0, 2, 4)] == [3, 0, 4]
    assert isinstance(answers[1], FormatError) and "note.png" in str(answers[1])
    assert "no such file" in str(answers[3])


@pytest.mark.fast
def test_read_many_reads_no_further_than_a_few_ahead(folder):
    asked = []

    def addresses():
        for _ in range(1000):
            asked.append(1)
            yield folder / "0.png"

    stream = formats.read_many(addresses(), threads=2)
    next(stream)
    stream.close()
    assert len(asked) < 20


@pytest.mark.fast
def test_is_image_looks_at_the_content(folder):
    (folder / "0.png").rename(folder / "picture.txt")
    assert formats.is_image(folder / "picture.txt")
    assert not formats.is_image(folder / "note.png")
    assert not formats.is_image(folder / "empty.dcm")
    assert not formats.is_image(folder)


@pytest.mark.fast
def test_a_hash_in_a_file_name_is_part_of_it(folder):
    (folder / "1.png").rename(folder / "a#1.png")
    assert formats.read(folder / "a#1.png").pixels.min() == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "message"), [("empty.dcm", "empty"), ("note.png", "none of them"), ("x", "no such")]
)
def test_refusals_say_what_and_where(folder, name, message):
    with pytest.raises(FormatError, match=message) as caught:
        formats.read(folder / name)
    assert name in str(caught.value)


@pytest.mark.fast
def test_inspect_tells_the_pixels_and_their_checksum(folder):
    facts = formats.inspect(folder / "2.png")
    assert facts["shape"] == [1, 3, 4] and (facts["min"], facts["max"]) == (2, 13)
    assert facts["sha256"] == hashlib.sha256((PIXELS + 2).tobytes()).hexdigest()
    json.dumps(facts, allow_nan=False)


@pytest.mark.fast
def test_the_command_prints_all_and_ends_with_2_when_one_is_refused(folder, capsys):
    assert cli.main(["inspect", str(folder / "2.png"), str(folder / "note.png"), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert [("error" in entry) for entry in answer["files"]] == [False, True]
    assert cli.main(["inspect", str(folder / "2.png")]) == 0
    assert "1 x 3 x 4 uint8, 2 to 13" in capsys.readouterr().out


@pytest.mark.fast
def test_formats_import_no_library():
    code = (
        "import sys, tomos.formats\n"
        "assert not {'PIL', 'pydicom', 'nibabel', 'pydantic', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.fast
def test_plain_dicom_is_read_without_pydicom(tmp_path):
    from tomos.formats import dicom

    dicom.write(Image(PIXELS), tmp_path / "x.dcm")
    code = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from tomos import formats; print(formats.read(sys.argv[1]).pixels.max())"
    )
    said = subprocess.check_output([sys.executable, "-c", code, tmp_path / "x.dcm"])
    assert int(said) == 11


@pytest.mark.fast
def test_every_format_keeps_the_contract():
    from tomos.config import names, plugin

    listed = names("tomos.formats")
    assert {"dicom", "nifti", "npz", "picture", "nrrd", "metaimage"} <= set(listed)
    for name in listed:
        module = plugin("tomos.formats", name)
        assert all(suffix.startswith(".") for suffix in module.SUFFIXES)
        assert module.sniff(b"") is False and module.sniff(b"plain text, no image" * 20) is False
        assert callable(module.read) and module.__doc__
