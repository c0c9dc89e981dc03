"""Texts with ``onnxruntime-genai``: decoder-only language models on devices and edges.

Answers from a bundle (``shared.runtimes.bundle``) of its builder's making (``models.pack``). Every
text under way has a cache of its own, so one joins when another has ended; log probabilities are
read at each token, before temperature, top-p and constraints.

A prompt to ``classify`` is answered by scoring each label as the model's answer: the mean log
probability of its tokens and the one that ends it, made into probabilities by softmax.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import onnxruntime_genai as genai

from shared.errors import BundleError, InvalidPrompt, PromptError, RuntimeUnavailable
from shared.runtimes.chat import options_of
from shared.runtimes.genai_texts import (
    GenaiScoring,
    GenaiText,
    PieceReader,
    prepare_constraints,
)
from shared.runtimes.genai_tokens import GenaiTokens
from shared.runtimes.generations import answer_all, could_not_go_on
from shared.runtimes.text_manifest import TOKENIZER
from shared.runtimes.writer_bundle import WriterBundle
from shared.tasks import generate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes.bundle import Bundle
    from shared.runtimes.model import Entry, Generation
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Request, Task
    from shared.tasks.generate import Certainty

_PROVIDERS: Final = {"cuda": "cuda", "tensorrt": "NvTensorRtRtx"}


class GenaiGenerator:
    """A ``Generator`` for a bundle."""

    tasks: frozenset[Task] = frozenset({"generate", "classify"})

    def __init__(self, settings: ModelSettings) -> None:
        opened = WriterBundle(settings, "genai")
        bundle = opened.bundle
        self.name = opened.name
        self.digest = opened.digest
        self.expected = opened.expected
        self.confidence_kind: Certainty = opened.certainty
        self.labels = settings.labels
        self.at_once = settings.batch_prompts
        self.tokens_at_once = settings.tokens_at_once
        self._engine: genai.Model | None = _load_engine(bundle, settings)
        prepare_constraints(self._engine)
        self._tokens = GenaiTokens(self._engine, bundle)
        self.prompter = opened.prompter(
            self._tokens, chats=bundle.chats, special=_special_of(bundle)
        )
        self._reader = PieceReader()
        self._before_label = "" if bundle.chats else " "

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request; see ``Generator.begin``."""
        del deadline_s
        if self._engine is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        if request.task == "generate":
            wanted = generate.read(request.options)
            written = self.prompter.generation(request, wanted)
            return GenaiText(
                self._engine, self._reader, self._tokens, written, wanted, self.confidence_kind
            )
        if request.task == "classify":
            return self._choice(request)
        raise InvalidPrompt(f"{self.name} answers generate and classify, not {request.task!r}")

    def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
        """Go on with all of these; see ``Generator.step``."""
        return [_advance(generation) for generation in generations]

    def answer(self, requests: Sequence[Request]) -> list[Entry]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        return answer_all(self, requests)

    def close(self) -> None:
        """Let go of the engine."""
        self._engine = None

    def _choice(self, request: Request) -> Generation:
        options = options_of(request, self.labels)
        scored = [self._tokens.encode(self._before_label + label) for label in options.labels]
        written = self.prompter.classification(request, options, max(map(len, scored)) + 1)
        ended = [[*label, self._tokens.end] for label in scored]
        return GenaiScoring(self._engine, self._reader, written, options.labels, ended)


def _advance(generation: Any) -> Entry | None:
    try:
        entry: Entry | None = generation.advance()
    except PromptError as error:
        entry = error
    except Exception as error:  # noqa: BLE001 - whatever the engine raises
        entry = could_not_go_on(error)
    if entry is not None:
        generation.close()
    return entry


def _special_of(bundle: Bundle) -> list[str]:
    """Return the words that are tokens of the template's own."""
    tokenizer = json.loads((bundle.folder / TOKENIZER).read_text(encoding="utf-8"))
    return [added["content"] for added in tokenizer.get("added_tokens", ()) if added["special"]]


def _load_engine(bundle: Bundle, settings: ModelSettings) -> genai.Model:
    session = {"intra_op_num_threads": settings.threads, "session.intra_op.allow_spinning": "0"}
    try:
        config = genai.Config(str(bundle.folder))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
        if settings.providers != ("cpu",):
            config.clear_providers()
            for name in settings.providers:
                if name in _PROVIDERS:
                    config.append_provider(_PROVIDERS[name])
        return genai.Model(config)
    except Exception as error:
        if settings.providers[0] != "cpu":
            raise RuntimeUnavailable(
                f"the execution provider {settings.providers[0]} did not start ({error}); check "
                "its driver and libraries, or set model.providers to [cpu]"
            ) from error
        raise BundleError(f"{bundle.folder}: onnxruntime-genai cannot load it: {error}") from error
