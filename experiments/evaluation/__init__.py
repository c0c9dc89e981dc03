"""What policies do with the recorded answers of real models."""
