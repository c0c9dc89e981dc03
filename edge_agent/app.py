"""An edge agent: one station between two tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import SettingsError
from shared.running import serve

if TYPE_CHECKING:
    from shared.settings import AgentSettings


async def run(settings: AgentSettings) -> None:
    """Serve until the process is asked to stop."""
    if settings.tier.upstream is None:
        raise SettingsError("tier.upstream is missing: an edge agent needs a tier to escalate to")
    await serve(settings)
