"""Joins the parts that every agent has: model, tier, bus, presence, metrics. Nothing runs yet."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shared.agent.tuning import changes_of, with_kept_changes
from shared.bus.mqtt.bus import MqttBus
from shared.cascade.tier import Tier
from shared.errors import RecServeError
from shared.membership.announcer import Announcer
from shared.membership.status import Load, name_labels
from shared.nodes.node import FleetNode, kept_bundle
from shared.runtimes import (
    Remote,
    confidence_kind_of,
    expected_of,
    labels_of,
    load_model,
    short_digest,
)
from shared.serving.batcher import Batcher
from shared.serving.caller import Caller
from shared.serving.dispatcher import Dispatcher
from shared.serving.slot import ModelSlot
from shared.serving.station import Station
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import Metrics
from shared.wire.topics import Topics

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from shared.agent.settings import AgentSettings
    from shared.bus import Bus, Will
    from shared.runtimes import Model
    from shared.serving.service import Service
    from shared.serving.solver import ModelRunner, Observer, Solver, Witness

    Connect = Callable[[AgentSettings, Will | None], Bus]

_log = get_logger()


@dataclass
class AgentParts:
    """What an application is built on.

    ``upper_bus`` leads to the tiers above: ``bus`` itself, or a connection to a broker of theirs.
    ``slot`` holds the model and exchanges it; ``node`` is the agent as one of a fleet.
    ``presence`` is the task that keeps our status true while the agent runs; it ends by itself
    only with ``Fenced``. ``service`` is what serves an agent that others send prompts to.
    """

    bus: Bus
    upper_bus: Bus
    topics: Topics
    station: Station
    batcher: ModelRunner
    metrics: Metrics
    announcer: Announcer
    slot: ModelSlot
    node: FleetNode
    presence: asyncio.Task[None] | None = None
    service: Service | None = None

    @property
    def buses(self) -> tuple[Bus, ...]:
        """Every connection of the agent."""
        return (self.bus,) if self.upper_bus is self.bus else (self.bus, self.upper_bus)

    def introduce(self, model: Model) -> None:
        """Have everything that names the model name this one."""
        station, bundle = self.station, short_digest(model)
        station.model = (model.name, bundle)
        self.metrics.introduce(station.agent, station.tier.name, model.name, bundle)
        self.announcer.serves(model.name, bundle, model.tasks, confidence_kind_of(model))

    def exchanged(self, model: Model, before: Model) -> None:
        """Go on with a model that took the place of another; one that may differ begins anew."""
        self.introduce(model)
        self.node.exchanged()
        if not model.digest or model.digest != before.digest:
            self.station.tier.begin_anew(expected_of(model))


def mqtt(settings: AgentSettings, will: Will | None) -> Bus:
    """Return the bus to the settings' broker."""
    return MqttBus(settings.mqtt, settings.agent, will=will)


def build_agent(
    settings: AgentSettings,
    *,
    model: Model | None = None,
    connect: Connect = mqtt,
    metrics: Metrics | None = None,
    around: Callable[[Model], Model] | None = None,
    before: Callable[[ModelRunner], Solver] | None = None,
    observers: Sequence[Observer] = (),
    witnesses: Sequence[Witness] = (),
    patient: bool = True,
) -> AgentParts:
    """Build an agent's parts; nothing runs yet. Virtual devices share one ``model``, left open.

    ``around`` returns what is run for a model, ``before`` another solver that stands before the
    batcher, and ``observers`` hear of every prompt that went up and came back, ``witnesses`` of
    what was decided of any. A server that runs the model is asked again when it is away, unless
    ``patient`` is false: see ``Caller``.

    Raises ``SettingsError``, ``BundleError`` or ``RuntimeUnavailable`` before anything starts.
    """
    lent, active = model is not None, ""
    if model is None:
        model, active = _load(settings)
    own, remembers = settings, before is not None
    settings, taken = with_kept_changes(own, model, remembers=remembers)
    metrics = metrics or Metrics()
    topics = Topics(settings.mqtt.root)
    runs = model if around is None else around(model)
    batcher = _runner(settings, runs, metrics, patient=patient)
    announcer = _announcer(settings, topics, model, batcher)
    bus = connect(settings, announcer.will())
    upper_bus = _upper_bus(settings, bus, connect)
    station = Station(
        settings.agent,
        _tier(settings, model),
        batcher if before is None else before(batcher),
        metrics,
        prompt_bytes=settings.limits.prompt_bytes,
        dispatcher=_dispatcher(settings, upper_bus, metrics, model),
        observers=observers,
        witnesses=witnesses,
    )

    def exchanged(model: Model, before: Model) -> None:
        parts.exchanged(model, before)

    def emptied() -> None:
        announcer.serves(*station.model, ())

    slot = ModelSlot(model, batcher, lent=lent, around=around, exchanged=exchanged, emptied=emptied)
    node = FleetNode(
        settings.node,
        bus,
        topics,
        agent=settings.agent,
        tier=settings.tier.name,
        boot=announcer.boot,
        state=settings.state,
        model=settings.model,
        slot=slot,
        queue=batcher,
        metrics=metrics,
        active=active,
        changes=changes_of(own, taken, station, slot, remembers=remembers),
        bulk=lambda: _bulk(settings, connect),
    )
    parts = AgentParts(bus, upper_bus, topics, station, batcher, metrics, announcer, slot, node)
    parts.introduce(model)
    _watch(parts)
    metrics.serve(settings.metrics)
    return parts


