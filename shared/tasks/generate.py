"""``generate``: text that a language model writes, and how sure the model was while writing.

RecServe takes 1 / (1 + PPL) as the confidence of a generation, PPL being the exponential of the
mean negative log-likelihood of the tokens that were generated. Two others can be had in its place:
the geometric mean of their probabilities, and the least of them. Counted is every token that the
model chose, the one that ends the text among them; the prompt's are not. Log probabilities are
natural, of the model's own distribution: before temperature, top-p and constraints.

Two generations are hardly ever equal. They agree when their chrF, precision and recall counted
alike, is at least ``AGREEMENT``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from shared.errors import InvalidPrompt
from shared.tasks.base import Options, check_unicode, read_options
from shared.tasks.chrf import chrf

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_BYTES: Final = 1 << 18
"""A longer text is cut, whoever wrote it."""
TOKEN_BYTES: Final = 16
"""Room for one token of an answer; the longest that usual vocabularies have for words."""
NEW_TOKENS: Final = 256
"""Tokens of an answer for which nobody named a number."""
MOST_NEW_TOKENS: Final = ANSWER_BYTES // TOKEN_BYTES
AGREEMENT: Final = 0.5
"""chrF from which two texts say the same.

Of two translations of one news text by two people 75 % reach it (1,503 pairs, WMT 2021 English to
German), of translations of different texts none does (500 pairs; nor do 4,000 of captions).
"""
_COMPARED: Final = 4_000
"""Characters of each text that are compared: the time for that grows with them."""
_TEXT_CHARACTERS: Final = 1 << 18
_SPOILT: Final = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")

Certainty = Literal["perplexity", "mean", "least"]
Finish = Literal["stop", "length", "repeats", "cut"]
"""Why a text ends: the model or a stop string ended it; its tokens were used up; it said the same
again and again; or it was longer than an answer may be."""
_Text = Annotated[str, Meta(max_length=_TEXT_CHARACTERS)]
_Some = Annotated[str, Meta(min_length=1, max_length=_TEXT_CHARACTERS)]
_Short = Annotated[str, Meta(min_length=1, max_length=256)]
_Tokens = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]


class Completion(msgspec.Struct, frozen=True, array_like=True, tag=5, forbid_unknown_fields=True):
    """The answer to a ``generate`` request.

    ``tokens_in`` counts what the model read, template and system prompt included; with
    ``prompt_cut`` that is less than what it was given. NUL and lone surrogates become U+FFFD, and a
    text of more than ``ANSWER_BYTES`` is cut.
    """

    text: _Text
    finish: Finish = "stop"
    tokens_in: _Tokens = 0
    tokens_out: _Tokens = 0
    prompt_cut: bool = False

    def __post_init__(self) -> None:
        """Make of any text one that can be carried and kept."""
        if "\0" in self.text or not _encodes(self.text):
            msgspec.structs.force_setattr(self, "text", self.text.translate(_SPOILT))
        if len(self.text) * 4 > ANSWER_BYTES and len(self.text.encode()) > ANSWER_BYTES:
            msgspec.structs.force_setattr(self, "text", _beginning(self.text, ANSWER_BYTES))
            msgspec.structs.force_setattr(self, "finish", "cut")


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was said in a chat before the prompt, and by whom."""

    role: Literal["user", "assistant"]
    content: _Some


class GenerateOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a text is wanted.

    ``messages`` is the chat so far, in turns from the user's first to the assistant's last; the
    prompt's own text is what the user says next. Without a temperature the likeliest token is taken
    each time. ``json_schema``, ``regex`` and ``choices`` say what the text has to be like; at most
    one of them, and only where the engine can see to it.
    """

    system: _Text = ""
    messages: tuple[Turn, ...] = ()
    max_new_tokens: Annotated[int, Meta(ge=1, le=MOST_NEW_TOKENS)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: Annotated[int, Meta(ge=0, le=0x7FFF_FFFF)] | None = None
    stop: Annotated[tuple[_Short, ...], Meta(max_length=8)] = ()
    json_schema: Mapping[str, Any] | None = None
    regex: _Some | None = None
    choices: Annotated[tuple[_Short, ...], Meta(min_length=1, max_length=256)] | None = None

    @property
    def constrained(self) -> bool:
        """Whether it is said what the text has to be like."""
        return any(given is not None for given in (self.json_schema, self.regex, self.choices))


def read(options: Options) -> GenerateOptions:
    """Return options as they are to be followed. Raises ``InvalidPrompt`` that names the fault."""
    if not options:
        return _PLAIN
    check_unicode("generate", options)
    wanted = read_options("generate", options, GenerateOptions)
    if sum(given is not None for given in (wanted.json_schema, wanted.regex, wanted.choices)) > 1:
        raise InvalidPrompt("generate takes one of json_schema, regex and choices, not several")
    if wanted.top_p < 1 and not wanted.temperature:
        raise InvalidPrompt("top_p means nothing without a temperature above 0; give one, too")
    for turn, message in enumerate(wanted.messages):
        due = ("user", "assistant")[turn % 2]
        if message.role != due:
            raise InvalidPrompt(
                f"messages[{turn}] is the {message.role}'s, but the {due}'s turn: a chat begins "
                "with the user and they take turns"
            )
    if len(wanted.messages) % 2:
        raise InvalidPrompt(
            "messages ends with the user, who speaks again in the prompt's text: leave the last "
            "message out, or give the assistant's answer to it"
        )
    return wanted


_PLAIN: Final = GenerateOptions()


def check(options: Options) -> None:
    """Raise ``InvalidPrompt`` for options that no engine could follow."""
    read(options)


def answer_bytes(text: str, options: Options) -> int:
    """Return the room that the answer takes at most, as a rule."""
    del text
    wanted = options.get("max_new_tokens")
    return TOKEN_BYTES * (wanted if isinstance(wanted, int) else NEW_TOKENS)


def agrees(one: Completion, other: Completion) -> bool:
    """Say whether two texts say the same, as far as their characters tell."""
    return chrf(one.text[:_COMPARED], other.text[:_COMPARED], beta=1.0) >= AGREEMENT


def score(answer: Completion, truth: str) -> float:
    """Return the chrF of a text against the one that is wanted."""
    return chrf(answer.text, truth)


def to_json(answer: Completion) -> dict[str, Any]:
    """Return the answer as it stands in what people and programs read."""
    return {
        "text": answer.text,
        "finish": answer.finish,
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "prompt_cut": answer.prompt_cut,
    }


def from_json(answer: Mapping[str, Any]) -> Completion:
    """Return the answer that ``to_json`` wrote. Raises ``KeyError`` or ``ValidationError``."""
    fields = [answer[name] for name in Completion.__struct_fields__]
    return msgspec.convert([5, *fields], Completion)


def to_line(answer: Completion) -> str:
    """Return the answer in one line."""
    return " ".join(answer.text.split())


def shorten(answer: Completion, over_bytes: int) -> Completion | None:
    """Return the answer without its last bytes; None where it has no more than those."""
    left_bytes = len(answer.text.encode()) - over_bytes
    if left_bytes <= 0:
        return None
    return msgspec.structs.replace(answer, text=_beginning(answer.text, left_bytes), finish="cut")


def confidence(log_probabilities: Sequence[float], certainty: Certainty = "perplexity") -> float:
    """Return how sure a model was of the tokens that it chose; 0.0 if it chose none."""
    if not log_probabilities:
        return 0.0
    if certainty == "least":
        return _probability(min(log_probabilities))
    mean = _probability(math.fsum(log_probabilities) / len(log_probabilities))
    # With p the geometric mean, PPL is 1/p, and 1 / (1 + PPL) is p / (p + 1).
    return mean if certainty == "mean" else mean / (mean + 1)


def _probability(log_probability: float) -> float:
    """Return e to a power that is no more than 0; what is no number tells of no certainty."""
    return math.exp(min(log_probability, 0.0)) if not math.isnan(log_probability) else 0.0


def _encodes(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _beginning(text: str, limit_bytes: int) -> str:
    return text.encode()[:limit_bytes].decode(errors="ignore")
