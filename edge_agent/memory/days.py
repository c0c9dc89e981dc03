"""What an edge that remembers did, day by day: counted as it happens, kept with the memory.

A day begins at midnight UTC. A clock that jumps goes on with the account of the day that it shows:
nothing is counted twice, and nothing lost.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.memory.checks import wrong_share
from edge_agent.memory.latencies import bin_of, quantile_ms
from shared.messages import WAYS, Failure, Result
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_agent.memory.store import MemoryStore
    from shared.cascade.tier import Escalation

DAY_S: Final = 86_400.0
CLOUD: Final = "cloud"
"""Who answered, where a tier above did."""
_KEPT_DAYS: Final = 400
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95}
_EVERY_S: Final = 2.0
"""Between two writes; a process that is killed loses what it counted since."""


class DayAccount(msgspec.Struct, kw_only=True):
    """The counts of one day, by name, and how large the memory was when it was last written.

    ``kept`` and ``up`` count questions by the way of the edge's own answer (``kept.memory``);
    ``above`` those that a tier above answered, ``failed`` errors; ``right`` and ``wrong`` checks by
    way; ``own`` and ``above`` tokens (``own.read``, ``above.written``); ``lesson`` what became of
    answers from above, ``learned`` and ``restored`` entries that the edge's model took over or gave
    back. ``took`` has by who answered how long that took (``latencies``), from when a question came
    to the edge. ``nights`` holds the gates of each night, as it tells them.
    """

    day: str
    counts: dict[str, int] = {}
    entries: int = 0
    ghosts: int = 0
    bytes: int = 0
    nights: list[dict[str, Any]] = []
    took: dict[str, dict[int, int]] = {}


class Days:
    """The accounts of a memory; any thread may count."""

    def __init__(self, store: MemoryStore | None, *, day_s: float = DAY_S) -> None:
        self._store = store
        self._day_s = day_s
        self._lock = threading.Lock()
        self._accounts = {} if store is None else {each.day: each for each in store.days()}
        self._written_s = 0.0

    def count(self, now_s: float, *names: str, **amounts: int) -> None:
        """Add one to each name, or an amount (``own_read=7`` to ``own.read``)."""
        with self._lock:
            counts = self._at(now_s).counts
            for name, amount in (*((name, 1) for name in names), *_dotted(amounts)):
                counts[name] = counts.get(name, 0) + amount

    def took(self, now_s: float, way: str, elapsed_us: int) -> None:
        """Count how long an answer took, by who gave it."""
        with self._lock:
            bins = self._at(now_s).took.setdefault(way, {})
            number = bin_of(elapsed_us)
            bins[number] = bins.get(number, 0) + 1

    def note_night(self, now_s: float, told: Mapping[str, Any]) -> None:
        """Keep what a night came to: its gates and what was learned."""
        with self._lock:
            self._at(now_s).nights.append(dict(told))

    def due(self) -> bool:
        """Return whether it is time to write; whoever is told so does."""
        clock_s = time.monotonic()
        if self._store is None or clock_s - self._written_s < _EVERY_S:
            return False
        self._written_s = clock_s
        return True

    def write(self, now_s: float, entries: int, ghosts: int, size: int) -> None:
        """Write today's account, with how large the memory is now."""
        with self._lock:
            account = self._at(now_s)
            account.entries, account.ghosts, account.bytes = entries, ghosts, size
            if self._store is not None:
                self._store.put_day(account)

    def all(self) -> list[DayAccount]:
        """Return all accounts, the earliest first."""
        with self._lock:
            return [self._accounts[day] for day in sorted(self._accounts)]

    def _at(self, now_s: float) -> DayAccount:
        day = _name(now_s, self._day_s)
        if day not in self._accounts:
            self._accounts[day] = DayAccount(day=day)
            for old in sorted(self._accounts)[:-_KEPT_DAYS]:
                del self._accounts[old]
                if self._store is not None:
                    self._store.drop_day(old)
        return self._accounts[day]


def count_judged(days: Days, decided: Result | Escalation, now_s: float) -> None:
    """Count a prompt that the edge kept, sent up or failed at."""
    own = decided if isinstance(decided, Result) else decided.local_result
    if isinstance(own.outcome, Failure):
        days.count(now_s, "failed")
        return
    way = source.way if (source := own.hops[-1].source) is not None else "model"
    days.count(now_s, f"{'kept' if own is decided else 'up'}.{way}")
    if own is decided:
        days.took(now_s, way, own.hops[-1].elapsed_us)
    if isinstance(own.outcome, Completion) and way != "memory":
        days.count(now_s, own_read=own.outcome.tokens_in, own_written=own.outcome.tokens_out)


def count_above(
    days: Days, escalation: Escalation, result: Result, now_s: float, clock_s: float | None
) -> None:
    """Count an answer of a tier above, which came at ``clock_s`` on the monotonic clock.

    None says that nobody has waited for it.
    """
    if isinstance(result.outcome, Failure):
        return
    days.count(now_s, "above")
    if clock_s is not None:
        here_us = escalation.local_result.hops[-1].elapsed_us
        days.took(now_s, CLOUD, here_us + int((clock_s - escalation.observation.at_s) * 1e6))
    if isinstance(result.outcome, Completion):
        read, written = result.outcome.tokens_in, result.outcome.tokens_out
        days.count(now_s, above_read=read, above_written=written)


def report(accounts: Iterable[DayAccount]) -> list[dict[str, Any]]:
    """Return what a report says of each day: plain values, for JSON."""
    return [_of_day(account) for account in accounts]


def _of_day(account: DayAccount) -> dict[str, Any]:
    of = account.counts.get
    kept = {way: of(f"kept.{way}", 0) for way in WAYS}
    up, above = sum(of(f"up.{way}", 0) for way in WAYS), of("above", 0)
    right = sum(of(f"right.{way}", 0) for way in WAYS)
    wrong = sum(of(f"wrong.{way}", 0) for way in WAYS)
    share = wrong_share(right, wrong)
    return {
        "day": account.day,
        "questions": sum(kept.values()) + up,
        "ways": kept | {CLOUD: above},
        "took_ms": {
            way: {name: round(quantile_ms(bins, share), 3) for name, share in _QUANTILES.items()}
            for way, bins in sorted(account.took.items())
        },
        "unanswered_above": up - above,
        "failed": of("failed", 0),
        "cloud_calls": up,
        "tokens": {
            name: of(name, 0) for name in ("own.read", "own.written", "above.read", "above.written")
        },
        "checked": right + wrong,
        "wrong": wrong,
        "wrong_share": {"low": round(share.low, 6), "high": round(share.high, 6)}
        | ({"mean": round(share.mean, 6)} if right + wrong else {}),
        "entries": account.entries,
        "ghosts": account.ghosts,
        "bytes": account.bytes,
        "lessons": {
            name.removeprefix("lesson."): count
            for name, count in sorted(account.counts.items())
            if name.startswith("lesson.")
        },
        "learned": of("learned", 0),
        "restored": of("restored", 0),
        "nights": account.nights,
    }


def _dotted(amounts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    return ((name.replace("_", "."), amount) for name, amount in amounts.items())


def _name(now_s: float, day_s: float) -> str:
    """Return the name of a day: its date, or the moment when a shorter one began."""
    begun = datetime.fromtimestamp(now_s // day_s * day_s, timezone.utc)
    return f"{begun:%Y-%m-%d}" if day_s == DAY_S else f"{begun:%Y-%m-%dT%H:%M:%S}"
