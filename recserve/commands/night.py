"""``recserve night``: have an edge learn now what the cloud taught it.

Where the agent runs it is asked to, and exchanges its model itself; else the night is held here,
and the agent serves what came of it when it is started. Leaves out what a night is
(``edge_agent.nights``).
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final, TypeVar

import click

from edge_agent.nights.belief import nights_of, open_order, order_next
from edge_agent.nights.elsewhere import TrainerElsewhere
from edge_agent.nights.folder import Believed
from edge_agent.nights.trainer import train
from recserve.any_settings import AnySettings
from shared.agent.command import settings_options
from shared.bus.mqtt.bus import MqttBus
from shared.cli import clear_errors
from shared.errors import RecServeError, SettingsError
from shared.runtimes import digest_of
from shared.settings.file import load
from shared.storage.state_dir import holder_of, state_folder
from shared.telemetry import log
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.memory.settings import MemorySettings
    from edge_agent.nights.folder import NightFolder, NightOrder, NightOutcome

_Found = TypeVar("_Found")
_LOOK_S: Final = 0.5
_BEGINS_S: Final = 60.0
_SERVES_S: Final = 60.0


class NightFailed(RecServeError):
    """A night brought no model that may serve."""


@click.command(
    "night",
    help="Have an edge learn now what the cloud taught it. The settings are to be given as when "
    "the agent was started.",
)
@settings_options
def command(files: tuple[str, ...], flags: tuple[str, ...]) -> None:
    """Exit with 0 when a model that learned serves, or will; with 2 when it goes on as before."""
    with clear_errors():
        log.silence()
        settings = load(AnySettings, files, environment=os.environ, flags=flags)
        memory = settings.memory
        if memory is None or memory.night is None:
            raise SettingsError("memory.night is missing: it says which model learns, and how")
        nights = nights_of(memory, settings.state)
        if holder_of(nights.path.parent, "memory") is None:
            outcome = _hold(nights, settings, memory)
        else:
            outcome = _ask(nights, memory)
        _say(outcome)


def _hold(nights: NightFolder, settings: AnySettings, memory: MemorySettings) -> NightOutcome:
    """Hold a night here, where no agent runs."""
    assert memory.night is not None  # noqa: S101 - looked at above
    with state_folder(memory.folder or settings.state, "memory"):
        order = open_order(nights, digest_of(settings.model))
        order = order or order_next(nights, memory.night, settings.model)
        number = order.number
        if order.night.trainer:
            click.echo(f"night {number}: learning at {order.night.trainer}")
            outcome = asyncio.run(_train_elsewhere(nights, settings, order))
        else:
            click.echo(
                f"night {number}: learning on {order.night.threads} thread, at idle priority"
            )
            outcome = asyncio.run(train(nights, number))
        if outcome.verdict == "passed":
            nights.believe(
                Believed(
                    night=number,
                    before=order.warm,
                    own=order.own,
                    since_s=time.time(),
                    latest=number,
                )
            )
    return outcome


async def _train_elsewhere(
    nights: NightFolder, settings: AnySettings, order: NightOrder
) -> NightOutcome:
    """Have the night's trainer reached as the agent reaches it, whose name is free now."""
    mqtt = settings.upstream.mqtt or settings.mqtt
    bus = MqttBus(mqtt, settings.agent)
    await bus.start()
    try:
        elsewhere = TrainerElsewhere(nights, order.night.trainer)
        async with elsewhere.reached(bus, Topics(mqtt.root), settings.agent):
            return await elsewhere.train(nights, order.number)
    finally:
        await bus.close()


def _ask(nights: NightFolder, memory: MemorySettings) -> NightOutcome:
    """Have the running agent hold one, unless it is at one, and wait for what comes of it.

    Raises ``NightFailed``.
    """
    assert memory.night is not None  # noqa: S101 - looked at above
    if (believed := nights.believed) is not None and believed.watched:
        raise NightFailed(
            f"the model of night {believed.night} is still watched, for memory.night.watch_s at "
            "most; try again after that"
        )
    under_way = nights.unfinished
    number = _asked(nights) if under_way is None else under_way
    click.echo(f"night {number}: the agent learns")
    outcome = _wait(
        lambda: nights.outcome(number),
        memory.night.limit_s + _BEGINS_S,
        "nothing came of it; see its log",
    )
    if outcome.verdict == "passed":
        _wait(
            lambda: _serves(nights, number), _SERVES_S, "the model was not exchanged; see its log"
        )
    return outcome


def _asked(nights: NightFolder) -> int:
    """Ask for a night, and return which it is once it has begun. Raises ``NightFailed``."""
    known = nights.numbers[-1] if nights.numbers else 0
    nights.ask()
    try:
        return _wait(
            lambda: _later(nights, known), _BEGINS_S, "the agent began no night; see its log"
        )
    finally:
        nights.take_asked()  # who gave up waiting wants none later


def _later(nights: NightFolder, known: int) -> int | None:
    numbers = nights.numbers
    return numbers[-1] if numbers and numbers[-1] > known else None


def _serves(nights: NightFolder, number: int) -> bool | None:
    believed = nights.believed
    return True if believed is not None and believed.night == number else None


def _wait(look: Callable[[], _Found | None], limit_s: float, otherwise: str) -> _Found:
    """Return what ``look`` finds. Raises ``NightFailed`` when it finds nothing in time."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if (found := look()) is not None:
            return found
        time.sleep(_LOOK_S)
    raise NightFailed(f"after {limit_s:g} s {otherwise}")


def _say(outcome: NightOutcome) -> None:
    """Print what came of it. Raises ``NightFailed`` unless its model serves."""
    for name, gate in outcome.gates.items():
        state = "open" if gate.open else "closed"
        click.echo(f"{name}: {gate.value:.3f} (bound {gate.bound:.3f}), {state}")
    if outcome.verdict != "passed":
        raise NightFailed(
            f"night {outcome.number}: {outcome.verdict}, and the model goes on as it was: "
            f"{outcome.why}"
        )
    click.echo(
        f"night {outcome.number}: {len(outcome.learned)} of {outcome.new} entries learned in "
        f"{outcome.seconds:.0f} s; its model serves once it is loaded, and is watched at first"
    )
