"""What the server says in English has its Chinese on the page."""

import re
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tomos import formats
from tomos.inference.envelope import Envelope, Info
from tomos.inference.mask_envelope import MaskEnvelope
from tomos.inference.verdict import verdict
from tomos.serve.packaged import PackagedReader
from tomos.serve.packaged_masks import NO_MAP
from tomos.types import Answer, FormatError, Image, Prediction

MESSAGES = Path(__file__).parents[2] / "web" / "src" / "i18n" / "messages.zh.ts"
LOCALES = MESSAGES.parent
FACTS = {
    "modality": {"seen": ["DX"], "share": 1.0},
    "body_part": {"seen": ["CHEST"], "share": 1.0},
    "colour": [False],
    "side": [100, 500],
    "aspect": [0.9, 1.1],
}


def patterns() -> list[re.Pattern]:
    source = MESSAGES.read_text(encoding="utf-8")
    found = re.findall(r"(?:envelope|quality|file)\(\s*/(\^.*?\$)/,", source)
    assert len(found) > 30
    return [re.compile(text) for text in found]


def known(text: str) -> bool:
    """Whether the page has Chinese for a sentence, or for each of several joined by "; "."""
    every = patterns()
    whole = any(pattern.match(text) for pattern in every)
    return whole or all(any(p.match(part) for p in every) for part in text.split("; "))


@pytest.mark.fast
@pytest.mark.parametrize("info", [
    Info("CT", "CHEST", False, (200, 200)),
    Info("DX", "FOOT", False, (200, 200)),
    Info("DX", "CHEST", True, (200, 200)),
    Info("DX", "CHEST", False, (20, 20)),
    Info("DX", "CHEST", False, (9000, 9000)),
    Info("DX", "CHEST", False, (200, 900)),
])  # fmt: skip
def test_what_lies_outside_the_envelope(info):
    rng = np.random.default_rng(0)
    prepared = rng.normal(size=(1, 1, 32, 32)).astype(np.float32)
    judgement = Envelope({"facts": FACTS}, {}, (32, 32)).judge([info], prepared)[0]
    said = [*judgement.reasons, *judgement.warnings]
    assert said
    assert [text for text in said if not known(text)] == []


@pytest.mark.fast
@pytest.mark.parametrize(("frame", "size", "spacing"), [
    ("patient", (10, 10, 10), (1, 1, 1)),
    ("patient", (40, 500, 500), (9, 9, 9)),
    ("pixel", (10, 10, 10), (1, 1, 1)),
    ("pixel", (40, 40), (1, 1)),
    ("detector", (40, 400), (9, 9)),
])  # fmt: skip
def test_what_lies_outside_the_envelope_of_masks(frame, size, spacing):
    seen = {"extent": [[40, 50]] * 3, "spacing": [[1, 1]] * 3}
    flat = {"extent": [[100, 200]] * 2, "spacing": [[1, 1]] * 2}
    limits = (
        [{"mm": seen}, {"pixels": seen}] if len(size) == 3 else [{"mm": flat}, {"pixels": flat}]
    )
    affine = np.diag([*spacing, *[1] * (4 - len(spacing))]).astype(float)
    image = Image(np.zeros((1, *size), np.float32), affine=affine, frame=frame)
    said = []
    for each in limits:
        judged = MaskEnvelope({"facts": FACTS | each}, {}).judge(image, image.pixels)
        said += [*judged.reasons, *judged.warnings]
    assert any("was made for" in text for text in said)
    assert [text for text in said if not known(text)] == []


@pytest.mark.fast
@pytest.mark.parametrize("word", ["length", "depth", "height", "width", "pixels"])
def test_the_words_within_a_sentence(word):
    """What stands in a place of another sentence is looked up by itself."""
    assert known(word)


@pytest.mark.fast
def test_an_empty_picture_and_an_unusual_one():
    from tomos.inference.appearance import WHY

    void = Envelope({"facts": {}}, {}).judge([Info()], np.zeros((1, 1, 8, 8), np.float32))[0]
    assert known(void.reasons[0])
    why = " and ".join(list(WHY.values())[:2])
    text = (
        "unlike the pictures the model was made for (2.3 times the distance that is usual at most)"
    )
    assert known(f"{text}: {why}")
    assert all(known(each) for each in WHY.values())


@pytest.mark.fast
def test_every_fault_of_quality():
    from tomos.inference.quality import WORDS

    said = [words.format(0.777, 0.1, 0.25) for words in WORDS.values()]
    assert [text for text in said if not known(text)] == []


@pytest.mark.parametrize("score", [0.1, 0.401, 0.9])
def test_verdicts(film_model, score):
    quiet = Envelope({"facts": {}}, {}).judge([Info()], np.ones((1, 1, 8, 8), np.float32))[0]
    assert quiet.reasons  # an even picture is empty: judged by hand below
    label = "nodule" if score > 0.4 else "no_finding"
    answer = Answer({"no_finding": 1 - score, "nodule": score}, label)
    from tomos.inference.envelope import Judgement

    for changes in ({}, {"operating_point": {}}):
        _, reason = verdict(film_model.manifest(**changes), answer, Judgement())
        assert known(reason), reason


