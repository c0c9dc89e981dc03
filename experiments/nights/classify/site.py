"""A site's memory and its nights: what the cloud answered is remembered with the cloud's label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_agent.memory.entries import Entry
from edge_agent.nights.folder import NightOutcome, NightRow
from experiments.nights.edge import StudiedEdge
from shared.runtimes import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.nights.settings import NightSettings
    from experiments.nights.classify.base import FilmEdge
    from experiments.nights.classify.day import FromCloud
    from models.train.data import TrainingRow


class NightSite:
    """An edge's memory, its nights, and the model that serves."""

    def __init__(self, edge: FilmEdge, folder: Path) -> None:
        self._edge = StudiedEdge(folder, ModelSettings(source=str(edge.bundle)))
        self._entries = 0

    @property
    def model(self) -> Path:
        """The bundle that serves."""
        return Path(self._edge.model)

    async def remember(self, answered: Sequence[FromCloud], at_s: float) -> None:
        """Keep what the cloud answered."""
        entries = [
            Entry(
                id=number,
                task="classify",
                wordings=[each.text],
                answer=each.said,
                created_s=at_s,
                used_s=at_s,
                hot_s=at_s,
            )
            for number, each in enumerate(answered, start=self._entries + 1)
        ]
        self._entries += len(entries)
        await self._edge.remember(entries)

    async def night(self, settings: NightSettings) -> NightOutcome:
        """Hold a night, and let go of what was learned."""
        self._edge.order(settings)
        return await self._edge.night()


def write_known(path: Path, known: Sequence[TrainingRow], labels: Sequence[str]) -> Path:
    """Write what the edge knew before the first day, as ``memory.night.old`` has it."""
    rows = (NightRow(wordings=(row.text,), answer=labels[row.label]) for row in known)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path
