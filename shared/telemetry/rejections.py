"""Counts what was refused and logs it once per sender and minute."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.errors import OtherVersion
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.errors import MalformedMessage
    from shared.telemetry.metrics import Metrics

_log = get_logger()
_QUIET_S = 60.0
_SENDERS = 1_000


class RejectionLog:
    """What an agent refused; a sender is told apart by the topic it wrote to."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._said_s: dict[str, float] = {}

    def record(self, topic: str, error: MalformedMessage, *, fault: str = "malformed") -> None:
        """Count a refusal, and log it if this sender was quiet for a minute."""
        fault = "version" if isinstance(error, OtherVersion) else fault
        self._metrics.refused.labels(fault).inc()
        now_s = time.monotonic()
        if now_s - self._said_s.get(topic, -_QUIET_S) < _QUIET_S:
            return
        if len(self._said_s) >= _SENDERS:
            self._said_s.clear()
        self._said_s[topic] = now_s
        _log.warning("message refused", topic=topic, reason=str(error))
