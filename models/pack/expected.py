"""What confidences a model is expected to have: quantiles, from which a new window starts.

No labels are needed, only texts as they will be asked. A sensible choice is texts that the model
was not measured on: what is measured afterwards stays honest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.pack.labelled import scored_or_raise
from shared.runtimes.manifest import Confidences
from shared.tasks import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.runtimes import Model

STEPS: Final = 200
_TEXTS: Final = 400
"""Of each set, evenly spread over it: enough for quantiles in steps of half a percent."""
_CHUNK_PROMPTS: Final = 256
_DIGITS: Final = 6


def measure_confidences(model: Model, sets: Mapping[str, Sequence[str]]) -> Confidences:
    """Answer texts of every set, the same number of each where there are as many.

    Raises ``BundleError`` when the model fails on one.
    """
    texts = [text for texts in sets.values() for text in _spread(texts)]
    task, confidences = next(iter(model.tasks)), []
    for start in range(0, len(texts), _CHUNK_PROMPTS):
        chunk = [Request(task, text) for text in texts[start : start + _CHUNK_PROMPTS]]
        for row, entry in enumerate(model.answer(chunk)):
            scored = scored_or_raise(entry, f"text {texts[start + row][:40]!r}")
            confidences.append(scored.confidence)
    return Confidences(prompts=len(texts), of=tuple(sets), quantiles=tuple(quantiles(confidences)))


def _spread(texts: Sequence[str]) -> list[str]:
    count = min(len(texts), _TEXTS)
    return [texts[number * len(texts) // count] for number in range(count)]


def quantiles(values: Sequence[float]) -> list[float]:
    """Return the quantiles in equal steps, linear between two values."""
    found = np.quantile(values, np.linspace(0, 1, STEPS + 1))
    return [round(float(value), _DIGITS) for value in found]
