"""Entries that turned out to be one question, once their rewording has proved itself.

A question whose wording nobody knew yet is kept as another one. It takes room for what is there
already, and its answer speaks neither for nor against the other's until both are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.memory.fast_path import agree
from edge_agent.memory.ghosts import hash_of_names
from edge_agent.memory.guards import difference
from edge_agent.memory.wording import read_question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_agent.memory.entries import Entry, Ghost
    from edge_agent.memory.forgetting import Forgetting
    from edge_agent.memory.ghosts import Ghosts
    from edge_agent.memory.lessons import Lessons
    from edge_agent.memory.rewordings import Rewordings
    from edge_agent.memory.shelf import Shelf


def join_twins(shelf: Shelf, ghosts: Ghosts, lessons: Lessons, forgetting: Forgetting) -> None:
    """Make one of entries that are the same question, and of one with what the model has learned.

    Where a learned answer is another, it is open again: its entry comes back with both. Answers
    that are true for a while only, or do not count any more, are joined with none.
    """

    def join(elder: Entry, entry: Entry) -> None:
        elder.join(entry)
        for text, vector in zip(entry.wordings, shelf.vectors_of(entry), strict=True):
            shelf.add_wording(elder, text, vector)
        shelf.put(elder)
        forgetting.drop([entry.id])

    for elder, entry in list(twins(_lasting(shelf, forgetting), lessons.rewordings)):
        join(elder, entry)
    for ghost, learned, entry in _beside_ghosts(shelf, ghosts, _lasting(shelf, forgetting)):
        if agree(learned.answer, entry.answer):
            forgetting.drop([entry.id])
        elif (again := lessons.restore(ghost)) is not None:
            join(again, entry)


def _beside_ghosts(
    shelf: Shelf, ghosts: Ghosts, entries: Iterable[Entry]
) -> Iterator[tuple[Ghost, Entry, Entry]]:
    """Yield each ghost with what was learned, and an entry that is the same question.

    One without names is not looked for: as many questions as there are would have to be compared.
    """
    names = {ghost.names for ghost in ghosts.known.values()}
    for entry in entries:
        asked = read_question(entry.question)
        if not asked.names or hash_of_names(asked) not in names:
            continue
        ghost = ghosts.find(asked, shelf.vectors_of(entry)[0], entry.task, entry.owner)
        kept = ghosts.buried(ghost) if ghost is not None else None
        if ghost is None or kept is None or kept[0].version != entry.version:
            continue
        if not difference(asked, read_question(kept[0].question)):
            yield ghost, kept[0], entry


def _lasting(shelf: Shelf, forgetting: Forgetting) -> list[Entry]:
    return [
        entry
        for entry in shelf.entries.values()
        if entry.expires_s is None and entry.created_s >= forgetting.not_before_s
    ]


def twins(entries: Iterable[Entry], rewordings: Rewordings) -> Iterator[tuple[Entry, Entry]]:
    """Yield each entry that is the same question as an older one, that one first.

    The same names in other places are another question: who beat whom.
    """
    alike: dict[tuple[str, str, str, str], dict[str, list[Entry]]] = {}
    for entry in sorted(entries, key=lambda entry: entry.id):
        asked = read_question(entry.question)
        key = (hash_of_names(asked), entry.task, entry.owner, entry.version)
        elders = alike.setdefault(key, {})
        same = [
            elder
            for form in rewordings.forms_of(asked.masked)
            if form in elders and rewordings.same_kind(form, asked.masked)
            for elder in elders[form]
            if not difference(asked, read_question(elder.question))
        ]
        if same:
            yield min(same, key=lambda entry: entry.id), entry
        else:
            elders.setdefault(asked.masked, []).append(entry)
