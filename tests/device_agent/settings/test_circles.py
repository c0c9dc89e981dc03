"""Sources that would answer one another, or themselves, do not start."""

from __future__ import annotations

from typing import Any

import pytest

from device_agent.settings import DeviceSettings
from device_agent.settings.circles import overlap
from shared.errors import SettingsError
from shared.settings.file import convert


def settings(**sources: dict[str, Any]) -> DeviceSettings:
    tree = {"agent": "d", "tier": {"name": "device"}, "model": {"source": "x"}, "sources": sources}
    return convert(DeviceSettings, tree, "here")


def mqtt(topics: str, answer_to: str) -> dict[str, Any]:
    return {"kind": "mqtt", "topics": topics, "answer_to": answer_to}


def file(path: str, answers: str) -> dict[str, Any]:
    return {"kind": "file", "path": path, "answers": answers}


@pytest.mark.parametrize(
    "sources",
    [
        {"one": mqtt("a/+", "b/{1}"), "two": mqtt("b/#", "a/x")},
        {"one": mqtt("a", "b/1"), "two": mqtt("b/+", "c/{1}"), "three": mqtt("c/1", "a")},
        {"one": mqtt("recserve/v1/answers/d", "recserve/v1/ask/d")},
        {"one": mqtt("recserve/#", "recserve/v1/ask/d")},
        {"one": file("a.log", "b.log"), "two": file("b.log", "./c/../a.log")},
    ],
)
def test_a_circle_is_refused_with_its_members(sources: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"answers? .* (one another|own answers)") as raised:
        settings(**sources)
    assert all(f"sources.{name}" in str(raised.value) for name in sources)


def test_sources_in_a_row_and_side_by_side_are_fine() -> None:
    settings(
        one=mqtt("a/+", "b/{1}"),
        two=mqtt("b/#", "c"),
        three=mqtt("a/+", "c"),
        four=file("a", "b"),
        five=file("b", "c"),
        six={"kind": "lines", "path": "c"},
    )


def test_two_sources_do_not_append_to_one_file() -> None:
    with pytest.raises(SettingsError, match=r"sources\.one and sources\.two append to one file"):
        settings(one=file("a", "out"), two=file("b", "out"))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("a/#", "a", True),
        ("a/+", "+/b", True),
        ("a/b", "a/c", False),
        ("a/b/c", "a/+", False),
        ("a/b/#", "a/+/c/d", True),
        ("a", "a/b", False),
    ],
)
def test_two_filters_overlap_where_a_topic_matches_both(one: str, other: str, both: bool) -> None:
    levels = one.split("/"), other.split("/")
    assert overlap(*levels) is overlap(*levels[::-1]) is both
