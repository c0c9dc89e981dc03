"""Settings from a YAML file, the environment and flags, with errors that name the place.

They come from a YAML file, then ``RECSERVE_…`` variables (two underscores part the levels:
``RECSERVE_TIER__POLICY__BETA=0.2``), then ``--set tier.policy.beta=0.2`` flags; the last word
counts. A key that nobody knows stops the start with its path and the nearest key that exists.
Paths in a file are relative to that file when they begin with a dot.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from shared.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "RECSERVE_"
# Besides its own error: 2001-99-99 is taken for a date that is none, and nesting may be too deep.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)
_MERGE = "tag:yaml.org,2002:merge"
_NOT_SETTINGS = frozenset({"RECSERVE_MQTT_PASSWORD", "RECSERVE_DATA"})

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


def load(
    kind: type[_Settings],
    file: str | Path,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> _Settings:
    """Read settings of one kind from a YAML file, the environment and flags.

    ``flags`` are ``path.to.key=value`` texts whose values are read as YAML. Raises
    ``SettingsError`` with one sentence that names the file, variable or flag, the key and what is
    wrong.
    """
    path = Path(file)
    tree = _read_yaml(path)
    put: dict[str, str] = {}
    for name, text in sorted((environment or {}).items()):
        if name.startswith(PREFIX) and name not in _NOT_SETTINGS:
            keys = name[len(PREFIX) :].lower().split("__")
            _put(tree, keys, text, f"variable {name}")
            put[".".join(keys)] = f"variable {name}"
    for flag in flags:
        key, separator, text = flag.partition("=")
        if not separator:
            raise SettingsError(f"--set {flag!r} is not of the form path.to.key=value")
        _put(tree, key.strip().split("."), text, f"--set {flag}")
        put[key.strip()] = f"--set {flag}"
    return convert(kind, tree, str(path), put)


def convert(
    kind: type[_Settings], tree: Any, where: str, put: Mapping[str, str] | None = None
) -> _Settings:
    """Turn a tree of plain values into settings.

    Errors name ``where`` the values are from, or who ``put`` the one at fault there.
    """
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        key, fault = _explain(error, kind)
        for put_key, source in (put or {}).items():
            if f"{key}.".startswith(f"{put_key}.") or f"{put_key}.".startswith(f"{key}."):
                where = source
        raise SettingsError(f"{where}: {fault}") from error
    except UnicodeEncodeError as error:
        raise SettingsError(f"{where}: {error.object!r} is not UTF-8") from error
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


class _Strict(yaml.SafeLoader):
    """Refuses a key that is there twice: the last one would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key_node.tag != _MERGE and isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is there twice", problem_mark=key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = _resolve(yaml.load(path.read_text(encoding="utf-8"), _Strict), path.parent)  # noqa: S506 - a safe loader
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 ({error.reason})") from error
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise SettingsError(f"{path}: is not YAML{line}: {problem}") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}: must hold a mapping of keys to values")
    return tree


def _resolve(tree: Any, base: Path) -> Any:
    """Make texts that are relative paths (``./…``, ``../…``) independent of where we run."""
    if isinstance(tree, dict):
        return {key: _resolve(value, base) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_resolve(value, base) for value in tree]
    if isinstance(tree, str) and tree.startswith(("./", "../")):
        return os.path.normpath(base / tree)
    return tree


def _put(tree: dict[str, Any], keys: list[str], text: str, where: str) -> None:
    """Set one value deep in the tree."""
    *above, last = keys
    for key in above:
        level = tree.get(key)
        if level is None:
            level = tree[key] = {}
        if not isinstance(level, dict):
            raise SettingsError(f"{where}: {key!r} holds a value, not further keys")
        tree = level
    try:
        tree[last] = yaml.safe_load(text)
    except _NOT_YAML as error:
        raise SettingsError(f"{where}: the value is not YAML") from error


def _explain(error: msgspec.ValidationError, kind: type[Any]) -> tuple[str, str]:
    """Return the key that is wrong and a sentence, for an unknown one with the nearest known."""
    text, _, at = str(error).partition(" - at ")
    path = at.strip("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `(.+)`", text)
    if not unknown:
        missing = re.search(r"missing required field `(.+)`", text)
        if missing:
            key = _join(path, missing[1])
            return key, f"the key {key!r} is missing"
        return path, f"{path or 'the file'}: {text[0].lower()}{text[1:]}"
    key, known = _join(path, unknown[1]), _fields(kind, path)
    close = difflib.get_close_matches(unknown[1], known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return key, f"unknown key {key!r}; {hint}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _fields(kind: type[Any], path: str) -> list[str]:
    """Return the names of the fields of the settings at a dotted path."""
    node: Any = msgspec.inspect.type_info(kind)
    for level in re.findall(r"[A-Za-z_]+", path):
        node = next(f.type for s in _structs(node) for f in s.fields if f.encode_name == level)
    return sorted({field.encode_name for s in _structs(node) for field in s.fields})


def _structs(node: Any) -> list[msgspec.inspect.StructType]:
    """Find the settings classes inside an optional, a union, a list or a mapping."""
    if isinstance(node, msgspec.inspect.StructType):
        return [node]
    if isinstance(node, msgspec.inspect.Metadata):
        return _structs(node.type)
    if isinstance(node, msgspec.inspect.UnionType):
        return [found for inner in node.types for found in _structs(inner)]
    inner = getattr(node, "item_type", None) or getattr(node, "value_type", None)
    return _structs(inner) if inner is not None else []
