"""The decision, once for every tier: keep a scored prompt here or escalate it.

Values in, a value out: no I/O, clock, transport or model. A tier is a name, a threshold for each
task, and the name of the tier above it, if there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.threshold import QuantileWindow

if TYPE_CHECKING:
    from shared.messages import Task


class Verdict(NamedTuple):
    """What to do with a scored prompt, and the threshold that decided it."""

    keep: bool
    threshold: float


class Tier:
    """One level of the cascade.

    Each task has its own window, since confidences of different tasks are not comparable.
    """

    def __init__(
        self, name: str, *, beta: float, window_prompts: int = 10_000, upstream: str | None = None
    ) -> None:
        self.name = name
        self.upstream = upstream
        self._beta = beta
        self._window_prompts = window_prompts
        self._windows: dict[Task, QuantileWindow] = {}

    def judge(self, task: Task, confidence: float) -> Verdict:
        """Append the confidence to the task's window, then hold it against the β-quantile.

        The published rule: escalate when the confidence lies strictly below the quantile of a
        window that already contains it. The first prompt equals its own quantile and is kept.
        The top tier keeps everything; it still learns its threshold, so that a hop can show it.
        """
        window = self._windows.get(task)
        if window is None:
            window = self._windows[task] = QuantileWindow(self._beta, self._window_prompts)
        window.append(confidence)
        threshold = window.quantile()
        return Verdict(self.upstream is None or confidence >= threshold, threshold)
