"""What a replay is: the settings of ``recserve replay``, from a YAML file and flags."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from experiments.replay.schedule import Slice
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import SettingsError
from shared.settings.base import Closed, Count, Seconds
from shared.tasks import Task
from shared.wire.topics import check_name


class TraceChoice(Closed, frozen=True, kw_only=True):
    """The trace, and where its texts come from."""

    file: Annotated[
        str, Meta(min_length=1, description="the trace, also packed; or drawn: poisson:rate=5")
    ]
    format: Annotated[
        str, Meta(description="azure, mooncake, burstgpt, servegen, recserve; auto: by its look")
    ] = "auto"
    texts: Annotated[
        str, Meta(description="prompt set for a trace without texts; empty: the bundled one")
    ] = ""
    task: Annotated[
        Task,
        Meta(
            description="what is asked of arrivals without a text; generate: as many new tokens as "
            "the trace's answers had"
        ),
    ] = "classify"
    text: Annotated[
        str, Meta(min_length=1, description="column of the prompt set with prompts")
    ] = "text"
    label: Annotated[
        str, Meta(min_length=1, description="its column with labels, or with the texts wanted")
    ] = "label"
    labels: Annotated[
        tuple[str, ...], Meta(description="names for labels that the prompt set numbers from 0")
    ] = ("negative", "positive")
    seed: Annotated[int, Meta(ge=0, description="of what is drawn: texts, arrivals")] = 0
    bad_rows: Annotated[
        Literal["skip", "fatal"], Meta(description="what a row that cannot be read does")
    ] = "skip"


class PaceSettings(Closed, frozen=True, kw_only=True):
    """When prompts go out."""

    kind: Annotated[
        Literal["open", "closed"],
        Meta(description="open: when the trace says; closed: a fixed number under way"),
    ] = "open"
    in_flight: Annotated[Count, Meta(description="closed: prompts under way at a time")] = 16


class FleetSettings(Closed, frozen=True, kw_only=True):
    """Who is asked."""

    devices: Annotated[Count, Meta(description="virtual devices in this process")] = 50
    name: Annotated[str, Meta(description="they are called name-01 and so on")] = "virtual"
    config: Annotated[
        str, Meta(description="their settings; empty: those of the first device under agents")
    ] = ""
    ask: Annotated[
        tuple[str, ...],
        Meta(description="instead: running devices, asked over their topics"),
    ] = ()

    def __post_init__(self) -> None:
        """Hold names to what a topic can carry."""
        check_name(self.name, "fleet.name")
        for name in self.ask:
            check_name(name, "fleet.ask")


class ReplaySettings(Closed, frozen=True, kw_only=True):
    """A replay from beginning to end."""

    name: Annotated[str, Meta(description="of the run, and of its folder under runs/")] = "replay"
    trace: TraceChoice
    part: Slice = Slice()
    pace: PaceSettings = PaceSettings()
    fleet: FleetSettings = FleetSettings()
    agents: Annotated[
        str, Meta(description="file as for recserve up: its broker and agents are started")
    ] = ""
    mqtt: Annotated[
        MqttSettings | None,
        Meta(description="instead: a broker that runs, with the agents around it"),
    ] = None
    timeout_s: Annotated[Seconds, Meta(description="time for a prompt that names none")] = 30.0
    keep_text: Annotated[bool, Meta(description="write the prompts' texts into the records")] = (
        False
    )
    drain_s: Annotated[
        float, Meta(ge=0, description="after Ctrl-C: time for what is under way")
    ] = 5.0

    def __post_init__(self) -> None:
        """Hold the parts to each other."""
        if self.agents and self.mqtt is not None:
            raise SettingsError("agents starts a broker and mqtt names one that runs; keep one")
        if self.mqtt is not None and not (self.fleet.ask or self.fleet.config):
            raise SettingsError("with mqtt, name fleet.config for virtual devices, or fleet.ask")
