"""What a text in the settings means: that depends on the type of the key that it is for.

A file, a variable and a flag hold texts. ``0123`` is a name where a name is wanted and a number
where a number is; ``1e-1`` is a number, whatever a version of YAML thinks of it; ``yes`` is a
yes only where one is wanted. A text that means nothing there stays one, and is refused with the
type that was expected.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, TypeAlias

from msgspec import inspect

Types: TypeAlias = tuple[inspect.Type, ...]
"""What may stand at a place of the settings; nothing where no key is known."""

_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
_KINDS: Final = 16
_INTEGER: Final = re.compile(r"[-+]?\d[\d_]*|[-+]?0x[\da-fA-F]+|[-+]?0o[0-7]+")
_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\.inf|\.nan")
_CONTAINERS: Final = (
    inspect.StructType,
    inspect.DictType,
    inspect.ListType,
    inspect.VarTupleType,
)


def types_of(kind: Any) -> Types:
    """Return what may stand for settings of a kind."""
    return _looked_up(kind)


@lru_cache(_KINDS)
def _looked_up(kind: Any) -> Types:
    """Look once: it takes longer than to read the settings."""
    return _alternatives(inspect.type_info(kind))


def types_at(types: Types, key: str) -> Types:
    """Return what may stand under a key of these."""
    found: list[inspect.Type] = []
    for kind in types:
        if isinstance(kind, inspect.StructType):
            fields = (field for field in kind.fields if field.encode_name == key)
            found += [inner for field in fields for inner in _alternatives(field.type)]
        elif isinstance(kind, inspect.DictType):
            found += _alternatives(kind.value_type)
        elif isinstance(kind, inspect.AnyType):
            found.append(kind)
    return tuple(found)


def types_below(types: Types) -> Types:
    """Return what may stand in a list of these."""
    found: list[inspect.Type] = []
    for kind in types:
        if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
            found += _alternatives(kind.item_type)
        elif isinstance(kind, inspect.AnyType):
            found.append(kind)
    return tuple(found)


def keys_of(types: Types) -> list[str]:
    """Return the keys that are known here, sorted."""
    structs = (kind for kind in types if isinstance(kind, inspect.StructType))
    return sorted({field.encode_name for struct in structs for field in struct.fields})


def wants_keys(types: Types) -> bool:
    """Say whether only further keys or a list may stand here, so that a text must spell them."""
    return _has(types, *_CONTAINERS) and not _has(types, inspect.StrType, inspect.LiteralType)


def may_be_none(types: Types) -> bool:
    """Say whether nothing may stand here."""
    return _has(types, inspect.NoneType)


def read_typed(value: Any, types: Types) -> Any:
    """Return a tree of settings with every text in it read by the type of its key."""
    if isinstance(value, dict):
        return {key: read_typed(inner, types_at(types, key)) for key, inner in value.items()}
    if isinstance(value, list):
        items = types_below(types)
        return [read_typed(inner, items) for inner in value]
    return _read_text(value, types) if isinstance(value, str) else value


def _read_text(text: str, types: Types) -> Any:
    """Read one text; of several readings a number or a yes comes first where both may stand."""
    anything = _has(types, inspect.AnyType)
    if (anything or _has(types, inspect.BoolType)) and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if anything or _has(types, inspect.IntType, inspect.FloatType):
        return _number(text, whole=not (anything or _has(types, inspect.FloatType)))
    return text


def _number(text: str, *, whole: bool) -> float | str:
    """Read a number, or give the text back; 1e3 is a whole one, too, where such a one is wanted."""
    try:
        if _INTEGER.fullmatch(text):
            return int(text, {"0x": 16, "0o": 8}.get(text.lstrip("+-")[:2], 10))
        if not _NUMBER.fullmatch(text):
            return text
        number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # more digits than anybody means, or an underscore at the end
        return text
    return int(number) if whole and number.is_integer() else number


def _alternatives(kind: inspect.Type) -> Types:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    if isinstance(kind, inspect.UnionType):
        return tuple(inner for member in kind.types for inner in _alternatives(member))
    return (kind,)


def _has(types: Types, *kinds: type[inspect.Type]) -> bool:
    return any(isinstance(kind, kinds) for kind in types)
