"""What is wrong with settings, in a sentence that names the key; pure."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from shared.errors import SettingsError
from shared.settings.typed_texts import keys_of, types_at, types_below, types_of


def explain(error: msgspec.ValidationError, kind: type[Any], tree: Any) -> tuple[str, str]:
    """Return the key that is wrong and a sentence, for an unknown one with the nearest known."""
    text, _, at = str(error).partition(" - at ")
    path = at.strip("`").removeprefix("$").lstrip(".")
    if "[...]" in path and "]" not in path.partition("[...]")[0]:
        path = _with_name(error, kind, tree, path)
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


def _with_name(error: msgspec.ValidationError, kind: type[Any], tree: Any, path: str) -> str:
    """Return the path with the name of the entry at fault, which the library leaves out."""
    above, _, below = path.partition("[...]")
    faults = {name: _fault(kind, _with_one(tree, above, name)) for name in _at(tree, above)}
    name = next((name for name, fault in faults.items() if fault == str(error)), None)
    return path if name is None else f"{above}.{name}{below}"


def _fault(kind: type[Any], tree: Any) -> str:
    try:
        msgspec.convert(tree, kind)
    except (msgspec.ValidationError, SettingsError) as error:
        return str(error)
    return ""


def _at(tree: Any, path: str) -> Any:
    for key in path.split("."):
        tree = tree[key]
    return tree


def _with_one(tree: Any, path: str, name: str) -> Any:
    """Return a tree whose mapping at a path has one entry only."""
    key, _, below = path.partition(".")
    inner = _with_one(tree[key], below, name) if below else {name: tree[key][name]}
    return tree | {key: inner}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _fields(kind: type[Any], path: str) -> list[str]:
    """Return the names of the fields of the settings at a dotted path."""
    types = types_of(kind)
    for level in re.split(r"[.\[]", path) if path else ():
        types = types_below(types) if level.endswith("]") else types_at(types, level)
    return keys_of(types)
