"""An edge agent: one station between two tiers, and perhaps a memory of what came from above."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.agent.run import serve, serving
from shared.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_agent.memory.settings import MemorySettings
    from edge_agent.settings import EdgeSettings
    from shared.agent.build import AgentParts
    from shared.agent.reload import Reread
    from shared.agent.settings import AgentSettings


async def run(settings: EdgeSettings, reread: Reread) -> None:
    """Serve until the process is asked to stop; the settings are ``reread`` on SIGHUP."""
    if settings.tier.upstream is None:
        raise SettingsError("tier.upstream is missing: an edge agent needs a tier to escalate to")
    if settings.memory is None:
        await serve(settings, reread)
    else:
        await serve(settings, reread, running=partial(remembering, memory=settings.memory))


@contextlib.asynccontextmanager
async def remembering(
    settings: AgentSettings, *, memory: MemorySettings, **more: Any
) -> AsyncIterator[AgentParts]:
    """Serve as ``serving`` does, with a memory before the model."""
    from edge_agent.memory.wing import opened  # noqa: PLC0415 - only where it is wanted

    async with (
        opened(memory, settings.state) as wing,
        serving(
            settings,
            before=wing.before,
            observers=(wing.observe,),
            witnesses=(wing.witness,),
            **more,
        ) as parts,
    ):
        wing.join(parts.station.above, parts.metrics)
        await wing.door.open(parts.bus, parts.topics, settings.agent)
        yield parts
