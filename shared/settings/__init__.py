"""Settings of any kind: typed, closed, and loud about what is wrong in them."""
