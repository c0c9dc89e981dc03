"""What is under way in a generator of PyTorch: texts, and labels that are scored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shared.errors import BundleError, ModelFailed, PromptError
from shared.runtimes.generations import could_not_go_on
from shared.runtimes.torch_choosing import Chooser, next_tokens
from shared.runtimes.torch_rows import join, keep
from shared.runtimes.writing import Pieces, Writing, scored_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes.chat import Written
    from shared.runtimes.model import Entry
    from shared.runtimes.torch_decoders import Decoder
    from shared.runtimes.torch_rows import Rows
    from shared.runtimes.torch_tokens import TorchTokens
    from shared.tasks.generate import Certainty, GenerateOptions


class Band:
    """Texts that go on together, a row of the cache each."""

    def __init__(self, texts: Sequence[TorchText], rows: Rows) -> None:
        self.texts = list(texts)
        self.rows = rows
        for text in texts:
            text.band = self

    def part(self, texts: Sequence[TorchText]) -> Rows:
        """Return the rows of some of these texts."""
        numbers = [self.texts.index(text) for text in texts]
        if numbers == list(range(len(self.texts))):
            return self.rows
        return keep(self.rows, numbers)

    def go_on(self, decoder: Decoder) -> dict[int, Entry]:
        """Write a token of each, and return what has ended; what fails is lost to all of them."""
        started_s = time.perf_counter()
        try:
            self.rows, scores = decoder.go_on([text.last for text in self.texts], self.rows)
            chosen = next_tokens(scores, [text.chooser for text in self.texts])
        except Exception as error:  # noqa: BLE001 - whatever the engine raises
            return {id(text): could_not_go_on(error) for text in self.texts}
        spent_s = (time.perf_counter() - started_s) / len(self.texts)
        ended: dict[int, Entry] = {}
        for text, (token, chance) in zip(self.texts, chosen, strict=True):
            entry = text.take(token, chance, spent_s)
            if entry is not None:
                ended[id(text)] = entry
        return ended


def bands(texts: Sequence[TorchText], decoder: Decoder) -> list[Band]:
    """Put together what can go on together; nothing is moved where nobody has come or gone."""
    old: dict[int, list[TorchText]] = {}
    for text in texts:
        old.setdefault(id(text.band), []).append(text)
    groups: dict[Any, list[tuple[list[TorchText], Rows]]] = {}
    for members in old.values():
        band = members[0].band
        assert band is not None  # noqa: S101 - none is read who has none
        members.sort(key=band.texts.index)
        rows = band.part(members)
        groups.setdefault(decoder.together(rows), []).append((members, rows))
    return [
        Band([text for members, _ in parts for text in members], join([part for _, part in parts]))
        for parts in groups.values()
    ]


class TorchText:
    """A text under way."""

    def __init__(
        self,
        tokens: TorchTokens,
        written: Written,
        wanted: GenerateOptions,
        chooser: Chooser,
        certainty: Certainty,
    ) -> None:
        self.tokens = len(written.tokens) + written.new_tokens
        self.chooser = chooser
        self.band: Band | None = None
        self.last = 0
        self._certainty = certainty
        self._unread = written.tokens
        self._rows: Rows | None = None
        self._pieces = Pieces(tokens.decode)
        self._writing = Writing.of(written, wanted, tokens.ends)
        self._spent_s = 0.0

    @property
    def written(self) -> int:
        """Tokens written so far."""
        return self._writing.written

    def close(self) -> None:
        """Let go of it."""
        self.band = self._rows = None
        self._unread = []

    def advance(self, decoder: Decoder) -> Scored | None:
        """Read the next piece of the prompt; behind the last stands the first token."""
        started_s = time.perf_counter()
        if not self._unread:
            raise ModelFailed("the text was given up")
        count, self._rows, scores = decoder.read(self._unread, self._rows)
        self._unread = self._unread[count:]
        if self._unread:
            self._spent_s += time.perf_counter() - started_s
            return None
        ((token, chance),) = next_tokens(scores, [self.chooser])
        Band([self], self._rows)
        self._rows = None
        return self.take(token, chance, time.perf_counter() - started_s)

    def take(self, token: int, log_probability: float, spent_s: float) -> Scored | None:
        """Take the next token; return the answer if that was the last."""
        self._spent_s += spent_s
        self.last = token
        self._writing.add(token, log_probability, self._pieces.add(token))
        if self._writing.finish is None:
            return None
        return self._writing.scored(self._certainty, round(self._spent_s * 1e6))


class TorchScoring:
    """Labels that are scored one after another, each as the answer to the same prompt."""

    written = 0

    def __init__(
        self, written: Written, names: Sequence[str], labels: Sequence[Sequence[int]]
    ) -> None:
        self.tokens = len(written.tokens) + max(map(len, labels))
        self._names = names
        self._unread = written.tokens
        self._unscored = list(labels)
        self._rows: Rows | None = None
        self._scores: Any = None
        self._means: list[float] = []
        self._spent_s = 0.0

    def close(self) -> None:
        """Let go of it."""
        self._rows = self._scores = None
        self._unread, self._unscored = [], []

    def advance(self, decoder: Decoder) -> Scored | None:
        """Read the next piece of the prompt, or score the next label."""
        started_s = time.perf_counter()
        if self._unread:
            count, self._rows, self._scores = decoder.read(self._unread, self._rows)
            self._unread = self._unread[count:]
        elif self._rows is None:
            raise ModelFailed("the text was given up")
        else:
            label = self._unscored.pop(0)
            self._means.append(decoder.score(label, self._rows, self._scores))
        self._spent_s += time.perf_counter() - started_s
        if self._unscored or self._unread:
            return None
        return scored_choice(self._names, self._means, self._spent_s)


def advance(generation: Any, decoder: Decoder) -> Entry | None:
    """Go on with one text or choice; return what became of it, None while it is under way."""
    try:
        entry: Entry | None = generation.advance(decoder)
    except PromptError as error:
        return error
    except BundleError as error:
        return ModelFailed(str(error))
    except Exception as error:  # noqa: BLE001 - whatever the engine raises
        return could_not_go_on(error)
    return entry
