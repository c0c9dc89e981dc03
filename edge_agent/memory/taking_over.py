"""Entries of another memory, taken in: all of a request are looked at before the first one is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edge_agent.memory.entries import WORDINGS
from edge_agent.memory.fast_path import agree, refusal
from shared.errors import MemoryRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import Vector
    from edge_agent.memory.memory import Memory


def fault_of(entry: Entry) -> str:
    """Return why a memory cannot hold an entry; empty where it can."""
    count = len(entry.wordings)
    return "" if 1 <= count <= WORDINGS else f"has {count} wordings, not 1 to {WORDINGS}"


def take_over(
    memory: Memory,
    entries: Sequence[Entry],
    embed: Callable[[str], Vector],
    now_s: float,
    versions: Collection[str] = (),
) -> dict[str, int]:
    """Take entries in, all or none of them, and return how many there were of each outcome.

    Given ``versions`` an entry of another one is no second opinion on them. Beside the outcomes of
    an answer from above, ``known`` are entries that are there already, as from an earlier import.
    Raises ``MemoryRefused``.
    """
    for entry in entries:
        if fault := fault_of(entry):
            raise MemoryRefused(f"entry {entry.id} {fault}; none of the {len(entries)} was taken")
    vectors = [[embed(text) for text in entry.wordings] for entry in entries]
    outcomes = Counter(
        _take(memory, entry, its, now_s, versions)
        for entry, its in zip(entries, vectors, strict=True)
    )
    return dict(outcomes)


def _take(
    memory: Memory,
    entry: Entry,
    vectors: Sequence[Vector],
    now_s: float,
    versions: Collection[str],
) -> str:
    if entry.created_s < memory.not_before_s or any(
        refusal(entry.task, wording, entry.answer) for wording in entry.wordings
    ):
        return "refused"
    recall = memory.recall(
        entry.question, vectors[0], now_s, task=entry.task, owner=entry.owner, versions=versions
    )
    exact = next((each.entry for each in recall.candidates if each.exact), None)
    if exact is None:
        memory.keep(entry, vectors, now_s)
        return "stored"
    if exact.created_s == entry.created_s and agree(exact.answer, entry.answer):
        return "known"
    return memory.learn(recall, entry.answer, now_s).outcome
