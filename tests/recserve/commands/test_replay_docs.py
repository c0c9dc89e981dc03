"""docs/replay.md names options, files and forms that are there."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from experiments.traces import Arrival
from recserve.commands.replay import command
from shared.messages import Scored
from shared.runtimes import ModelSettings
from shared.runtimes.load import load_model
from shared.tasks import to_line
from shared.tasks.classify import requests

ROOT = Path(__file__).parents[3]
BUNDLES = ROOT / "models" / "bundles"
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


def test_the_line_of_a_trace_is_an_arrival_that_every_shipped_model_labels_as_it_says() -> None:
    (line,) = re.findall(r"```json\n(.*?)\n```", TEXT)
    arrival = msgspec.json.decode(line, type=Arrival)

    for tier in ("device", "edge", "cloud"):
        model = load_model(ModelSettings(source=str(BUNDLES / f"sentiment-{tier}")))
        (scored,) = model.answer(requests([arrival.text]))
        assert isinstance(scored, Scored)
        assert to_line(scored.answer) == arrival.label == "negative"


@pytest.mark.parametrize("page", ["replay.md", "evaluate.md", "policies.md"])
def test_what_a_page_installs_is_in_this_checkout(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    extras = set(re.findall(r'pip install -e "\.\[(\w+)\]"', text))

    assert len(re.findall(r"pip install", text)) == len(re.findall(r'pip install -e "\.\[', text))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)
