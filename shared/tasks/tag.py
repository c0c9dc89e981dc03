"""``tag``: the entities that a text names, and where they stand.

RecServe takes the mean, over the tokens of a text, of the largest probability as the confidence of
a tagging; the least of them can be had in its place. Taggers say of each token whether it begins an
entity, goes on with one or is outside of any (BIO): what becomes of that is said here, once for
every engine. Places are counted in characters of the text, the end being the first one behind.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from shared.errors import InvalidPrompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.tasks.base import Options

OUTSIDE: Final = "O"
TYPE_CHARACTERS: Final = 64
SPANS: Final = 1 << 16
SPAN_BYTES: Final = 32
"""What a span takes on the wire, as a rule."""
_CHARACTERS_PER_SPAN: Final = 4
_Place = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]

Certainty = Literal["mean", "least"]


class Span(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entity: what it is, its first character and the first one behind, and how sure it is."""

    type: Annotated[str, Meta(min_length=1, max_length=TYPE_CHARACTERS)]
    start: _Place
    end: _Place
    confidence: Annotated[float, Meta(ge=0, le=1)]

    @property
    def place(self) -> tuple[str, int, int]:
        """What is named and where, whatever the confidence."""
        return self.type, self.start, self.end


class Entities(msgspec.Struct, frozen=True, array_like=True, tag=4, forbid_unknown_fields=True):
    """The answer to a ``tag`` request: its spans in the order of the text."""

    spans: Annotated[tuple[Span, ...], Meta(max_length=SPANS)] = ()


class Token(NamedTuple):
    """What a tagger says of one token or word, and which characters of the text that is."""

    label: str
    start: int
    end: int
    probability: float


def check(options: Options) -> None:
    """Raise ``InvalidPrompt``: nothing can be said of how tags are wanted."""
    if options:
        raise InvalidPrompt(f"tag has no options, and not {next(iter(options))!r:.64}")


def answer_bytes(text: str, options: Options) -> int:
    """Return the room that the answer takes at most, as a rule."""
    del options
    return SPAN_BYTES * (1 + len(text) // _CHARACTERS_PER_SPAN)


def agrees(one: Entities, other: Entities) -> bool:
    """Say whether the same entities stand in the same places."""
    return _places(one) == _places(other)


def score(answer: Entities, truth: str) -> float:
    """Return F1 against the true spans, written as JSON: ``[["PER", 0, 5], …]``.

    1.0 where there is none to be found and none is. Raises ``ValueError`` for what is no such JSON.
    """
    found = _places(answer)
    wanted = {(str(kind), int(start), int(end)) for kind, start, end in json.loads(truth)}
    if not found and not wanted:
        return 1.0
    return 2 * len(found & wanted) / (len(found) + len(wanted))


def to_json(answer: Entities) -> dict[str, Any]:
    """Return the answer as it stands in what people and programs read."""
    return {
        "entities": [
            {"type": s.type, "start": s.start, "end": s.end, "confidence": round(s.confidence, 6)}
            for s in answer.spans
        ]
    }


def from_json(answer: Mapping[str, Any]) -> Entities:
    """Return the answer that ``to_json`` wrote. Raises ``KeyError`` or ``ValidationError``."""
    try:
        spans = [[e["type"], e["start"], e["end"], e["confidence"]] for e in answer["entities"]]
    except TypeError as error:
        raise msgspec.ValidationError("entities are a list of objects") from error
    return msgspec.convert([4, spans], Entities)


def to_line(answer: Entities) -> str:
    """Return the answer in one line."""
    return ", ".join(f"{s.type} {s.start}–{s.end}" for s in answer.spans) or "no entities"


def confidence(probabilities: Sequence[float], certainty: Certainty = "mean") -> float:
    """Return how sure a tagger is of a text, from the probabilities of its tokens' labels."""
    if not probabilities:
        return 0.0
    if certainty == "least":
        return min(probabilities)
    return math.fsum(probabilities) / len(probabilities)


def entities(tokens: Iterable[Token]) -> Entities:
    """Return the entities that tokens say they belong to, in the order of the text.

    ``I-`` goes on with an entity of its type and begins one where there is none, so that IOB1, IOB2
    and plain IO are all understood. A span's confidence is the mean over its tokens.
    """
    spans: list[Span] = []
    inside: list[Token] = []
    for token in tokens:
        mark, _, kind = token.label.partition("-")
        goes_on = mark == "I" and inside and _kind(inside[-1]) == kind
        if inside and not goes_on:
            spans.append(_span(inside))
            inside = []
        if token.label != OUTSIDE:
            inside.append(token)
    if inside:
        spans.append(_span(inside))
    return Entities(tuple(spans))


def _span(tokens: Sequence[Token]) -> Span:
    sure = math.fsum(token.probability for token in tokens) / len(tokens)
    return Span(_kind(tokens[0]), tokens[0].start, tokens[-1].end, min(max(sure, 0.0), 1.0))


def _kind(token: Token) -> str:
    mark, _, kind = token.label.partition("-")
    return kind or mark


def _places(answer: Entities) -> set[tuple[str, int, int]]:
    return {span.place for span in answer.spans}
