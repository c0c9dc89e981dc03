"""A simulated fleet on which allocators and the placement of models are held against each other."""
