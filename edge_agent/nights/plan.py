"""What a night is about: which entries are learned, which wording tests each, what is repeated.

Which wording of an entry is held out follows from the entry alone, so that it is learned on no
night and tests it on all of them.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.memory.wording import normalise
from edge_agent.nights.folder import NightRow, NightRows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from edge_agent.memory.entries import Entry
    from edge_agent.nights.folder import GateReading
    from edge_agent.nights.settings import NightSettings
    from shared.tasks import Task

_NIGHTS_TRIED: Final = 3
_ONE_ANSWER: Final = 0.05
"""Of what is learned, at most, with one answer: else the model says it everywhere."""
_ASIDE: Final = 5
"""Of so many texts to be classified, one tests and is not learned."""


def may_be_learned(entry: Entry, task: Task) -> bool:
    """Return whether an entry's answer is agreed on, stays true and belongs to nobody.

    What is one device's alone, or holds for some options alone, never enters a model that answers
    all of them. A text is only learned of several wordings: without one held out nobody could tell
    whether the model knows the answer or the sentence.
    """
    agreed_on = entry.state == "stable" or (task == "classify" and entry.state == "fresh")
    return (
        entry.task == task
        and agreed_on
        and entry.expires_s is None
        and not entry.owner
        and entry.nights < _NIGHTS_TRIED
        and (task == "classify" or len(entry.wordings) > 1)
    )


def choose(
    entries: Iterable[Entry],
    archived: Iterable[Entry],
    old: Iterable[NightRow],
    *,
    task: Task,
    settings: NightSettings,
    now_s: float,
    knew: Collection[int] = (),
) -> NightRows:
    """Return the rows of a night: the entries asked for most, and all that must be kept.

    ``knew`` are the entries that the last adapter has learned. One that was forgotten since has
    left memory and archive; then a fresh adapter is wanted, from what is left.
    """
    entries, archived = list(entries), [each for each in archived if each.task == task]
    ranked = sorted(entries, key=lambda entry: (-entry.heat(now_s), entry.id))
    able = [entry for entry in ranked if may_be_learned(entry, task)]
    if task == "generate":
        able = _not_too_often_the_same(able, settings.entries)
    chosen = able[: settings.entries]
    new = [row_of(entry, task) for entry in chosen]
    asked = {normalise(text) for row in new for text in (*row.wordings, row.held_out)}
    kept = [row_of(entry, task) for entry in archived]
    kept += [_known(each, task) for each in old if normalise(each.probe) not in asked]
    there = {entry.id for entry in (*entries, *archived)}
    return NightRows(new=tuple(new), old=tuple(kept), fresh=not there.issuperset(knew))


def half_of(rows: NightRows, gates: dict[str, GateReading], least: int) -> NightRows | None:
    """Return what is tried once more after gates rejected it: the half that is asked for most.

    None where that is fewer than ``least``, or was tried already.
    """
    half = rows.new[: len(rows.new) // 2]
    if rows.rejected or len(half) < least:
        return None
    return msgspec.structs.replace(rows, new=half, rejected=gates)


def row_of(entry: Entry, task: Task) -> NightRow:
    """Return an entry as it is learned, with the wording that tests it."""
    draw = random.Random(f"held out {entry.id}")  # noqa: S311 - a choice of rows, no secret
    texts = list(entry.wordings)
    if task == "classify" and len(texts) == 1:
        aside = draw.randrange(_ASIDE) == 0
        learned, held_out = ((), texts[0]) if aside else (tuple(texts), "")
    elif len(texts) == 1:
        learned, held_out = tuple(texts), ""
    else:
        held_out = texts.pop(draw.randrange(len(texts)))
        learned = tuple(texts)
    return NightRow(entry=entry.id, wordings=learned, held_out=held_out, answer=entry.answer)


def _known(row: NightRow, task: Task) -> NightRow:
    """Return a row that is to be kept; one in so many of a classifier's texts tests it instead.

    A text that is repeated at night says nothing of what is forgotten of its kind.
    """
    if task != "classify" or row.held_out or len(row.wordings) > 1:
        return row
    (text,) = row.wordings
    draw = random.Random(f"held out {text}")  # noqa: S311 - a choice of rows, no secret
    aside = draw.randrange(_ASIDE) == 0
    return msgspec.structs.replace(row, wordings=(), held_out=text) if aside else row


def _not_too_often_the_same(entries: Sequence[Entry], at_most: int) -> list[Entry]:
    """Return the entries without those whose answer has had its share."""
    room = max(1, round(min(at_most, len(entries)) * _ONE_ANSWER))
    often: Counter[str] = Counter()
    taken = []
    for entry in entries:
        key = normalise(entry.answer)
        often[key] += 1
        if often[key] <= room:
            taken.append(entry)
    return taken
