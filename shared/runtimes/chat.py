"""How a prompt becomes what a language model reads, whatever its engine, and what is cut of it.

A chat's turns go through the model's template, the request's system prompt or else the tier's
instruction before them. What does not fit, beside the answer, into what the model can hold is cut:
first the oldest turns, a question with its answer at a time, then the end of the prompt's text. The
system prompt is never cut. A model without a template goes on with the text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from shared.errors import InvalidPrompt
from shared.tasks import classify, generate
from shared.tasks.classify import ClassifyOptions, question
from shared.tasks.generate import NEW_TOKENS, GenerateOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks import Request

_GAP: Final = "\u200b"
"""A space that nobody sees, put into what would otherwise be a word of the template's."""


class Tokens(Protocol):
    """What an engine does with texts."""

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """Return a chat as the model reads it, up to where its own turn begins."""


class Written(NamedTuple):
    """What a model reads, whether that is less than it was given, and how much it may write."""

    tokens: list[int]
    cut: bool
    new_tokens: int


def free_options(request: Request, engine: str) -> GenerateOptions:
    """Return how a text is wanted of an engine that sees to no constraints.

    Raises ``InvalidPrompt``.
    """
    wanted = generate.read(request.options)
    if wanted.constrained:
        raise InvalidPrompt(
            f"json_schema, regex and choices are not for this model: {engine} cannot see to them; "
            "leave them out, or ask for classify with labels"
        )
    return wanted


def options_of(request: Request, labels: tuple[str, ...]) -> ClassifyOptions:
    """Return how a prompt is to be classified; ``labels`` are those of a request without any.

    Raises ``InvalidPrompt``.
    """
    wanted = classify.read(request.options)
    if wanted is None and not labels:
        raise InvalidPrompt(
            "this model has no labels of its own: name them in the options of classify"
        )
    return wanted or ClassifyOptions(labels=labels)


class Prompter:
    """Makes of requests what one model reads."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        context_tokens: int,
        chats: bool,
        instruction: str = "",
        max_new_tokens: int | None = None,
        special: Sequence[str] = (),
        apart: bool = False,
    ) -> None:
        """Hold ``context_tokens`` with the answer, or where it is ``apart`` as many for each.

        ``special`` are the template's own words.
        """
        self._tokens = tokens
        self._context_tokens = context_tokens
        self._chats = chats
        self._instruction = instruction
        self._max_new_tokens = max_new_tokens
        self._special = tuple(special)
        self._apart = apart

    def generation(self, request: Request, options: GenerateOptions) -> Written:
        """Return what is read for a text to be written. Raises ``InvalidPrompt``."""
        new_tokens = self._new_tokens(options.max_new_tokens)
        if not self._chats and (options.messages or options.system):
            raise InvalidPrompt(
                "this model has no chat template: leave system and messages out, and put what is "
                "to be gone on with into the prompt's text"
            )
        turns = [{"role": turn.role, "content": turn.content} for turn in options.messages]
        system = options.system or self._instruction
        return self._fit(system, turns, request.content, new_tokens)

    def classification(self, request: Request, options: ClassifyOptions, room: int) -> Written:
        """Return what is read before each label, which take ``room`` tokens at most."""
        system = options.instruction or self._instruction or question(options.labels)
        if self._chats:
            return self._fit(system, [], request.content, room)
        return self._fit(system, [], request.content, room, ending="\n\nAnswer:")

    def _new_tokens(self, asked: int | None) -> int:
        if asked is not None and asked >= self._context_tokens:
            raise InvalidPrompt(
                f"max_new_tokens is {asked}, but this model reads and writes "
                f"{self._context_tokens} tokens in all"
            )
        if asked is None:
            return min(self._max_new_tokens or NEW_TOKENS, self._context_tokens // 2)
        return min(asked, self._max_new_tokens or asked)

    def _fit(
        self,
        system: str,
        turns: list[dict[str, str]],
        text: str,
        new_tokens: int,
        *,
        ending: str = "",
    ) -> Written:
        """Return as much of a prompt as fits."""
        room = self._context_tokens - (0 if self._apart else new_tokens)
        turns = list(turns)
        cut = False
        while True:
            tokens = self._tokens.encode(self._render(system, turns, text, ending))
            over = len(tokens) - room
            if over <= 0:
                return Written(tokens, cut, new_tokens)
            cut = True
            if turns:
                del turns[:2]
                continue
            if not text:
                raise InvalidPrompt(
                    f"the system prompt alone has {len(tokens)} tokens, but this model reads "
                    f"{room} beside an answer of {new_tokens}"
                )
            text = self._without_end(text, over)

    def _without_end(self, text: str, over: int) -> str:
        tokens = self._tokens.encode(text)
        for left in range(len(tokens) - over, -1, -1):
            shorter = self._tokens.decode(tokens[:left]).rstrip("\ufffd")
            if len(shorter) < len(text):  # the last tokens may be a frame's, which is no text
                return shorter
        return text[: len(text) // 2]

    def _render(self, system: str, turns: list[dict[str, str]], text: str, ending: str) -> str:
        if not self._chats:
            told = f"{system}\n\n" if system else ""
            return f"{told}{self._plain(text)}{ending}"
        first = [{"role": "system", "content": system}] if system else []
        spoken = [*first, *turns, {"role": "user", "content": text}]
        return self._tokens.render(
            [{**message, "content": self._plain(message["content"])} for message in spoken]
        )

    def _plain(self, text: str) -> str:
        """Return a text in which nothing passes for the template's own: whoever asks, asks."""
        for word in self._special:
            if word in text:
                text = text.replace(word, f"{word[0]}{_GAP}{word[1:]}")
        return text
