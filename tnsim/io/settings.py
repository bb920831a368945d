"""TOML tables to frozen settings dataclasses and back, checked field by field."""

import json
import tomllib
import types
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from tnsim.errors import SettingsError, suggest


def from_table(cls: type, table: dict[str, Any], where: str = "") -> Any:
    """An instance of a settings dataclass from a (nested) table.

    Raises SettingsError for an unknown key (with the nearest valid one), a missing key, or a wrong type,
    naming its place in the file.

    >>> from tnsim.linalg import Truncation
    >>> from_table(Truncation, {"chi_max": 50}).chi_max
    50
    """
    if not isinstance(table, dict):
        raise SettingsError(f"[{where}] must be a table of settings, found {table!r}.")
    known = {entry.name: entry for entry in fields(cls) if entry.init}
    for key in table:
        if key not in known:
            raise SettingsError(f"unknown setting {_path(where, key)}. {_nearest(cls, key, known)}")
    hints = get_type_hints(cls)
    values = {key: _convert(value, hints[key], _path(where, key)) for key, value in table.items()}
    missing = [name for name, entry in known.items() if name not in values and _is_required(entry)]
    if missing:
        raise SettingsError(f"missing setting {_path(where, missing[0])}: {help_of(known[missing[0]])}.")
    return cls(**values)


def _nearest(cls: type, key: str, known: Iterable[str]) -> str:
    """A sentence that names the setting meant, where it lies in a nested table too."""
    nested = [path for path, *_ in describe(cls) if path.endswith(f".{key}")]
    return f'Did you mean "{nested[0]}"?' if nested else suggest(key, known)


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _is_required(entry: Field) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def help_of(entry: Field) -> str:
    """The one-line description of a field."""
    return entry.metadata.get("help", entry.name)


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Check a TOML value against a type hint; integers may stand for floats, lists for tuples."""
    if is_dataclass(hint):
        return from_table(hint, value, where)  # type: ignore[arg-type]
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        if value is None or (isinstance(value, str) and value.lower() == "none" and len(choices) < len(get_args(hint))):
            return None
        return _convert(value, choices[0], where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise SettingsError(f"{where} must be a list, found {value!r}.")
        return tuple(_convert(item, get_args(hint)[0], where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise SettingsError(f"{where} must be of type {hint.__name__}, found {value!r} ({type(value).__name__}).")
    return value


def to_table(settings: Any) -> dict[str, Any]:
    """The fields of a settings dataclass as a nested table."""
    table: dict[str, Any] = {}
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        table[entry.name] = to_table(value) if is_dataclass(value) else value
    return table


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML; a syntax error names the file and the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is no valid TOML: {error}.") from error


def to_toml(table: dict[str, Any], where: str = "") -> str:
    """A nested table as TOML text; None is written as the word "none"."""
    lines = [f"{key} = {_literal(value)}" for key, value in table.items() if not isinstance(value, dict)]
    text = (f"[{where}]\n" if where and lines else "") + "\n".join(lines) + ("\n\n" if lines else "")
    for key, value in table.items():
        if isinstance(value, dict):
            text += to_toml(value, _path(where, key))
    return text


def _literal(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return repr(value)


def describe(cls: type, where: str = "") -> list[tuple[str, str, str, str]]:
    """(name, type, default, description) of every field, nested ones with their path."""
    rows, hints = [], get_type_hints(cls)
    for entry in fields(cls):
        path = _path(where, entry.name)
        if is_dataclass(hints[entry.name]):
            rows += describe(hints[entry.name], path)
            continue
        default = "required" if _is_required(entry) else _literal(entry.default)
        kind = getattr(hints[entry.name], "__name__", str(hints[entry.name])).replace("tnsim.", "")
        kind = str(hints[entry.name]) if get_origin(hints[entry.name]) else kind
        rows.append((path, kind, default, help_of(entry)))
    return rows
