"""Tomos: from a folder of medical images to a model that can be trusted, and to where it is read.

Nothing heavy is imported here; `tomos.read`, `tomos.predict` and the rest load what they need when
they are first touched.
"""

__version__ = "0.1.0"

_LAZY = {
    "Image": "tomos.types",
    "TomosError": "tomos.types",
    "read": "tomos.formats",
}


def __getattr__(name: str):
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tomos' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
