"""Plays a trace to devices as it was recorded, and keeps what became of every prompt."""
