"""Texts with PyTorch and Hugging Face transformers, with an encoder or without: edge and cloud.

Reads a local folder or a model of the hub. Texts under way go on together, a batch at each step;
one joins as soon as its prompt is read, and none waits for another. A prompt to ``classify`` is
answered by scoring each label as the model's answer, as ``shared.runtimes.genai_generator`` does.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import BundleError, InvalidPrompt, ModelFailed, PromptError, RuntimeUnavailable
from shared.runtimes.chat import Prompter, free_options, options_of
from shared.runtimes.generations import answer_all
from shared.runtimes.text_manifest import served_digest
from shared.runtimes.torch_choosing import Chooser, next_tokens, rules_of
from shared.runtimes.torch_decoders import CausalDecoder, CrossDecoder
from shared.runtimes.torch_folder import (
    device_of,
    read_config,
    read_tokenizer,
    read_weights,
    silence,
    token_limit,
)
from shared.runtimes.torch_rows import join, keep
from shared.runtimes.torch_tokens import TorchTokens
from shared.runtimes.writing import Pieces, Writing, scored_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes.chat import Written
    from shared.runtimes.model import Entry, Generation, ModelSettings
    from shared.runtimes.torch_decoders import Decoder
    from shared.runtimes.torch_rows import Rows
    from shared.tasks import Request, Task
    from shared.tasks.generate import Certainty, GenerateOptions

_ENGINE: Final = "transformers"


class TorchGenerator:
    """A ``Generator`` for a language model of Hugging Face."""

    tasks: frozenset[Task] = frozenset({"generate", "classify"})

    def __init__(self, settings: ModelSettings) -> None:
        self.name = settings.source
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._device = device_of(settings.device)
        self.device = str(self._device)
        with silence():
            config = read_config(settings.source)
            self._encodes = bool(config.is_encoder_decoder)
            tokenizer = read_tokenizer(settings.source)
            kinds = (transformers.AutoModelForCausalLM, transformers.AutoModelForSeq2SeqLM)
            network = read_weights(kinds[self._encodes], settings, self._device, "write")
        commit = getattr(config, "_commit_hash", None)  # of the hub
        self.digest = served_digest(commit, settings) if commit else ""
        self.labels = settings.labels
        self.at_once = settings.batch_prompts
        self.tokens_at_once = settings.tokens_at_once
        self.confidence_kind: Certainty = settings.certainty or "perplexity"
        self._tokens = TorchTokens(tokenizer, network, encodes=self._encodes)
        self._rules = rules_of(
            network.generation_config,
            sorted(self._tokens.ends),
            str(self._device),
            encodes=self._encodes,
        )
        self._decoder: Decoder | None = (
            CrossDecoder(network, self._device, self._tokens.start)
            if self._encodes
            else CausalDecoder(network, self._device)
        )
        self.prompter = Prompter(
            self._tokens,
            context_tokens=token_limit(config, tokenizer, network, settings.max_tokens),
            chats=self._tokens.chats,
            instruction=settings.instruction,
            max_new_tokens=settings.max_new_tokens,
            labels=settings.labels,
            special=self._tokens.special,
            apart=self._encodes,
        )

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request; see ``Generator.begin``."""
        del deadline_s
        if self._decoder is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        if request.task == "generate":
            wanted = free_options(request, _ENGINE)
            written = self.prompter.generation(request, wanted)
            before = list(self._tokens.start) if self._encodes else written.tokens
            chooser = Chooser(wanted, self._rules, self._device, before)
            return _Text(self._tokens, written, wanted, chooser, self.confidence_kind)
        if request.task == "classify":
            options = options_of(request, self.labels)
            scored = [self._tokens.label(label) for label in options.labels]
            written = self.prompter.classification(request, options, max(map(len, scored)))
            return _Scoring(written, options.labels, scored)
        raise InvalidPrompt(f"{self.name} answers generate and classify, not {request.task!r}")

    def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
        """Go on with all of these; see ``Generator.step``."""
        assert self._decoder is not None  # noqa: S101 - a closed model is not gone on with
        entries: dict[int, Entry] = {}
        with torch.inference_mode():
            writing: list[Any] = []
            for each in generations:
                ready = isinstance(each, _Text) and each.band is not None
                entry = None if ready else _guarded(each, self._decoder)
                if ready:
                    writing.append(each)
                elif entry is not None:
                    entries[id(each)] = entry
            for band in _bands(writing, self._decoder):
                entries |= band.go_on(self._decoder)
        for each in generations:
            if id(each) in entries:
                each.close()
        return [entries.get(id(each)) for each in generations]

    def answer(self, requests: Sequence[Request]) -> list[Entry]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        return answer_all(self, requests)

    def close(self) -> None:
        """Let go of the weights, and of the GPU memory they held."""
        self._decoder = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class _Band:
    """Texts that go on together, a row of the cache each."""

    def __init__(self, texts: Sequence[_Text], rows: Rows) -> None:
        self.texts = list(texts)
        self.rows = rows
        for text in texts:
            text.band = self

    def part(self, texts: Sequence[_Text]) -> Rows:
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
            return {id(text): _failed(error) for text in self.texts}
        spent_s = (time.perf_counter() - started_s) / len(self.texts)
        ended: dict[int, Entry] = {}
        for text, (token, chance) in zip(self.texts, chosen, strict=True):
            entry = text.take(token, chance, spent_s)
            if entry is not None:
                ended[id(text)] = entry
        return ended


def _bands(texts: Sequence[_Text], decoder: Decoder) -> list[_Band]:
    """Put together what can go on together; nothing is moved where nobody has come or gone."""
    old: dict[int, list[_Text]] = {}
    for text in texts:
        old.setdefault(id(text.band), []).append(text)
    groups: dict[Any, list[tuple[list[_Text], Rows]]] = {}
    for members in old.values():
        band = members[0].band
        assert band is not None  # noqa: S101 - none is read who has none
        members.sort(key=band.texts.index)
        rows = band.part(members)
        groups.setdefault(decoder.together(rows), []).append((members, rows))
    return [
        _Band([text for members, _ in parts for text in members], join([part for _, part in parts]))
        for parts in groups.values()
    ]


class _Text:
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
        self.band: _Band | None = None
        self.last = 0
        self._certainty = certainty
        self._unread = written.tokens
        self._rows: Rows | None = None
        self._pieces = Pieces(tokens.decode)
        self._writing = Writing(
            new_tokens=written.new_tokens,
            ends=tokens.ends,
            stop=wanted.stop,
            tokens_in=len(written.tokens),
            prompt_cut=written.cut,
        )
        self._spent_s = 0.0

    @property
    def written(self) -> int:
        return self._writing.written

    def close(self) -> None:
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
        _Band([self], self._rows)
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


class _Scoring:
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


def _guarded(generation: Any, decoder: Decoder) -> Entry | None:
    try:
        entry: Entry | None = generation.advance(decoder)
    except PromptError as error:
        return error
    except BundleError as error:
        return ModelFailed(str(error))
    except Exception as error:  # noqa: BLE001 - whatever the engine raises
        return _failed(error)
    return entry


def _failed(error: Exception) -> ModelFailed:
    return ModelFailed(f"the model could not go on: {type(error).__name__}: {error}")
