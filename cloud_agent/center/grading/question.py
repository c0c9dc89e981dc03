"""QA: an open question with one or more accepted answers."""

from __future__ import annotations

from cloud_agent.center.grading.words import bare_words, overlap_f1


def exact(answer: str, references: tuple[str, ...]) -> float:
    """Return 1.0 for an accepted answer, whatever its case, punctuation and articles."""
    said = bare_words(answer)
    return float(bool(said) and any(said == bare_words(each) for each in references))


def contains(answer: str, references: tuple[str, ...]) -> float:
    """Return 1.0 where an accepted answer stands in what was said, word for word."""
    said = f" {' '.join(bare_words(answer))} "
    wanted = (" ".join(bare_words(each)) for each in references)
    return float(any(each and f" {each} " in said for each in wanted))


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return the F1 score of the words shared with the accepted answer that shares most."""
    said = bare_words(answer)
    return max(overlap_f1(said, bare_words(each)) for each in references)
