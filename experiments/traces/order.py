"""Rows in order of time; one whose time cannot be right is told from the rows around it."""

from __future__ import annotations

from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from experiments.traces.faults import Faults

_Row = TypeVar("_Row")
_BELOW: Final = 5
_DAY_S: Final = 86_400.0
LONGEST_SILENCE_S: Final = 30 * _DAY_S
"""No recorded trace is silent for longer; a clock that was wrong for a moment is."""


def in_order(
    rows: Iterable[tuple[int, _Row]], at_s: Callable[[_Row], float], faults: Faults
) -> Iterator[tuple[int, _Row]]:
    """Yield the rows whose times ascend; ``faults`` notes every other one.

    A row is at fault when most of the next few rows come before it, or long after it while nothing
    came before; when it comes before the row above it; or when it comes long after that.
    """
    latest_s: float | None = None
    for (line, row), below in _with_those_below(rows):
        reason = _misplaced(at_s(row), latest_s, [at_s(other) for _, other in below])
        if reason:
            faults.note(line, reason)
        else:
            latest_s = at_s(row)
            yield line, row


def _with_those_below(
    rows: Iterable[tuple[int, _Row]],
) -> Iterator[tuple[tuple[int, _Row], list[tuple[int, _Row]]]]:
    rest = iter(rows)
    window = deque(islice(rest, _BELOW))
    for row in chain(rest, [None] * _BELOW):
        if row is not None:
            window.append(row)
        if not window:
            return
        yield window.popleft(), list(window)


def _misplaced(at_s: float, latest_s: float | None, below_s: list[float]) -> str:
    """Say what is wrong with the time of a row, if anything is."""
    if latest_s is not None and at_s < latest_s:
        return f"comes {_long(latest_s - at_s)} before the row above it; sort the trace"
    if _most(later_s < at_s for later_s in below_s):
        ahead_s = at_s - min(below_s)
        return f"comes up to {_long(ahead_s)} after the rows below it; correct its time"
    if latest_s is None:
        if _most(later_s - at_s > LONGEST_SILENCE_S for later_s in below_s):
            behind_s = max(below_s) - at_s
            return f"comes up to {_long(behind_s)} before the rows below it; correct its time"
    elif at_s - latest_s > LONGEST_SILENCE_S:
        return (
            f"comes {_long(at_s - latest_s)} after the row above it, which nobody wants to wait "
            "for; correct its time, or cut the trace in two"
        )
    return ""


def _most(found: Iterable[bool]) -> bool:
    """Say whether most of some rows are so; one alone is none."""
    flags = list(found)
    return 2 * sum(flags) > max(len(flags), 2)


def _long(seconds: float) -> str:
    return f"{seconds:.6g} s" if seconds < _DAY_S else f"{seconds / _DAY_S:,.1f} days"
