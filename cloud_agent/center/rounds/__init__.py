"""Jobs in rounds on the real fleet: given out, graded, learned from, and told."""
