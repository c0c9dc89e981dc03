"""Settings of the nights on which an edge's model learns: the key ``memory.night``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.errors import SettingsError
from shared.settings.base import YEAR_S, Closed, Count, Megabytes, Seconds
from shared.wire.topics import check_name

_CLOCK = r"^(|([01][0-9]|2[0-3]):[0-5][0-9])$"


class NightSettings(Closed, frozen=True, kw_only=True):
    """When and from what an edge's model learns, and what it has to show before it serves."""

    base: Annotated[
        str,
        Meta(
            description="folder or hub id of the model, as transformers reads it, that model.source"
            " was packed from; it stays as it is, and what is learned is an adapter on it"
        ),
    ]
    trainer: Annotated[
        str,
        Meta(
            description="cloud agent that trains in place of this machine, by its key trainer; "
            "base may then be the SHA-256 of its weights instead; empty: this machine"
        ),
    ] = ""
    at: Annotated[
        str, Meta(pattern=_CLOCK, description="local time of each night, as 03:00; empty: no clock")
    ] = ""
    after: Annotated[
        int, Meta(ge=0, description="entries not learned yet after which a night begins; 0: never")
    ] = 0
    entries: Annotated[Count, Meta(description="entries learned in one night, at most")] = 300
    least: Annotated[Count, Meta(description="entries below which a night is not worth while")] = 16
    old: Annotated[
        str,
        Meta(
            description='JSON lines, {"wordings": [...], "answer": ...}, of what the model knows '
            "and must keep; besides what it learned on earlier nights"
        ),
    ] = ""
    steps: Annotated[Count, Meta(description="steps of training in one night")] = 1_400
    rank: Annotated[int, Meta(ge=1, le=512, description="rank of the adapter")] = 32
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="its highest")] = 2e-3
    new_rows: Annotated[Count, Meta(description="new rows in each step")] = 32
    old_rows: Annotated[
        int, Meta(ge=0, description="rows in each step of what is known already: the replay")
    ] = 28
    shown_rows: Annotated[
        int,
        Meta(
            ge=0,
            description="rows in each step with an example before the question, so that a model "
            "that writes goes on using those it is shown; 0: none, and no gate on it",
        ),
    ] = 6
    threads: Annotated[Count, Meta(description="threads of the training, at idle priority")] = 1
    limit_s: Annotated[Seconds, Meta(description="longest time for one night")] = 14_400.0
    taught_megabytes: Annotated[
        Megabytes,
        Meta(description="longest that the files a trainer sends back may be, together"),
    ] = 4_096
    new_least: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of held-out wordings answered right, at least; a "
            "classifier's must not be less than before instead",
        ),
    ] = 0.8
    old_drop: Annotated[
        float, Meta(ge=0, le=1, description="loss of right answers to what it knew, at most")
    ] = 0.04
    shown_drop: Annotated[
        float, Meta(ge=0, le=1, description="loss of answers taken from an example, at most")
    ] = 0.03
    ghosts_probed: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of what was learned that the model is asked for each day, past the "
            "memory; what it has lost comes back from the archive; 0: none",
        ),
    ] = 0.02
    watch_prompts: Annotated[
        Count, Meta(description="answers compared with those from above before it is believed")
    ] = 50
    watch_s: Annotated[
        float, Meta(ge=0, le=YEAR_S, description="time after which it is believed without so many")
    ] = 7_200.0

    def __post_init__(self) -> None:
        """Hold a night to a model that can learn."""
        if not self.base:
            raise SettingsError(
                "memory.night.base is missing: a bundle cannot learn; name the folder or hub id of "
                "the model that it was packed from"
            )
        if self.trainer:
            check_name(self.trainer, "memory.night.trainer")
