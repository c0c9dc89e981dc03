"""Prompts of the whole fleet: each once, the latest first, and never too many."""

from __future__ import annotations

from cloud_agent.center.registry.explained import ExplainedPrompts
from shared.wire.control import Explained, ExplainedPrompt


def told(*ids: str, degraded: str = "") -> Explained:
    return Explained(
        prompts=tuple(
            ExplainedPrompt(
                id=each, task="classify", sha256="a" * 64, size_bytes=1, waited_ms=1.0,
                degraded=degraded,
            )
            for each in ids
        )
    )  # fmt: skip


def test_a_prompt_that_is_told_again_replaces_what_was_told_of_it_by_that_device_alone() -> None:
    prompts = ExplainedPrompts()
    prompts.hear("pi-1", told("x", "y", degraded="no time"), 1.0)
    prompts.hear("pi-2", told("x"), 2.0)
    prompts.hear("pi-1", told("x"), 3.0)

    found = [(each.device, each.prompt.id, each.prompt.degraded) for each in prompts]
    assert found == [("pi-1", "x", ""), ("pi-2", "x", ""), ("pi-1", "y", "no time")]


def test_the_oldest_go() -> None:
    prompts = ExplainedPrompts(kept=2)
    prompts.hear("pi", told("a", "b", "c"), 1.0)

    assert [each.prompt.id for each in prompts] == ["c", "b"]
