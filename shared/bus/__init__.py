"""Publish, subscribe, acknowledge: one port, in memory and over MQTT."""

from shared.bus.port import Bus, Deliver, Delivery, Message, NotedRefusal, Will

__all__ = ["Bus", "Deliver", "Delivery", "Message", "NotedRefusal", "Will"]
