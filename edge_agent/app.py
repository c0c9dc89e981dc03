"""An edge agent: one station between two tiers, and perhaps a memory of what came from above."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from shared.agent.run import serve, serving
from shared.errors import SettingsError
from shared.supervision import Supervised
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_agent.memory.settings import MemorySettings
    from edge_agent.memory.wing import Wing
    from edge_agent.nights.elsewhere import TrainerElsewhere
    from edge_agent.nights.keeper import NightKeeper
    from edge_agent.settings import EdgeSettings
    from shared.agent.build import AgentParts
    from shared.agent.reload import Reread
    from shared.agent.settings import AgentSettings
    from shared.runtimes import ModelSettings


async def run(settings: EdgeSettings, reread: Reread) -> None:
    """Serve until the process is asked to stop; the settings are ``reread`` on SIGHUP."""
    if settings.tier.upstream is None:
        raise SettingsError("tier.upstream is missing: an edge agent needs a tier to escalate to")
    if settings.memory is None:
        await serve(settings, reread)
    elif settings.memory.night is None:
        await serve(settings, reread, running=partial(remembering, memory=settings.memory))
    else:
        await _learning(settings, reread, settings.memory)


async def _learning(settings: EdgeSettings, reread: Reread, memory: MemorySettings) -> None:
    """Serve with the model that the last believed night made of the settings' own."""
    from edge_agent.nights.belief import believed_model, nights_of  # noqa: PLC0415 - where wanted

    nights = nights_of(memory, settings.state)

    def taught(own: AgentSettings) -> AgentSettings:
        return msgspec.structs.replace(own, model=believed_model(nights, own.model))

    running = partial(remembering, memory=memory, own=settings.model)
    await serve(taught(settings), lambda: taught(reread()), running=running)


@contextlib.asynccontextmanager
async def remembering(
    settings: AgentSettings,
    *,
    memory: MemorySettings,
    own: ModelSettings | None = None,
    **more: Any,
) -> AsyncIterator[AgentParts]:
    """Serve as ``serving`` does, with a memory before the model.

    ``own`` is the model on which nights are built, where the settings have any.
    """
    from edge_agent.memory.opening import opened  # noqa: PLC0415 - only where it is wanted

    async with contextlib.AsyncExitStack() as stack:
        wing = await stack.enter_async_context(opened(memory, settings.state))
        elsewhere = _elsewhere(settings, memory)
        keeper = _keeper(settings, memory, own, wing, elsewhere)
        observers = [wing.observe, *([keeper.observe] if keeper else [])]
        parts = await stack.enter_async_context(
            serving(
                settings,
                before=wing.before,
                observers=observers,
                witnesses=(wing.witness,),
                **more,
            )
        )
        wing.join(parts)
        await wing.open(parts)
        if elsewhere is not None:
            topics = Topics((settings.upstream.mqtt or settings.mqtt).root)
            await stack.enter_async_context(
                elsewhere.reached(parts.upper_bus, topics, settings.agent)
            )
        if keeper is not None:
            running = Supervised("nights", lambda: keeper.run(parts))
            stack.push_async_callback(running.stop)
        yield parts


def _elsewhere(settings: AgentSettings, memory: MemorySettings) -> TrainerElsewhere | None:
    """Return who trains in place of this machine, if anybody does."""
    if memory.night is None or not memory.night.trainer:
        return None
    from edge_agent.nights.belief import nights_of  # noqa: PLC0415 - only where it is wanted
    from edge_agent.nights.elsewhere import TrainerElsewhere  # noqa: PLC0415 - as above

    return TrainerElsewhere(nights_of(memory, settings.state), memory.night.trainer)


def _keeper(
    settings: AgentSettings,
    memory: MemorySettings,
    own: ModelSettings | None,
    wing: Wing,
    elsewhere: TrainerElsewhere | None,
) -> NightKeeper | None:
    if memory.night is None:
        return None
    from edge_agent.nights.belief import nights_of  # noqa: PLC0415 - only where it is wanted
    from edge_agent.nights.keeper import NightKeeper  # noqa: PLC0415 - as above
    from edge_agent.nights.trainer import train  # noqa: PLC0415 - as above

    nights = nights_of(memory, settings.state)
    training = train if elsewhere is None else elsewhere.train
    return NightKeeper(memory.night, own or settings.model, nights, wing, training=training)
