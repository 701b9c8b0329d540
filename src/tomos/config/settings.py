"""Typed settings that read from and write to TOML and JSON, and refuse what they do not know."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from tomos.config.plugins import did_you_mean
from tomos.config.storage import atomic_write
from tomos.types import SettingsError

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """A settings object: frozen, every key known."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def parse(kind: type[S], data: Any, where: str) -> S:
    """Plain data -> settings of `kind`; SettingsError names the key, what came, and the file."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise SettingsError(f"{where}: {_explain(kind, error)}") from None


def load(kind: type[S], path: Path) -> S:
    """Read a .toml or .json file as settings of `kind`."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file") from None
    except (ValueError, UnicodeDecodeError) as error:
        kind_of = "JSON" if path.suffix == ".json" else "TOML"
        raise SettingsError(f"{path}: not readable as {kind_of}: {error}") from None
    return parse(kind, data, str(path))


def save(settings: Settings, path: Path, header: str = "") -> None:
    """Write settings to a .toml (with `header` as leading comment) or .json file, atomically."""
    data = settings.model_dump(mode="json", exclude_none=True)
    if path.suffix == ".json":
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    else:
        import tomli_w

        comment = "".join(f"# {line}\n" for line in header.splitlines())
        text = comment + tomli_w.dumps(data)
    atomic_write(path, text.encode("utf-8"))


def override(settings: S, assignments: Iterable[str]) -> S:
    """Apply `a.b=value` assignments, typed by the settings themselves.

    A value is read as TOML (`50`, `1e-3`, `true`, `[1, 2]`, `"text"`), else taken as text.
    Raises SettingsError for an unknown key (with the nearest one) or a value of the wrong type.
    """
    data = settings.model_dump(mode="json")
    for assignment in assignments:
        key, value = _pair(assignment)
        _assign(data, settings, key, value)
    return parse(type(settings), data, f"--set {' '.join(assignments)}")


def check_assignments(kind: type[Settings], assignments: Iterable[str]) -> None:
    """Raise SettingsError for what `override` would refuse of any settings of `kind`, before there
    are some: a key that none have, a value of the wrong type. (What stands inside lists and free
    tables of options shows only then.)
    """
    for assignment in assignments:
        key, value = _pair(assignment)
        field = _field(kind, key)
        if field is None:
            continue
        wanted: Any = Annotated[field.annotation, field]
        try:
            TypeAdapter(wanted).validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]
            said = problem["msg"][:1].lower() + problem["msg"][1:]
            raise SettingsError(f"--set {key}: {said}, got {problem['input']!r:.80}") from None


def _field(kind: type[Settings], key: str) -> FieldInfo | None:
    """The setting that `key` names, None for a place inside a list or a free table of options."""
    here: Any = kind
    found = None
    for step in key.split("."):
        fields = _fields(here)
        if not fields:
            return None
        if step not in fields:
            # "epochs" is what people write for "train.epochs".
            within = [
                f"{n}.{step}" for n, part in fields.items() if step in _fields(part.annotation)
            ]
            near = f"; did you mean {' or '.join(within)}?" if within else ""
            raise SettingsError(
                f"--set {key}: unknown setting {step!r}{near or did_you_mean(step, list(fields))}"
            )
        found = fields[step]
        here = found.annotation
    return found


def _fields(kind: Any) -> dict[str, FieldInfo]:
    """The settings of a settings class by name; {} of anything else."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _pair(assignment: str) -> tuple[str, Any]:
    """Key and value of "a.b=value"; SettingsError where there is no value."""
    key, equals, text = assignment.partition("=")
    if not equals:
        raise SettingsError(f"--set {assignment}: expected KEY=VALUE, as in train.epochs=50")
    return key.strip(), _value(text.strip())


def _assign(data: dict, settings: Settings, key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = data
    for step in path:
        place = _enter(place, step, key)
    if isinstance(place, list):
        _enter(place, last, key)
        place[int(last)] = value
        return
    free = place is not data and not _known(settings, path)
    if last not in place and not free:
        raise SettingsError(
            f"--set {key}: unknown setting {last!r}{did_you_mean(last, list(place))}"
        )
    place[last] = value


def _known(settings: Settings, path: list[str]) -> bool:
    """Whether the place `path` is a settings object (closed), not a free table of options."""
    here: Any = settings
    for step in path:
        here = getattr(here, step, None) if isinstance(here, Settings) else None
    return isinstance(here, Settings)


def _enter(place: Any, step: str, key: str) -> Any:
    if isinstance(place, list):
        if not step.isdigit() or int(step) >= len(place):
            raise SettingsError(f"--set {key}: expected an index below {len(place)}, got {step!r}")
        return place[int(step)]
    if not isinstance(place, dict) or step not in place:
        known = list(place) if isinstance(place, dict) else []
        raise SettingsError(f"--set {key}: unknown setting {step!r}{did_you_mean(step, known)}")
    return place[step]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        key = ".".join(str(step) for step in problem["loc"]) or kind.__name__
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown setting {key!r}{did_you_mean(key, list(kind.model_fields))}")
        else:
            # Our own validators say what came; names in their words keep their case.
            own = problem["type"] == "value_error"
            said = problem["msg"].removeprefix("Value error, ") if own else problem["msg"]
            said = said[:1].lower() + said[1:]
            told = own and (" got " in said or isinstance(problem["input"], dict))
            parts.append(f"{key}: {said}" + ("" if told else f", got {problem['input']!r:.80}"))
    return "; ".join(parts)
