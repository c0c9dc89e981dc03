"""Who waits for a model in simulated time, with how much work, and what is counted of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.errors import PromptError


class Work(NamedTuple):
    """What a prompt is to its model.

    A text that is written has the tokens that are read and written, and how many it asked for:
    None for as many as are usual.
    """

    prompt_bytes: int
    tokens_in: int = 0
    tokens_out: int = 0
    new_tokens: int | None = None


@dataclass
class BatchCounts:
    """What one batcher, or several together, have done.

    Runs, those in each of them together, those that came to their turn and their waits, and tokens.
    """

    waiting: int = 0
    runs: int = 0
    batched: int = 0
    queued: int = 0
    queued_s: float = 0.0
    tokens_read: int = 0
    tokens_written: int = 0

    def run(self, together: int, waits_s: list[float]) -> None:
        """Count a run of so many together, of whom some have just come to their turn."""
        self.runs += 1
        self.batched += together
        self.queued += len(waits_s)
        self.queued_s += sum(waits_s)


@dataclass(eq=False)
class WaitingPrompt:
    """A prompt in the queue, since when, and who is to be told what became of it, once."""

    work: Work
    since_s: float
    weight: float
    tally: BatchCounts
    scored: Callable[[PromptError | None], None]
    told: bool = False

    def done(self) -> bool:
        """Say whether it was told."""
        return self.told

    def tell(self, error: PromptError | None) -> None:
        """Tell whoever waits, unless that has been done."""
        if not self.told:
            self.told = True
            self.tally.waiting -= 1
            self.scored(error)
