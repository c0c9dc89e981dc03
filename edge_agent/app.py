"""An edge agent: one station between two tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.agent.run import serve
from shared.errors import SettingsError

if TYPE_CHECKING:
    from shared.agent.reload import Reread
    from shared.agent.settings import AgentSettings


async def run(settings: AgentSettings, reread: Reread) -> None:
    """Serve until the process is asked to stop; the settings are ``reread`` on SIGHUP."""
    if settings.tier.upstream is None:
        raise SettingsError("tier.upstream is missing: an edge agent needs a tier to escalate to")
    await serve(settings, reread)
