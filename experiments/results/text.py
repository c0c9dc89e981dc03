"""Tables, means and verdicts: how the results page puts numbers into words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from experiments.evaluation.equal_accuracy import Saving
    from experiments.evaluation.evaluate import SetResult
    from experiments.evaluation.study import Study

    Runs = dict[str, tuple[Study, list[SetResult]]]
    Rows = list[dict[str, Any]]


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = "|" + "---|" * len(heads)
    rows = ["| " + " | ".join(cells) + " |" for cells in (heads, *lines)]
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def percents(saved: Saving) -> str:
    """Return a share saved with its interval, in percent."""
    share, (low, high) = saved.share, saved.interval
    return f"{share * 100:.0f} % [{low * 100:.0f}, {high * 100:.0f}]"


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
