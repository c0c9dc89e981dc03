"""Settings of the centre, alone or inside a cloud agent."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from cloud_agent.center.rounds.settings import RoundSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import SettingsError
from shared.settings.base import Closed, Seconds
from shared.telemetry.log import LogSettings
from shared.wire.control import EXPLAINED
from shared.wire.topics import check_name


class WebSettings(Closed, frozen=True, kw_only=True):
    """Where the page is, and who may use it."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0: any that is free")] = 8080
    token_file: Annotated[
        str,
        Meta(
            description="file with the token that writing takes, and reading from elsewhere; made "
            "if it is missing; empty: token in the state folder"
        ),
    ] = ""
    url: Annotated[
        str,
        Meta(description="how agents reach this page for blobs; empty: http://host:port of it"),
    ] = ""


class CenterPart(Closed, frozen=True, kw_only=True):
    """What a centre does, wherever it runs."""

    name: Annotated[str, Meta(description="its client id and user name")] = "center"
    state: Annotated[
        str, Meta(min_length=1, description="folder for bundles, what is wanted, and the token")
    ] = "./runs/center"
    web: WebSettings = WebSettings()
    authority: Annotated[
        str, Meta(description="public key (models.pub) that bundles must be signed with")
    ] = ""
    site: Annotated[str, Meta(description="name of the site that bundles are signed for")] = (
        "recserve"
    )
    share_from: Annotated[
        int,
        Meta(
            ge=0,
            description="when as many agents are to fetch a bundle at once, it comes over the "
            "broker, where the centre sends it once for all; 0: never",
        ),
    ] = 2
    lease_s: Annotated[
        Seconds,
        Meta(description="an agent silent for as long is suspect, for three times as long dead"),
    ] = 10.0
    rounds: Annotated[
        RoundSettings | None, Meta(description="rounds of jobs that are given out; none: no rounds")
    ] = None
    telemetry_s: Annotated[
        float, Meta(ge=0.1, le=3600, description="time between two telemetries of an agent")
    ] = 2.0
    explain: Annotated[
        int,
        Meta(
            ge=0,
            le=EXPLAINED,
            description="prompts that a device explains with each telemetry; 0: none",
        ),
    ] = 5

    def __post_init__(self) -> None:
        """Hold the name to what a topic can carry."""
        check_name(self.name, "center name")


class CenterSettings(CenterPart, frozen=True, kw_only=True):
    """A centre that runs as a process of its own."""

    mqtt: MqttSettings = MqttSettings()
    log: LogSettings = LogSettings()

    def __post_init__(self) -> None:
        """Hold the user name to the name."""
        super().__post_init__()
        if self.mqtt.username and self.mqtt.username != self.name:
            raise SettingsError(
                f"mqtt.username is {self.mqtt.username!r} and name {self.name!r}; they are one"
            )
