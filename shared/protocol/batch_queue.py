"""The bounded queue before one model: who waits, who is in the next batch, how long it takes.

Pure, and the same for a model that runs (``shared.serving.batcher``) and for one whose time is
simulated (``experiments.simulator.batcher``): running the batch and telling whoever waits is
theirs. Origins have their turns (``shared.protocol.fair_queue``).
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from shared.errors import Busy, Stopping
from shared.protocol.fair_queue import FairQueue, Full

TIME_RAN_OUT: Final = "the prompt's time ran out before the model answered"
STOPPING: Final = "the agent is shutting down"
_SMOOTHING: Final = 0.1


class Waiting(Protocol):
    """What waits for the model."""

    def done(self) -> bool:
        """Say whether nobody waits for it any more: it has its answer, or its time ran out."""


Item = TypeVar("Item", bound=Waiting)


class Queue(NamedTuple):
    """How long a prompt of an origin would wait that came now, and whether there is room for it."""

    wait_s: float
    full: bool


class BatchQueue(Generic[Item]):
    """What waits for one model, and how many it has in hand; one batch runs at a time."""

    def __init__(self, places: int, *, batch_prompts: int) -> None:
        """Hold what fits into ``places`` and hand out ``batch_prompts`` at a time, at most."""
        self.service_s = 0.0
        """Smoothed time that the model takes for one prompt of a batch."""
        self._batch_prompts = batch_prompts
        self._queue: FairQueue[Item] = FairQueue(places)
        self._running = 0
        self._unmeasured = True
        self._closed = False

    def __len__(self) -> int:
        """Return how many wait, without those in the batch that runs."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many are in the batch that runs."""
        return self._running

    @property
    def wait_s(self) -> float:
        """How long the model will take for all that is here."""
        return (len(self._queue) + self._running) * self.service_s

    def queue_for(self, origin: str) -> Queue:
        """Return what a prompt of an origin would find that came now."""
        wait_s = (self._running + self._queue.ahead_of(origin)) * self.service_s
        return Queue(wait_s, self._queue.full_for(origin))

    def put(
        self, item: Item, origin: str = "", priority: int = 0, size_bytes: int = 0
    ) -> list[tuple[Item, Busy]]:
        """Take in an item; return those that make room for it, each with what to tell it.

        Raises ``Busy`` when nobody has to make room, ``Stopping`` when the queue is closed.
        """
        if self._closed:
            raise Stopping(STOPPING)
        before = len(self._queue)
        try:
            displaced = self._queue.put(item, origin, priority, size_bytes)
        except Full:
            raise _busy(before) from None
        return [(other, _busy(before)) for other in displaced]

    def take(self) -> list[Item]:
        """Begin a batch: return those whose turn it is and who still wait; none if nobody does."""
        batch: list[Item] = []
        while self._queue and not batch:
            taken = self._queue.take(self._batch_prompts)
            batch = [item for item in taken if not item.done()]
        self._running = len(batch)
        return batch

    def measure(self, batch_s: float) -> None:
        """Take note of how long the batch that runs took."""
        prompt_s = batch_s / self._running
        self.service_s += (prompt_s - self.service_s) * (1.0 if self._unmeasured else _SMOOTHING)
        self._unmeasured = False

    def end(self) -> None:
        """Take note that the batch does not run any more."""
        self._running = 0

    def measure_anew(self) -> None:
        """Go by the next batch alone: another model has the place."""
        self._unmeasured = True

    def close(self) -> list[tuple[Item, Stopping]]:
        """Take in no more; return all that wait, each with what to tell it."""
        self._closed = True
        return [(item, Stopping(STOPPING)) for item in self._queue.take(len(self._queue))]


def _busy(waiting: int) -> Busy:
    return Busy(f"{waiting} prompts are waiting already")
