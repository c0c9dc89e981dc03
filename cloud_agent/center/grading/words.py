"""Texts as words, as the graders compare them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARTICLES: Final = frozenset({"a", "an", "the"})
_IDEOGRAPHS: Final = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, digits among them, without punctuation.

    Where a script has no spaces, as Chinese and Japanese, each character is one (as in the scoring
    of MLQA and CMRC).
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def bare_words(text: str) -> list[str]:
    """Return the words without articles, as answers to questions are compared."""
    return [word for word in words(text) if word not in _ARTICLES]


def overlap_f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    """Return the F1 score of the words that two texts share, each as often as it stands in both."""
    shared = sum((Counter(answer) & Counter(reference)).values())
    return f1(shared, len(answer), len(reference))


def f1(shared: int, given: int, wanted: int) -> float:
    """Return the harmonic mean of precision and recall; 0 where nothing is shared."""
    return 2 * shared / (given + wanted) if shared else 0.0
