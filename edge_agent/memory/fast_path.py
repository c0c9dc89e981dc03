"""Whether an answer from above is worth keeping: what is checked before it is stored: pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edge_agent.memory.privacy import personal
from edge_agent.memory.wording import normalise

if TYPE_CHECKING:
    from shared.tasks import Task

_REFUSALS: Final = re.compile(
    r"^\s*(?:i(?:'m| am)? (?:sorry|afraid)|sorry|i (?:cannot|can't|am unable|do not|don't) "
    r"(?:know|help|answer|assist|provide|have)|as an ai|unknown\b|n/?a\s*$|no answer)",
    re.IGNORECASE,
)
_CHANGING: Final = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|now|currently|current|latest|newest|recent|this "
    r"(?:week|month|year|morning|evening|season)|so far|price|cost|weather|forecast|score|rate|"
    r"stock|traffic|open now|how old|how long ago|president|prime minister|ceo|champion|status)\b",
    re.IGNORECASE,
)
_HOURS_S: Final = 6 * 3_600.0
SHORT_CHARACTERS: Final = 80
LONGEST_CHARACTERS: Final = 8_000
_ALIKE: Final = 0.8


def refusal(task: Task, question: str, answer: str) -> str:
    """Return why an answer is not kept; empty where it may be."""
    if not normalise(answer):
        return "the answer is empty"
    if len(question) + len(answer) > LONGEST_CHARACTERS:
        return "question and answer are too long"
    if task != "classify" and _REFUSALS.match(answer):
        return "the answer is a refusal"
    if found := personal(question):
        return f"the question has a personal part ({found})"
    if found := personal(answer):
        return f"the answer has a personal part ({found})"
    return ""


def lifetime_s(task: Task, question: str) -> float | None:
    """Return how long an answer stays true, as far as the question tells; None: for good."""
    return _HOURS_S if task != "classify" and _CHANGING.search(question) else None


def is_short(answer: str) -> bool:
    """Return whether an answer may be given again as it is."""
    return len(answer) <= SHORT_CHARACTERS


def agree(one: str, other: str) -> bool:
    """Return whether two answers say the same: equal, or for long ones nearly the same words."""
    first, second = normalise(one), normalise(other)
    if first == second:
        return True
    if is_short(one) and is_short(other):
        return False
    words, others = set(first.split()), set(second.split())
    both = len(words & others)
    return both > 0 and 2 * both / (len(words) + len(others)) >= _ALIKE
