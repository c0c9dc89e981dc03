"""What is said to agents: so that those of before can read it, and no longer than it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cloud_agent.center.registry.members import Registry
from cloud_agent.center.shipping.wishes import Wishes
from shared.wire.control import encode_word

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUNDLE, OTHER = "a" * 64, "b" * 64
KNOWN_BEFORE = {"generation", "version", "active", "keep", "evict", "sources", "reason"}


@pytest.fixture
def wishes(tmp_path: Path) -> Wishes:
    return Wishes(tmp_path / "wishes.json", Registry(10.0))


def said(wishes: Wishes, agent: str = "edge-1") -> dict[str, Any]:
    """Return what goes out to an agent."""
    word: dict[str, Any] = json.loads(encode_word(wishes.by_agent[agent].desired))
    return word


CHANGES: dict[str, Callable[[Wishes], object]] = {
    "shared": lambda wishes: wishes.want("edge-1", BUNDLE, (), "", shared=True),
    "settings": lambda wishes: wishes.change("edge-1", {"tier.policy.beta": "0.4"}, ""),
    "none": lambda wishes: wishes.change("edge-1", {}, ""),
    "compared": lambda wishes: wishes.compare("edge-1", "", on=True),
    "not compared": lambda wishes: wishes.compare("edge-1", "", on=False),
    "another": lambda wishes: wishes.want("edge-1", OTHER, (), ""),
    "dropped": lambda wishes: wishes.evict("edge-1", ["c" * 64]),
}


@pytest.mark.parametrize("second", CHANGES)
@pytest.mark.parametrize("first", CHANGES)
def test_whatever_is_said_an_agent_of_before_reads_it_or_passes_over_what_it_does_not_know(
    wishes: Wishes, first: str, second: str
) -> None:
    for name in (first, second):
        CHANGES[name](wishes)
        for agent in wishes.by_agent:
            word = said(wishes, agent)
            assert (word.get("version", 1) > 1) == bool(word.keys() - KNOWN_BEFORE)


def test_what_was_to_be_dropped_is_not_said_again(wishes: Wishes) -> None:
    wishes.want("edge-1", BUNDLE, (), "")
    assert wishes.evict("edge-1", [OTHER]) == (OTHER,)
    assert said(wishes)["evict"] == [OTHER]
    wishes.compare("edge-1", "", on=True)

    assert "evict" not in said(wishes)


@pytest.mark.parametrize("then", ["settings", "compared", "dropped"])
def test_that_others_fetch_it_now_too_is_said_of_that_moment_alone(
    wishes: Wishes, then: str
) -> None:
    CHANGES["shared"](wishes)
    assert said(wishes)["shared"]
    CHANGES[then](wishes)

    assert "shared" not in said(wishes)
