"""Masks over `/v1` and `/v2`: a tensor of labels; volumes as bytes only."""

import base64
import json

import numpy as np
import pytest

from tomos.formats import png_bytes

PIXELS = np.array([[20, 150, 250], [20, 20, 150]], np.uint8)
LABELS = [[0, 1, 2], [0, 0, 1]]


@pytest.fixture(scope="module")
def scan(mask_model, tmp_path_factory):
    """A volume of 12 x 20 x 22 voxels: its pixels, and the bytes of its file."""
    volume = mask_model.ball((12, 20, 22))
    path = mask_model.write_nifti(tmp_path_factory.mktemp("scan") / "scan.nii.gz", volume)
    return volume, path.read_bytes()


def test_v1_gives_the_mask_of_a_picture(talk):
    file = {"b64": base64.b64encode(png_bytes(PIXELS)).decode()}
    body = {"instances": [PIXELS.tolist(), file]}
    rows = talk.post("/v1/models/flat:predict", json=body).json()["predictions"]
    for row in rows:
        assert row["mask"] == LABELS
        assert row["outlined"] == [2, 1]
        assert row["expected"] == pytest.approx([2, 1], abs=0.05)
        assert (row["unit"], row["verdict"], row["label"]) == ("voxels", "finding", "grey|bright")


def test_v1_says_what_comes_out(talk):
    signature = talk.get("/v1/models/flat/metadata").json()["metadata"]["signature_def"]
    outputs = signature["signature_def"]["serving_default"]["outputs"]
    assert outputs["mask"]["dtype"] == "DT_UINT8"
    assert len(outputs["mask"]["tensor_shape"]["dim"]) == 3
    assert "scores" not in outputs


def test_v1_refuses_a_mask_that_json_is_not_made_for(talk):
    large = {"b64": base64.b64encode(png_bytes(np.zeros((1100, 1000), np.uint8))).decode()}
    answer = talk.post("/v1/models/flat:predict", json={"instances": [large]})
    assert answer.status_code == 413
    assert "1100000 numbers" in answer.json()["error"] and "/v2" in answer.json()["error"]


def test_v1_and_v2_refuse_volumes_as_numbers(talk):
    numbers = np.zeros((4, 5, 6)).tolist()
    answer = talk.post("/v1/models/solid:predict", json={"instances": [numbers]})
    assert answer.status_code == 400
    assert "a volume is sent as a file" in answer.json()["error"]
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 4, 5, 6], "data": numbers}
    answer = talk.post("/v2/models/solid/infer", json={"inputs": [tensor]})
    assert answer.status_code == 400
    assert "a volume is sent as a file" in answer.json()["error"]


def test_v2_says_what_goes_in_and_comes_out(talk):
    flat = talk.get("/v2/models/flat").json()
    assert [each["name"] for each in flat["inputs"]] == ["image", "file"]
    assert flat["outputs"][0] == {"name": "mask", "datatype": "UINT8", "shape": [-1, -1, -1]}
    solid = talk.get("/v2/models/solid").json()
    assert [each["name"] for each in solid["inputs"]] == ["file"]
    assert solid["outputs"][0]["shape"] == [-1, -1, -1, -1]


def test_v2_gives_masks_in_json(talk):
    tensor = {"name": "image", "datatype": "UINT8", "shape": [2, 1, 2, 3],
              "data": [PIXELS.tolist(), PIXELS.tolist()]}  # fmt: skip
    answer = talk.post("/v2/models/flat/infer", json={"inputs": [tensor]}).json()
    outputs = {each["name"]: each for each in answer["outputs"]}
    assert (outputs["mask"]["datatype"], outputs["mask"]["shape"]) == ("UINT8", [2, 2, 3])
    assert outputs["mask"]["data"] == 2 * [0, 1, 2, 0, 0, 1]
    assert outputs["outlined"]["data"] == [2, 1, 2, 1]


def infer(talk, scan: bytes, **more):
    """The answer to one file, asked for as raw bytes, and its tensors."""
    entry = {"name": "file", "datatype": "BYTES", "shape": [1],
             "parameters": {"binary_data_size": 4 + len(scan)}}  # fmt: skip
    head = json.dumps({"inputs": [entry], **more}).encode()
    body = head + len(scan).to_bytes(4, "little") + scan
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return talk.post("/v2/models/solid/infer", content=body, headers=headers)


def test_v2_gives_the_mask_of_a_volume_as_bytes(talk, scan):
    volume, file = scan
    answer = infer(talk, file, parameters={"binary_data_output": True}, outputs=[{"name": "mask"}])
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["Inference-Header-Content-Length"])
    (told,) = json.loads(answer.content[:length])["outputs"]
    mask = np.frombuffer(answer.content[length:], np.uint8).reshape(told["shape"])
    assert np.array_equal(mask[0], (volume > 100).astype(int) + (volume > 200))


def test_v2_gives_amounts_without_the_mask(talk, scan):
    volume, file = scan
    answer = infer(talk, file, outputs=[{"name": "outlined"}, {"name": "unit"}]).json()
    outlined, unit = answer["outputs"]
    assert outlined["data"][1] == pytest.approx((volume > 200).sum() / 1000)
    assert unit["data"] == ["ml"]


def test_v2_refuses_masks_of_several_sizes(talk):
    files = [png_bytes(np.zeros(size, np.uint8)) for size in ((8, 8), (8, 9))]
    data = [base64.b64encode(file).decode() for file in files]
    tensor = {"name": "file", "datatype": "BYTES", "shape": [2], "data": data}
    answer = talk.post("/v2/models/flat/infer", json={"inputs": [tensor]})
    assert answer.status_code == 400
    assert "several sizes: [(8, 8), (8, 9)]" in answer.json()["error"]
