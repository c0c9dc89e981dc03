"""From an escalated prompt to its one result, whatever fails on the way."""
