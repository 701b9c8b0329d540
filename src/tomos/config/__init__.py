"""Settings objects <-> TOML and JSON, typed overrides, and plug-in lookup by file name."""

from tomos.config.plugins import names, plugin
from tomos.config.settings import Settings, check_assignments, load, override, parse, save
from tomos.config.storage import atomic_write, free_or_raise, writable_or_raise

__all__ = [
    "Settings",
    "atomic_write",
    "check_assignments",
    "free_or_raise",
    "load",
    "names",
    "override",
    "parse",
    "plugin",
    "save",
    "writable_or_raise",
]
