"""Texts with ``onnxruntime-genai``: decoder-only language models on devices and edges.

Answers from a bundle (``shared.runtimes.bundle``) of its builder's making (``models.pack``). Every
text under way has a cache of its own, so one joins when another has ended; log probabilities are
read at each token, before temperature, top-p and constraints. A prompt is read in pieces of
``_CHUNK`` tokens: the engine lets no other thread of Python run while it computes.

A prompt to ``classify`` is answered by scoring each label as the model's answer: the mean log
probability of its tokens and the one that ends it, made into probabilities by softmax.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime_genai as genai

from shared.errors import BundleError, InvalidPrompt, ModelFailed, PromptError, RuntimeUnavailable
from shared.messages import Scored
from shared.runtimes.bundle import Bundle, check_runtime
from shared.runtimes.chat import Prompter
from shared.runtimes.generations import answer_all
from shared.runtimes.text_manifest import TOKENIZER, served_digest
from shared.runtimes.writing import Writing
from shared.tasks import classify, generate
from shared.tasks.classify import Label, max_probability, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shared.runtimes.chat import Written
    from shared.runtimes.model import Entry, Generation, ModelSettings
    from shared.tasks import Request, Task
    from shared.tasks.generate import Certainty, GenerateOptions

_CHUNK: Final = 32
_PROVIDERS: Final = {"cuda": "cuda", "tensorrt": "NvTensorRtRtx"}


class GenaiGenerator:
    """A ``Generator`` for a bundle."""

    tasks: frozenset[Task] = frozenset({"generate", "classify"})

    def __init__(self, settings: ModelSettings) -> None:
        bundle = Bundle.open(settings.source)
        check_runtime(bundle, "genai")
        manifest = bundle.manifest
        self.name = manifest.name
        self.digest = served_digest(bundle.digest, settings)
        self.labels = settings.labels
        self.at_once = settings.batch_prompts
        self.tokens_at_once = settings.tokens_at_once
        self.confidence_kind: Certainty = settings.certainty or _certainty_of(bundle)
        same = self.confidence_kind == manifest.confidence
        self.expected = bundle.expected_of(None) if same else {}
        self._engine: genai.Model | None = _load_engine(bundle, settings)
        self._tokens = _Tokens(self._engine, bundle)
        self._prompter = Prompter(
            self._tokens,
            context_tokens=min(manifest.max_tokens, settings.max_tokens or manifest.max_tokens),
            chats=bundle.chats,
            instruction=settings.instruction,
            max_new_tokens=settings.max_new_tokens,
            special=_special_of(bundle),
        )
        self._before_label = "" if bundle.chats else " "

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request; see ``Generator.begin``."""
        del deadline_s
        if self._engine is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        if request.task == "generate":
            wanted = generate.read(request.options)
            written = self._prompter.generation(request, wanted)
            return _Text(self._engine, self._tokens, written, wanted, self.confidence_kind)
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
        wanted = classify.read(request.options)
        if wanted is None and not self.labels:
            raise InvalidPrompt(
                "this model has no labels of its own: name them in the options of classify"
            )
        options = wanted or classify.ClassifyOptions(labels=self.labels)
        scored = [self._tokens.encode(self._before_label + label) for label in options.labels]
        written = self._prompter.classification(request, options, max(map(len, scored)) + 1)
        ended = [[*label, self._tokens.end] for label in scored]
        return _Scoring(self._engine, written, options.labels, ended)


class _Tokens:
    """The bundle's tokenizer, as the engine reads it."""

    def __init__(self, engine: genai.Model, bundle: Bundle) -> None:
        try:
            self.tokenizer = genai.Tokenizer(engine)
            self.ends = frozenset(int(token) for token in self.tokenizer.eos_token_ids)
        except Exception as error:
            raise BundleError(
                f"{bundle.tokenizer}: onnxruntime-genai cannot read it: {error}"
            ) from error
        self.end = min(self.ends, default=0)
        self._bos = self.tokenizer.bos_token_id

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text).tolist() if text else []
        twice = tokens[:2] == [self._bos, self._bos]  # the template's, and the tokenizer's
        return tokens[1:] if twice else tokens

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(np.array(tokens, np.int32))) if tokens else ""

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        try:
            return str(
                self.tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)
            )
        except Exception as error:
            raise ModelFailed(f"the chat template does not take this chat: {error}") from error


