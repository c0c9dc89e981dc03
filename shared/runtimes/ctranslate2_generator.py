"""Texts with CTranslate2: models with an encoder (T5, M2M, NLLB) on any tier, in int8.

Answers from a bundle (``shared.runtimes.bundle``) of its converter's making (``models.pack``). What
has come by a step begins together, as one batch of the engine's own thread, which tells of every
token; what comes later begins when that batch has ended. A text that nobody waits for is left at
its next token. Log probabilities are the model's own.
"""

from __future__ import annotations

import math
import queue
import time
from typing import TYPE_CHECKING, Any, Final

import ctranslate2
from tokenizers import Tokenizer

from shared.errors import BundleError, InvalidPrompt, ModelFailed, RuntimeUnavailable
from shared.runtimes.chat import free_options, options_of
from shared.runtimes.generations import answer_all
from shared.runtimes.writer_bundle import WriterBundle
from shared.runtimes.writing import Pieces, Writing, scored_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from shared.messages import Scored
    from shared.runtimes.bundle import Bundle
    from shared.runtimes.chat import Written
    from shared.runtimes.model import Entry, Generation, ModelSettings
    from shared.tasks import Request, Task
    from shared.tasks.generate import Certainty, GenerateOptions

_ENGINE: Final = "ctranslate2"
_LOOK_S: Final = 0.05
"""Time after which a batch that tells of no token is looked at: it may have failed."""
_AS_THE_MODEL: Final[dict[str, Any]] = {
    "beam_size": 1,
    "end_token": [],  # the end is a token as any other, so that its chance is told, too
    "min_decoding_length": 0,
    "max_input_length": 0,
    "return_scores": True,
}


