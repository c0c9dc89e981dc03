"""``recserve demo-text``: captions translated through three tiers, then a chat."""
