"""`/v1` as TensorFlow Serving answers, `/v2` as the Open Inference Protocol says."""

import base64
import json

import numpy as np
import pytest

from tomos.formats import png_bytes

pytestmark = pytest.mark.fast
V1 = "/v1/models/fake"
V2 = "/v2/models/fake"
BRIGHT = np.full((8, 8), 204, np.uint8)
PNG = base64.b64encode(png_bytes(BRIGHT)).decode()


def test_v1_status_and_metadata(client):
    state = client.get(V1).json()["model_version_status"][0]
    assert state["state"] == "AVAILABLE"
    signature = client.get(f"{V1}/metadata").json()["metadata"]["signature_def"]["signature_def"]
    inputs = signature["serving_default"]["inputs"]["image"]
    assert inputs["dtype"] == "DT_FLOAT"
    assert client.get("/v1/models/other").status_code == 404
    assert client.get(f"{V1}/versions/7").status_code == 404


@pytest.mark.parametrize(
    "instance",
    [
        BRIGHT.tolist(),
        BRIGHT[..., None].tolist(),
        BRIGHT.astype(float).tolist(),
        {"image": BRIGHT.tolist()},
        {"b64": PNG},
        {"image": {"b64": PNG}},
    ],
    ids=["plain", "channel", "floats", "named", "file", "named file"],
)
def test_v1_instances(client, reader, instance):
    answer = client.post(f"{V1}:predict", json={"instances": [instance, instance]})
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert len(rows) == 2
    assert rows[0]["scores"] == pytest.approx([0.2, 0.8], abs=1e-5)
    assert (rows[0]["label"], rows[0]["verdict"]) == ("bright", "finding")
    assert reader.seen[0].pixels.dtype == np.uint8
    assert reader.seen[0].value_range == (0, 255)


