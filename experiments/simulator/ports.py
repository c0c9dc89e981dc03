"""What agents in simulated time know of each other: that they can be told something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from uuid import UUID

    from shared.messages import Prompt, Result
    from shared.wire.codec import Notice


class Reader(Protocol):
    """Whoever sends prompts up, and hears what became of them."""

    def take_result(self, result: Result) -> None:
        """Take a result from above."""

    def take_notice(self, prompt_id: UUID, notice: Notice) -> None:
        """Take an agent's word: it is at work on a prompt, or will not have it."""


class PromptReader(Protocol):
    """Whoever prompts can be sent to."""

    @property
    def name(self) -> str:
        """The agent's name."""

    def take_prompt(self, prompt: Prompt) -> None:
        """Take a prompt from below."""
