"""Vectors for tests of a memory: the mean of a drawn direction for each word, made on the spot."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.memory.memory import Memory
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from edge_agent.memory.index import Vector
    from edge_agent.memory.lessons import Lesson
    from edge_agent.memory.recall import Recall
    from edge_agent.memory.store import MemoryStore

DIMENSIONS = 64
NOW_S = 1_800_000_000.0
JUDGED = "Who was the director of Glass River?"


def vector_of(text: str) -> Vector:
    """Return a vector of length 1 that is near for texts of like words."""
    total = np.zeros(DIMENSIONS, np.float32)
    for word in read_question(text).words:
        generator = np.random.default_rng(zlib.crc32(word.encode()))
        total += generator.standard_normal(DIMENSIONS).astype(np.float32)
    return np.asarray(total / np.linalg.norm(total), np.float32)


def small_memory(store: MemoryStore | None = None, **settings: object) -> Memory:
    """Return a memory of these small vectors."""
    chosen = MemorySettings(**settings)  # type: ignore[arg-type] # any setting
    return Memory(chosen, dimensions=DIMENSIONS, store=store)


def recall(memory: Memory, text: str, now_s: float = NOW_S, **more: str) -> Recall:
    """Recall what a text brings to mind."""
    return memory.recall(text, vector_of(text), now_s, **more)  # type: ignore[arg-type] # any task


def learn(memory: Memory, text: str, answer: str, now_s: float = NOW_S, **more: str) -> Lesson:
    """Let a memory learn an answer from above."""
    return memory.learn(recall(memory, text, now_s), answer, now_s, **more)


def judge(memory: Memory) -> None:
    """Let three of four uses of an entry turn out right."""
    learn(memory, JUDGED, "Ida Holm")
    for right in (True, True, True, False):
        found = recall(memory, JUDGED)
        assert found.best is not None
        memory.judged(found.best, NOW_S, right=right, kind=found.question.masked)
