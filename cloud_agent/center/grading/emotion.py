"""TC: which of six emotions a text has, answered with one word of a closed list."""

from __future__ import annotations

from typing import Final

from cloud_agent.center.grading.words import words

LABELS: Final = ("sadness", "joy", "love", "anger", "fear", "surprise")
_SYNONYMS: Final = {
    "sadness": ("sad", "sadness", "unhappy", "sorrow", "grief", "depressed"),
    "joy": ("joy", "joyful", "happy", "happiness", "glad", "delighted"),
    "love": ("love", "loving", "affection", "fondness"),
    "anger": ("anger", "angry", "furious", "rage", "annoyed"),
    "fear": ("fear", "fearful", "afraid", "scared", "anxious", "anxiety", "terrified"),
    "surprise": ("surprise", "surprised", "amazed", "astonished", "amazement"),
}
_LABEL_OF: Final = {word: label for label, known in _SYNONYMS.items() for word in known}
_NEGATIONS: Final = frozenset({"not", "no", "never", "isn", "neither", "nor", "without"})


def label_of(answer: str) -> str | None:
    """Return the one emotion that the last line of an answer names, or None.

    Words count as wholes. A line that names two emotions, or says that it is not one, has not
    answered.
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    said = words(lines[-1]) if lines else []
    named = {_LABEL_OF[word] for word in said if word in _LABEL_OF}
    if len(named) != 1 or not _NEGATIONS.isdisjoint(said):
        return None
    return named.pop()


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return 1.0 for the emotion that is true, and 0.0 for any other or for none.

    A reference is one of the labels or of its synonyms.
    """
    label = label_of(answer)
    return float(label is not None and label in {label_of(each) for each in references})
