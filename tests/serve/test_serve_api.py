"""`/api`: files in, findings out."""

import base64
import io

import numpy as np
import pytest

from tomos import formats
from tomos.types import EnvelopeError

pytestmark = pytest.mark.fast


def decoded(text: str, tmp_path, name: str) -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(base64.b64decode(text))
    return formats.read(path).pixels


def test_a_raw_body_is_read(client, grey_png):
    answer = client.post("/api/read", content=grey_png(204), headers={"content-type": "image/png"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["model"] == "fake"
    assert body["prediction"]["targets"]["label"]["scores"]["bright"] == pytest.approx(0.8)
    assert body["prediction"]["verdict"] == "finding"
    assert (body["picture"]["width"], body["picture"]["height"]) == (8, 8)
    assert body["maps"][0]["label"] == "bright"


def test_a_form_is_read_and_its_file_name_given_back(client, grey_png):
    files = {"file": ("../a film.png", grey_png(10), "image/png")}
    body = client.post("/api/read", files=files).json()
    assert body["prediction"]["input"] == "a film.png"
    assert body["prediction"]["verdict"] == "no finding"


def test_received_files_are_gone_after_the_answer(client, grey_png):
    client.post("/api/read", content=grey_png(1))
    client.post("/api/read", content=b"not an image")
    client.post("/api/read", files={"file": ("x.png", b"")})
    client.post("/v1/models/fake:predict", json={"instances": [{"b64": "AAAA"}]})
    assert list(client.folder.iterdir()) == []


def test_what_is_not_wished_for_is_not_made(client, grey_png):
    body = client.post("/api/read?picture=false&heat=false", content=grey_png(1)).json()
    assert "picture" not in body
    assert body["maps"] == []


def test_a_misspelt_wish_is_refused(client, grey_png):
    answer = client.post("/api/read?pictures=false", content=grey_png(1))
    assert answer.status_code == 400
    assert "pictures" in answer.json()["error"]


def test_sixteen_bits_reach_the_page_whole(client, tmp_path):
    pixels = np.array([[0, 1, 255], [256, 4095, 65535]], np.uint16)
    answer = client.post("/api/read?values=true", content=formats.png_bytes(pixels))
    exact = answer.json()["values"]
    red, green, _ = decoded(exact["png"], tmp_path, "v.png").astype(int)
    assert np.array_equal(exact["intercept"] + exact["slope"] * (256 * red + green), pixels)


def test_eight_bits_need_no_second_picture(client, tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    body = client.post("/api/read?values=true", content=formats.png_bytes(pixels)).json()
    assert "values" not in body
    assert np.array_equal(decoded(body["picture"]["png"], tmp_path, "p.png")[0], pixels)


def test_the_heat_map_is_clear_where_cold_and_opaque_where_hot(client, tmp_path):
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0, 0] = 255
    body = client.post("/api/read", content=formats.png_bytes(pixels)).json()
    from PIL import Image as Picture

    rgba = np.asarray(Picture.open(io.BytesIO(base64.b64decode(body["maps"][0]["png"]))))
    assert rgba.shape == (8, 8, 4)
    assert rgba[7, 7, 3] == 0
    assert rgba[0, 0, 3] > 200


def test_a_refused_file_says_why_without_our_path(client):
    answer = client.post("/api/read", files={"file": ("letter.txt", b"dear colleague " * 99)})
    assert answer.status_code == 422
    message = answer.json()["error"]
    assert "letter.txt" in message
    assert "tomos-serve" not in message and "/tmp" not in message


def test_an_empty_body_and_an_empty_file_are_refused(client):
    answer = client.post("/api/read")
    assert answer.status_code == 400 and "the body holds no file" in answer.json()["error"]
    answer = client.post("/api/read", files={"file": ("zero.nii.gz", b"")})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("zero.nii.gz: the file is empty; copy it again")


def test_an_input_the_model_is_not_made_for_is_refused(client, reader, grey_png):
    reader.fault = EnvelopeError("expected chest films, got a photograph")
    answer = client.post("/api/read", content=grey_png(1))
    assert (answer.status_code, "photograph" in answer.json()["error"]) == (422, True)


def test_a_failure_has_no_traceback(client, reader, caplog, grey_png):
    reader.fault = ValueError("patient Doe^Jane")
    client._transport.raise_server_exceptions = False
    answer = client.post("/api/read", content=grey_png(1))
    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert "Traceback" not in answer.text and "Doe" not in answer.text
    assert "ValueError" in caplog.text and "Doe" not in caplog.text


def test_unknown_addresses_methods_and_models(client, grey_png):
    for answer, status in (
        (client.get("/nowhere"), 404),
        (client.get("/api/read"), 405),
        (client.get("/api/models/other"), 404),
        (client.post("/api/read?model=other", content=grey_png(1)), 404),
    ):
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]


def test_models_are_listed(client):
    body = client.get("/api/models").json()
    assert [model["name"] for model in body["models"]] == ["fake"]
    assert body["upload_bytes"] == 200_000
    assert client.get("/api/models/fake").json()["name"] == "fake"


def test_the_example_can_be_read(client):
    picture = client.get("/api/models/fake/example")
    assert picture.headers["content-type"] == "image/png"
    body = client.post("/api/read", content=picture.content).json()
    assert body["prediction"]["verdict"] == "finding"


def test_one_image_of_several(client, tmp_path):
    archive = io.BytesIO()
    images = np.stack([np.full((28, 28), 10, np.uint8), np.full((28, 28), 240, np.uint8)])
    np.savez(archive, test_images=images, test_labels=np.array([[0], [1]]))
    second = client.post("/api/read?member=1", content=archive.getvalue()).json()
    assert (second["image"]["members"], second["image"]["member"]) == (2, 1)
    assert second["prediction"]["verdict"] == "finding"


def test_health_and_metrics(client, grey_png):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json()["models"] == ["fake"]
    client.post("/api/read", content=grey_png(250))
    client.post("/api/read", content=b"?")
    text = client.get("/metrics").text
    assert 'tomos_requests_total{route="/api/read",method="POST",status="200"} 1' in text
    assert 'tomos_refusals_total{reason="format"} 1' in text
    assert 'tomos_verdicts_total{model="fake",verdict="finding"} 1' in text
    assert 'tomos_request_seconds_bucket{route="/api/read",le="+Inf"} 2' in text
    assert "tomos_workers_busy 0" in text


def test_openapi_names_every_address(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/api/read", "/v1/models/{name}:predict", "/v2/models/{name}/infer", "/metrics"):
        assert path in paths
    assert "multipart/form-data" in paths["/api/read"]["post"]["requestBody"]["content"]


def test_without_a_built_page_the_reader_is_told_how_to_build_it(reader, tmp_path):
    from starlette.testclient import TestClient

    from tomos.serve.application import create
    from tomos.serve.service import build

    with TestClient(create(build([reader]), static=tmp_path), base_url="http://localhost") as talk:
        answer = talk.get("/")
    assert answer.status_code == 503
    assert "make web" in answer.text


def test_the_page_speaks_the_language_it_was_started_with(reader, tmp_path):
    from starlette.testclient import TestClient

    from tomos.serve.application import create
    from tomos.serve.service import build

    (tmp_path / "index.html").write_text('<html lang="en" data-language="auto">')
    app = create(build([reader]), language="zh", static=tmp_path)
    with TestClient(app, base_url="http://localhost") as talk:
        assert 'data-language="zh"' in talk.get("/").text
