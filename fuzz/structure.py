"""Mutation that keeps the form and bends the content: whole MessagePack or JSON, wrong inside.

The decoders are C, so coverage tells the fuzzer little about them, and bent bytes mostly fail at
the first one. Here a good input is taken apart, a value in it replaced, dropped, repeated or
nested, and the whole put together again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 255, 256, 1_000_000_000, 1_000_000_001),
    *(2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.0, -0.5, 1.5, 5e-324, 1.7e308, math.inf, -math.inf, math.nan),
    *("", "classify", "online", "offline", "x" * 65, "ü" * 33, "\x00", "\u202e", "/+#$"),
    *(b"", b"\x00" * 16, b"\xff" * 17, [], {}, [[[[]]]], {"": {"": {}}}),
)
_FORMS: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]]] = {
    "msgpack": (msgspec.msgpack.decode, msgspec.msgpack.encode),
    "json": (msgspec.json.decode, msgspec.json.encode),
}
FORM_OF: Final = {
    "prompt": "msgpack",
    "row": "msgpack",
    "result": "msgpack",
    "status": "json",
    "control": "json",
    "lesson": "json",
    "ask": "json",
    "trace": "json",
    "labelled": "json",
    "site": "json",
    "tokenizer": "json",
}
"""Targets whose inputs have a form that can be kept."""


def bend(data: bytes, form: str, draw: random.Random) -> bytes | None:
    """Return ``data`` with some of its values changed, or None if it has no such form."""
    decode, encode = _FORMS[form]
    try:
        tree = decode(data)
        for _ in range(draw.choice((1, 1, 2, 5))):
            tree = _bent(tree, draw)
        return encode(tree)
    except (msgspec.MsgspecError, UnicodeError, OverflowError, RecursionError, TypeError):
        return None


def _bent(tree: Any, draw: random.Random) -> Any:
    """Change one value, somewhere on a random way down."""
    if isinstance(tree, list) and tree and draw.random() < 0.85:  # noqa: PLR2004 - mostly go on
        index = draw.randrange(len(tree))
        new = [_bent(tree[index], draw)] if draw.random() < 0.8 else _odd(tree[index], draw)  # noqa: PLR2004
        return [*tree[:index], *new, *tree[index + 1 :]]
    if isinstance(tree, dict) and tree and draw.random() < 0.85:  # noqa: PLR2004
        key = draw.choice(list(tree))
        changed = tree | {key: _bent(tree[key], draw)}
        if draw.random() < 0.1:  # noqa: PLR2004
            changed[draw.choice(("", "Text", "id", "epoch"))] = changed.pop(key)
        return changed
    return draw.choice(_VALUES)


def _odd(value: Any, draw: random.Random) -> list[Any]:
    """Drop a value, repeat it, wrap it, or put another beside it."""
    return draw.choice(([], [value, value], [[value]], [value, draw.choice(_VALUES)], [value] * 9))
