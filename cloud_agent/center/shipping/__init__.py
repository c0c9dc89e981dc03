"""Bundles on their way: kept, signed by others, and wanted of agents."""
