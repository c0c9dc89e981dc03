"""A chain in which nobody above could answer is refused before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from experiments.testbed.chains import check_chains
from shared.agent.settings import AgentSettings, TierSettings
from shared.errors import SettingsError
from shared.runtimes import ModelSettings
from shared.runtimes.bundle_files import MANIFEST
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes.bundle import Bundle


def agent(
    tier: str, source: Path | str, upstream: str | None = None, **model: Any
) -> AgentSettings:
    place = TierSettings(name=tier, upstream=upstream)
    settings = ModelSettings(source=str(source), **model)
    return AgentSettings(agent=f"{tier}-1", tier=place, model=settings)


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    """A folder whose manifest is that of a language model; there is nothing else in it."""
    folder = tmp_path / "writer"
    folder.mkdir()
    (folder / MANIFEST).write_text(
        "format: 1\nname: w\nversion: '1'\ntask: generate\nruntime: genai\nprecision: int4\n"
        "confidence: perplexity\nmax_tokens: 64\n"
    )
    return folder


@pytest.fixture
def sentiment(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "sentiment")


def test_a_chain_of_one_task_and_one_set_of_labels_is_good(sentiment: Bundle) -> None:
    check_chains(
        [
            agent("device", sentiment.folder, "edge"),
            agent("edge", sentiment.folder, "cloud"),
            agent("cloud", "some-hub-id", runtime="transformers"),
        ]
    )


def test_a_tier_that_cannot_answer_the_task_is_refused(sentiment: Bundle, writer: Path) -> None:
    with pytest.raises(SettingsError, match="device-1 answers generate, but nobody of the tier e"):
        check_chains(
            [agent("device", writer, "edge", runtime="genai"), agent("edge", sentiment.folder)]
        )


def test_other_labels_above_are_refused_in_words(sentiment: Bundle, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", labels=("leak", "noise"))
    with pytest.raises(SettingsError, match="device-1 chooses among negative, positive, but edge"):
        check_chains([agent("device", sentiment.folder, "edge"), agent("edge", other.folder)])


def test_a_language_model_above_a_classifier_is_told_its_labels(
    sentiment: Bundle, writer: Path
) -> None:
    device = agent("device", sentiment.folder, "edge")
    with pytest.raises(SettingsError, match="answers classify, but nobody"):
        check_chains([device, agent("edge", writer, runtime="genai")])
    labels = ("positive", "negative")
    check_chains([device, agent("edge", writer, runtime="genai", labels=labels)])


def test_a_tier_may_have_an_agent_for_each_task_and_a_writer_needs_no_labels(
    sentiment: Bundle, writer: Path
) -> None:
    labels = ("leak", "noise")
    check_chains(
        [
            agent("device", sentiment.folder, "edge"),
            agent("device", writer, "edge", runtime="genai"),
            agent("edge", sentiment.folder),
            agent("edge", writer, runtime="genai"),
        ]
    )
    check_chains(
        [
            agent("device", writer, "edge", runtime="genai"),
            agent("edge", writer, runtime="genai", labels=labels),
        ]
    )
    with pytest.raises(SettingsError, match="device-1 answers classify, but nobody"):
        check_chains(
            [
                agent("device", writer, "edge", runtime="genai", labels=labels),
                agent("edge", writer, runtime="genai"),
            ]
        )


def test_an_agent_whose_bundle_cannot_be_read_complains_of_it_itself(sentiment: Bundle) -> None:
    check_chains([agent("device", "nowhere", "edge"), agent("edge", sentiment.folder)])
