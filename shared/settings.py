"""Settings of every agent: typed, frozen and closed to unknown keys.

Where they come from is the business of ``shared.settings_file``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from shared.brokers import addresses, read_host
from shared.errors import SettingsError
from shared.policies import PolicySettings, Quantile
from shared.runtimes import ModelSettings
from shared.source_circles import check_circles
from shared.source_settings import MANY, STANDARD_INPUT, YEAR_S, LinesSource, Source
from shared.topics import Topics, check_name

Seconds = Annotated[float, Meta(ge=0.001, le=YEAR_S)]
Count = Annotated[int, Meta(ge=1, le=MANY)]
Megabytes = Annotated[int, Meta(ge=1, le=1 << 20)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class _Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, by keyword only, and closed to unknown keys."""


class TierSettings(_Closed, frozen=True, kw_only=True):
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


class TlsSettings(_Closed, frozen=True, kw_only=True):
    """Verification of the broker, and of us."""

    ca_file: Annotated[str, Meta(description="authority that signed the broker; empty: system")] = (
        ""
    )
    cert_file: Annotated[str, Meta(description="our client certificate, if any")] = ""
    key_file: Annotated[str, Meta(description="its key, if in a file of its own")] = ""
    passphrase_file: Annotated[
        str,
        Meta(
            description="file with the passphrase of an encrypted key; "
            "else RECSERVE_MQTT_KEY_PASSPHRASE"
        ),
    ] = ""


class MqttSettings(_Closed, frozen=True, kw_only=True):
    """How to reach the broker."""

    host: Annotated[str, Meta(min_length=1, description="name or address of the broker")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="its TCP port")] = 1883
    fallbacks: Annotated[
        tuple[str, ...],
        Meta(description="further brokers, host:port, in the order to try; the same for everybody"),
    ] = ()
    return_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=YEAR_S,
            description="on a fallback: time between looks for a preferred broker",
        ),
    ] = 30.0
    root: Annotated[str, Meta(description="first level or levels of every topic")] = "recserve"
    protocol: Annotated[
        Literal["auto", "5", "3.1.1"],
        Meta(description="MQTT version; auto asks for 5 and falls back"),
    ] = "auto"
    packet_bytes: Annotated[
        int,
        Meta(
            ge=256,
            le=1 << 28,
            description="largest packet that a broker takes which does not say so (MQTT 5 does)",
        ),
    ] = 1 << 20
    username: Annotated[str, Meta(description="user name; equal to the agent's name")] = ""
    password_file: Annotated[
        str, Meta(description="file with the password; else RECSERVE_MQTT_PASSWORD")
    ] = ""
    tls: Annotated[TlsSettings | None, Meta(description="TLS, if the broker speaks it")] = None
    plain_on_network: Annotated[
        bool, Meta(description="send in the clear to other machines, a password too")
    ] = False
    keepalive_s: Annotated[
        int, Meta(ge=1, le=65535, description="seconds; a dead link is noticed within two of them")
    ] = 15
    connect_timeout_s: Annotated[Seconds, Meta(description="limit on each step of connecting")] = (
        5.0
    )
    reconnect_min_s: Annotated[Seconds, Meta(description="first wait before a reconnect")] = 0.5
    reconnect_max_s: Annotated[Seconds, Meta(description="longest wait before a reconnect")] = 10.0
    drain_s: Annotated[Seconds, Meta(description="wait for acknowledgements when closing")] = 5.0

    def __post_init__(self) -> None:
        """Hold every broker to the form of an address, and to one place in the list."""
        force_setattr(self, "host", read_host(self.host, "mqtt.host"))
        if len(set(addresses(self))) <= len(self.fallbacks):
            raise SettingsError("mqtt.fallbacks names a broker twice")


class UpstreamSettings(_Closed, frozen=True, kw_only=True):
    """How prompts travel to the tier above."""

    pool: Annotated[
        str, Meta(description="address a $share pool of this name instead of single agents")
    ] = ""
    patience_s: Annotated[
        float, Meta(ge=0, le=YEAR_S, description="how long a prompt waits for a living agent above")
    ] = 2.0
    mqtt: Annotated[
        MqttSettings | None,
        Meta(description="the broker of the tier above, where it has one of its own"),
    ] = None
    retry_min_s: Annotated[Seconds, Meta(description="least silence before a retry")] = 0.5
    retry_max_s: Annotated[Seconds, Meta(description="longest silence before a retry")] = 8.0


class LimitSettings(_Closed, frozen=True, kw_only=True):
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


class LogSettings(_Closed, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severe level shown")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"], Meta(description="auto: console on a terminal")
    ] = "auto"


class MetricsSettings(_Closed, frozen=True, kw_only=True):
    """Where Prometheus finds this agent."""

    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port of /metrics; 0: none")] = 0

    def __post_init__(self) -> None:
        """Hold the address to the form of one."""
        force_setattr(self, "host", read_host(self.host, "metrics.host"))


class AgentSettings(_Closed, frozen=True, kw_only=True):
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


class OutboxSettings(_Closed, frozen=True, kw_only=True):
    """Bounds on the prompts that wait for an answer from above; beyond them we answer ourselves."""

    prompts: Annotated[Count, Meta(description="prompts accepted and not answered, at most")] = (
        10_000
    )
    megabytes: Annotated[Megabytes, Meta(description="size of the file, at most")] = 64


class DeviceSettings(AgentSettings, frozen=True, kw_only=True):
    """Everything a device agent needs to know."""

    sources: Annotated[
        dict[str, Source], Meta(description="streams of prompts, by name; see docs/streams.md")
    ] = {}
    outbox: OutboxSettings = OutboxSettings()
    in_flight: Annotated[Count, Meta(description="prompts judged at a time, at most")] = 1_000

    def __post_init__(self) -> None:
        """Hold the sources' names to what a file can be called, and what they read apart."""
        super().__post_init__()
        for name in self.sources:
            check_name(name, "sources")
        topics = Topics(self.mqtt.root)
        check_circles(self.sources, ask=topics.ask(self.agent), answers=topics.answers(self.agent))
        paths = [source.path for source in self.sources.values() if isinstance(source, LinesSource)]
        if paths.count(STANDARD_INPUT) > 1:
            raise SettingsError("two sources read standard input; there is only one")
