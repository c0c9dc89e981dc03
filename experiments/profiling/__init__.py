"""What models and agents cost on this machine."""
