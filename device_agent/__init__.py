"""The device agent: asks a small model first, and the tiers above when it is unsure."""

from __future__ import annotations

# Not from typing, which alone takes a third of the time until ``__main__`` has begun.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from device_agent.app import Device

__all__ = ["Device"]


def __getattr__(name: str) -> object:
    """Import the device, and the engine with it, when it is first asked for."""
    if name != "Device":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from device_agent.app import Device  # noqa: PLC0415 - heavy

    return Device
