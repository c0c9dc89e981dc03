"""Whether a run keeps up, second by second: the same rules for the live view and the report.

Three signs, each over the last ten seconds, and each with its sentence:

- *late*: half of the prompts went out more than 20 ms after their time;
- *behind*: more than 1 % of the prompts that were due have not gone out, three seconds in a row;
- *backlog*: fewer than 95 % as many results came as prompts went out, and more are under way than
  go out in two seconds.

A closed loop cannot fall behind: it is judged by none of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from shared.json_lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


FILE: Final = "ticks.jsonl"
SPAN_S: Final = 10
LATE_S: Final = 0.02
_BEHIND_SHARE: Final = 0.01
_DONE_SHARE: Final = 0.95
_BACKLOG_S: Final = 2.0
_IN_A_ROW: Final = 3
_FEW: Final = 20
"""Fewer prompts than this in a span say nothing."""

Sign = Literal["late", "behind", "backlog"]


class Tick(NamedTuple):
    """The counts of a run when a second ends; all but ``lateness_s`` since its beginning.

    ``lateness_s`` is the median of the prompts sent in this second, 0.0 without any.
    """

    at_s: float
    due: int
    sent: int
    done: int
    lateness_s: float


class Saturation(NamedTuple):
    """From when to when a sign stood, in seconds of the run, and the worst of it in words."""

    sign: Sign
    begin_s: float
    end_s: float
    said: str


class SaturationDetector:
    """Takes one tick after another and says which signs stand."""

    def __init__(self) -> None:
        self._ticks: deque[Tick] = deque(maxlen=SPAN_S + 1)

    def take(self, tick: Tick) -> dict[Sign, str]:
        """Return the signs of saturation, each with its sentence; none when all is well."""
        self._ticks.append(tick)
        if len(self._ticks) <= SPAN_S // 2:
            return {}
        first = self._ticks[0]
        span_s = tick.at_s - first.at_s
        sent, done = tick.sent - first.sent, tick.done - first.done
        signs: dict[Sign, str] = {}
        lateness_s = float(np.median([t.lateness_s for t in self._ticks if t is not first]))
        if lateness_s > LATE_S and sent >= _FEW:
            signs["late"] = f"half of the prompts go out {lateness_s * 1000:.0f} ms late"
        due = tick.due - first.due
        missing = min(t.due - t.sent for t in list(self._ticks)[-_IN_A_ROW:])
        if missing > max(_BEHIND_SHARE * due, 1) and due >= _FEW:
            signs["behind"] = f"{missing:,} prompts are due and not sent"
        under_way = tick.sent - tick.done
        enough = max(_BACKLOG_S * sent / span_s, _FEW) if span_s > 0 else _FEW
        if done < _DONE_SHARE * sent and under_way > enough:
            rates = f"{sent / span_s:.1f} prompts a second go out, {done / span_s:.1f} come back"
            signs["backlog"] = f"{rates}, {under_way:,} are under way"
        return signs


def read_ticks(folder: Path) -> list[Tick]:
    """Return the ticks of a run; raises ``DataError`` that names file and line."""
    path = folder / FILE
    return read_lines(path, Tick) if path.exists() else []


def find_saturation(ticks: Iterable[Tick]) -> list[Saturation]:
    """Return every stretch in which a sign stood, in order of its begin."""
    judge = SaturationDetector()
    found: list[Saturation] = []
    standing: dict[Sign, Saturation] = {}
    for tick in ticks:
        signs = judge.take(tick)
        for sign, said in signs.items():
            begin_s = standing[sign].begin_s if sign in standing else tick.at_s
            standing[sign] = Saturation(sign, begin_s, tick.at_s, said)
        over = [sign for sign in standing if sign not in signs]
        found += [standing.pop(sign) for sign in over]
    return sorted([*found, *standing.values()], key=lambda saturation: saturation.begin_s)
