"""Publish, subscribe, acknowledge: one port, in memory and over MQTT."""

from shared.bus.port import Bus, Deliver, Message, NotedRefusal, Published, Will

__all__ = ["Bus", "Deliver", "Message", "NotedRefusal", "Published", "Will"]
