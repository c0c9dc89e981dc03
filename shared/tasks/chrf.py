"""chrF: how much two texts have in common, by their runs of one to six characters.

As Popović defines it (2015, "chrF: character n-gram F-score for automatic MT evaluation") and
sacrebleu computes it for one sentence: white space does not count, precision and recall are means
over the orders that both texts have, and ``beta`` is how much more recall counts than precision.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

ORDERS: Final = 6


def chrf(text: str, reference: str, *, beta: float = 2.0) -> float:
    """Return chrF from 0 to 1; two texts without any character are equal."""
    ours, theirs = "".join(text.split()), "".join(reference.split())
    if ours == theirs:
        return 1.0
    precision = recall = 0.0
    orders = min(ORDERS, len(ours), len(theirs))
    for order in range(1, orders + 1):
        runs, wanted = _runs(ours, order), _runs(theirs, order)
        common = sum((runs & wanted).values())
        precision += common / (len(ours) - order + 1)
        recall += common / (len(theirs) - order + 1)
    if not precision + recall:
        return 0.0
    weight = beta**2
    return (1 + weight) * precision * recall / ((weight * precision + recall) * orders)


def _runs(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))
