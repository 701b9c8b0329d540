"""Settings, docstrings and flags -> rows of Markdown tables. Used by `docs/generate.py` only.

A setting must be described: by a line `name  text` of its class's docstring, by `docs/words.toml`,
or at least by being named in the docstring's prose, which then stands above the table.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from tomos.config import Settings

WORDS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("words.toml").read_text(encoding="utf-8")
)
PLAIN = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "Any": "anything",
    "NoneType": "nothing",
}


class Undocumented(Exception):
    """Flags, settings or keys that nobody described; the message lists them."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells are put on one line and their pipes escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def prose(text: str) -> str:
    """A docstring as Markdown: its `name  text` lines become a list, the rest stays as it is."""
    words, names = split_docstring(text)
    listed = [f"- `{name}`: {meaning}" for name, meaning in names.items()]
    return "\n\n".join(filter(None, [words, "\n".join(listed)]))


def split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """(prose, name -> meaning). A meaning goes on over lines that are indented further."""
    kept: list[str] = []
    found: dict[str, str] = {}
    current: list[str] = []
    indent = 0
    for line in inspect.cleandoc(text).splitlines():
        start = re.match(r"(\s*)(\w+(?:, \w+)*)( {2,}|(?<=^)$)(.*)", line)
        depth = len(line) - len(line.lstrip())
        if start and start[3] and start[2].split(", ")[0].isidentifier():
            current = start[2].split(", ")
            indent = depth
            found |= dict.fromkeys(current, start[4].strip())
        elif current and line.strip() and depth > indent:
            found |= {name: f"{found[name]} {line.strip()}" for name in current}
        else:
            current = []
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), found


def settings(kind: type[Settings], section: str = "") -> str:
    """The class's prose and a table of its settings. Raises Undocumented."""
    words, meant = _documentation(kind)
    section = section or kind.__name__
    own = WORDS.get(section, {})
    given = {**WORDS.get(section.partition(".")[0], {}), **own}
    said = f"{words} {' '.join(meant.values())}"
    rows, silent = [], []
    for name, field in kind.model_fields.items():
        meaning = meant.get(name) or given.get(name) or ""
        if not meaning and not re.search(rf"\b{name}\b", said):
            silent.append(f"{section}.{name}")
        shown = f"{kind_of(field.annotation)}{_bounds(field.metadata)}"
        rows.append((f"`{field.alias or name}`", shown, default_of(field), meaning or "see above"))
    strangers = set(own) - set(kind.model_fields)
    if silent or strangers:
        raise Undocumented(", ".join([*silent, *(f"{section}.{s} (gone)" for s in strangers)]))
    columns = table(("setting", "kind", "default", "meaning"), rows)
    return "\n\n".join(filter(None, [words, columns if rows else "No settings."]))


def inner(kind: type[Settings]) -> list[type[Settings]]:
    """The settings that lie in lists of `kind`'s settings, in order."""

    def within(annotation: Any) -> Iterator[type[Settings]]:
        if inspect.isclass(annotation) and issubclass(annotation, Settings):
            yield annotation
        for part in typing.get_args(annotation):
            yield from within(part)

    return [each for field in kind.model_fields.values() for each in within(field.annotation)]


def _documentation(kind: type) -> tuple[str, dict[str, str]]:
    """Prose of the class, and meanings from it and from the classes below it."""
    meant: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if issubclass(each, Settings) and each is not Settings and each.__doc__:
            meant |= split_docstring(each.__doc__)[1]
    own = kind.__doc__ or ""
    return split_docstring(own)[0], meant


