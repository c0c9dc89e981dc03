"""Prompts with labels: the bundled ones, files, and the sets of a hub."""
