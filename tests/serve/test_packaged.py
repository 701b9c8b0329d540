"""A model file as the server's reader, and the command that serves it."""

import os
import re
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest

from tomos import formats
from tomos.serve.packaged import PackagedReader, load_all
from tomos.serve.refusal import Refusal
from tomos.serve.summary import envelope_summary
from tomos.types import FormatError, PackageError, Silent


def going_on() -> bool:
    """Whether nobody waits any more: somebody does."""
    return False


@pytest.fixture(scope="module")
def model(film_model, tmp_path_factory):
    return film_model.write(tmp_path_factory.mktemp("model") / "model.tomos")


@pytest.fixture(scope="module")
def packaged(model):
    return PackagedReader(model)


def test_the_summary_says_what_the_file_says(packaged):
    about = packaged.describe()
    assert [each["finding"] for each in about["classes"]] == [False, True]
    assert about["operating_point"]["refer"] == {"nodule": [0.32, 0.48]}
    assert about["envelope"]["modality"] == ["DX"]
    assert about["envelope"]["side"] == [128, 512]
    assert about["metrics"]["overall"]["auroc"]["low"] == 0.902
    assert about["card"].startswith("## Purpose")


def test_the_summary_holds_no_arrays():
    assert envelope_summary({}) == {}
    assert envelope_summary({"looks": {"usual": {"x": [1]}}}) == {}


@pytest.mark.parametrize(("spots", "verdict"), [(0, "no finding"), (1, "refer"), (2, "finding")])
def test_films_are_read(packaged, film_model, tmp_path, spots, verdict):
    path = film_model.write_dicom(tmp_path / "film.dcm", film_model.film(spots))
    image, members = packaged.load(path, 0)
    assert members == 1
    prediction = packaged.predict(image, going_on, Silent())
    assert prediction.verdict == verdict


def test_the_heat_map_lies_on_the_film_where_the_spot_is(packaged, film_model, tmp_path):
    path = film_model.write_dicom(tmp_path / "film.dcm", film_model.film(2))
    image, _ = packaged.load(path, 0)
    heat = packaged.explain(image, packaged.predict(image, going_on, Silent()))
    assert (heat.method, heat.label) == ("cam", "nodule")
    assert heat.image.size == image.size
    row, column = np.unravel_index(heat.image.pixels[0].argmax(), image.size)
    spots = [((-0.16 + 0.5) * 256, (0.2 + 0.5) * 256), ((0.08 + 0.5) * 256, (-0.18 + 0.5) * 256)]
    assert min(np.hypot(row - y, column - x) for y, x in spots) < 6


def test_a_member_that_is_not_there(packaged, film_model, tmp_path):
    path = film_model.write_dicom(tmp_path / "film.dcm", film_model.film(0))
    with pytest.raises(FormatError, match="from 0 to 0, got 5"):
        packaged.load(path, 5)


def test_of_a_volume_a_slice_must_be_chosen(packaged, film_model, tmp_path):
    """Slice 1 of three holds the spots; nothing is read in silence from the middle."""
    films = np.stack([film_model.film(0), film_model.film(2), film_model.film(0)])
    path = tmp_path / "volume.nii.gz"
    nibabel = pytest.importorskip("nibabel")
    volume = nibabel.Nifti1Image(films.T.astype(np.int16), np.diag([1.4, 1.4, 5, 1]))
    nibabel.save(volume, path)
    with pytest.raises(Refusal, match="a volume of 3 slices") as refused:
        packaged.load(path, None)
    assert refused.value.members == 3
    image, members = packaged.load(path, 1)
    assert (members, image.size) == (3, (256, 256))
    assert packaged.predict(image, going_on, Silent()).targets["label"].scores["nodule"] > 0.8
    with pytest.raises(FormatError, match="from 0 to 2, got 3"):
        packaged.load(path, 3)


def test_the_example_can_be_read(packaged, tmp_path):
    sample = packaged.example()
    path = tmp_path / sample.name
    path.write_bytes(sample.content)
    image, _ = packaged.load(path, 0)
    assert packaged.predict(image, going_on, Silent()).targets
    assert formats.is_image(path)


def test_two_models_of_one_name(model):
    with pytest.raises(PackageError, match="a second model named 'drawn-films'"):
        load_all([model, model])


def command(*words: str) -> list[str]:
    code = "import sys; from tomos.cli import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "serve", *words]


def test_the_command_serves_until_it_is_stopped(model):
    server = subprocess.Popen(
        command(str(model), "--port", "0"), stderr=subprocess.PIPE, text=True, env=quiet()
    )
    try:
        lines = []
        while not lines or "Serving at" not in lines[-1]:
            lines.append(server.stderr.readline())
            assert lines[-1], lines
        address = re.search(r"http://\S+/", lines[-1]).group()
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(f"{address}ready").json()["models"] == ["drawn-films"]
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130
        assert "Traceback" not in server.stderr.read()
    finally:
        server.kill()


def test_the_command_warns_where_others_can_reach_it(model):
    server = subprocess.Popen(
        command(str(model), "--port", "0", "--host", "0.0.0.0"),
        stderr=subprocess.PIPE,
        text=True,
        env=quiet(),
    )
    try:
        said = ""
        while "Serving at" not in said:
            said += (line := server.stderr.readline())
            assert line
        assert "can be reached from other machines" in said
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nothing.tomos"], "no such model file"),
        (["--max-upload-mb", "0"], "--max-upload-mb"),
        (["--threads", "-1"], "--threads"),
        (["--port", "99999"], "expected 0 to 65535"),
    ],
)
def test_the_command_refuses_in_words(model, words, reason):
    given = words if words[0].endswith(".tomos") else [str(model), *words]
    done = subprocess.run(
        command("--port", "0", *given), stderr=subprocess.PIPE, text=True, timeout=60, env=quiet()
    )
    assert done.returncode == 2
    assert reason in done.stderr and "Traceback" not in done.stderr


def quiet() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_answers_come_quickly_after_the_first(live, model, film_model, tmp_path):
    """The heavy imports are done before the server listens."""
    path = film_model.write_dicom(tmp_path / "film.dcm", film_model.film(2))
    with live(load_all([model])) as address:
        httpx.post(f"{address}/api/read", content=path.read_bytes())
        started = time.perf_counter()
        answer = httpx.post(f"{address}/api/read", content=path.read_bytes())
        assert answer.status_code == 200
        assert time.perf_counter() - started < 5