def test_v1_columns(client):
    answer = client.post(f"{V1}/versions/1:predict", json={"inputs": {"image": [BRIGHT.tolist()]}})
    assert answer.json()["outputs"]["label"] == ["bright"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[" * 50_000,
        b"[]",
        b"{}",
        b'{"instances": []}',
        b'{"instances": [[1, [2]]]}',
        b'{"instances": [[[NaN]]]}',
        b'{"instances": [{"b64": "%%"}]}',
        b'{"instances": [{"other": 1}]}',
        b'{"instances": [[[[1, 2], [3, 4]], [[1, 2], [3, 4]]]]}',
        b'{"instances": ["text"]}',
        b'{"instances": [[[1]]], "signature_name": "other"}',
        b'{"instances": [[[1]]], "inputs": 1}',
        json.dumps({"instances": [[[1e400]]]}).encode(),
    ],
)
def test_v1_refuses_in_words(client, body):
    answer = client.post(f"{V1}:predict", content=body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_v1_names_the_instance_that_was_refused(client):
    bad = {"b64": base64.b64encode(b"nothing" * 50).decode()}
    answer = client.post(f"{V1}:predict", json={"instances": [BRIGHT.tolist(), bad]})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("instance 1:")


def test_v1_refuses_too_many(client):
    answer = client.post(f"{V1}:predict", json={"instances": [[[1]]] * 65})
    assert answer.status_code == 413


def test_v2_server_and_metadata(client):
    assert "binary_tensor_data" in client.get("/v2").json()["extensions"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"{V2}/ready").json() == {"name": "fake", "ready": True}
    about = client.get(f"{V2}/versions/1").json()
    assert about["inputs"][0]["shape"] == [-1, 1, -1, -1]
    assert about["parameters"]["classes"] == ["dark", "bright"]
    assert client.get("/v2/models/other").status_code == 404


@pytest.mark.parametrize("datatype", ["UINT8", "INT32", "FP32", "FP64"])
@pytest.mark.parametrize("nested", [False, True])
def test_v2_json(client, datatype, nested):
    data = BRIGHT.tolist() if nested else BRIGHT.ravel().tolist()
    tensor = {"name": "image", "datatype": datatype, "shape": [1, 1, 8, 8], "data": data}
    answer = client.post(f"{V2}/infer", json={"id": "7", "inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["id"], body["model_name"], body["model_version"]) == ("7", "fake", "1")
    outputs = {each["name"]: each for each in body["outputs"]}
    assert outputs["scores"]["shape"] == [1, 2]
    assert outputs["scores"]["data"] == pytest.approx([0.2, 0.8], abs=1e-5)
    assert outputs["label"]["data"] == ["bright"]


def binary(inputs, tensors, **more):
    """A body in the binary extension, and its headers."""
    for entry, raw in zip(inputs, tensors, strict=True):
        entry["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": inputs, **more}).encode()
    headers = {
        "Inference-Header-Content-Length": str(len(head)),
        "content-type": "application/octet-stream",
    }
    return b"".join([head, *tensors]), headers


def test_v2_binary_both_ways(client):
    pixels = np.stack([BRIGHT, 255 - BRIGHT])[:, None]
    entry = {"name": "image", "datatype": "UINT8", "shape": [2, 1, 8, 8]}
    body, headers = binary(
        [entry], [pixels.tobytes()], parameters={"binary_data_output": True},
        outputs=[{"name": "scores"}, {"name": "label"},
                 {"name": "verdict", "parameters": {"binary_data": False}}],
    )  # fmt: skip
    answer = client.post(f"{V2}/infer", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["Inference-Header-Content-Length"])
    head = json.loads(answer.content[:length])
    scores, label, verdict = head["outputs"]
    at = length + scores["parameters"]["binary_data_size"]
    values = np.frombuffer(answer.content[length:at], "<f4").reshape(scores["shape"])
    assert values == pytest.approx(np.array([[0.2, 0.8], [0.8, 0.2]]), abs=1e-5)
    assert answer.content[at:] == b"\x06\0\0\0bright\x04\0\0\0dark"
    assert label["shape"] == [2]
    assert verdict["data"] == ["finding", "no finding"]


def test_v2_files(client, grey_png):
    png = grey_png(204)
    text = base64.b64encode(png).decode()
    tensor = {"name": "file", "datatype": "BYTES", "shape": [1], "data": [text]}
    plain = client.post(f"{V2}/infer", json={"inputs": [tensor]})
    entry = {"name": "file", "datatype": "BYTES", "shape": [1]}
    body, headers = binary([entry], [len(png).to_bytes(4, "little") + png])
    raw = client.post(f"{V2}/infer", content=body, headers=headers)
    assert plain.json()["outputs"] == raw.json()["outputs"]
    assert plain.json()["outputs"][1]["data"] == ["bright"]


GOOD = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 2], "data": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"inputs": []},
        {"inputs": [1]},
        {"inputs": [{**GOOD, "name": "other"}]},
        {"inputs": [{**GOOD, "shape": [1, 1, 2, 3]}]},
        {"inputs": [{**GOOD, "shape": [1, 1, -2, -2]}]},
        {"inputs": [{**GOOD, "shape": [1 << 40]}]},
        {"inputs": [{**GOOD, "datatype": "FLOAT"}]},
        {"inputs": [{**GOOD, "data": [1, 2, 3, 300]}]},
        {"inputs": [{**GOOD, "data": ["1", 2, 3, 4]}]},
        {"inputs": [{**GOOD, "parameters": {"binary_data_size": 9}}]},
        {"inputs": [GOOD], "outputs": [{"name": "nothing"}]},
        {"inputs": [GOOD], "outputs": 5},
        {"inputs": [GOOD, {**GOOD, "name": "second"}]},
    ],
)
def test_v2_refuses_in_words(client, request_body):
    answer = client.post(f"{V2}/infer", json=request_body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("claimed", ["x", "-1", "99999999", "0"])
def test_v2_refuses_a_wrong_head_length(client, claimed):
    body = json.dumps({"inputs": [GOOD]}).encode()
    headers = {"Inference-Header-Content-Length": claimed}
    assert client.post(f"{V2}/infer", content=body, headers=headers).status_code == 400
