"""Whatever happens to a memory, in whatever order: it stays within its room and in step."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support.word_vectors import NOW_S, learn, recall, small_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.memory.memory import Memory

_Thing = TypeVar("_Thing")
_ROOM = 25
_FORMS = ("Who wrote {}?", "Who is the author of {}?", "By whom was {} written?", "who wrote {}")


class Life:
    """Days of a memory, drawn: questions, answers of which some are wrong, checks and nights."""

    def __init__(self, seed: int) -> None:
        self.memory: Memory = small_memory(entries=_ROOM)
        self.now_s = NOW_S
        self._draw = random.Random(seed)

    def step(self) -> None:
        """Let one thing happen."""
        self.now_s += self._draw.uniform(0.0, 4_000.0)
        often = [self._learn] * 12 + [self._use] * 6 + [self._judge] * 4 + [self._above] * 2
        seldom = [self._bury, self._doubt, self._forget, self.memory.refit]
        self._draw.choice([*often, *seldom])()

    def _question(self) -> str:
        book = f"{self._draw.choice(['Salt', 'Iron', 'Glass'])} Book {self._draw.randrange(30)}"
        return self._draw.choice(_FORMS).format(book)

    def _learn(self) -> None:
        answer = self._draw.choice(["Ida Holm", "Ida Holm", "Lars Berg"])
        learn(self.memory, self._question(), answer, self.now_s)

    def _use(self) -> None:
        if (best := recall(self.memory, self._question(), self.now_s).best) is not None:
            self.memory.used(best, self.now_s, agreed=self._draw.random() < 0.5)

    def _judge(self) -> None:
        if (best := recall(self.memory, self._question(), self.now_s).best) is not None:
            way = self._draw.choice(["direct", "examples"])
            self.memory.judged(best, self.now_s, right=self._draw.random() < 0.7, way=way)

    def _above(self) -> None:
        asked = recall(self.memory, self._question(), self.now_s)
        self.memory.judge_ghost(asked, "Ida Holm", self._draw.choice(["Ida Holm", "Lars Berg"]))

    def _bury(self) -> None:
        for entry in self._some(self.memory.entries.values()):
            self.memory.internalise(entry, "night-1", 1.0)

    def _doubt(self) -> None:
        for ghost in self._some(self.memory.ghosts.values()):
            self.memory.restore(ghost)
        self.memory.make_room(self.now_s)

    def _forget(self) -> None:
        self.memory.forget([each.id for each in self._some(self.memory.entries.values())])

    def _some(self, things: Iterable[_Thing]) -> list[_Thing]:
        return self._draw.sample(known := list(things), min(3, len(known)))


@pytest.mark.parametrize("seed", range(4))
def test_a_memory_stays_within_its_room_and_in_step(seed: int) -> None:
    life = Life(seed)
    memory = life.memory
    for _ in range(400):
        life.step()
        entries = memory.entries.values()

        assert len(entries) <= _ROOM
        assert all(len(memory.vectors_of(each)) == len(each.wordings) for each in entries)
        assert not memory.entries.keys() & memory.ghosts.keys()
        for entry in entries:
            assert min(entry.ok, entry.bad, entry.helped, entry.idle, entry.agreed) >= 0
            assert entry.heat(life.now_s) > 0
        for ghost in memory.ghosts.values():
            assert memory.buried(ghost) is not None
            assert 0 <= ghost.chance <= 1

    assert set(memory.counts) >= {"stored", "confirmed", "conflict"}
    assert memory.ghosts
