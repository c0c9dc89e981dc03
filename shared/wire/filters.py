"""Topic filters of MQTT: what a subscription matches, and the pool that it shares: pure."""

from __future__ import annotations


def split_pool(topics: str) -> tuple[str, str]:
    """Split ``$share/{pool}/{filter}`` into pool and filter; the pool is empty without one."""
    if not topics.startswith("$share/"):
        return "", topics
    _, pool, plain = topics.split("/", 2)
    return pool, plain


def matches(topics: str, topic: str) -> bool:
    """Say whether an MQTT filter without ``$share`` matches a topic."""
    wanted, levels = topics.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index == len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)
