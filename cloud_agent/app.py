"""A cloud agent: one station with nothing above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import SettingsError
from shared.running import serve

if TYPE_CHECKING:
    from shared.settings import AgentSettings


async def run(settings: AgentSettings) -> None:
    """Serve until the process is asked to stop."""
    if settings.tier.upstream is not None:
        raise SettingsError(
            f"tier.upstream is {settings.tier.upstream!r}: a cloud agent has none above it"
        )
    await serve(settings)
