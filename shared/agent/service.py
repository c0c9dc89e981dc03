"""What an agent that others send prompts to has besides: its results, and who serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from shared.protocol.admission import Admission
from shared.protocol.rate_limit import RateLimiter
from shared.serving.service import Service
from shared.storage.dead_letters import DeadLetters
from shared.storage.results import ResultStore

if TYPE_CHECKING:
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.agent.settings import AgentSettings

_MESSAGES: Final = 1_000
"""Messages in hand at a time, besides the prompts that may wait for the model."""


def open_results(settings: AgentSettings, folder: Path | None = None) -> ResultStore:
    """Open an agent's memory of results, in a folder or in memory only.

    Raises ``SettingsError``.
    """
    limits = settings.limits
    limit_bytes = limits.results_megabytes << 20
    return ResultStore.open(
        folder, settings.agent, limit_bytes=limit_bytes, keep_s=limits.results_s
    )


def make_service(settings: AgentSettings, parts: AgentParts, results: ResultStore) -> Service:
    """Return what serves prompts with an agent's parts; it is not started."""
    limits = settings.limits
    limit_bytes = limits.results_megabytes << 20
    rates = RateLimiter(limits.device_prompts_s, limits.device_burst)
    return Service(
        parts.station,
        parts.bus,
        parts.topics,
        Admission(
            rates,
            attempts=limits.attempts,
            limit_bytes=limit_bytes,
            new_id=uuid4 if parts.upper_bus is not parts.bus else None,
        ),
        results,
        DeadLetters(results.journal),
        room=_MESSAGES + limits.queue_prompts,
        pool=settings.pool,
        upper_bus=parts.upper_bus,
    )
