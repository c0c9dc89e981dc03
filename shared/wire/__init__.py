"""Bytes and names: what travels between agents, and on which topics."""