@pytest.mark.fast
@pytest.mark.parametrize("content", [
    b"",
    b"Dear colleague, " * 40,
    b"\x89PNG\r\n\x1a\n" + b"\0" * 60,
    b"\x1f\x8b" + b"\0" * 600,
    b"Rar!" + b"\0" * 600,
])  # fmt: skip
def test_refused_files(tmp_path, content):
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(FormatError) as refused:
        formats.read(path)
    text = str(refused.value).removeprefix(f"{path}: ")
    assert known(text), text


@pytest.mark.fast
@pytest.mark.parametrize("kind", ["66.4", "88.33", "481.3", "104.1", "66.1"])
def test_dicom_objects_that_are_no_scans(tmp_path, kind):
    path = tmp_path / "upload"
    formats.dicom.write(Image(np.zeros((1, 8, 8), np.uint8)), path, {"Modality": "OT"})
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        f"1.2.840.10008.5.1.4.1.1.{kind}"
    )
    del dataset.PixelData
    dataset.save_as(path)
    with pytest.raises(FormatError, match="expected a scan or a picture") as refused:
        formats.read(path)
    assert known(str(refused.value).removeprefix(f"{path}: "))


@pytest.mark.fast
def test_why_there_is_no_heat_map(film_model, tmp_path):
    assert known(NO_MAP)
    packaged = PackagedReader(film_model.write(tmp_path / "m.tomos"))
    said = packaged.explain(Image(np.zeros((1, 8, 8), np.uint8)), Prediction("x", {}))
    assert isinstance(said, str) and known(said)


@pytest.mark.fast
def test_both_languages_hold_the_same_places():
    """The compiler sees to the keys; this sees to the {places} in them."""

    def texts(name: str) -> dict[str, set[str]]:
        source = (LOCALES / name).read_text(encoding="utf-8")
        return {
            key: set(re.findall(r"\{(\w+)\}", text))
            for key, text in re.findall(r'^  "([^"]+)": "(.*)",$', source, re.M)
        }

    english, chinese = texts("en.ts"), texts("zh.ts")
    assert len(english) > 100
    assert english == chinese


def test_what_is_said_of_masks(mask_model, tmp_path):
    """An unsure extent, nothing found, the wrong kind of image; as the predictor says them."""
    from tomos.inference import MaskPredictor
    from tomos.inference.memory import OutOfMemory
    from tomos.types import Image, PackageError

    predictor = MaskPredictor(mask_model.write(tmp_path / "m.tomos", 3), threads=1)
    unsure = np.full((1, 8, 8, 8), 195, np.int16)
    unsure[0, 4, 4, 4] = 250
    for pixels in (unsure, np.zeros((1, 8, 8, 8), np.int16)):
        reason = predictor.predict_image(Image(pixels)).reason
        assert known(reason), reason
    with pytest.raises(PackageError) as refused:
        predictor.predict_image(Image(np.zeros((1, 8, 8), np.uint8)))
    assert known(str(refused.value).removeprefix("image: ")), refused.value
    little = MaskPredictor(predictor.package, threads=1, memory=1)
    with pytest.raises(OutOfMemory) as refused:
        little.predict_image(Image(unsure))
    assert known(str(refused.value).removeprefix("image: ").removeprefix("levels: "))


@pytest.mark.fast
def test_what_is_said_of_results_and_series(tmp_path):
    from tomos.serve.body import store_bytes
    from tomos.serve.desk import Limits
    from tomos.serve.member import image_of
    from tomos.serve.metrics import server_metrics
    from tomos.serve.refusal import Refusal
    from tomos.serve.results import Results
    from tomos.serve.unpack import unpack

    with pytest.raises(Refusal) as gone:
        Results(1, 600, server_metrics()).get("key", "mask.nii.gz")
    assert known(gone.value.message)
    with pytest.raises(Refusal) as broken:
        unpack(store_bytes(b"PK\x03\x04 and so on", tmp_path), Limits())
    assert known(broken.value.message.removeprefix("image: "))
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError) as empty:
        image_of(tmp_path / "folder", None, formats.LIMITS, False)
    assert known(str(empty.value).removeprefix(f"{tmp_path / 'folder'}: "))


@pytest.mark.fast
def test_what_is_said_of_several_images_a_case(tmp_path):
    from tomos.inference.reading import check_images
    from tomos.types import PackageError

    grids = {"t1": 1.0, "pet": 2.0}
    for name, step in grids.items():
        size = int(12 / step)
        pixels = np.zeros((1, size, size, size), np.float32)
        place = np.diag([step, step, step, 1.0])
        formats.write_nifti(Image(pixels, place, "patient"), tmp_path / f"{name}.nii")
    both = formats.read(formats.joined(str(tmp_path / f"{name}.nii") for name in grids))
    assert len(both.warnings) == 1 and known(both.warnings[0]), both.warnings
    with pytest.raises(PackageError) as refused:
        check_images(formats.read(tmp_path / "t1.nii"), tuple(grids), "scan")
    assert known(str(refused.value).removeprefix("scan: "))
    assert known("6.1 MiB of memory would be needed, 1.4 MiB are free: gone through in tiles of "
                 "32 x 32 in place of 64 x 64")  # fmt: skip
