"""The bounded queue before one model: who waits, who is in the next batch, how long it takes.

Pure, and the same for a model that runs (``shared.serving.batcher``) and for one whose time is
simulated (``experiments.simulator.batcher``): running the batch and telling whoever waits is
theirs. Origins have their turns (``shared.protocol.fair_queue``). How much work an item is, is its
weight: 1 where items are as good as equal, the tokens of a text that is to be written.
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
    """What waits for one model, and how many it has in hand.

    Either one batch runs at a time (``take``, ``end``), or items ``join`` and ``leave``.
    """

    def __init__(self, places: int, *, batch_prompts: int) -> None:
        """Hold what fits into ``places`` and hand out ``batch_prompts`` at a time, at most."""
        self.service_s = 0.0
        """Smoothed time that the model takes for one unit of weight: a prompt of a batch, say."""
        self._batch_prompts = batch_prompts
        self._queue: FairQueue[Item] = FairQueue(places)
        self._weights: dict[int, float] = {}
        self._waiting_extra = 0.0
        self._running = 0
        self._running_weight: float | None = None
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
        return (self._ahead + self._waiting) * self.service_s

    def queue_for(self, origin: str) -> Queue:
        """Return what a prompt of an origin would find that came now."""
        each = self._waiting / len(self._queue) if self._weights else 1
        wait_s = (self._ahead + self._queue.ahead_of(origin) * each) * self.service_s
        return Queue(wait_s, self._queue.full_for(origin))

    def put(
        self,
        item: Item,
        origin: str = "",
        priority: int = 0,
        size_bytes: int = 0,
        weight: float = 1.0,
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
        if weight != 1.0:
            self._weights[id(item)] = weight
            self._waiting_extra += weight - 1.0
        for other in displaced:
            self._unweigh(other)
        return [(other, _busy(before)) for other in displaced]

    def take(self) -> list[Item]:
        """Begin a batch: return those whose turn it is and who still wait; none if nobody does."""
        batch: list[Item] = []
        while self._queue and not batch:
            batch = self._take(self._batch_prompts)
        self._running = len(batch)
        return batch

    def join(self, most: int) -> list[Item]:
        """Let those whose turn it is, ``most`` at most, join what runs."""
        joining: list[Item] = []
        while self._queue and len(joining) < most:
            joining += self._take(most - len(joining))
        self._running += len(joining)
        return joining

    def leave(self, count: int, left_weight: float) -> None:
        """Take note that some do not run any more, and of how much is left for those that do."""
        self._running -= count
        self._running_weight = left_weight

    def measure(self, batch_s: float) -> None:
        """Take note of how long the batch that runs took."""
        self.measure_unit(batch_s / self._running)

    def measure_unit(self, unit_s: float) -> None:
        """Take note of how long the model took for one unit of weight."""
        self.service_s += (unit_s - self.service_s) * (1.0 if self._unmeasured else _SMOOTHING)
        self._unmeasured = False

    def end(self) -> None:
        """Take note that nothing runs any more."""
        self._running, self._running_weight = 0, None

    def measure_anew(self) -> None:
        """Go by the next batch alone: another model has the place."""
        self._unmeasured = True

    def close(self) -> list[tuple[Item, Stopping]]:
        """Take in no more; return all that wait, each with what to tell it."""
        self._closed = True
        return [(item, Stopping(STOPPING)) for item in self._queue.take(len(self._queue))]

    @property
    def _waiting(self) -> float:
        """Return the weight of all that wait."""
        return len(self._queue) + self._waiting_extra

    @property
    def _ahead(self) -> float:
        """Return the weight of what runs."""
        return self._running if self._running_weight is None else self._running_weight

    def _take(self, most: int) -> list[Item]:
        taken = self._queue.take(most)
        for item in taken:
            self._unweigh(item)
        return [item for item in taken if not item.done()]

    def _unweigh(self, item: Item) -> None:
        if self._weights:
            self._waiting_extra -= self._weights.pop(id(item), 1.0) - 1.0
            if not self._weights:
                self._waiting_extra = 0.0  # and nothing that rounding has left


def _busy(waiting: int) -> Busy:
    return Busy(f"{waiting} prompts are waiting already")
