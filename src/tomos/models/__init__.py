"""Tensor -> tensor, one architecture per file, read top to bottom; `timm:` and `monai:` names
resolve to those libraries; `models.to_onnx(net, example)` is the only exporter of the base
graph
"""
