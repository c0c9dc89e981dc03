"""Streams of prompts that a device takes by itself, and where their answers go."""

from device_agent.sources.running import running_sources

__all__ = ["running_sources"]
