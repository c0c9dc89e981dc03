"""Texts with PyTorch and Hugging Face transformers, with an encoder or without: edge and cloud.

Reads a local folder or a model of the hub. Texts under way go on together, a batch at each step;
one joins as soon as its prompt is read, and none waits for another. A prompt to ``classify`` is
answered by scoring each label as the model's answer, as ``shared.runtimes.genai_generator`` does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import InvalidPrompt, RuntimeUnavailable
from shared.runtimes.chat import Prompter, free_options, options_of
from shared.runtimes.generations import answer_all
from shared.runtimes.text_manifest import served_digest
from shared.runtimes.torch_choosing import Chooser, rules_of
from shared.runtimes.torch_decoders import CausalDecoder, CrossDecoder
from shared.runtimes.torch_folder import (
    device_of,
    read_config,
    read_tokenizer,
    read_weights,
    silence,
    token_limit,
)
from shared.runtimes.torch_texts import TorchScoring, TorchText, advance, bands
from shared.runtimes.torch_tokens import TorchTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes.model import Entry, Generation
    from shared.runtimes.model_settings import ModelSettings
    from shared.runtimes.torch_decoders import Decoder
    from shared.tasks import Request, Task
    from shared.tasks.generate import Certainty

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
            return TorchText(self._tokens, written, wanted, chooser, self.confidence_kind)
        if request.task == "classify":
            options = options_of(request, self.labels)
            scored = [self._tokens.label(label) for label in options.labels]
            written = self.prompter.classification(request, options, max(map(len, scored)))
            return TorchScoring(written, options.labels, scored)
        raise InvalidPrompt(f"{self.name} answers generate and classify, not {request.task!r}")

    def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
        """Go on with all of these; see ``Generator.step``."""
        assert self._decoder is not None  # noqa: S101 - a closed model is not gone on with
        entries: dict[int, Entry] = {}
        with torch.inference_mode():
            writing: list[Any] = []
            for each in generations:
                ready = isinstance(each, TorchText) and each.band is not None
                entry = None if ready else advance(each, self._decoder)
                if ready:
                    writing.append(each)
                elif entry is not None:
                    entries[id(each)] = entry
            for band in bands(writing, self._decoder):
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
