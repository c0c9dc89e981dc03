"""What the text of a job looks like, in eight numbers, for allocators that learn from them. Pure.

Six are of the text: how rare and long its words are, how long its sentences, how much hangs on what
went before, how open its words are, how much it says, and its symbols. The other two are the tokens
to read and to write, by logarithm. A text counts as Chinese when more than a third of its
characters are; its words are the longest that a short list has, and pairs of characters between.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_COMMON: Final = _set_of(
    "the a an of to in on at for with by from and or but is are was were be been have has had do "
    "does did it its this that these those i you he she we they not no as if so can will would my "
    "your his her our their what which who when where how why there all any some"
)
_POINTING: Final = _set_of(
    "i you he she it we they me him her us them my your his its our their this that these those "
    "here there who which"
)
_JOINING: Final = _set_of(
    "and or but because although though while if unless since so therefore however when that "
    "which whereas whether"
)
_COMMON_ZH: Final = _set_of(
    "的 了 是 在 我 你 他 她 它 们 我们 你们 他们 这 那 这个 那个 这些 那些 和 与 或 但 但是 因为 "
    "所以 如果 虽然 而 而且 不 没 没有 有 也 都 就 很 什么 怎么 为什么 可以 一个 会"
)
_POINTING_ZH: Final = _set_of("我 你 他 她 它 我们 你们 他们 这 那 这个 那个 这些 那些 这里 那里")
_JOINING_ZH: Final = _set_of("和 与 或 但 但是 因为 所以 如果 虽然 而 而且 然后 不过")
_KNOWN_ZH: Final = "|".join(
    sorted(_COMMON_ZH | _POINTING_ZH | _JOINING_ZH, key=lambda word: (-len(word), word))
)
_WORD_ZH: Final = re.compile(
    rf"{_KNOWN_ZH}|(?:(?!{_KNOWN_ZH})[\u4e00-\u9fff]){{1,2}}|[^\W\d_\u4e00-\u9fff]+"
)
_PAIR: Final = 2
_CHINESE: Final = 1 / 3
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SENTENCE: Final = re.compile(r"[.!?。！？]+")
_PUNCTUATION: Final = frozenset(".,;:!?'\"()-…。，；：！？、“”‘’（）《》")
_LETTERS_A_TOKEN: Final = 4
_SHORT: Final = 4
_CONTENT: Final = 3


class TextFeatures(NamedTuple):
    """The features of one job, not scaled: hand them to a ``RunningScale``."""

    vocabulary: float
    syntax: float
    context: float
    ambiguity: float
    information: float
    symbols: float
    prompt_tokens: float
    answer_tokens: float


def features_of(text: str, answer_tokens: float) -> TextFeatures:
    """Return the features of a text whose answer is expected to have so many tokens."""
    size = max(len(text), 1)
    words = _chinese(text) if is_chinese(text) else _english(text)
    sentences = max(len([each for each in _SENTENCE.split(text) if each.strip()]), 1)
    punctuation = sum(each in _PUNCTUATION for each in text)
    digits = sum(each.isdigit() for each in text)
    specials = sum(not (c.isalnum() or c.isspace() or c in _PUNCTUATION) for c in text)
    return TextFeatures(
        0.5 * words.share(lambda word: word not in words.common) + 0.5 * words.mean(len),
        (0.5 * len(words.all) + 0.3 * punctuation + 0.2 * words.count(words.joining)) / sentences,
        words.share(lambda word: word in words.pointing),
        words.mean(words.openness),
        words.share(words.tells),
        0.5 * specials / size + 0.5 * digits / size,
        math.log1p(prompt_tokens(text)),
        math.log1p(answer_tokens),
    )


def prompt_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for each Chinese character, or four others."""
    han = len(_HAN.findall(text))
    return han + -(-(len(text) - han) // _LETTERS_A_TOKEN)


def is_chinese(text: str) -> bool:
    """Say whether more than a third of the characters are Chinese."""
    return len(_HAN.findall(text)) > _CHINESE * len(text)


class RunningScale:
    """Standardises vectors by the mean and deviation of all that it was given (Welford, 1962)."""

    def __init__(self, size: int) -> None:
        self._count = 0
        self._mean = [0.0] * size
        self._squares = [0.0] * size

    def standardise(self, values: Sequence[float]) -> tuple[float, ...]:
        """Take in a vector and return it scaled; 0 for what has not varied yet."""
        self._count += 1
        scaled = []
        for i, value in enumerate(values):
            off = value - self._mean[i]
            self._mean[i] += off / self._count
            self._squares[i] += off * (value - self._mean[i])
            deviation = math.sqrt(self._squares[i] / self._count)
            scaled.append((value - self._mean[i]) / deviation if deviation > 0 else 0.0)
        return tuple(scaled)


class _LanguageWords(NamedTuple):
    """The words of a text, and what its language makes of them."""

    all: Sequence[str]
    common: frozenset[str]
    pointing: frozenset[str]
    joining: frozenset[str]
    openness: Callable[[str], float]
    tells: Callable[[str], bool]

    def mean(self, figure: Callable[[str], float]) -> float:
        """Return the mean of a figure over the words; 0 without any."""
        return math.fsum(map(figure, self.all)) / max(len(self.all), 1)

    def share(self, holds: Callable[[str], bool]) -> float:
        """Return the share of words that something holds for."""
        return self.mean(lambda word: float(holds(word)))

    def count(self, words: frozenset[str]) -> int:
        """Return how many words are among these."""
        return sum(word in words for word in self.all)


def _english(text: str) -> _LanguageWords:
    def openness(word: str) -> float:
        return 1.5 if len(word) <= _SHORT else 1.0 if word in _COMMON else 0.5

    words = _WORD.findall(text.lower())
    return _LanguageWords(
        words, _COMMON, _POINTING, _JOINING, openness,
        lambda word: len(word) > _CONTENT and word not in _COMMON,
    )  # fmt: skip


def _chinese(text: str) -> _LanguageWords:
    def openness(word: str) -> float:
        if len(word) == 1:
            return 2.0
        return 1.5 if word in _COMMON_ZH else 1.0 if len(word) == _PAIR else 0.5

    words = _WORD_ZH.findall(text)
    return _LanguageWords(
        words, _COMMON_ZH, _POINTING_ZH, _JOINING_ZH, openness,
        lambda word: len(word) > 1 and word not in _COMMON_ZH,
    )  # fmt: skip
