"""Refuses sources whose answers come back as prompts: to themselves, or through one another.

What another device or program makes of an answer is not seen from here.
"""

from __future__ import annotations

import os
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final, NamedTuple

from device_agent.settings.sources import FileSource, LinesSource, MqttSource
from shared.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device_agent.settings.sources import Source

_ASKED: Final = "what the device is asked"


class _Way(NamedTuple):
    """Where prompts come from and answers go to: filters of topics, or paths of files."""

    reads: str = ""
    writes: str = ""
    of_topics: bool = False

    def feeds(self, other: _Way) -> bool:
        """Say whether an answer of this one may be a prompt of the other."""
        if not self.writes or self.of_topics is not other.of_topics:
            return False
        if self.of_topics:
            return overlap(self.writes.split("/"), other.reads.split("/"))
        return self.writes == other.reads


def check_circles(sources: Mapping[str, Source], *, ask: str, answers: str) -> None:
    """Raise ``SettingsError`` with the first circle, or with a file that two sources write.

    ``ask`` and ``answers`` are the device's own topics: it answers what comes there, too.
    """
    ways = {f"sources.{name}": _way(source) for name, source in sources.items()}
    ways[_ASKED] = _Way(ask, answers, of_topics=True)
    written: dict[str, str] = {}
    for name, way in ways.items():
        if not way.of_topics and way.writes and way.writes in written:
            raise SettingsError(f"{written[way.writes]} and {name} append to one file of answers")
        written[way.writes] = name
    fed = {name: [one for one in ways if ways[one].feeds(way)] for name, way in ways.items()}
    try:
        TopologicalSorter(fed).prepare()
    except CycleError as error:
        raise SettingsError(_say([*dict.fromkeys(error.args[1])], ways)) from None


def overlap(one: list[str], other: list[str]) -> bool:
    """Say whether some topic matches both of two filters, each taken apart into its levels."""
    if not one or not other:
        return one == other or "#" in (one or other)[:1]
    if "#" in (one[0], other[0]):
        return True
    same = one[0] == other[0] or "+" in (one[0], other[0])
    return same and overlap(one[1:], other[1:])


def _way(source: Source) -> _Way:
    match source:
        case MqttSource():
            return _Way(source.topics, source.answers, of_topics=True)
        case FileSource():
            return _Way(os.path.realpath(source.path), os.path.realpath(source.answers))
        case LinesSource():
            return _Way(os.path.realpath(source.path))
        case _:
            return _Way()


def _say(names: list[str], ways: Mapping[str, _Way]) -> str:
    first = names[0]
    if len(names) == 1:
        return (
            f"{first} writes its answers to {ways[first].writes!r} and reads "
            f"{ways[first].reads!r}: it would answer its own answers"
        )
    steps = ", ".join(f"{name} answers to {ways[name].writes!r}" for name in names)
    return (
        f"the answers of {' and '.join(names)} are prompts of one another, without end ({steps}); "
        "change what one of them reads, or where its answers go"
    )
