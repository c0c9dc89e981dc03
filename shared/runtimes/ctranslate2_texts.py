"""What is under way in a generator of CTranslate2: texts, and labels that are scored."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from shared.errors import BundleError, ModelFailed
from shared.runtimes.generations import could_not_go_on
from shared.runtimes.writing import Pieces, Writing, scored_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes.bundle import Bundle
    from shared.runtimes.chat import Written
    from shared.runtimes.model import Entry
    from shared.tasks.generate import Certainty, GenerateOptions


class Ctranslate2Tokens:
    """The bundle's tokenizer."""

    def __init__(self, bundle: Bundle) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(bundle.tokenizer))
        except Exception as error:
            raise BundleError(f"{bundle.tokenizer}: cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        ends = bundle.manifest.ends
        self.ends = frozenset(map(self.number, ends))
        added = self._tokenizer.get_added_tokens_decoder().values()
        self.special = [token.content for token in added if token.special]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a prompt."""
        return list(self._tokenizer.encode(text).ids)

    def label(self, label: str) -> list[str]:
        """Return the names of the tokens of a label."""
        return list(self._tokenizer.encode(label, add_special_tokens=False).tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return what tokens say."""
        return str(self._tokenizer.decode(list(tokens)))

    def names(self, tokens: Sequence[int]) -> list[str]:
        """Return the names of tokens."""
        return [str(self._tokenizer.id_to_token(token)) for token in tokens]

    def number(self, name: str) -> int:
        """Return a token by its name."""
        token = self._tokenizer.token_to_id(name)
        return -1 if token is None else int(token)  # of a vocabulary's padding

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """Refuse a chat."""
        raise ModelFailed(f"a model with an encoder holds no chat of {len(messages)} turns")


class BatchedText:
    """A text under way; ``take`` is called in the engine's thread, all else in the model's."""

    def __init__(
        self,
        tokens: Ctranslate2Tokens,
        written: Written,
        wanted: GenerateOptions,
        certainty: Certainty,
        begins: Sequence[str],
    ) -> None:
        self.read = written.tokens
        self.new_tokens = written.new_tokens
        self.tokens = len(written.tokens) + written.new_tokens
        self.drawn = (wanted.temperature, wanted.top_p)
        self.batch: Any = None
        self.entry: Entry | None = None
        self._skip = len(begins)
        self._vocabulary = tokens
        self._certainty = certainty
        self._left = False
        self._pieces = Pieces(tokens.decode)
        self._writing = Writing.of(written, wanted, tokens.ends)
        self._begun_s = time.perf_counter()

    @property
    def written(self) -> int:
        """Tokens written so far."""
        return self._writing.written

    @property
    def sampling(self) -> dict[str, Any]:
        """How its tokens are drawn, as the engine has it."""
        temperature, top_p = self.drawn
        if not temperature:
            return {}
        return {"sampling_topk": 0, "sampling_temperature": temperature, "sampling_topp": top_p}

    def close(self) -> None:
        """Let go of it."""
        self._left = True

    def take(self, name: str, log_probability: float) -> bool:
        """Take the next token; return whether no more are wanted."""
        if self._left or self.entry is not None:
            return True
        if self._skip:  # what every answer begins with
            self._skip -= 1
            return False
        token = self._vocabulary.number(name)
        try:
            self._writing.add(token, log_probability, self._pieces.add(token))
        except Exception as error:  # noqa: BLE001 - it would end the engine's thread
            self.entry = could_not_go_on(error)
            return True
        if self._writing.finish is not None:
            self.entry = self._scored()
        return self.entry is not None

    def look(self) -> None:
        """See whether the engine has ended without a word."""
        if self.entry is None and self.batch is not None and self.batch.done():
            try:
                self.batch.result()
            except Exception as error:  # noqa: BLE001 - whatever the engine raises
                self.entry = could_not_go_on(error)
            else:
                self.entry = self._scored()

    def _scored(self) -> Scored:
        spent_s = time.perf_counter() - self._begun_s
        return self._writing.scored(self._certainty, round(spent_s * 1e6))


class BatchedScoring:
    """Labels that are scored together, each as the answer to the same prompt."""

    written = 0

    def __init__(self, written: Written, names: Sequence[str], labels: list[list[str]]) -> None:
        self.tokens = len(written.tokens) + max(map(len, labels)) + 1
        self.entry: Entry | None = None
        self._read = written.tokens
        self._names = names
        self._labels = labels

    def close(self) -> None:
        """Let go of it."""
        self._labels = []

    def score(self, engine: Any, tokens: Ctranslate2Tokens, begins: list[str]) -> None:
        """Score all labels, with the token that ends each."""
        started_s = time.perf_counter()
        try:
            results = engine.score_batch(
                [tokens.names(self._read)] * len(self._labels),
                [[*begins, *label] for label in self._labels],
                offset=len(begins),
                max_input_length=0,
            )
        except Exception as error:  # noqa: BLE001 - whatever the engine raises
            self.entry = could_not_go_on(error)
            return
        chances = [result.log_probs for result in results]
        means = [math.fsum(each) / len(each) for each in chances]
        self.entry = scored_choice(self._names, means, time.perf_counter() - started_s)
