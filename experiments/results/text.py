"""Tables, means and verdicts: how the results page puts numbers into words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.evaluation.equal_accuracy import Saving
    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.study import Study

    Runs = dict[str, tuple[Study, list[SetResult]]]
    Rows = list[dict[str, Any]]


NEVER: Final = "never"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = "|" + "---|" * len(heads)
    rows = ["| " + " | ".join(cells) + " |" for cells in (heads, *lines)]
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def percents(saved: Saving) -> str:
    """Return a share saved with its interval, in percent; *never* where no cost is enough."""
    share = _percent(saved.share)
    low, high = map(_percent, saved.interval)
    return f"{share}{' %' if share != NEVER else ''} [{low}, {high}]"


def needed(count: float) -> str:
    """Return hops per prompt; *never* where no number of them is enough."""
    return f"{count:.3f}" if math.isfinite(count) else NEVER


def _percent(share: float) -> str:
    return f"{share * 100:.0f}" if math.isfinite(share) else NEVER


def rows_of(rows: Rows, name: str, policy: str, **parameters: float) -> Rows:
    """Return the rows of a set and policy with these parameters."""
    return [
        row
        for row in rows
        if row["set"] == name
        and row["policy"] == policy
        and all(row[key] == value for key, value in parameters.items())
    ]


def mean_of(rows: Rows, key: str) -> float:
    """Return the mean of one figure."""
    return float(np.mean([row[key] for row in rows]))


def verdict(interval: tuple[float, float]) -> str:
    """Say what an interval of a difference means."""
    low, high = interval
    return "better" if low > 0 else "worse" if high < 0 else "no clear difference"


def all_of(held: Iterable[bool]) -> str:
    """Say on how many sets something held."""
    verdicts = list(held)
    if all(verdicts):
        return f"held on all {len(verdicts)} sets"
    return f"held on {sum(verdicts)} of {len(verdicts)} sets"
