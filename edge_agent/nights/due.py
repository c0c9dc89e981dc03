"""Whether a night is to begin: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.nights.settings import NightSettings


def why_due(settings: NightSettings, now: datetime, last_day: str, waiting: int, fresh: int) -> str:
    """Return why a night is to begin; empty if none is.

    ``last_day`` is the date of the night before, ``waiting`` the entries that could be learned, and
    ``fresh`` those of them that came since that night. By the clock there is one night a date at
    most, however the clock jumps; by volume one for each so many fresh entries.
    """
    by_clock = settings.at and f"{now:%H:%M}" >= settings.at and f"{now:%Y-%m-%d}" > last_day
    if by_clock and waiting >= settings.least:
        return f"it is {settings.at}"
    if settings.after and fresh >= settings.after:
        return f"{fresh} entries are new"
    return ""
