"""How likely each of some labels is, by what a server tells of an answer's tokens.

A server tells, for each token of an answer, the likeliest that could have stood there. The answer
is followed for as long as it leaves several labels open. What could have stood at each token gives
its probability to the label that it begins, in equal parts where it begins several; what begins no
label is nobody's. The sums are scaled to 1: of a label that no likely token begins, no more is
known than that it is not likely, and it gets 0. Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes.chat_wire import ChosenToken

_AROUND: Final = " \t\r\n\"'`*"
"""Characters that a model may put before a label."""


def score_labels(tokens: Sequence[ChosenToken], labels: Sequence[str]) -> tuple[float, ...] | None:
    """Return one probability for each label, or None if the tokens name none."""
    names = _Names(labels)
    shares = [0.0] * len(labels)
    left = list(range(len(labels)))
    path, said = 1.0, ""

    def give(chance: float, indices: Sequence[int]) -> None:
        for index in indices:
            shares[index] += path * chance / len(indices)

    for token in tokens:
        for other in token.top_logprobs or ():
            if other.token != token.token:
                give(_chance(other.logprob), names.begun_by(said + other.token, left))
        said += token.token
        left = names.begun_by(said, left)
        path *= _chance(token.logprob)
        if len(left) <= 1:
            break
    give(1.0, names.said_by(said, left))
    total = math.fsum(shares)
    return tuple(share / total for share in shares) if total else None


class _Names:
    """The labels, as a model may write them: in capitals or not, unless that tells two apart."""

    def __init__(self, labels: Sequence[str]) -> None:
        folded = [label.casefold() for label in labels]
        self._folds = len(set(folded)) == len(folded)
        self._names = folded if self._folds else list(labels)

    def begun_by(self, said: str, among: Sequence[int]) -> list[int]:
        """Return which of the labels a text begins, or says in full."""
        text = self._plain(said)
        if not text:  # a space says nothing yet
            return list(among)
        begun = [index for index in among if self._names[index].startswith(text)]
        if begun:
            return begun
        full = [index for index in among if _says(text, self._names[index])]
        longest = max((len(self._names[index]) for index in full), default=0)
        return [index for index in full if len(self._names[index]) == longest]

    def said_by(self, said: str, among: Sequence[int]) -> list[int]:
        """Return which of the labels a text says: the one that it is, or all that it leaves open.

        A text that is nothing yet says none.
        """
        text = self._plain(said)
        exact = [index for index in among if self._names[index] == text.rstrip(f"{_AROUND}.")]
        return exact or (list(among) if text else [])

    def _plain(self, said: str) -> str:
        text = said.lstrip(_AROUND)
        return text.casefold() if self._folds else text


def _says(text: str, name: str) -> bool:
    """Say whether a text is a label, and more that is no part of the same word."""
    return text.startswith(name) and not text[len(name)].isalnum()


def _chance(log_probability: float) -> float:
    return math.exp(min(log_probability, 0.0))
