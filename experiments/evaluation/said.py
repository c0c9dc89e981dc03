"""What the models of all tiers say to the prompts of a set, as a replay wants to know it.

A matrix of labels (``experiments.evaluation.matrix``) and one of texts
(``experiments.evaluation.text_matrix``) are both this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shared.tasks import Task


class TierSaid(Protocol):
    """What one tier's model said to the n prompts of a set."""

    @property
    def tier(self) -> str:
        """Name of the tier."""

    @property
    def routing(self) -> NDArray[np.float64]:
        """What routing goes by; shape (n,)."""

    @property
    def elapsed_us(self) -> NDArray[np.int64]:
        """Time of the model for each prompt; shape (n,)."""


class SaidByTiers(Protocol):
    """A set of n prompts and what every tier said to it, the lowest tier first."""

    @property
    def task(self) -> Task:
        """What was asked."""

    @property
    def tiers(self) -> Sequence[TierSaid]:
        """The tiers."""

    @property
    def texts(self) -> Sequence[str]:
        """The prompts."""

    @property
    def prompt_bytes(self) -> NDArray[np.int64]:
        """Size of each prompt, with its options; shape (n,)."""

    @property
    def result_bytes(self) -> NDArray[np.int64]:
        """Size on the wire of each tier's result without any hop; shape (tiers, n)."""

    @property
    def right(self) -> NDArray[Any]:
        """How right each tier's answer is, from 0 to 1; shape (tiers, n)."""

    def agreed(self, lower: int, upper: int) -> NDArray[np.bool_]:
        """Return whether two tiers' answers mean the same; shape (n,)."""

    def labels(self, tier: int) -> Sequence[str]:
        """Return the labels that a tier gave; empty ones where answers are more than labels."""

    def foretold(self, tier: int) -> Sequence[str]:
        """Return the labels that a tier's head foretells; empty ones where it has no head."""
