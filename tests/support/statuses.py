"""Statuses as agents say them."""

from __future__ import annotations

from shared.membership.status import Load, Status


def online(epoch: int = 1, *, wait_ms: float = 0.0, service_ms: float = 10.0) -> Status:
    return Status("online", epoch, ("classify",), "m", Load(wait_ms, service_ms), heartbeat_s=5.0)


def offline(epoch: int = 1) -> Status:
    return Status("offline", epoch)
