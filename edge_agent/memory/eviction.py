"""Which entries go when there is no room, and which the edge's model had best learn: pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_agent.memory.entries import Entry

_ANSWER_SHARE: Final = 0.05
_NIGHTS: Final = 3
_LEAST_HEAT: Final = 0.4
_OLD_S: Final = 2 * 86_400.0
_CLOUD: Final = 1.0
_EXAMPLES: Final = 0.1


def worth(entry: Entry, now_s: float, edge_alone: float) -> float:
    """Return what an entry saves for each byte: by its heat, and by how much it helps."""
    gain = max(0.0, entry.chance_helps - edge_alone)
    return entry.heat(now_s) * gain * (_CLOUD - _EXAMPLES) / entry.bytes


def to_evict(
    entries: Iterable[Entry], capacity: int, now_s: float, *, edge_alone: float = 0.3
) -> list[Entry]:
    """Return the entries to let go of so that ``capacity`` stay.

    First what is no longer true, then what was put aside long ago, then what is worth least.
    """
    known = list(entries)
    surplus = len(known) - capacity
    if surplus <= 0:
        return []

    def rank(entry: Entry) -> tuple[int, float]:
        if entry.state == "expired" or (entry.expires_s or now_s) < now_s:
            return (0, entry.used_s)
        if entry.state == "quarantined" and now_s - entry.used_s > _OLD_S:
            return (1, entry.used_s)
        return (2, worth(entry, now_s, edge_alone))

    return sorted(known, key=rank)[:surplus]


def to_learn(
    entries: Iterable[Entry], count: int, now_s: float, *, share: float = _ANSWER_SHARE
) -> list[Entry]:
    """Return the entries that the edge's model should learn, the most useful first.

    Only what nobody contradicts, is in use and is true for good: the confirmed first, then what was
    said once. No answer may be more than ``share`` of them, since a model that hears one answer too
    often gives it to everything. One that was tried three nights in vain is left alone.
    """
    ranked = sorted(
        (
            entry
            for entry in entries
            if entry.state in {"stable", "fresh"}
            and entry.expires_s is None
            and entry.nights < _NIGHTS
            and entry.heat(now_s) >= _LEAST_HEAT
        ),
        key=lambda entry: (entry.state != "stable", -entry.heat(now_s)),
    )
    return _spread(ranked, count, max(1, int(share * count)))


def _spread(ranked: Sequence[Entry], count: int, most: int) -> list[Entry]:
    """Return the first ``count`` of which no answer stands more than ``most`` times."""
    said: Counter[str] = Counter()
    chosen: list[Entry] = []
    for entry in ranked:
        if len(chosen) == count:
            break
        if said[entry.answer] < most:
            said[entry.answer] += 1
            chosen.append(entry)
    return chosen