class _Text:
    """A text under way."""

    def __init__(
        self,
        engine: genai.Model,
        tokens: _Tokens,
        written: Written,
        wanted: GenerateOptions,
        certainty: Certainty,
    ) -> None:
        self.tokens = len(written.tokens) + written.new_tokens
        self._certainty = certainty
        self._unread = written.tokens
        self._writing = Writing(
            new_tokens=written.new_tokens,
            ends=tokens.ends,
            stop=wanted.stop,
            tokens_in=len(written.tokens),
            prompt_cut=written.cut,
        )
        self._stream = tokens.tokenizer.create_stream()
        params = _params(engine, wanted, max_length=self.tokens)
        self._generator: genai.Generator | None = _generator(engine, params, wanted)
        self._spent_s = 0.0

    @property
    def written(self) -> int:
        return self._writing.written

    def close(self) -> None:
        self._generator = None

    def advance(self) -> Scored | None:
        """Read the next piece of the prompt, or write the next token."""
        assert self._generator is not None  # noqa: S101 - a closed one is not gone on with
        started_s = time.perf_counter()
        if self._unread:
            self._generator.append_tokens(self._unread[:_CHUNK])
            self._unread = self._unread[_CHUNK:]
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


class _Scoring:
    """Labels that are scored one after another, each as the answer to the same prompt."""

    written = 0

    def __init__(
        self,
        engine: genai.Model,
        written: Written,
        names: Sequence[str],
        labels: Sequence[list[int]],
    ) -> None:
        self.tokens = len(written.tokens) + max(map(len, labels))
        self._names = names
        self._unread, self._read = written.tokens, len(written.tokens)
        self._unscored = list(labels)
        self._means: list[float] = []
        params = genai.GeneratorParams(engine)
        params.set_search_options(max_length=self.tokens)
        self._generator: genai.Generator | None = genai.Generator(engine, params)
        self._first: NDArray[np.float32] | None = None
        self._spent_s = 0.0

    def close(self) -> None:
        self._generator = None

    def advance(self) -> Scored | None:
        """Read the next piece of the prompt, or score the next label."""
        assert self._generator is not None  # noqa: S101 - a closed one is not gone on with
        started_s = time.perf_counter()
        if self._unread:
            self._generator.append_tokens(self._unread[:_CHUNK])
            self._unread = self._unread[_CHUNK:]
        else:
            self._means.append(self._score(self._generator, self._unscored.pop(0)))
        self._spent_s += time.perf_counter() - started_s
        if self._unscored or self._unread:
            return None
        probabilities = softmax(self._means)
        index, confidence = max_probability(probabilities)
        label, spent_us = Label(self._names[index]), round(self._spent_s * 1e6)
        return Scored(label, confidence, spent_us, probabilities)

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


def _advance(generation: Any) -> Entry | None:
    try:
        entry: Entry | None = generation.advance()
    except PromptError as error:
        entry = error
    except Exception as error:  # noqa: BLE001 - whatever the engine raises
        entry = ModelFailed(f"the model could not go on: {type(error).__name__}: {error}")
    if entry is not None:
        generation.close()
    return entry


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
        raise InvalidPrompt(f"no text can be as it is wanted: {error}") from error


def _guidance(wanted: GenerateOptions) -> tuple[str, str]:
    if wanted.json_schema is not None:
        return "json_schema", json.dumps(wanted.json_schema)
    if wanted.regex is not None:
        return "regex", wanted.regex
    return "lark_grammar", "start: " + " | ".join(map(json.dumps, wanted.choices or ()))


def _certainty_of(bundle: Bundle) -> Certainty:
    match bundle.manifest.confidence:
        case "perplexity" | "mean" | "least" as certainty:
            return certainty
    task = bundle.manifest.task
    raise BundleError(f"{bundle.folder}: is for {task}, which the runtime genai cannot do")


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
