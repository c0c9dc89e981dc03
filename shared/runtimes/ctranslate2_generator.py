"""Texts with CTranslate2: models with an encoder (T5, M2M, NLLB) on any tier, in int8.

Answers from a bundle (``shared.runtimes.bundle``) of its converter's making (``models.pack``). What
has come by a step begins together, as one batch of the engine's own thread, which tells of every
token; what comes later begins when that batch has ended. A text that nobody waits for is left at
its next token. Log probabilities are the model's own.
"""

from __future__ import annotations

import math
import queue
from typing import TYPE_CHECKING, Any, Final

import ctranslate2

from shared.errors import BundleError, InvalidPrompt, RuntimeUnavailable
from shared.runtimes.chat import free_options, options_of
from shared.runtimes.ctranslate2_texts import BatchedScoring, BatchedText, Ctranslate2Tokens
from shared.runtimes.generations import answer_all, could_not_go_on
from shared.runtimes.writer_bundle import WriterBundle

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from shared.runtimes.bundle import Bundle
    from shared.runtimes.model import Entry, Generation
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Request, Task
    from shared.tasks.generate import Certainty

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
        self._tokens = Ctranslate2Tokens(bundle)
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
            return BatchedText(self._tokens, written, wanted, self.confidence_kind, self._begins)
        if request.task == "classify":
            options = options_of(request, self.labels)
            scored = [self._tokens.label(label) for label in options.labels]
            written = self._prompter.classification(request, options, max(map(len, scored)) + 1)
            return BatchedScoring(written, options.labels, scored)
        raise InvalidPrompt(f"{self.name} answers generate and classify, not {request.task!r}")

    def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
        """Go on with all of these; see ``Generator.step``."""
        known: list[Any] = list(generations)
        groups: dict[Hashable, list[BatchedText]] = {}
        for each in known:
            if isinstance(each, BatchedScoring):
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

    def _start(self, texts: list[BatchedText]) -> None:
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
                text.entry = could_not_go_on(error)
            return
        for text, result in zip(texts, batch, strict=True):
            text.batch = result

    def _wait(self, texts: Sequence[BatchedText]) -> None:
        """Wait until some text has gone on, and look for what has failed."""
        try:
            self._told.get(timeout=_LOOK_S)
            while not self._told.empty():
                self._told.get()
        except queue.Empty:
            for text in texts:
                text.look()


def _teller(texts: Sequence[BatchedText], told: queue.SimpleQueue[None]) -> Callable[[Any], bool]:
    """Return what the engine tells each token.

    It must not hold the engine: whoever lets go of that last waits for its thread to end, and the
    thread, which lets go of this, cannot wait for itself.
    """

    def tell(result: Any) -> bool:
        enough: bool = texts[result.batch_id].take(result.token, result.log_prob)
        told.put(None)
        return enough

    return tell


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
