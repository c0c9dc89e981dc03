"""Streams of prompts that a device takes by itself, and where their answers go."""

from device_agent.sources.runner import running_sources

__all__ = ["running_sources"]
