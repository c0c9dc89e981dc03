"""Settings of a cloud agent that trains the models of edges: the key ``trainer``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.errors import SettingsError
from shared.settings.base import Closed, Count, Megabytes, Seconds


class TrainerSettings(Closed, frozen=True, kw_only=True):
    """Which models an agent trains for edges, and how much of its machine that may take."""

    bases: Annotated[
        tuple[str, ...],
        Meta(
            description="models as transformers reads them, folders or hub ids, that edges may "
            "learn on; an edge means one by the SHA-256 of its weights"
        ),
    ]
    folder: Annotated[
        str, Meta(description="folder for lessons at work; empty: lessons in state")
    ] = ""
    threads: Annotated[Count, Meta(description="threads of a training, at idle priority")] = 1
    limit_s: Annotated[Seconds, Meta(description="longest time for one lesson's training")] = (
        14_400.0
    )
    lesson_megabytes: Annotated[
        Megabytes, Meta(description="longest that the files of one lesson may be, together")
    ] = 512
    keep_s: Annotated[
        Seconds,
        Meta(description="an edge that is silent for as long has its lesson deleted here"),
    ] = 604_800.0

    def __post_init__(self) -> None:
        """Hold a trainer to something that it can train."""
        if not self.bases:
            raise SettingsError(
                "trainer.bases is empty: name the models that edges may learn on, as folders or "
                "hub ids"
            )