class Ctranslate2Generator:
    """A ``Generator`` for a bundle."""

    tasks: frozenset[Task] = frozenset({"generate", "classify"})

    def __init__(self, settings: ModelSettings) -> None:
        opened = WriterBundle(settings, "ctranslate2")
        bundle = opened.bundle
        self.name = opened.name
        self.digest = opened.digest
        self.expected = opened.expected
        self.confidence_kind: Certainty = opened.certainty
        self.labels = settings.labels
        self.at_once = settings.batch_prompts
        self.tokens_at_once = settings.tokens_at_once
        self._tokens = _Tokens(bundle)
        self._begins = list(bundle.manifest.begins)
        self._engine: Any = _load_engine(bundle, settings)
        self.device = str(self._engine.device)
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._prompter = opened.prompter(
            self._tokens, chats=False, special=self._tokens.special, apart=True
        )

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request; see ``Generator.begin``."""
        del deadline_s
        if self._engine is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        if request.task == "generate":
            wanted = free_options(request, _ENGINE)
            if wanted.seed is not None:
                raise InvalidPrompt(
                    "seed is not for this model: ctranslate2 draws all texts from one generator; "
                    "leave it out"
                )
            written = self._prompter.generation(request, wanted)
            return _BatchedText(self._tokens, written, wanted, self.confidence_kind, self._begins)
        if request.task == "classify":
            options = options_of(request, self.labels)
            scored = [self._tokens.label(label) for label in options.labels]
            written = self._prompter.classification(request, options, max(map(len, scored)) + 1)
            return _BatchedScoring(written, options.labels, scored)
        raise InvalidPrompt(f"{self.name} answers generate and classify, not {request.task!r}")

    def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
        """Go on with all of these; see ``Generator.step``."""
        known: list[Any] = list(generations)
        groups: dict[Hashable, list[_BatchedText]] = {}
        for each in known:
            if isinstance(each, _BatchedScoring):
                each.score(self._engine, self._tokens, self._begins)
            elif each.batch is None and each.entry is None:
                groups.setdefault(each.drawn, []).append(each)
        for texts in groups.values():
            self._start(texts)
        if not any(each.entry for each in known):
            self._wait(known)
        return [each.entry for each in known]

    def answer(self, requests: Sequence[Request]) -> list[Entry]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        return answer_all(self, requests)

    def close(self) -> None:
        """Let go of the engine."""
        self._engine = None

    def _start(self, texts: list[_BatchedText]) -> None:
        """Have the engine begin some texts together."""
        try:
            batch = self._engine.translate_batch(
                [self._tokens.names(text.read) for text in texts],
                [self._begins] * len(texts) if self._begins else None,
                max_decoding_length=max(text.new_tokens for text in texts) + len(self._begins),
                callback=_teller(texts, self._told),
                asynchronous=True,
                **_AS_THE_MODEL,
                **texts[0].sampling,
            )
        except Exception as error:  # noqa: BLE001 - whatever the engine raises
            for text in texts:
                text.entry = _failed(error)
            return
        for text, result in zip(texts, batch, strict=True):
            text.batch = result

    def _wait(self, texts: Sequence[_BatchedText]) -> None:
        """Wait until some text has gone on, and look for what has failed."""
        try:
            self._told.get(timeout=_LOOK_S)
            while not self._told.empty():
                self._told.get()
        except queue.Empty:
            for text in texts:
                text.look()


class _Tokens:
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
        return list(self._tokenizer.encode(text).ids)

    def label(self, label: str) -> list[str]:
        return list(self._tokenizer.encode(label, add_special_tokens=False).tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens)))

    def names(self, tokens: Sequence[int]) -> list[str]:
        return [str(self._tokenizer.id_to_token(token)) for token in tokens]

    def number(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        return -1 if token is None else int(token)  # of a vocabulary's padding

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        raise ModelFailed(f"a model with an encoder holds no chat of {len(messages)} turns")


class _BatchedText:
    """A text under way; ``take`` is called in the engine's thread, all else in the model's."""

    def __init__(
        self,
        tokens: _Tokens,
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
        self._writing = Writing(
            new_tokens=written.new_tokens,
            ends=tokens.ends,
            stop=wanted.stop,
            tokens_in=len(written.tokens),
            prompt_cut=written.cut,
        )
        self._begun_s = time.perf_counter()

    @property
    def written(self) -> int:
        return self._writing.written

    @property
    def sampling(self) -> dict[str, Any]:
        temperature, top_p = self.drawn
        if not temperature:
            return {}
        return {"sampling_topk": 0, "sampling_temperature": temperature, "sampling_topp": top_p}

    def close(self) -> None:
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
            self.entry = _failed(error)
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
                self.entry = _failed(error)
            else:
                self.entry = self._scored()

    def _scored(self) -> Scored:
        spent_s = time.perf_counter() - self._begun_s
        return self._writing.scored(self._certainty, round(spent_s * 1e6))


class _BatchedScoring:
    """Labels that are scored together, each as the answer to the same prompt."""

    written = 0

    def __init__(self, written: Written, names: Sequence[str], labels: list[list[str]]) -> None:
        self.tokens = len(written.tokens) + max(map(len, labels)) + 1
        self.entry: Entry | None = None
        self._read = written.tokens
        self._names = names
        self._labels = labels

    def close(self) -> None:
        self._labels = []

    def score(self, engine: Any, tokens: _Tokens, begins: list[str]) -> None:
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
            self.entry = _failed(error)
            return
        chances = [result.log_probs for result in results]
        means = [math.fsum(each) / len(each) for each in chances]
        self.entry = scored_choice(self._names, means, time.perf_counter() - started_s)


def _teller(texts: Sequence[_BatchedText], told: queue.SimpleQueue[None]) -> Callable[[Any], bool]:
    """Return what the engine tells each token.

    It must not hold the engine: whoever lets go of that last waits for its thread to end, and the
    thread, which lets go of this, cannot wait for itself.
    """

    def tell(result: Any) -> bool:
        enough: bool = texts[result.batch_id].take(result.token, result.log_prob)
        told.put(None)
        return enough

    return tell


def _failed(error: Exception) -> ModelFailed:
    return ModelFailed(f"the model could not go on: {type(error).__name__}: {error}")


def _load_engine(bundle: Bundle, settings: ModelSettings) -> Any:
    device, _, index = settings.device.partition(":")
    try:
        return ctranslate2.Translator(
            str(bundle.folder),
            device=device,
            device_index=int(index or 0),
            inter_threads=1,
            intra_threads=settings.threads,
        )
    except Exception as error:
        if device not in {"auto", "cpu"}:
            raise RuntimeUnavailable(
                f"ctranslate2 does not start on {settings.device} ({error}); check the driver, or "
                "set model.device to cpu"
            ) from error
        raise BundleError(f"{bundle.folder}: ctranslate2 cannot load it: {error}") from error
