"""One simulated node: a queue, a disk, and a model that is exchanged while prompts wait or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cloud_agent.center.catalogue.cards import ModelCard

_NEVER: Final = float("inf")


class Node:
    """A node in simulated time; a round asks it to ``advance`` before anything else."""

    def __init__(
        self, name: str, card: ModelCard, memory_bytes: float, bytes_per_s: float, rtt_s: float
    ) -> None:
        self.name = name
        self.model = card
        self.wanted = card
        self.memory_bytes = memory_bytes
        self.bytes_per_s = bytes_per_s
        self.rtt_s = rtt_s
        self.on_disk = {card.name}
        self.free_at_s = 0.0
        self.alive = True
        self.bytes_moved = 0.0
        self._fetched_s = _NEVER
        self._loaded_s = _NEVER

    @property
    def available(self) -> bool:
        """Whether it may be given a job: it lives, and is not between two models."""
        return self.alive and self._loaded_s == _NEVER

    @property
    def used_bytes(self) -> float:
        """The memory that it uses now: of two models only while one loads beside the other."""
        loading = self.wanted is not self.model and self.wanted.name in self.on_disk
        beside = self.wanted.memory_bytes if loading and self._beside else 0.0
        return self.model.memory_bytes + beside

    @property
    def _beside(self) -> bool:
        return self.model.memory_bytes + self.wanted.memory_bytes <= self.memory_bytes

    def want(self, card: ModelCard, now_s: float) -> None:
        """Begin to fetch a model, unless it is there or under way; it is used once it is loaded."""
        if card is self.wanted:
            return
        self.wanted = card
        self._loaded_s = _NEVER
        if card is self.model:
            self._fetched_s = _NEVER
            return
        missing = 0.0 if card.name in self.on_disk else card.size_bytes
        self._fetched_s = now_s + missing / self.bytes_per_s
        self.bytes_moved += missing

    def advance(self, now_s: float) -> None:
        """Go on with an exchange of models as far as it has come by now.

        Where memory has room for both, the new one loads beside the old and takes over at once.
        Where not, the node takes nothing more, ends what it has, and loads the new one then.
        """
        if not self.alive:
            return
        if now_s >= self._fetched_s:
            self.on_disk.add(self.wanted.name)
            if self._beside and now_s >= self._fetched_s + self.wanted.load_s:
                self._take()
            elif not self._beside and self._loaded_s == _NEVER:
                self._loaded_s = max(self.free_at_s, now_s) + self.wanted.load_s
        if now_s >= self._loaded_s:
            self._take()

    def work(self, now_s: float, service_s: float) -> float:
        """Take a job; return when it is done there."""
        self.free_at_s = max(self.free_at_s, now_s) + service_s
        return self.free_at_s

    def die(self) -> None:
        """Lose the queue, and what was being fetched or loaded."""
        self.alive = False
        self.wanted = self.model
        self._fetched_s = self._loaded_s = _NEVER

    def rise(self, now_s: float) -> None:
        """Come back with the model that was running, once it is loaded."""
        self.alive = True
        self.free_at_s = now_s
        self._loaded_s = now_s + self.model.load_s

    def _take(self) -> None:
        self.model = self.wanted
        self._fetched_s = self._loaded_s = _NEVER
