"""What an upper agent does next, decided without I/O."""
