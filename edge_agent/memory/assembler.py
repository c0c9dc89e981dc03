"""Which examples the edge's own model is shown before a question, within its budget: pure.

They stand from the least relevant to the most, next to the question; what comes before them, the
system prompt, is the same for every question, so that an engine may keep what it has read of it.
What is remembered is data: words by which models part the turns of a chat are made harmless here,
for servers whose template nobody knows, and those of a bundle's own once more where it is read
(``shared.runtimes.chat``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.memory.fast_path import agree, is_short
from shared.tasks import Exemplar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.memory.retriever import Recalled
    from shared.runtimes import ExampleRoom
    from shared.tasks import Request

_GAP: Final = "\u200b"
"""A space that nobody sees."""
_MARKERS: Final = re.compile(
    r"<(?=[|\uff5c]|/?(?:s|bos|eos|pad|unk|sys|start_of_turn|end_of_turn|think)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
    r"|<(?=</?SYS>>)",
    re.IGNORECASE,
)
_SPEAKERS: Final = re.compile(
    r"^([ \t]*(?:#+[ \t]*)?(?:system|user|human|assistant|ai|instruction|response|input|output"
    r"|question|answer|q|a))(?=[ \t]*:)",
    re.IGNORECASE | re.MULTILINE,
)
_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_SENTENCE_END: Final = re.compile(r"[.!?\u3002\uff01\uff1f](?=\s|$)|\n")
_LONG_SHARE: Final = 0.4
"""Of the budget, that one long answer may take."""
SURELY: Final = 0.9
"""So likely the question that was asked that the edge's model should say what an entry says."""


class Assembled(NamedTuple):
    """Examples, the most relevant last, with the ids of their entries in the same order.

    ``cut`` are the ids of those of which the answer's end was left out, ``left_out`` of those that
    found no room.
    """

    examples: tuple[Exemplar, ...] = ()
    entries: tuple[int, ...] = ()
    cut: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Say which entries were shown, and what of them was not."""
        said = ", ".join(
            f"{entry} (cut)" if entry in self.cut else str(entry) for entry in self.entries
        )
        return f"{said}; no room for {_listed(self.left_out)}" if self.left_out else said


def assemble(
    candidates: Sequence[Recalled], request: Request, room: ExampleRoom, budget: int
) -> Assembled:
    """Return what is shown of the candidates, which come the best first.

    They take ``budget`` tokens at most, and no more than the model has beside the question and its
    answer. A short answer is whole or not there; a long one ends with a sentence. Two candidates
    that are surely the question and say different things speak against each other: none is shown.
    """
    if contradict(candidates):
        return Assembled()
    budget = min(budget, room.room_for_examples(request))
    examples: list[Exemplar] = []
    entries: list[int] = []
    cut: list[int] = []
    left_out: list[int] = []
    for candidate in candidates:
        entry = candidate.entry
        whole = Exemplar(harmless(entry.wordings[candidate.wording]), harmless(entry.answer))
        if whole in examples:
            continue
        limit = budget if is_short(entry.answer) else min(budget, int(_LONG_SHARE * budget))
        fitted = whole
        if room.tokens_of(whole) > limit and not is_short(entry.answer):
            fitted = _shortened(whole, room, limit)
        tokens = room.tokens_of(fitted)
        if tokens > budget or not fitted.answer:
            left_out.append(entry.id)
            continue
        budget -= tokens
        examples.append(fitted)
        entries.append(entry.id)
        cut += [entry.id] if fitted is not whole else []
    return Assembled(
        tuple(reversed(examples)), tuple(reversed(entries)), tuple(cut), tuple(left_out)
    )


def contradict(candidates: Sequence[Recalled]) -> bool:
    """Return whether entries that are surely the question asked disagree on its answer."""
    said = [each.entry.answer for each in candidates if each.same >= SURELY]
    return any(not agree(said[0], other) for other in said[1:])


def harmless(text: str) -> str:
    """Return a text in which nothing passes for a turn of somebody else's, and nothing is hidden.

    It reads as before: what would be a marker gets a gap of no width.
    """
    text = _CONTROLS.sub(" ", text.replace("\r\n", "\n"))
    text = _MARKERS.sub(lambda found: found.group() + _GAP, text)
    return _SPEAKERS.sub(lambda found: found.group() + _GAP, text)


def _shortened(whole: Exemplar, room: ExampleRoom, limit: int) -> Exemplar:
    """Return an example with as many of its answer's first sentences as fit; perhaps with none."""
    ends = [found.end() for found in _SENTENCE_END.finditer(whole.answer)]
    low, high = 0, len(ends)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        fits = room.tokens_of(_with(whole, ends[middle - 1])) <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    return _with(whole, ends[low - 1] if low else 0)


def _with(whole: Exemplar, end: int) -> Exemplar:
    return Exemplar(whole.content, whole.answer[:end].rstrip())


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
