"""The device agent: asks a small model first, and the tiers above when it is unsure."""

from device_agent.app import Device

__all__ = ["Device"]
