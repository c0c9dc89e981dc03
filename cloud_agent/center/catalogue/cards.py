"""What is known of every model before it has answered anything here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LOWEST: Final = 0.3
_HIGHEST: Final = 0.85


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One model: its size, its speed on a node of ordinary speed, and how good it should be.

    ``quality`` is the grade expected of its answers, by kind of job; ``token_s`` is the time for
    one token, or for one prompt where a model answers in one step.
    """

    name: str
    size_bytes: float
    memory_bytes: float
    load_s: float
    token_s: float
    quality: dict[str, float]


class Catalogue:
    """The models that can be placed, by name, and what their answers are long by kind."""

    def __init__(self, cards: Iterable[ModelCard], tokens: Mapping[str, float]) -> None:
        """Take the cards, and how many tokens an answer of each kind is expected to have."""
        self._cards = {card.name: card for card in cards}
        self.tokens = dict(tokens)

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self._cards.values())

    def __len__(self) -> int:
        return len(self._cards)

    def __contains__(self, model: str) -> bool:
        return model in self._cards

    def __getitem__(self, model: str) -> ModelCard:
        try:
            return self._cards[model]
        except KeyError:
            known = ", ".join(self._cards) or "nothing"
            raise DataError(
                f"the catalogue has no model {model!r}, only {known}; measure it first"
            ) from None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of job that are known."""
        return tuple(self.tokens)


def quality_from_perplexity(perplexity: float) -> float:
    """Return the grade to expect of a model of which nothing but its perplexity is known.

    A prior, to be corrected by what is observed; perplexities of different tokenizers do not
    compare.
    """
    return min(max(1.15 - 0.028 * perplexity, _LOWEST), _HIGHEST)
