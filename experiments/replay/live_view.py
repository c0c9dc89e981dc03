"""The live view of a replay: a bar, and a line of what happens now, once a second."""

from __future__ import annotations

import bisect
from typing import IO, TYPE_CHECKING

import msgspec
import numpy as np
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.text import Text

from experiments.replay.saturation import SaturationDetector, Sign, Tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from experiments.replay.load_generator import LiveCounts
    from experiments.replay.pacing import Clock

_EVERY_S = 1.0


class Watch:
    """Counts every second, writes the tick down, says what is seen, and warns of saturation."""

    def __init__(
        self,
        tally: LiveCounts,
        clock: Clock,
        console: Console,
        file: IO[bytes],
        *,
        intended_s: Sequence[float],
        before: int,
    ) -> None:
        """``intended_s`` ascends, for all prompts; ``before`` of them were done in earlier runs.

        In a closed loop nothing is due at a time: ``intended_s`` is empty.
        """
        self._tally = tally
        self._clock = clock
        self._console = console
        self._file = file
        self._intended_s = intended_s
        self._before = before
        self._judge = SaturationDetector()
        self._standing: set[Sign] = set()
        self._last = Tick(clock.now_s(), before, before, before, 0.0)

    async def run(self, total: int) -> None:
        """Watch until cancelled."""
        bar = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        shown = bar.add_task("", total=total, completed=self._before)
        due_s = self._clock.now_s()
        with Live(bar, console=self._console, refresh_per_second=2) as live:
            try:
                while True:
                    due_s = max(due_s + _EVERY_S, self._clock.now_s())
                    await self._clock.sleep_until(due_s)
                    said = self._look()
                    bar.update(shown, completed=self._last.done)
                    live.update(Group(bar, Text.from_markup(said)))
            finally:
                bar.update(shown, completed=self._before + self._tally.done)
                live.update(Group(bar, ""))

    def _look(self) -> str:
        """Take a tick and return the line that says it."""
        now_s, tally = self._clock.now_s(), self._tally
        late_s, tally.lateness_s = tally.lateness_s, []
        sent = self._before + tally.sent
        due = bisect.bisect_right(self._intended_s, now_s) if self._intended_s else sent
        median_s = float(np.median(late_s)) if late_s else 0.0
        tick = Tick(round(now_s, 3), due, sent, self._before + tally.done, round(median_s, 6))
        self._file.write(msgspec.json.encode(tick) + b"\n")
        before, self._last = self._last, tick
        self._warn(tick)
        span_s = max(tick.at_s - before.at_s, 1e-9)
        parts = [
            f"{(tick.sent - before.sent) / span_s:.0f}/s out",
            f"{(tick.done - before.done) / span_s:.0f}/s in",
            f"{tick.sent - tick.done} under way",
        ]
        if self._intended_s and late_s:
            parts.append(f"late {1000 * float(np.quantile(late_s, 0.99)):.1f} ms")
        answered = max(sum(tally.tiers.values()), 1)
        parts += [f"{tier} {count / answered:.0%}" for tier, count in sorted(tally.tiers.items())]
        if tally.errors:
            parts.append(f"[red]{tally.errors} errors[/]")
        if tally.degraded:
            parts.append(f"[yellow]{tally.degraded} degraded[/]")
        return " · ".join(parts)

    def _warn(self, tick: Tick) -> None:
        """Say that a run is saturated when it becomes so, and when that is over."""
        signs = self._judge.take(tick) if self._intended_s else {}
        for sign, said in signs.items():
            if sign not in self._standing:
                self._console.print(f"[bold red]saturated[/] at {tick.at_s:.0f} s: {said}")
        for sign in self._standing - signs.keys():
            self._console.print(f"no longer {sign} at {tick.at_s:.0f} s")
        self._standing = set(signs)
