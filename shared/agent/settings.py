"""Settings of every agent: typed, frozen and closed to unknown keys.

Where they come from is the business of ``shared.settings.file``.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import PolicySettings, Quantile
from shared.errors import SettingsError
from shared.nodes.settings import NodeSettings
from shared.runtimes import ModelSettings
from shared.settings.base import MANY, YEAR_S, Closed, Count, Megabytes, Seconds
from shared.telemetry.log import LogSettings
from shared.telemetry.metrics import MetricsSettings
from shared.wire.topics import check_name


class TierSettings(Closed, frozen=True, kw_only=True):
    """The place of an agent in the cascade."""

    name: Annotated[str, Meta(description="name of the tier, one topic level")]
    policy: Annotated[
        PolicySettings, Meta(description="what decides between keeping and escalating")
    ] = Quantile()
    upstream: Annotated[
        str | None, Meta(description="tier to escalate to; none at the top of the cascade")
    ] = None
    beyond: Annotated[
        tuple[str, ...],
        Meta(description="tiers above the upstream that can be reached directly, nearest first"),
    ] = ()

    @property
    def above(self) -> tuple[str, ...]:
        """All tiers that this one can send prompts to, nearest first."""
        return (self.upstream, *self.beyond) if self.upstream else ()


class UpstreamSettings(Closed, frozen=True, kw_only=True):
    """How prompts travel to the tier above."""

    pool: Annotated[
        str, Meta(description="address a $share pool of this name instead of single agents")
    ] = ""
    patience_s: Annotated[
        float, Meta(ge=0, le=YEAR_S, description="how long a prompt waits for a living agent above")
    ] = 2.0
    listen_s: Annotated[
        Seconds,
        Meta(description="how long after a prompt went up the statuses above are still heard"),
    ] = 5.0
    mqtt: Annotated[
        MqttSettings | None,
        Meta(description="the broker of the tier above, where it has one of its own"),
    ] = None
    retry_min_s: Annotated[Seconds, Meta(description="least silence before a retry")] = 0.5
    retry_max_s: Annotated[Seconds, Meta(description="longest silence before a retry")] = 8.0


class LimitSettings(Closed, frozen=True, kw_only=True):
    """Bounds on what an agent takes in."""

    timeout_s: Annotated[Seconds, Meta(description="time for a prompt that names none")] = 30.0
    prompt_bytes: Annotated[int, Meta(ge=1, le=1 << 19, description="longest prompt, UTF-8")] = (
        65_536
    )
    model_s: Annotated[
        Seconds, Meta(description="longest time for one batch; then the agent ends with status 4")
    ] = 120.0
    queue_prompts: Annotated[Count, Meta(description="prompts that may wait for the model")] = 1_000
    results_megabytes: Annotated[
        Megabytes, Meta(description="results kept to answer repeated prompts from, at most")
    ] = 64
    results_s: Annotated[
        Seconds, Meta(description="how long; at least twice the longest time a prompt is given")
    ] = 600.0
    attempts: Annotated[
        Count, Meta(description="times a prompt is tried before it goes to the dead letters")
    ] = 3
    device_prompts_s: Annotated[
        float,
        Meta(
            ge=0,
            le=MANY,
            description="prompts taken per second and device, repeats too; a long one counts once "
            "more for each further 8 KiB; 0: no limit",
        ),
    ] = 200.0
    device_burst: Annotated[Count, Meta(description="prompts of one device taken at once")] = 400
    drain_s: Annotated[Seconds, Meta(description="time to finish what is in hand on SIGTERM")] = 8.0


class AgentSettings(Closed, frozen=True, kw_only=True):
    """Everything an edge or cloud agent needs to know."""

    agent: Annotated[str, Meta(description="name of the agent: client id and topic level")]
    tier: TierSettings
    model: ModelSettings
    mqtt: MqttSettings = MqttSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    pool: Annotated[str, Meta(description="$share pool to serve besides the own address")] = ""
    heartbeat_s: Annotated[
        float, Meta(ge=0.1, le=3600, description="time between two statuses")
    ] = 5.0
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    node: NodeSettings = NodeSettings()
    state: Annotated[
        str,
        Meta(description="folder for what must outlive the process; empty: nothing outlives it"),
    ] = ""

    def __post_init__(self) -> None:
        """Hold every name to what a topic can carry."""
        check_name(self.agent, "agent")
        check_name(self.tier.name, "tier.name")
        for name, what in (
            (self.tier.upstream, "tier.upstream"),
            (self.pool, "pool"),
            (self.upstream.pool, "upstream.pool"),
        ):
            if name:
                check_name(name, what)
        for name in self.tier.beyond:
            check_name(name, "tier.beyond")
        if self.pool == self.agent:
            raise SettingsError(f"pool is {self.pool!r}, as the agent; give it a name of its own")
        if self.upstream.mqtt is not None:
            self._check_upstream(self.upstream.mqtt)
        if self.tier.beyond and not self.tier.upstream:
            raise SettingsError("tier.beyond needs tier.upstream, the tier below those")
        if len({self.tier.name, *self.tier.above}) <= len(self.tier.above):
            raise SettingsError("tier.name, tier.upstream and tier.beyond must all differ")

    def _check_upstream(self, mqtt: MqttSettings) -> None:
        """Hold a connection of its own to the tier above to what makes sense."""
        if not self.tier.upstream:
            raise SettingsError("upstream.mqtt needs tier.upstream, the tier on that broker")
        certified = mqtt.tls is not None and mqtt.tls.cert_file
        if mqtt.username and not (mqtt.password_file or certified):
            raise SettingsError(
                "upstream.mqtt.username needs upstream.mqtt.password_file, or a certificate: "
                "RECSERVE_MQTT_PASSWORD is for the broker of mqtt.host"
            )