def kind_of(annotation: Any) -> str:
    """A type in words: `tuple[int, ...]` -> "list of whole number"."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind_of(inside[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value!r}`".replace("'", '"') for value in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind_of(part) for part in inside if part is not type(None))
    if origin is tuple and inside[-1:] != (Ellipsis,):
        return f"{len(inside)} times {kind_of(inside[0])}"
    if origin in (tuple, list):
        return f"list of {kind_of(inside[0])}"
    if origin is dict or annotation is dict:
        return "table" if not inside or inside[1] is Any else f"table of {kind_of(inside[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, Settings):
        return f"table, [{annotation.__name__}](#{annotation.__name__.lower()})"
    return PLAIN.get(getattr(annotation, "__name__", ""), str(annotation))


def _bounds(metadata: Sequence[Any]) -> str:
    signs = (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}"), ("lt", "below {}"))
    found = [
        word.format(f"{getattr(part, name):g}")
        for name, word in signs
        for part in metadata
        if getattr(part, name, None) is not None
    ]
    return f", {' '.join(found)}" if found else ""


def default_of(field: Any) -> str:
    if field.default_factory is not None:
        made = field.default_factory()
        return f"`{made}`" if made else "empty"
    if field.default is PydanticUndefined:
        return "needed"
    if isinstance(field.default, Settings):
        return "its own"
    if field.default in ("", (), None):
        return "empty"
    shown = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{list(shown) if isinstance(shown, tuple) else shown}`"


def flags(parser: argparse.ArgumentParser, command: str) -> str:
    """The arguments of one command. Raises Undocumented for one without help."""
    rows, silent = [], []
    for action in _own(parser):
        meaning = (action.help or "") % {"default": action.default} if action.help else ""
        meaning = meaning or WORDS.get("flags", {}).get(f"{command} {spelled(action)[0]}", "")
        if not meaning:
            silent.append(f"tomos {command} {spelled(action)[0]}")
        names = ", ".join(f"`{name}`" for name in spelled(action))
        value = f" `{_value(action)}`" if action.option_strings and action.nargs != 0 else ""
        rows.append((names + value, meaning))
    if silent:
        raise Undocumented(", ".join(silent))
    return table(("argument", "meaning"), rows)


def _own(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in parser._actions if not isinstance(action, argparse._HelpAction))


def spelled(action: argparse.Action) -> list[str]:
    return list(action.option_strings) or [str(action.metavar or action.dest).upper()]


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or (action.dest or "").upper())


def function(thing: Any, name: str) -> str:
    """A function's signature and docstring."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
    if len(text) + len(name) > 96:
        inner, _, result = text[1:].rpartition(")")
        parts = re.split(r", (?![^\[]*\])", inner)
        text = "(\n" + "".join(f"    {part},\n" for part in parts) + ")" + result
    return f"```text\n{name}{text}\n```\n\n{prose(thing.__doc__ or '')}"


def paths(value: Any, closed: set[str], path: str = "") -> list[str]:
    """Every key as `a.b`, without what lies in a figure or in a table that the data name."""
    found: list[str] = []
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return paths(value[0], closed, f"{path}[]")
    if isinstance(value, dict) and "value" not in value:
        for key, inner in value.items():
            here = f"{path}.{key}" if path else key
            found += [here, *([] if key in closed else paths(inner, closed, here))]
    return found


def figures(value: Any) -> set[str]:
    """The keys of every figure in it."""
    if not isinstance(value, dict):
        return set()
    if "value" in value:
        return set(value)
    return set().union(*map(figures, value.values()), set())


def same(what: str, there: set[str], described: set[str]) -> None:
    """Raise Undocumented for what is there and not described, or the other way round."""
    odd = [f"{what}: {key}" for key in sorted(there - described)]
    odd += [f"{what}: {key} (gone)" for key in sorted(described - there)]
    if odd:
        raise Undocumented(", ".join(odd))


def limits() -> str:
    """The bounds of `tomos.formats.Limits` and their values."""
    from dataclasses import fields

    from tomos.formats import Limits

    words, meant = split_docstring(Limits.__doc__ or "")
    rows = ((f"`{f.name}`", f"{f.default:,}", meant[f.name]) for f in fields(Limits))
    return f"{words}\n\n" + table(("limit", "value", "meaning"), rows)


def steps(package: str) -> list[str]:
    """A section for every step of a folder."""
    from tomos.config import names

    parts = []
    for name in names(package):
        module = importlib.import_module(f"{package}.{name}")
        parts.append(
            f"## {name}\n\n" + settings(module.Step, f"{package.rsplit('.', 1)[1]}.{name}")
        )
    return parts


def modules(package: Any) -> str:
    """A table of the plug-ins of a folder, by the first paragraph of each."""
    from tomos.config import names

    rows = (
        (
            f"`{name}`",
            importlib.import_module(f"{package.__name__}.{name}").__doc__.split("\n\n")[0],
        )
        for name in names(package.__name__)
    )
    return table(("name", "what it is"), rows)
