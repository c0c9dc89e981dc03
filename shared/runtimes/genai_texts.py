"""Texts under way in ``onnxruntime-genai``: one that is written, and labels that are scored.

The engine lets no other thread of Python run while it computes, so a prompt is read in pieces, as
long as the machine reads in about ``_PIECE_S``.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime_genai as genai

from shared.errors import InvalidPrompt
from shared.runtimes.writing import Writing, scored_choice
from shared.tasks.generate import GenerateOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from shared.messages import Scored
    from shared.runtimes.chat import Written
    from shared.runtimes.genai_tokens import GenaiTokens
    from shared.tasks.generate import Certainty

_PIECE_S: Final = 0.1
_SHORTEST: Final = 16
"""A shorter one takes hardly less time: the weights are read for each."""
_LONGEST: Final = 256
_CONSTRAINED: Final = GenerateOptions(regex="a")


def prepare_constraints(engine: genai.Model) -> None:
    """Have the engine read its vocabulary for constraints: once, and not while a prompt waits.

    An engine that knows no constraints refuses the prompts that have any.
    """
    with contextlib.suppress(InvalidPrompt):
        _generator(engine, _params(engine, _CONSTRAINED, max_length=2), _CONSTRAINED)


class PieceReader:
    """Reads prompts piece by piece; how long a piece is, it learns from how long the last took."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._tokens = 2 * _SHORTEST

    def read(self, generator: genai.Generator, unread: list[int]) -> list[int]:
        """Have the engine read the next piece, and return what is left."""
        piece = unread[: self._tokens]
        started_s = self._clock()
        generator.append_tokens(piece)
        spent_s = self._clock() - started_s
        if spent_s > 2 * _PIECE_S:
            self._tokens = max(self._tokens // 2, _SHORTEST)
        elif spent_s < _PIECE_S and len(piece) == self._tokens:
            self._tokens = min(self._tokens * 2, _LONGEST)
        return unread[len(piece) :]


class GenaiText:
    """A text under way."""

    def __init__(
        self,
        engine: genai.Model,
        reader: PieceReader,
        tokens: GenaiTokens,
        written: Written,
        wanted: GenerateOptions,
        certainty: Certainty,
    ) -> None:
        self.tokens = len(written.tokens) + written.new_tokens
        self._certainty = certainty
        self._reader = reader
        self._unread = written.tokens
        self._writing = Writing.of(written, wanted, tokens.ends)
        self._stream = tokens.tokenizer.create_stream()
        params = _params(engine, wanted, max_length=self.tokens)
        self._generator: genai.Generator | None = _generator(engine, params, wanted)
        self._spent_s = 0.0

    @property
    def written(self) -> int:
        """Tokens written so far."""
        return self._writing.written

    def close(self) -> None:
        """Let go of the cache."""
        self._generator = None

    def advance(self) -> Scored | None:
        """Read the next piece of the prompt, or write the next token."""
        assert self._generator is not None  # noqa: S101 - a closed one is not gone on with
        started_s = time.perf_counter()
        if self._unread:
            self._unread = self._reader.read(self._generator, self._unread)
        else:
            self._write(self._generator)
        self._spent_s += time.perf_counter() - started_s
        if self._writing.finish is None:
            return None
        return self._writing.scored(self._certainty, round(self._spent_s * 1e6))

    def _write(self, generator: genai.Generator) -> None:
        logits = generator.get_logits()[0, -1]
        generator.generate_next_token()
        token = int(generator.get_next_tokens()[0])
        self._writing.add(token, _log_probability(logits, token), self._stream.decode(token))


class GenaiScoring:
    """Labels that are scored one after another, each as the answer to the same prompt."""

    written = 0

    def __init__(
        self,
        engine: genai.Model,
        reader: PieceReader,
        written: Written,
        names: Sequence[str],
        labels: Sequence[list[int]],
    ) -> None:
        self.tokens = len(written.tokens) + max(map(len, labels))
        self._names = names
        self._reader = reader
        self._unread, self._read = written.tokens, len(written.tokens)
        self._unscored = list(labels)
        self._means: list[float] = []
        params = genai.GeneratorParams(engine)
        params.set_search_options(max_length=self.tokens)
        self._generator: genai.Generator | None = genai.Generator(engine, params)
        self._first: NDArray[np.float32] | None = None
        self._spent_s = 0.0

    def close(self) -> None:
        """Let go of the cache."""
        self._generator = None

    def advance(self) -> Scored | None:
        """Read the next piece of the prompt, or score the next label."""
        assert self._generator is not None  # noqa: S101 - a closed one is not gone on with
        started_s = time.perf_counter()
        if self._unread:
            self._unread = self._reader.read(self._generator, self._unread)
        else:
            self._means.append(self._score(self._generator, self._unscored.pop(0)))
        self._spent_s += time.perf_counter() - started_s
        if self._unscored or self._unread:
            return None
        return scored_choice(self._names, self._means, self._spent_s)

    def _score(self, generator: genai.Generator, label: list[int]) -> float:
        """Return the mean log probability of a label's tokens."""
        if self._first is None:
            self._first = generator.get_logits()[0, -1].copy()
        generator.append_tokens(label[:-1])
        rows = generator.get_output("logits")[0]
        generator.rewind_to(self._read)
        chances = [_log_probability(self._first, label[0])]
        chances += map(_log_probability, rows[-len(label) + 1 :], label[1:])
        return math.fsum(chances) / len(chances)


def _log_probability(logits: NDArray[np.float32], token: int) -> float:
    largest = logits.max()
    return float(logits[token] - largest - np.log(np.exp(logits - largest).sum()))


def _params(engine: genai.Model, wanted: GenerateOptions, *, max_length: int) -> Any:
    params = genai.GeneratorParams(engine)
    sampling: dict[str, Any] = {}
    if wanted.temperature:
        sampling = {"do_sample": True, "temperature": wanted.temperature, "top_p": wanted.top_p}
        sampling |= {"top_k": 0}
        if wanted.seed is not None:
            sampling["random_seed"] = wanted.seed
    params.set_search_options(max_length=max_length, **sampling)
    return params


def _generator(engine: genai.Model, params: Any, wanted: GenerateOptions) -> genai.Generator:
    """Return the engine's own generator. Raises ``InvalidPrompt`` for what cannot be satisfied."""
    if not wanted.constrained:
        return genai.Generator(engine, params)
    try:
        params.set_guidance(*_guidance(wanted))
        return genai.Generator(engine, params)
    except Exception as error:
        fault = " ".join(str(error).split())
        raise InvalidPrompt(f"no text can be as it is wanted: {fault}") from error


def _guidance(wanted: GenerateOptions) -> tuple[str, str]:
    if wanted.json_schema is not None:
        return "json_schema", json.dumps(wanted.json_schema)
    if wanted.regex is not None:
        return "regex", wanted.regex
    return "lark_grammar", "start: " + " | ".join(map(json.dumps, wanted.choices or ()))
