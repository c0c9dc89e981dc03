"""Who is alive, which life of an agent is the newer, and whom to send to."""
