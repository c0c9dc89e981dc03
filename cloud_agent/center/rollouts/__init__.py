"""Something new for a few agents first, and then for all of them or for none."""
