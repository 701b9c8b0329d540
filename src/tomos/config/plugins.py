"""A plug-in is a file; its name is the name on the command line."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from types import ModuleType

from tomos.types import SettingsError


def names(package: str) -> list[str]:
    """The plug-ins of a package ("tomos.explain"), by file name, nothing imported but the package.

    Other distributions add theirs through the entry-point group of the same name.
    """
    from importlib.metadata import entry_points

    folder = importlib.import_module(package)
    here = [m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_")]
    return sorted({*here, *(point.name for point in entry_points(group=package))})


def plugin(package: str, name: str, what: str = "") -> ModuleType:
    """The module `name` of `package`.

    what  what such a file is called in a message; the package's own name when empty
    Raises SettingsError, with the nearest names, when there is none.
    """
    from importlib.metadata import entry_points

    known = names(package)
    if name not in known:
        what = what or package.rsplit(".", 1)[1]
        raise SettingsError(f"no {what} named {name!r}{did_you_mean(name, known)}")
    for point in entry_points(group=package):
        if point.name == name:
            return point.load()
    return importlib.import_module(f"{package}.{name}")


def did_you_mean(name: str, known: list[str]) -> str:
    """'; did you mean ...?' with the nearest of `known`, else the list of them."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(repr(n) for n in near)}?"
    return f"; there are: {', '.join(known)}"
