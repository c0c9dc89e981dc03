"""A text while a model writes it, whatever the engine: where it ends, and how sure it was.

It ends with a token that says so, at a stop string (which is left out), when its tokens are used
up, or when it does nothing but say the same again: ``_WINDOW`` tokens that repeat a piece of no
more than ``_PIECE``. Of such a text the repeats are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.messages import Scored
from shared.tasks.classify import Label, max_probability, softmax
from shared.tasks.generate import Completion, confidence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from shared.runtimes.chat import Written
    from shared.tasks.generate import Certainty, Finish, GenerateOptions

_WINDOW: Final = 64
_PIECE: Final = 16
_LOOK_EVERY: Final = 8


class Writing:
    """The tokens of one answer so far."""

    def __init__(
        self,
        *,
        new_tokens: int,
        ends: Collection[int] = (),
        stop: Sequence[str] = (),
        tokens_in: int = 0,
        prompt_cut: bool = False,
    ) -> None:
        """Write ``new_tokens`` at most; ``ends`` are the tokens that end a text."""
        self.log_probabilities: list[float] = []
        self.finish: Finish | None = None
        """Why it has ended, once it has."""
        self._tokens: list[int] = []
        self._pieces: list[str] = []
        self._new_tokens = new_tokens
        self._ends = frozenset(ends)
        self._stop = tuple(stop)
        self._longest_stop = max(map(len, stop), default=0)
        self._tail = ""
        self._text: str | None = None
        self._tokens_in = tokens_in
        self._prompt_cut = prompt_cut

    @classmethod
    def of(cls, written: Written, wanted: GenerateOptions, ends: Collection[int]) -> Writing:
        """Begin what is to be written after a chat, as it is wanted."""
        return cls(
            new_tokens=written.new_tokens,
            ends=ends,
            stop=wanted.stop,
            tokens_in=len(written.tokens),
            prompt_cut=written.cut,
        )

    @property
    def written(self) -> int:
        """Tokens written so far, with the one that ends the text."""
        return len(self._tokens)

    def add(self, token: int, log_probability: float, piece: str) -> None:
        """Take the next token, the chance that the model gave it, and what it adds to the text."""
        self._tokens.append(token)
        self.log_probabilities.append(log_probability)
        if token in self._ends:
            self.finish = "stop"
            return
        self._pieces.append(piece)
        if self._stop and self._stops(piece):
            self.finish = "stop"
        elif len(self._tokens) >= self._new_tokens:
            self.finish = "length"
        elif not len(self._tokens) % _LOOK_EVERY and (period := _period(self._tokens)):
            self._forget(_WINDOW - period)
            self.finish = "repeats"

    def scored(self, certainty: Certainty, elapsed_us: int) -> Scored:
        """Return the answer; it is finished, or as far as it came."""
        text = "".join(self._pieces) if self._text is None else self._text
        answer = Completion(
            text,
            self.finish or "length",
            self._tokens_in,
            self.written,
            prompt_cut=self._prompt_cut,
        )
        sure = confidence(self.log_probabilities, certainty)
        return Scored(answer, sure, elapsed_us, confidence_kind=certainty)

    def _stops(self, piece: str) -> bool:
        """Say whether a stop string is in the text now, and cut the text before it."""
        seen = self._tail + piece
        found = [at for at in map(seen.find, self._stop) if at >= 0]
        if found:
            whole = "".join(self._pieces)
            self._text = whole[: len(whole) - len(seen) + min(found)]
            return True
        self._tail = seen[-(self._longest_stop - 1) :] if self._longest_stop > 1 else ""
        return False

    def _forget(self, tokens: int) -> None:
        del self._tokens[-tokens:]
        del self._pieces[-tokens:]
        del self.log_probabilities[-tokens:]


class Pieces:
    """What each token adds to a text, for tokenizers that only know of whole texts.

    A token may be a part of a character: nothing is added before the last of its tokens is there.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        """``decode`` returns the text of tokens, without those that are no text."""
        self._decode = decode
        self._tokens: list[int] = []
        self._from = 0
        self._read = 0

    def add(self, token: int) -> str:
        """Return what the next token adds."""
        self._tokens.append(token)
        before = self._decode(self._tokens[self._from : self._read])
        after = self._decode(self._tokens[self._from :])
        if after.endswith("\ufffd") or len(after) <= len(before):
            return ""
        self._from, self._read = self._read, len(self._tokens)
        return after[len(before) :]


def scored_choice(names: Sequence[str], means: Sequence[float], spent_s: float) -> Scored:
    """Return the choice among labels, by the mean log probability of each one's tokens."""
    probabilities = softmax(means)
    index, sure = max_probability(probabilities)
    return Scored(Label(names[index]), sure, round(spent_s * 1e6), probabilities)


def _period(tokens: Sequence[int]) -> int:
    """Return the length of the piece that the end of a text does nothing but repeat, or 0."""
    end = tokens[-_WINDOW:]
    if len(end) < _WINDOW:
        return 0
    for period in range(1, _PIECE + 1):
        if end[period:] == end[:-period]:
            return period
    return 0
