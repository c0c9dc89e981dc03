"""Settings of a device, and of the streams it reads."""

from device_agent.settings.device import DeviceSettings, OutboxSettings

__all__ = ["DeviceSettings", "OutboxSettings"]
