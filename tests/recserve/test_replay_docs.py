"""docs/replay.md names options, files and forms that are there."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from experiments.traces import Arrival
from recserve.replay import command

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")


def test_every_option_that_is_named_exists() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))
    known = {option for parameter in command.params for option in parameter.opts}

    assert len(named) > 8
    assert named <= known


def test_every_link_leads_to_a_file() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", TEXT)

    assert linked
    assert [link for link in linked if not (ROOT / "docs" / link).exists()] == []


def test_the_line_of_a_trace_is_an_arrival() -> None:
    (line,) = re.findall(r"```json\n(.*?)\n```", TEXT)

    assert msgspec.json.decode(line, type=Arrival).text == "the seal weeps again"
