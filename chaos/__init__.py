"""What breaks, broken on purpose: real agents, a real broker, and a ledger of every prompt."""
