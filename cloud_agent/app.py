"""A cloud agent: one station with nothing above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.agent.run import serve
from shared.errors import SettingsError

if TYPE_CHECKING:
    from shared.agent.reload import Reread
    from shared.agent.settings import AgentSettings


async def run(settings: AgentSettings, reread: Reread) -> None:
    """Serve until the process is asked to stop; the settings are ``reread`` on SIGHUP."""
    if settings.tier.upstream is not None:
        raise SettingsError(
            f"tier.upstream is {settings.tier.upstream!r}: a cloud agent has none above it"
        )
    await serve(settings, reread)
