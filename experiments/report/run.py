"""A run read back from its folder, with its records as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from experiments.replay.records import LOST, Record, read_records
from experiments.replay.run_file import RunFile, read_run
from experiments.replay.samples import Sample, read_samples
from experiments.replay.saturation import Tick, read_ticks
from shared.errors import DataError
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Played:
    """Everything a run left behind; all columns have shape (n,), n being its records."""

    run: RunFile
    records: tuple[Record, ...]
    samples: tuple[Sample, ...]
    ticks: tuple[Tick, ...]

    @cached_property
    def at_s(self) -> Floats:
        """When each prompt was intended."""
        return np.array([record.at_s for record in self.records])

    @cached_property
    def sent_s(self) -> Floats:
        """When it went out."""
        return np.array([record.sent_s for record in self.records])

    @cached_property
    def done_s(self) -> Floats:
        """When its result was there."""
        return np.array([record.done_s for record in self.records])

    @cached_property
    def latency_s(self) -> Floats:
        """Time from the intended moment to the result."""
        return self.done_s - self.at_s

    @cached_property
    def lateness_s(self) -> Floats:
        """How late the generator sent it."""
        return self.sent_s - self.at_s

    @cached_property
    def answered(self) -> Flags:
        """Whether there is an answer."""
        return np.array([record.answer is not None for record in self.records], bool)

    @cached_property
    def lost(self) -> Flags:
        """Whether nothing came back at all."""
        return np.array([record.error == LOST for record in self.records], bool)

    @cached_property
    def degraded(self) -> Flags:
        """Whether the answer is second best."""
        return np.array([bool(record.degraded) for record in self.records], bool)

    @cached_property
    def failed(self) -> Flags:
        """Whether there is an error instead of an answer."""
        return np.array([bool(record.error) for record in self.records], bool)

    @cached_property
    def labelled(self) -> Flags:
        """Whether the true label is known and there is an answer to hold against it.

        Texts have no label: they are more or less like what is wanted (``chrf``).
        """
        known = np.array([record.label is not None for record in self.records], bool)
        return known & self.answered & ~self.written

    @cached_property
    def right(self) -> Flags:
        """Whether the answer is the true label; only where ``labelled``."""
        return np.array([record.score == 1.0 for record in self.records], bool)

    @cached_property
    def written(self) -> Flags:
        """Whether the answer is a text that a model wrote."""
        wanted = np.array([record.task == "generate" for record in self.records], bool)
        return wanted & self.answered

    @cached_property
    def tokens(self) -> Counts:
        """Tokens read and written for each answer that is a text, else 0; shape (n, 2)."""
        given = (record.given if record.task == "generate" else None for record in self.records)
        counts = [
            (t.tokens_in, t.tokens_out) if isinstance(t, Completion) else (0, 0) for t in given
        ]
        return np.array(counts, np.int64).reshape(-1, 2)

    @cached_property
    def chrf(self) -> Floats:
        """ChrF of each text against what is wanted, from 0 to 100; NaN where that is not known."""
        scores = [record.score if record.task == "generate" else None for record in self.records]
        return np.array([np.nan if score is None else 100 * score for score in scores])

    @cached_property
    def tiers(self) -> tuple[str, ...]:
        """Every tier, from the device up; one that the run's file does not know comes last."""
        seen = {hop.tier: None for record in self.records for hop in record.hops}
        return tuple(dict.fromkeys([*self.run.tiers, *seen]))

    def by(self, tier: str) -> Flags:
        """Return which prompts a tier answered."""
        mine = np.array([record.tier == tier for record in self.records], bool)
        return mine & self.answered

    def seen_by(self, tier: str) -> tuple[Floats, Floats]:
        """Return when each prompt that a tier saw was intended, and the threshold there."""
        seen = [
            (record.at_s, hop.threshold)
            for record in self.records
            for hop in record.hops
            if hop.tier == tier
        ]
        columns = np.array(seen, np.float64).reshape(-1, 2)
        return columns[:, 0], columns[:, 1]

    def goes_by(self, tier: str) -> tuple[str, ...]:
        """Return which numbers a tier's confidences were, the first seen first, where known."""
        hops = (hop for record in self.records for hop in record.hops if hop.tier == tier)
        return tuple(dict.fromkeys(hop.confidence_kind for hop in hops if hop.confidence_kind))


def read_played(folder: Path) -> Played:
    """Read a run's folder; raises ``DataError`` that names what is wrong in it."""
    played = Played(
        read_run(folder),
        tuple(read_records(folder)),
        tuple(read_samples(folder)),
        tuple(read_ticks(folder)),
    )
    if not played.records:
        raise DataError(f"{folder}: no prompt of this run got a result; there is nothing to report")
    return played