def _load(settings: AgentSettings) -> tuple[Model, str]:
    """Return the model to begin with, and its digest where it is one that the centre wanted.

    Where that one cannot be loaded any more it is the settings' own.
    """
    kept = kept_bundle(settings.node, settings.state)
    if kept is not None and settings.model.runtime == "onnx":
        wanted = msgspec.structs.replace(settings.model, source=str(kept))
        try:
            return load_model(wanted), kept.name
        except RecServeError as error:
            _log.warning("the centre's model cannot be loaded", reason=str(error))
    return load_model(settings.model), ""


def _bulk(settings: AgentSettings, connect: Connect) -> Bus | None:
    """Return a further connection for files; a broker that knows names takes one of each alone."""
    if settings.mqtt.username or (settings.mqtt.tls is not None and settings.mqtt.tls.cert_file):
        return None
    return connect(msgspec.structs.replace(settings, agent=f"{settings.agent}.files"), None)


def _runner(
    settings: AgentSettings, model: Model, metrics: Metrics, *, patient: bool
) -> ModelRunner:
    limits = settings.limits
    if isinstance(model, Remote):
        return Caller(
            model,
            queue_prompts=limits.queue_prompts,
            limit_s=limits.model_s,
            patient=patient,
            metrics=metrics,
        )
    return Batcher(
        model,
        batch_prompts=settings.model.batch_prompts,
        queue_prompts=limits.queue_prompts,
        limit_s=limits.model_s,
        metrics=metrics,
    )


def _announcer(
    settings: AgentSettings, topics: Topics, model: Model, batcher: ModelRunner
) -> Announcer:
    return Announcer(
        topics.status(settings.tier.name, settings.agent),
        tasks=model.tasks,
        model=model.name,
        labels=name_labels(labels_of(model)),
        heartbeat_s=settings.heartbeat_s,
        load=lambda: Load(batcher.wait_s * 1000, batcher.service_s * 1000),
    )


def _watch(parts: AgentParts) -> None:
    """Have the metrics show what waits for the model, and which connections stand."""
    parts.metrics.waiting.set_function(lambda: parts.batcher.waiting)
    for name, bus in zip(("own", "above"), parts.buses, strict=False):
        connected = parts.metrics.connected.labels(name)
        connected.set(0)
        bus.watch(connected.set)


def _upper_bus(settings: AgentSettings, bus: Bus, connect: Connect) -> Bus:
    """Return the connection to the tiers above: our own, unless they have a broker of theirs."""
    above = settings.upstream.mqtt
    if above is None:
        return bus
    return connect(msgspec.structs.replace(settings, mqtt=above), None)


def _tier(settings: AgentSettings, model: Model) -> Tier:
    tier = settings.tier
    return Tier(tier.name, tier.policy, tier.above, expected=expected_of(model))


def _dispatcher(
    settings: AgentSettings, bus: Bus, metrics: Metrics, model: Model
) -> Dispatcher | None:
    if not settings.tier.above:
        return None
    above = settings.upstream.mqtt
    return Dispatcher(
        bus,
        Topics((above or settings.mqtt).root),
        metrics,
        tier=settings.tier.name,
        above=settings.tier.above,
        pool=settings.upstream.pool,
        origin=settings.agent if above is not None else "",
        labels=name_labels(labels_of(model)),
        tasks=model.tasks,
        listen_s=settings.upstream.listen_s,
        draw=random.Random(),  # noqa: S311 - spreads load, guards nothing
    )
