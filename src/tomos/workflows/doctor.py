"""`tomos doctor`: what this machine has, and what to install for what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

NEEDED = {
    "numpy": "everything",
    "onnxruntime": "running models",
    "pydicom": "reading DICOM",
    "pillow": "reading PNG, JPEG, TIFF, BMP, GIF",
    "highdicom": "writing DICOM segmentations",
    "isal": "reading and writing .nii.gz",
    "pylibjpeg-openjpeg": "JPEG 2000 inside DICOM",
    "pyjpegls": "JPEG-LS inside DICOM",
    "python-gdcm": "JPEG inside DICOM",
    "fastapi": "tomos serve",
}
EXTRAS = {
    "torch": ("tomos plan, train, Grad-CAM", "train"),
    "onnx": ("exporting a trained network", "train"),
    "safetensors": ("checkpoints", "train"),
    "tensorboard": ("TensorBoard events", "train"),
    "openvino": ("faster prediction on Intel and AMD processors", "openvino"),
    "monai": ("networks named monai:...", "monai"),
    "timm": ("networks named timm:...", "timm"),
    "cryptography": ("signed model files", "sign"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; an optional one may be missing without harm to the rest."""

    name: str
    ok: bool
    what: str
    optional: bool = False

    def to_json(self) -> dict:
        return asdict(self)


def examine() -> list[Finding]:
    """Look at Python, libraries, accelerators, memory, disk and the page."""
    return [
        _python(),
        *(_library(name, use) for name, use in NEEDED.items()),
        *(_extra(name, *use) for name, use in EXTRAS.items()),
        _memory(),
        _disk(),
        _accelerator(),
        _page(),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, version if good else f"{version}; Tomos needs 3.11 or newer")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _library(name: str, use: str) -> Finding:
    version = _version(name)
    missing = f"not installed, needed for {use}: pip install --force-reinstall tomos"
    return Finding(name, bool(version), version or missing)


def _extra(name: str, use: str, extra: str) -> Finding:
    version = _version(name)
    missing = f"not installed; for {use}: pip install 'tomos[{extra}]'"
    return Finding(name, bool(version), version or missing, optional=True)


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", True, "not known on this system", optional=True)
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    good = size >= 4
    advice = "" if good else "; training needs about 4 GiB"
    return Finding("memory", good, f"{size:.1f} GiB{advice}", optional=True)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    good = free >= 2
    advice = "" if good else "; a run needs about 2 GiB"
    return Finding("disk", good, f"{free:.0f} GiB free here{advice}", optional=True)


def _accelerator() -> Finding:
    if not _version("torch"):
        return Finding("accelerator", False, "not looked for without torch", optional=True)
    import torch

    if torch.cuda.is_available():
        return Finding("accelerator", True, torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        return Finding("accelerator", True, "Apple GPU (mps)")
    return Finding("accelerator", False, "no GPU; everything works on the processor", optional=True)


def _page() -> Finding:
    from tomos import __file__ as here

    built = (Path(here).parent / "serve" / "static" / "index.html").exists()
    missing = "not built; in a checkout: make web (the HTTP service works without it)"
    return Finding("page", built, "built" if built else missing, optional=True)
