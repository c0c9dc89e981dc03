"""A cloud whose answers are recorded once and replayed: cheap, repeatable, as wrong as it is set.

The record is JSON lines by the hash of the normalised question. ``record`` asks for what is not
there and writes it; ``replay`` asks and writes nothing; ``replay-strict`` refuses it.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.memory.wording import normalise
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from experiments.hotspot.facts import HotFact
    from experiments.hotspot.settings import HotspotSettings

_MEDIAN_MS: Final = 1_200.0
_SIGMA: Final = 0.5


class CloudAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the cloud said to the question of this key, and how long it took."""

    key: str
    answer: str
    tokens: int
    latency_ms: float
    model: str


class RecordedCloud:
    """Answers questions about facts; some wrong, always the same to the same question."""

    def __init__(
        self, facts: list[HotFact], settings: HotspotSettings, record: Path | None = None
    ) -> None:
        self._facts, self._settings, self._record = facts, settings, record
        self._by_relation: dict[str, list[HotFact]] = {}
        for fact in facts:
            self._by_relation.setdefault(fact.relation, []).append(fact)
        self._known = _read(record) if record is not None and record.exists() else {}
        self._file: TextIO | None = None

    def is_open(self, day: int, place: int) -> bool:
        """Return whether the cloud can be reached at a question of a day."""
        return not any(
            on == day and first <= place <= last for on, first, last in self._settings.cloud_outage
        )

    def ask(self, fact: HotFact, text: str) -> CloudAnswer:
        """Return the answer to a question. Raises ``DataError`` for one that must be recorded."""
        key = key_of(text)
        if key not in self._known:
            if self._settings.cloud_mode == "replay-strict":
                raise DataError(
                    f"{self._record}: has no answer to {text!r}; record it first (--cloud record)"
                )
            self._known[key] = self._answer(fact, key)
            self._write(key)
        return self._known[key]

    def close(self) -> None:
        """Close the record."""
        if self._file is not None:
            self._file.close()

    def _answer(self, fact: HotFact, key: str) -> CloudAnswer:
        draw = random.Random(f"cloud {self._settings.seed} {key}")  # noqa: S311 - guards nothing
        answer = fact.answers[0]
        if draw.random() < self._settings.cloud_wrong:
            others = [
                other.answers[0]
                for other in draw.sample(
                    self._by_relation[fact.relation], min(9, len(self._by_relation[fact.relation]))
                )
                if other.answers[0] not in fact.answers
            ]
            answer = others[0] if others else "something else"
        latency_ms = draw.lognormvariate(0.0, _SIGMA) * _MEDIAN_MS
        return CloudAnswer(key, answer, tokens_of(answer), round(latency_ms, 1), "recorded")

    def _write(self, key: str) -> None:
        if self._record is None or self._settings.cloud_mode != "record":
            return
        if self._file is None:
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._record.open("a", encoding="utf-8")
        print(msgspec.json.encode(self._known[key]).decode(), file=self._file)


def key_of(text: str) -> str:
    """Return what a question's answer is kept by."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()[:32]


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has: one for each four characters."""
    return max(1, round(len(text) / 4))


def _read(path: Path) -> dict[str, CloudAnswer]:
    try:
        rows = msgspec.json.Decoder(CloudAnswer).decode_lines(path.read_bytes())
    except msgspec.DecodeError as error:
        raise DataError(
            f"{path}: holds a line that is no recorded answer ({error}); remove it or the file"
        ) from error
    return {row.key: row for row in rows}
