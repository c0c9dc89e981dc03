"""How a prompt becomes what a language model reads, whatever its engine, and what is cut of it.

A chat's turns go through the model's template, the request's system prompt or else the tier's
instruction before them, and between the two any examples, each a turn of the user's and one of the
model's: what stands first is the same for every prompt, so that servers need not read it again.
What does not fit, beside the answer, into what the model can hold is cut: first the examples, the
first one first, then the oldest turns, a question with its answer at a time, then the end of the
prompt's text. The system prompt is never cut. A model without a template goes on with the text
alone, or after its examples: of each what was asked in one line, the answer in the next, and an
empty one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from shared.errors import InvalidPrompt
from shared.tasks import classify, generate
from shared.tasks.classify import ClassifyOptions, question
from shared.tasks.generate import NEW_TOKENS, GenerateOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks import Exemplar, Request

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


class _Parts(NamedTuple):
    """What a model is to read, in order; ``ending`` stands behind each text where nobody chats."""

    system: str
    examples: tuple[Exemplar, ...]
    turns: list[dict[str, str]]
    text: str
    ending: str = ""


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
        labels: tuple[str, ...] = (),
        apart: bool = False,
    ) -> None:
        """Hold ``context_tokens`` with the answer, or where it is ``apart`` as many for each.

        ``special`` are the template's own words, ``labels`` those of requests that name none.
        """
        self._tokens = tokens
        self._context_tokens = context_tokens
        self._chats = chats
        self._instruction = instruction
        self._max_new_tokens = max_new_tokens
        self._special = tuple(special)
        self._labels = labels
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
        return self._fit(_Parts(system, request.examples, turns, request.content), new_tokens)

    def classification(self, request: Request, options: ClassifyOptions, room: int) -> Written:
        """Return what is read before each label, which take ``room`` tokens at most."""
        system = options.instruction or self._instruction or question(options.labels)
        ending = "" if self._chats else "\n\nAnswer:"
        return self._fit(_Parts(system, request.examples, [], request.content, ending), room)

    def room_for_examples(self, request: Request) -> int:
        """Return the tokens that are left for examples beside a request and its answer."""
        if self._apart:  # an encoder was not taught to read any
            return 0
        bare = msgspec.structs.replace(request, examples=())
        try:
            if request.task == "generate":
                written = self.generation(bare, generate.read(request.options))
            else:
                options = options_of(request, self._labels)
                longest = max(len(self._tokens.encode(label)) for label in options.labels)
                written = self.classification(bare, options, longest + 1)
        except InvalidPrompt:  # which it will be told when it is asked
            return 0
        return max(0, self._context_tokens - len(written.tokens) - written.new_tokens)

    def tokens_of(self, example: Exemplar) -> int:
        """Return the tokens that an example takes."""
        with_it = self._render(_Parts("", (example,), [], ""))
        without = self._render(_Parts("", (), [], ""))
        return len(self._tokens.encode(with_it)) - len(self._tokens.encode(without))

    def _new_tokens(self, asked: int | None) -> int:
        if asked is not None and asked >= self._context_tokens:
            raise InvalidPrompt(
                f"max_new_tokens is {asked}, but this model reads and writes "
                f"{self._context_tokens} tokens in all"
            )
        if asked is None:
            return min(self._max_new_tokens or NEW_TOKENS, self._context_tokens // 2)
        return min(asked, self._max_new_tokens or asked)

    def _fit(self, parts: _Parts, new_tokens: int) -> Written:
        """Return as much of a prompt as fits."""
        room = self._context_tokens - (0 if self._apart else new_tokens)
        cut = False
        while True:
            tokens = self._tokens.encode(self._render(parts))
            over = len(tokens) - room
            if over <= 0:
                return Written(tokens, cut, new_tokens)
            if parts.examples:  # what was asked is whole without them
                parts = parts._replace(examples=parts.examples[1:])
                continue
            cut = True
            if parts.turns:
                parts = parts._replace(turns=parts.turns[2:])
                continue
            if not parts.text:
                raise InvalidPrompt(
                    f"the system prompt alone has {len(tokens)} tokens, but this model reads "
                    f"{room} beside an answer of {new_tokens}"
                )
            parts = parts._replace(text=self._without_end(parts.text, over))

    def _without_end(self, text: str, over: int) -> str:
        tokens = self._tokens.encode(text)
        for left in range(len(tokens) - over, -1, -1):
            shorter = self._tokens.decode(tokens[:left]).rstrip("\ufffd")
            if len(shorter) < len(text):  # the last tokens may be a frame's, which is no text
                return shorter
        return text[: len(text) // 2]

    def _render(self, parts: _Parts) -> str:
        if not self._chats:
            return self._gone_on_with(parts)
        first = [{"role": "system", "content": parts.system}] if parts.system else []
        shown = [
            {"role": role, "content": content}
            for example in parts.examples
            for role, content in (("user", example.content), ("assistant", example.answer))
        ]
        spoken = [*first, *shown, *parts.turns, {"role": "user", "content": parts.text}]
        return self._tokens.render(
            [{**message, "content": self._plain(message["content"])} for message in spoken]
        )

    def _gone_on_with(self, parts: _Parts) -> str:
        """Return a prompt for a model without a template: an example cannot begin another one."""
        told = f"{parts.system}\n\n" if parts.system else ""
        before = parts.ending or "\n"
        shown = "".join(
            f"{_one_line(example.content)}{before}{' ' * bool(parts.ending)}"
            f"{_one_line(example.answer)}\n\n"
            for example in parts.examples
        )
        return f"{told}{self._plain(shown)}{self._plain(parts.text)}{parts.ending}"

    def _plain(self, text: str) -> str:
        """Return a text in which nothing passes for the template's own: whoever asks, asks."""
        for word in self._special:
            if word in text:
                text = text.replace(word, f"{word[0]}{_GAP}{word[1:]}")
        return text


def _one_line(text: str) -> str:
    return " ".join(text.split())
