"""What goes to and comes from a server with an OpenAI-compatible API: chat completions.

Read is what we need; whatever else a server says is passed over. Source of the protocol: OpenAI,
*API reference*, "Create chat completion"; vLLM, SGLang, llama.cpp, Ollama, TensorRT Edge-LLM and
``transformers serve`` speak it too.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class LikelyToken(msgspec.Struct):
    """A token that could have been taken, and the natural logarithm of its probability."""

    token: str
    logprob: float


class ChosenToken(msgspec.Struct):
    """A token of the answer, and the likeliest that could have stood in its place."""

    token: str
    logprob: float
    top_logprobs: list[LikelyToken] | None = None


class _LogProbabilities(msgspec.Struct):
    content: list[ChosenToken] | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _LogProbabilities | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, Meta(ge=0)] = 0
    completion_tokens: Annotated[int, Meta(ge=0)] = 0


class ChatCompletion(msgspec.Struct):
    """An answer, of which the first choice counts."""

    choices: Annotated[list[_Choice], Meta(min_length=1)]
    usage: _Usage | None = None

    @property
    def text(self) -> str:
        """What the model said."""
        return self.choices[0].message.content or ""

    @property
    def finish_reason(self) -> str:
        """Why it said no more."""
        return self.choices[0].finish_reason or "stop"

    @property
    def tokens(self) -> list[ChosenToken] | None:
        """Its tokens with their log probabilities; None if the server tells none."""
        told = self.choices[0].logprobs
        return told.content if told is not None else None

    @property
    def tokens_in(self) -> int:
        """Tokens of the prompt, 0 if the server counts none."""
        return self.usage.prompt_tokens if self.usage is not None else 0

    @property
    def tokens_out(self) -> int:
        """Tokens of the answer, as far as the server tells."""
        if self.usage is not None and self.usage.completion_tokens:
            return self.usage.completion_tokens
        return len(self.tokens or ())


class _Listed(msgspec.Struct):
    id: str


class ModelList(msgspec.Struct):
    """The models that a server says it has."""

    data: list[_Listed]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(listed.id for listed in self.data)


class _Fault(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Fault | str | None = None
    detail: str | None = None
    message: str | None = None


def reason_of(body: bytes, otherwise: str) -> str:
    """Return why a server refused, in one short line."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = otherwise
    else:
        error = refusal.error.message if isinstance(refusal.error, _Fault) else refusal.error
        said = error or refusal.detail or refusal.message or otherwise
    return " ".join(said.split()) or "no reason given"
