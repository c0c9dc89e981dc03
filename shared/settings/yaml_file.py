"""YAML that anybody may have written, read within bounds: size, depth, and what aliases unfold to.

A kilobyte of aliases of aliases stands for more values than a machine has memory, and a loader for
plain data unfolds them all. Nothing here is limited that people write by hand.
"""

from __future__ import annotations

import codecs
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from pathlib import Path

SIZE_BYTES: Final = 1 << 18
_DEPTH: Final = 100
_VALUES: Final = 100_000
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MERGE: Final = "tag:yaml.org,2002:merge"


class NotYaml(Exception):
    """A text is no YAML that is read here; says what is wrong, and in which line."""


class BoundedLoader(yaml.SafeLoader):
    """Plain data only; refuses a key that is there twice, of which the last would silently win."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._values = 0
        self._unfolded: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count a value, and for an alias all the values that it stands for."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it
        anchor = getattr(event, "anchor", None) or ""
        before = self._values
        self._depth += 1
        if isinstance(event, yaml.AliasEvent):
            self._values += self._unfolded.get(anchor, 0)
            if anchor in self.anchors and anchor not in self._unfolded:
                raise _fault(f"{anchor!r} stands for itself", event)
        else:
            self._values += 1
        if self._depth > _DEPTH:
            raise _fault(f"it is nested more than {_DEPTH} deep", event)
        if self._values > _VALUES:
            raise _fault(f"it stands for more than {_VALUES:,} values", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._unfolded[anchor] = self._values - before
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping of a node that holds every key once."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is there twice", problem_mark=key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(
    path: Path, loader: type[BoundedLoader] = BoundedLoader, *, limit_bytes: int = SIZE_BYTES
) -> Any:
    """Return what a file holds; a byte order mark says whether it is UTF-16, else it is UTF-8.

    Raises ``OSError``, and ``NotYaml`` with what follows on the file's name in a sentence.
    """
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise NotYaml(f"is larger than {limit_bytes >> 10:,} KiB")
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise NotYaml(f"is not {encoding[:6].upper()} ({error.reason})") from error
    return parse_yaml(text, loader)


def parse_yaml(text: str, loader: type[BoundedLoader] = BoundedLoader) -> Any:
    """Return the value of a text. Raises ``NotYaml``."""
    try:
        return yaml.load(text, loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # 2001-99-99 is taken for a date that is none, and 1:99999… for a number.
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise NotYaml(f"is not YAML{line}: {problem}") from error


def _fault(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(problem=problem, problem_mark=event.start_mark)
