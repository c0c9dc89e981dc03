"""Who answered, and what was counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.tasks.classify import Label

if TYPE_CHECKING:
    from device_agent import Device
    from shared.messages import Result


def who(result: Result) -> str:
    """The agent whose answer it is: a looked-up model answers its own name."""
    assert isinstance(result.outcome, Label), result.outcome
    return result.outcome.label


def count(device: Device, name: str, **labels: str) -> float:
    return device.parts.metrics.registry.get_sample_value(name, labels) or 0.0
