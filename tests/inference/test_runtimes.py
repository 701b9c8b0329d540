"""What runs a model where nobody says: the quickest there is for it."""

import toy
from bright_masks import model_file

from tomos.inference import network, predictor


def test_volumes_run_in_openvino_where_it_is_installed(tmp_path, monkeypatch):
    volumes, pictures = model_file(tmp_path / "v.tomos"), toy.model(tmp_path / "p.tomos")

    def runtime(path):
        return predictor(path, threads=1).networks[0].runtime.split()[0]

    monkeypatch.setattr(network, "find_spec", lambda name: None)
    assert runtime(volumes) == runtime(pictures) == "onnxruntime"
    monkeypatch.undo()
    assert runtime(pictures) == "onnxruntime"
    assert runtime(volumes) == ("openvino" if network.find_spec("openvino") else "onnxruntime")
