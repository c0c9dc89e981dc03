"""The results page and everything that is on it."""
