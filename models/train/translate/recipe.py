"""The steps and every number that they need.

vocabulary  pieces of both languages, learnt from the training captions
cloud       a net fitted to the training captions
distilled   the cloud's own translations of the training captions
edge        a smaller net, fitted to the training captions and to the cloud's translations
device      the smallest, fitted to the same

A small net learns more from translations that a larger one made than from people's alone: they
are more alike (Kim and Rush, "Sequence-Level Knowledge Distillation", EMNLP 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.train.translate.fit import TranslatorSchedule
from models.train.translate.net import Shape

PIECES: Final = 4096


@dataclass(frozen=True)
class TranslatorRecipe:
    """Shape of a net and how it is fitted; `from_cloud`: also to what the cloud says."""

    shape: Shape
    schedule: TranslatorSchedule
    from_cloud: bool


RECIPES: Final = {
    "cloud": TranslatorRecipe(
        Shape(hidden=256, heads=4, feed_forward=640, layers=4),
        TranslatorSchedule(epochs=11, tokens_per_batch=4096, peak_learning_rate=4e-3, dropout=0.15),
        from_cloud=False,
    ),
    "edge": TranslatorRecipe(
        Shape(hidden=160, heads=5, feed_forward=416, layers=4),
        TranslatorSchedule(epochs=3, tokens_per_batch=4096, peak_learning_rate=4e-3, dropout=0.05),
        from_cloud=True,
    ),
    "device": TranslatorRecipe(
        Shape(hidden=96, heads=3, feed_forward=256, layers=3),
        TranslatorSchedule(epochs=3, tokens_per_batch=4096, peak_learning_rate=5e-3, dropout=0.0),
        from_cloud=True,
    ),
}
