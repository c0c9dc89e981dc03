"""How people and other programs ask a device."""
