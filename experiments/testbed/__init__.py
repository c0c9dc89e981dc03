"""Real agents on this machine, for those who want to try or measure them."""
