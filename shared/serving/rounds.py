"""How a model works through what waits for it, a round at a time.

A classifier takes a batch, and all of it ends together (``batch_rounds``). A generator's texts do
not: they join and leave one by one (``token_rounds``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from shared.errors import PromptError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes.model import Entry
    from shared.tasks import Request
    from shared.telemetry.metrics import Metrics


class Unanswered(NamedTuple):
    """A prompt in the queue, since when on the performance counter, and where its answer goes.

    ``weight`` is how much work it is, as ``Rounds.weigh`` says.
    """

    request: Request
    since_s: float
    deadline_s: float
    scored: asyncio.Future[Scored]
    weight: float = 1.0

    def done(self) -> bool:
        """Say whether nobody waits for it any more."""
        return self.scored.done()

    def settle(self, entry: Entry) -> None:
        """Tell whoever waits what became of it."""
        if self.scored.done():
            return
        if isinstance(entry, PromptError):
            self.scored.set_exception(entry)
        else:
            self.scored.set_result(entry)


class Rounds(Protocol):
    """One way to work through the queue."""

    @property
    def under_way(self) -> bool:
        """Whether a further round has something to do, though nobody waits."""

    @property
    def mean_weight(self) -> float:
        """Weight of a prompt, as a rule."""

    def weigh(self, request: Request) -> float:
        """Return how much work a request is about."""

    def look(self) -> None:
        """Say that somebody came, or leaves."""

    async def go_on(self, *, let_in: bool = True) -> None:
        """Do one round; whoever waits may join it, unless nobody is to be ``let_in``."""

    def break_off(self, error: PromptError) -> None:
        """Answer with an error what would go on after this round."""


def count(
    metrics: Metrics | None, together: int, joining: Sequence[Unanswered], now_s: float
) -> None:
    """Have the metrics show how many run together, and how long those that join have waited."""
    if metrics is None or not joining:
        return
    metrics.batch_prompts.observe(together)
    for waiting in joining:
        metrics.queue_seconds.observe(now_s - waiting.since_s)
