"""SG: a summary, held against human ones by ROUGE.

ROUGE-1 counts the words that both have, ROUGE-L the longest run of them in the same order, gaps
allowed. Both are F1 scores: recall alone would reward whatever is long. Words are lower case,
letters and digits, as in the field's reference program without its stemmer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from cloud_agent.center.grading.words import f1, overlap_f1

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN: Final = re.compile(r"[a-z0-9]+")
_ALIKE: Final = 0.48
_LENGTH: Final = 0.04


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return the mean of ROUGE-1 and ROUGE-L, against the reference that is closest."""
    return max((rouge_1(answer, each) + rouge_l(answer, each)) / 2 for each in references)


def rouge_1(answer: str, reference: str) -> float:
    """Return the F1 score of the words that both have."""
    return overlap_f1(_tokens(answer), _tokens(reference))


def rouge_l(answer: str, reference: str) -> float:
    """Return the F1 score of the longest common subsequence of words."""
    said, wanted = _tokens(answer), _tokens(reference)
    return f1(_common(said, wanted), len(said), len(wanted))


def ldc_sg(answer: str, reference: str) -> float:
    """Return the blend of the LLM Distribution Center, for comparison with its figures only.

    0.48 of ROUGE-1 recall, 0.48 of the cosine of word counts, 0.04 of how alike the lengths are.
    """
    said, wanted = Counter(_tokens(answer)), Counter(_tokens(reference))
    if not said or not wanted:
        return 0.0
    recall = sum((said & wanted).values()) / wanted.total()
    product = sum(count * wanted[word] for word, count in said.items())
    cosine = product / math.sqrt(_squares(said) * _squares(wanted))
    length = math.exp(-abs(said.total() - wanted.total()) / wanted.total())
    return _ALIKE * recall + _ALIKE * cosine + _LENGTH * length


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.lower())


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for word in one:
        before = 0
        for place, other in enumerate(two, start=1):
            above = row[place]
            row[place] = before + 1 if word == other else max(above, row[place - 1])
            before = above
    return row[-1]


def _squares(counts: Counter[str]) -> int:
    return sum(count * count for count in counts.values())
