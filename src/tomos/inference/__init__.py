"""`Image -> Prediction`: prepare, tile, run, decode. One path for validation, evaluation and
serving. A network is a callable `dict of arrays -> dict of arrays`: ONNX Runtime by default,
OpenVINO, or a torch module handed in by training
"""
