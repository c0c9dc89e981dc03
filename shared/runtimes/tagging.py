"""How a tagger answers a list of prompts, whatever its engine.

Leaves out everything an engine does: turning a text into tokens and a batch of tokens into logits
are handed in; which prompts run together is ``shared.runtimes.token_batches``' business, and what
labels of words mean that of ``shared.tasks.tag``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from shared.errors import ModelFailed
from shared.messages import Scored
from shared.runtimes.token_batches import Limits, Steps, answer_in_batches
from shared.runtimes.words import Word, shapes, words
from shared.tasks.tag import Certainty, Token, confidence, entities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from shared.runtimes.bundle_files import Side
    from shared.tasks import Request


class Encoding(Protocol):
    """A text as the library ``tokenizers`` encodes it: by token."""

    @property
    def ids(self) -> list[int]:
        """Numbers of the tokens."""

    @property
    def word_ids(self) -> list[int | None]:
        """Which word each token is part of; None: a special token."""

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The first character of each token, and the first one behind."""


@dataclass(frozen=True)
class Tagged:
    """A text's tokens, how the words are written that they are part of, and those words."""

    ids: tuple[int, ...]
    shapes: tuple[int, ...]
    words: tuple[Word, ...]

    def __len__(self) -> int:
        return len(self.ids)


class Taggings:
    """Answers lists of prompts with one tagger."""

    def __init__(
        self,
        labels: tuple[str, ...],
        *,
        encode: Callable[[str], Encoding],
        forward: Callable[[list[Tagged]], Sequence[NDArray[np.float32]]],
        limits: Limits,
        certainty: Certainty = "mean",
    ) -> None:
        """``forward`` gives a row of logits for each token of each text, filled up or not."""
        self._labels = labels
        self._limits = limits
        self._encode = encode
        self.confidence_kind: Certainty = certainty
        self._steps = Steps(read=self._read, forward=forward, scored=self._scored)

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return one entry per request, in order; see ``Model.answer``."""
        return answer_in_batches(requests, self._steps, self._limits)

    def _read(self, request: Request) -> Tagged:
        if request.task != "tag" or request.options:
            raise ValueError(f"a tagger takes no {request.task!r} with {dict(request.options)}")
        encoding, text = self._encode(request.content), request.content
        found = words(text, encoding.word_ids, encoding.offsets)
        ways = shapes(text, len(encoding.ids), found)
        return Tagged(tuple(encoding.ids), tuple(ways), tuple(found))

    def _scored(
        self, request: Request, read: Tagged, logits: NDArray[np.float32], spent_us: float
    ) -> Scored | ModelFailed:
        del request
        start_s = time.perf_counter()
        rows = logits[np.array([word.first for word in read.words], np.int64)]
        if not np.isfinite(rows).all():
            return ModelFailed("the model gave no probabilities: some are not finite numbers")
        largest = rows.argmax(axis=1)
        weights = np.exp(rows - rows.max(axis=1, keepdims=True))
        probabilities = (1.0 / weights.sum(axis=1)).tolist()
        tokens = [
            Token(self._labels[label], word.start, word.end, probability)
            for word, label, probability in zip(
                read.words, largest.tolist(), probabilities, strict=True
            )
        ]
        sure = confidence(probabilities, self.confidence_kind)
        elapsed_us = round(spent_us + (time.perf_counter() - start_s) * 1e6)
        return Scored(entities(tokens), sure, elapsed_us, confidence_kind=self.confidence_kind)


def rows_of(
    logits: NDArray[np.float32], batch: Sequence[Tagged], side: Side
) -> list[NDArray[np.float32]]:
    """Return each text's own rows of what a batch gave, (texts, tokens, labels), without filling.

    Raises ``ValueError`` when it gave anything else.
    """
    longest = max(map(len, batch))
    if logits.shape[:2] != (len(batch), longest):
        raise ValueError(
            f"{len(batch)} prompts of {longest} tokens gave logits of shape {logits.shape}"
        )
    if side == "right":
        return [row[: len(read)] for row, read in zip(logits, batch, strict=True)]
    return [row[longest - len(read) :] for row, read in zip(logits, batch, strict=True)]
