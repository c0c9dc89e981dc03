"""Settings from a YAML file, the environment and flags, with errors that name the place.

They come from a YAML file, then ``RECSERVE_…`` variables (two underscores part the levels:
``RECSERVE_TIER__POLICY__BETA=0.2``), then ``--set tier.policy.beta=0.2`` flags; the last word
counts. What such a text means depends on the type of its key (``shared.settings.typed_texts``). A
key that nobody knows stops the start with its path and the nearest key that exists. Paths in a file
are relative to that file when they begin with a dot.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from shared.errors import SettingsError
from shared.settings.faults import explain
from shared.settings.typed_texts import may_be_none, read_typed, types_at, types_of, wants_keys
from shared.settings.yaml_file import MERGE, BoundedLoader, NotYaml, parse_yaml, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.settings.typed_texts import Types

PREFIX = "RECSERVE_"
_NULL = "tag:yaml.org,2002:null"
_NOT_SETTINGS = frozenset(
    {"RECSERVE_MQTT_PASSWORD", "RECSERVE_MQTT_KEY_PASSPHRASE", "RECSERVE_DATA"}
)
# What Kubernetes tells every container of a Service whose name begins with ours.
_OF_A_SERVICE = re.compile(
    r"RECSERVE_(\w*_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)"
)
_PORT_OF_A_SERVICE = re.compile(r"RECSERVE_(\w*[A-Z\d]_)?PORT=(tcp|udp|sctp)://.*")
_NOTHING = frozenset({"", "~", "null"})

Written = str | list[str] | dict[str, Any] | None
"""A value for a key that is not known yet: as it is written, for ``load`` to read as a flag."""

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


def load(
    kind: type[_Settings],
    file: str | Path | Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> _Settings:
    """Read settings of one kind from a YAML file, the environment and flags.

    Of several files each adds to those before it, key by key; the last word counts. ``flags`` are
    ``path.to.key=value`` texts. Values of flags and of the environment are taken as they are where
    the key wants a text or a number, and read as YAML where it wants a list or further keys.

    Raises ``SettingsError`` with one sentence that names the file, variable or flag, the key and
    what is wrong.
    """
    paths = [Path(file)] if isinstance(file, str | Path) else [Path(one) for one in file]
    tree: dict[str, Any] = {}
    types = types_of(kind)
    put: dict[str, str] = {}
    for path in paths:
        _add(tree, _read_file(path), str(path), put)
    for name, text in sorted((environment or {}).items()):
        if name.startswith(PREFIX) and not _is_foreign(name, text):
            keys = name[len(PREFIX) :].lower().split("__")
            _put(tree, keys, text, types, f"variable {name}")
            put[".".join(keys)] = f"variable {name}"
    for flag in flags:
        key, separator, text = flag.partition("=")
        if not separator:
            raise SettingsError(f"--set {flag!r} is not of the form path.to.key=value")
        _put(tree, key.strip().split("."), text, types, f"--set {flag}")
        put[key.strip()] = f"--set {flag}"
    return convert(kind, tree, str(paths[0]), put)


def convert(
    kind: type[_Settings], tree: Any, where: str, put: Mapping[str, str] | None = None
) -> _Settings:
    """Turn a tree of plain values into settings, the texts in it by the types of their keys.

    Errors name ``where`` the values are from, or who ``put`` the one at fault there.
    """
    typed = read_typed(tree, types_of(kind))
    try:
        return msgspec.convert(typed, kind)
    except msgspec.ValidationError as error:
        key, fault = explain(error, kind, typed)
        for put_key, source in (put or {}).items():
            if f"{key}.".startswith(f"{put_key}.") or f"{put_key}.".startswith(f"{key}."):
                where = source
        raise SettingsError(f"{where}: {fault}") from error
    except UnicodeEncodeError as error:
        raise SettingsError(f"{where}: {error.object!r} is not UTF-8") from error
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


def put_over(
    kind: type[_Settings], tree: dict[str, Any], changes: Mapping[str, str], where: str
) -> _Settings:
    """Turn a tree of plain values into settings, with texts put over it by key, as flags are.

    Raises ``SettingsError``.
    """
    types = types_of(kind)
    put = {key: f"{where} {key}={text}" for key, text in changes.items()}
    for key, text in changes.items():
        _put(tree, key.split("."), text, types, put[key])
    said = ", ".join(f"{key}={text}" for key, text in changes.items())
    return convert(kind, tree, f"{where} {said}", put)


class _Texts(BoundedLoader):
    """Leaves every value a text but null: what it means is the business of its key's type."""


_Texts.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag in (_NULL, MERGE)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        tree = _resolve(read_yaml(path, _Texts), path.parent)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    except NotYaml as error:
        raise SettingsError(f"{path}: {error}") from error
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


def _add(
    tree: dict[str, Any], more: dict[str, Any], where: str, put: dict[str, str], above: str = ""
) -> None:
    """Put the keys of one file over those of the files before it, and note whose they are."""
    for key, value in more.items():
        path = f"{above}{key}"
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _add(tree[key], value, where, put, f"{path}.")
        else:
            tree[key] = value
            put[path] = where


def _is_foreign(name: str, text: str) -> bool:
    """Say whether a variable is nobody's setting, for all that its name begins as ours do."""
    return bool(
        name in _NOT_SETTINGS
        or _OF_A_SERVICE.fullmatch(name)
        or _PORT_OF_A_SERVICE.fullmatch(f"{name}={text}")
    )


def _put(tree: dict[str, Any], keys: list[str], text: str, types: Types, where: str) -> None:
    """Set one value deep in the tree."""
    *above, last = keys
    for key in above:
        level = tree.get(key)
        if level is None:
            level = tree[key] = {}
        if not isinstance(level, dict):
            raise SettingsError(f"{where}: {key!r} holds a value, not further keys")
        tree, types = level, types_at(types, key)
    tree[last] = _read_value(text.strip(), types_at(types, last), where)


def _read_value(text: str, types: Types, where: str) -> Any:
    """Read what stands in a variable or after a flag's equals sign."""
    if may_be_none(types) and text in _NOTHING:
        return None
    quoted = len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]
    if not (quoted or wants_keys(types)):
        return text
    try:
        return parse_yaml(text, _Texts)
    except NotYaml as error:
        if quoted:
            return text
        raise SettingsError(f"{where}: the value {error}") from error
