"""When a prompt that met silence is sent again, and how many such are under way at a time.

Pure: it is told the time and draws from the generator it is given.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from shared.cascade.threshold import QuantileWindow

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from uuid import UUID

_ROUND_TRIPS = 200


class RetryPolicy(NamedTuple):
    """Silence before a retry: doubles from ``min_s`` to ``max_s``; each is drawn from its half up.

    The first is never shorter than twice the 95th percentile of what answers took lately, and the
    one after an agent was asked again than twice that of what such word took. ``patience_s`` is how
    long a prompt waits for an agent above when none is alive, ``in_flight`` how many repeated
    prompts may be under way at a time.
    """

    min_s: float
    max_s: float
    patience_s: float
    in_flight: int = 20


class Retries:
    """The pace of the repeats of one device."""

    def __init__(self, backoff: RetryPolicy, draw: random.Random) -> None:
        self._backoff = backoff
        self._draw = draw
        self._answers_s = QuantileWindow(0.95, _ROUND_TRIPS)
        self._words_s = QuantileWindow(0.95, _ROUND_TRIPS)
        self._waiting: deque[UUID] = deque()
        self._under_way: set[UUID] = set()

    def note_answer(self, took_s: float) -> None:
        """Learn how long an answer took since its agent was first asked."""
        self._answers_s.append(took_s)

    def note_word(self, took_s: float) -> None:
        """Learn how long an agent took to say that it is at work."""
        self._words_s.append(took_s)

    def longer_s(self, silence_s: float) -> float:
        """Return the silence to wait for after one of ``silence_s``; 0.0 when there was none."""
        if silence_s:
            return min(silence_s * 2, self._backoff.max_s)
        return self._twice_s(self._answers_s)

    def word_s(self) -> float:
        """Return the silence to wait for from an agent that was asked again."""
        return self._twice_s(self._words_s)

    def draw_s(self, silence_s: float) -> float:
        """Return the silence with its jitter: prompts sent together are not repeated together."""
        return silence_s * self._draw.uniform(0.5, 1.0)

    def want(self, prompt_id: UUID) -> None:
        """Let a prompt wait for its turn to be repeated."""
        self._under_way.discard(prompt_id)
        self._waiting.append(prompt_id)

    def end(self, prompt_id: UUID) -> None:
        """Give up the place of a prompt that needs no more repeats."""
        self._under_way.discard(prompt_id)

    def ready(self) -> Iterator[UUID]:
        """Yield the prompts whose turn it is; each that is taken stays under way until ``end``."""
        while self._waiting and len(self._under_way) < self._backoff.in_flight:
            prompt_id = self._waiting.popleft()
            if prompt_id not in self._under_way:
                yield prompt_id

    def begin(self, prompt_id: UUID) -> None:
        """Take a place for a prompt."""
        self._under_way.add(prompt_id)

    def _twice_s(self, window: QuantileWindow) -> float:
        twice_s = 2 * window.quantile() if len(window) else 0.0
        return min(max(self._backoff.min_s, twice_s), self._backoff.max_s)
