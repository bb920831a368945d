"""TOML tables to frozen settings dataclasses and back, checked field by field."""

import json
import tomllib
import types
from collections.abc import Iterable, Sequence
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
    check_keys(cls, table, where)
    known = {entry.name: entry for entry in fields(cls) if entry.init}
    fixed = {entry.name for entry in fields(cls) if not entry.init}
    hints = get_type_hints(cls)
    values = {key: _convert(value, hints[key], _path(where, key)) for key, value in table.items() if key in known}
    missing = [name for name, entry in known.items() if name not in values and _is_required(entry)]
    if missing:
        raise SettingsError(f"missing setting {_path(where, missing[0])}: {help_of(known[missing[0]])}.")
    settings = cls(**values)
    for key in fixed & set(table):
        if table[key] != getattr(settings, key):
            raise SettingsError(
                f"{_path(where, key)} = {table[key]!r}: {cls.__name__} fixes it to {getattr(settings, key)!r}."
            )
    return settings


def check_keys(cls: type, table: dict[str, Any], where: str = "") -> None:
    """SettingsError for a (nested) table with a key that names no setting."""
    if not isinstance(table, dict):
        raise SettingsError(f"[{where}] must be a table of settings, found {table!r}.")
    known, hints = {entry.name: entry.init for entry in fields(cls)}, get_type_hints(cls)
    for key, value in table.items():
        if key not in known:
            settable = [name for name, init in known.items() if init]
            raise SettingsError(f"unknown setting {_path(where, key)}. {_nearest(cls, key, settable)}")
        inner = nested(hints[key])
        if inner is not None and isinstance(value, dict):
            check_keys(inner, value, _path(where, key))


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
    if _is_union(hint):
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        lists = [choice for choice in choices if _is_list(choice)]
        if isinstance(value, (list, tuple)) and lists:
            return _convert(value, lists[0], where)
        if value is None or (isinstance(value, str) and value.lower() == "none" and len(choices) < len(get_args(hint))):
            return None
        return _convert(value, choices[0], where)
    if _is_list(hint):
        if not isinstance(value, (list, tuple)):
            raise SettingsError(f"{where} must be a list, found {value!r}.")
        return tuple(_convert(item, get_args(hint)[0], where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise SettingsError(f"{where} must be of type {hint.__name__}, found {value!r} ({type(value).__name__}).")
    return value


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _is_list(hint: Any) -> bool:
    return get_origin(hint) in (tuple, Sequence)


def nested(hint: Any) -> Any:
    """The settings dataclass that a type hint holds, also where it may be missing; None for plain values."""
    choices = get_args(hint) if _is_union(hint) else (hint,)
    return next((choice for choice in choices if is_dataclass(choice)), None)


def to_table(settings: Any) -> dict[str, Any]:
    """The fields of a settings dataclass as a nested table, but those that it fixes."""
    table: dict[str, Any] = {}
    for entry in (entry for entry in fields(settings) if entry.init):
        value = getattr(settings, entry.name)
        table[entry.name] = to_table(value) if is_dataclass(value) else value
    return table


def merged(table: dict[str, Any], changes: dict[str, Any], where: str = "") -> dict[str, Any]:
    """A nested table with some entries replaced.

    >>> merged({"truncation": {"chi_max": 9, "svd_min": 0.0}}, {"truncation": {"chi_max": 3}})
    {'truncation': {'chi_max': 3, 'svd_min': 0.0}}
    """
    result = dict(table)
    for key, value in changes.items():
        inner = table.get(key)
        if isinstance(inner, dict):
            if not isinstance(value, dict):
                raise SettingsError(f"[{_path(where, key)}] must be a table of settings, found {value!r}.")
            value = merged(inner, value, _path(where, key))
        result[key] = value
    return result


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML; a syntax error names the file and the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name} is no valid TOML: {error}.") from error


def to_toml(table: dict[str, Any], where: str = "", *, repeated: bool = False) -> str:
    """A nested table as TOML text, lists of tables as repeated ones; None is written as the word "none"."""
    inner = {key: value if isinstance(value, list) else [value] for key, value in table.items() if _holds_tables(value)}
    lines = [f"{key} = {_literal(value)}" for key, value in table.items() if key not in inner]
    heading = f"[[{where}]]\n" if repeated else f"[{where}]\n" if where and lines else ""
    text = heading + "\n".join(lines) + ("\n\n" if lines else "")
    for key, values in inner.items():
        for value in values:
            text += to_toml(value, _path(where, key), repeated=isinstance(table[key], list))
    return text


def _holds_tables(value: Any) -> bool:
    """Whether a value is a table or a list of them (which may be empty: lists of values are tuples)."""
    return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))


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
    """(name, type, default, description) of every field that can be set, nested ones with their path."""
    rows, hints = [], get_type_hints(cls)
    for entry in (entry for entry in fields(cls) if entry.init):
        path, inner = _path(where, entry.name), nested(hints[entry.name])
        if inner is not None:
            rows += describe(inner, path)
            continue
        default = "required" if _is_required(entry) else _literal(entry.default)
        rows.append((path, _type_name(hints[entry.name]), default, help_of(entry)))
    return rows


def _type_name(hint: Any) -> str:
    """What a file may hold for a type hint: arrays and functions, which only Python can give, are left out."""
    if _is_union(hint) and any(_is_list(choice) for choice in get_args(hint)):
        return f"{get_args(hint)[0].__name__} or list"
    return str(hint) if get_origin(hint) else getattr(hint, "__name__", str(hint)).replace("tnsim.", "")
