"""What a memory costs a question: ``python -m experiments.hotspot.lookup_cost EMBEDDER [ENTRIES]``.

Fills a memory with questions of generated facts (10,000 unless told), then looks up questions of
which half are known in other words and half are not, each new to the embedder, and at last the
questions as they are known. Prints the CPU time of one question on one core: the embedder's, the
look-up's with the decision, and both; that of one in the words of an entry, which is not embedded;
and the look-up's where the edge's model has learned half of the entries: the median and the 95th of
a hundred. At last that of fitting the verifier again. An edge without a memory runs none of this.
"""

from __future__ import annotations

import platform
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge_agent.memory.memory import Memory
from edge_agent.memory.recall import situation_of
from edge_agent.memory.settings import MemorySettings
from experiments.hotspot.facts import generate
from shared.cli import clear_errors
from shared.errors import SettingsError
from shared.runtimes.onnx_embedder import OnnxEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRIES: Final = 10_000
_QUESTIONS: Final = 500
_NOW_S: Final = 1_800_000_000.0


class RecallCost(NamedTuple):
    """CPU times of each question and of a refit in milliseconds, and how many entries there were.

    ``half_learned`` are of look-ups where half of the entries are ghosts.
    """

    embedding: list[float]
    looking_up: list[float]
    by_words: list[float]
    half_learned: list[float]
    refit: float
    entries: int

    @property
    def both(self) -> list[float]:
        """Of a question in all."""
        return [one + other for one, other in zip(self.embedding, self.looking_up, strict=True)]


def measure(embedder: OnnxEmbedder, entries: int, questions: int = _QUESTIONS) -> RecallCost:
    """Fill a memory and look questions up in it."""
    facts = generate(entries + questions, 7)
    memory = Memory(MemorySettings(entries=entries), dimensions=embedder.dimensions)
    known = [fact.wordings()[0] for fact in facts[:entries]]
    for start in range(0, entries, 256):
        texts = known[start : start + 256]
        for at, (text, vector) in enumerate(zip(texts, embedder.embed(texts), strict=True), start):
            memory.learn(memory.recall(text, vector, _NOW_S), f"answer {at}", _NOW_S)
    refit = _time_refit(memory)
    step = max(1, 2 * entries // questions)
    asked = [
        *(fact.wordings()[1] for fact in facts[:entries:step]),
        *(fact.wordings()[0] for fact in facts[entries : entries + questions // 2]),
    ]
    embedding, looking_up = _time(memory, embedder, asked)
    again = [entry.question for entry in memory.entries.values()][::step]
    by_words, there = _time_words(memory, again), len(memory.entries)
    for entry in list(memory.entries.values())[::2]:
        memory.internalise(entry, "night", 1.0)
    _, half_learned = _time(memory, embedder, asked)
    return RecallCost(embedding, looking_up, by_words, half_learned, refit, there)


def _time_refit(memory: Memory) -> float:
    memory.refit()  # the lists are made: they are mended from now on
    began_s = time.thread_time()
    memory.refit()
    return 1e3 * (time.thread_time() - began_s)


def _time(
    memory: Memory, embedder: OnnxEmbedder, asked: Sequence[str]
) -> tuple[list[float], list[float]]:
    embedding, looking_up = [], []
    for text in asked:
        began_s = time.thread_time()
        vector = embedder.embed([text])[0]
        embedded_s = time.thread_time()
        memory.decide(situation_of(memory.recall(text, vector, _NOW_S), memory.standing))
        done_s = time.thread_time()
        embedding.append(1e3 * (embedded_s - began_s))
        looking_up.append(1e3 * (done_s - embedded_s))
    return embedding, looking_up


def _time_words(memory: Memory, asked: Sequence[str]) -> list[float]:
    times = []
    for text in asked:
        began_s = time.thread_time()
        memory.decide(situation_of(memory.asked_before(text, _NOW_S), memory.standing))
        times.append(1e3 * (time.thread_time() - began_s))
    return times


def main(words: Sequence[str]) -> None:
    """Time and print."""
    with clear_errors():
        if not words:
            raise SettingsError("name the folder of an embedder (recserve pack --task embed)")
        entries = int(words[1]) if len(words) > 1 else ENTRIES
        cost = measure(OnnxEmbedder(words[0]), entries)
        print(f"Python {platform.python_version()}, {platform.machine()}")  # noqa: T201
        print(f"{cost.entries:,} entries, {len(cost.both)} questions, CPU time")  # noqa: T201
        for what, times in (
            ("embedding", cost.embedding),
            ("looking up, deciding", cost.looking_up),
            ("both", cost.both),
            ("in the same words", cost.by_words),
            ("looking up, half of it learned", cost.half_learned),
        ):
            middle, high = np.percentile(times, [50, 95])
            print(f"  {what}: {middle:.3f} ms p50, {high:.3f} ms p95")  # noqa: T201
        print(f"  fitting the verifier again: {cost.refit:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
