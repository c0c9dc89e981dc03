"""From the settings of a plan to the installation that is simulated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from device_agent.settings import DeviceSettings
from experiments.profiling.bundle_times import read_times
from experiments.profiling.profile import model_key, read_measured
from experiments.simulator.answers import ask_models
from experiments.simulator.link import LinkFacts
from experiments.simulator.scenario import Machine, Scenario, TierPlan
from experiments.testbed.fleet import names_like
from shared.agent.settings import AgentSettings
from shared.errors import SettingsError
from shared.runtimes.bundle import Bundle
from shared.settings.file import load
from shared.wire.burden import links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from experiments.profiling.profile import ModelTimes, WritingTimes
    from experiments.replay.schedule import ScheduledRequest
    from experiments.simulator.settings import LinkSettings, PlanSettings, TierPlanSettings
    from shared.runtimes import ModelSettings

_BITS = 8
_NOT_SIMULATED = frozenset({"openai", "transformers"})


def read_tiers(plan: PlanSettings) -> list[AgentSettings]:
    """Read the settings of every tier's agents, from the device up.

    Raises ``SettingsError`` where they do not fit together, or ask for what is not simulated.
    """
    tiers = [_settings(tier, device=number == 0) for number, tier in enumerate(plan.tiers)]
    _check_chain(tiers)
    for settings in tiers:
        _check_simulated(settings)
    _check_goal(plan, tiers)
    return tiers


def make_plan(
    plan: PlanSettings,
    tiers: Sequence[AgentSettings],
    plays: Sequence[ScheduledRequest],
    console: Console,
) -> Scenario:
    """Join the tiers to machines and lines, and ask the models what they say to the prompts.

    Raises ``SettingsError``, ``BundleError`` or ``DataError``.
    """
    machines = {name: _machine(plan, name) for name in plan.machines}
    lines = _lines(plan, [settings.tier.name for settings in tiers])
    models = [
        _times(settings.model, machines[tier.machine])
        for settings, tier in zip(tiers, plan.tiers, strict=True)
    ]
    answers = ask_models(plan, tiers, plays, console)
    built = [
        TierPlan(
            settings=settings,
            names=names_like(settings.tier.name, tier.agents),
            machine=machines[tier.machine],
            model=model,
            spoken=said.spoken,
            line=line,
            virtual=tier.virtual,
            task=said.task,
            expected=said.expected,
        )
        for settings, tier, model, said, line in zip(
            tiers, plan.tiers, models, answers, lines, strict=True
        )
    ]
    return Scenario(built, machines[plan.broker.machine], tiers[0].mqtt.root)


def with_agents(plan: PlanSettings, agents: Mapping[int, int]) -> PlanSettings:
    """Return the plan with other numbers of agents, by the place of their tier."""
    tiers = [
        msgspec.structs.replace(tier, agents=agents.get(place, tier.agents))
        for place, tier in enumerate(plan.tiers)
    ]
    return msgspec.structs.replace(plan, tiers=tuple(tiers))


def with_counts(world: Scenario, agents: Mapping[str, int]) -> Scenario:
    """Return the installation with other numbers of agents, by the name of their tier."""
    tiers = []
    for tier in world.tiers:
        name = tier.settings.tier.name
        tiers.append(tier._replace(names=names_like(name, agents.get(name, len(tier.names)))))
    return world._replace(tiers=tiers)


def _settings(tier: TierPlanSettings, *, device: bool) -> AgentSettings:
    flags = [f"{key}={msgspec.json.encode(value).decode()}" for key, value in tier.set.items()]
    kind = DeviceSettings if device else AgentSettings
    return load(kind, tier.config, environment=os.environ, flags=flags)


def _check_goal(plan: PlanSettings, tiers: Sequence[AgentSettings]) -> None:
    """Hold the goal to tiers whose agents have machines of their own."""
    if plan.goal is None:
        return
    upper = {
        settings.tier.name: tier.machine
        for settings, tier in zip(tiers[1:], plan.tiers[1:], strict=True)
    }
    for name in plan.goal.find:
        if name not in upper:
            raise SettingsError(f"goal.find: {name!r} is none of {', '.join(upper)}")
        machine = upper[name]
        if plan.machines[machine].single:
            raise SettingsError(
                f"goal.find: all agents of {name} share the machine {machine}, so that more "
                "of them are no faster; take away its `single`"
            )


def _check_simulated(settings: AgentSettings) -> None:
    """Refuse what would change the outcome and is not simulated."""
    if settings.model.runtime in _NOT_SIMULATED:
        raise SettingsError(
            f"tiers: {settings.tier.name} has model.runtime {settings.model.runtime}, which is not "
            "simulated; only bundles are: override it under the tier's `set`"
        )
    refused = {
        "upstream.pool": settings.upstream.pool,
        "upstream.mqtt": settings.upstream.mqtt,
    }
    for key, value in refused.items():
        if value:
            raise SettingsError(
                f"tiers: {settings.tier.name} has {key}, which is not simulated; "
                "override it under the tier's `set`"
            )


def _check_chain(tiers: Sequence[AgentSettings]) -> None:
    """Hold the tiers to the order in which they name each other."""
    names = [settings.tier.name for settings in tiers]
    for lower, settings in enumerate(tiers):
        above = names[lower + 1 :]
        if settings.tier.upstream != (above[0] if above else None):
            wanted = f"upstream is {above[0]}" if above else "has no upstream"
            raise SettingsError(
                f"tiers: {names[lower]} escalates to {settings.tier.upstream or 'nobody'}, but in "
                f"this plan its {wanted}; correct its file or the order of tiers"
            )
        if unknown := set(settings.tier.above) - set(above):
            raise SettingsError(
                f"tiers: {names[lower]} names {', '.join(sorted(unknown))}, not planned"
            )


def _machine(plan: PlanSettings, name: str) -> Machine:
    settings = plan.machines[name]
    measured = read_measured(Path(settings.measured))
    if settings.models:
        more = read_times(Path(settings.models), settings.node_class)
        measured = msgspec.structs.replace(measured, models=more | measured.models)
    cores = settings.cores or measured.cores
    return Machine(name, measured, cores, settings.single, settings.speed)


def _times(model: ModelSettings, machine: Machine) -> ModelTimes | WritingTimes:
    manifest = Bundle.open(model.source).manifest
    key = model_key(manifest.name, model.threads)
    measured = machine.measured
    writers: Mapping[str, ModelTimes | WritingTimes] = measured.writers
    known = writers if manifest.task == "generate" else measured.models
    if key not in known:
        threads = f" --threads {model.threads}" if model.threads != 1 else ""
        raise SettingsError(
            f"machines.{machine.name}: {key} was not measured there, only "
            f"{', '.join([*measured.models, *measured.writers]) or 'nothing'}; "
            f"run recserve measure {model.source}{threads} on such a machine"
        )
    return known[key]


def _lines(plan: PlanSettings, names: Sequence[str]) -> list[LinkFacts]:
    """Return every tier's line to the broker: all links between the two, one after the other."""
    known = links(names)
    if unknown := set(plan.links) - set(known):
        raise SettingsError(f"links: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    beside = plan.broker.beside or names[min(1, len(names) - 1)]
    if beside not in names:
        raise SettingsError(f"broker.beside: {beside!r} is no tier; known: {', '.join(names)}")
    broker = names.index(beside)
    return [
        _joined(plan.links, known[min(tier, broker) : max(tier, broker)])
        for tier in range(len(names))
    ]


def _joined(links: Mapping[str, LinkSettings], names: Sequence[str]) -> LinkFacts:
    crossed = [links[name] for name in names if name in links]
    rates = [each.megabits_s for each in crossed if each.megabits_s is not None]
    through = 1.0
    for each in crossed:
        through *= 1.0 - each.loss
    return LinkFacts(
        delay_s=sum(each.delay_ms for each in crossed) / 1000,
        bytes_s=min(rates) * 1e6 / _BITS if rates else 0.0,
        loss=1.0 - through,
    )
