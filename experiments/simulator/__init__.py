"""Planning: the cascade in simulated time, before the hardware is there."""
