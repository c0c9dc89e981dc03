"""Who answers what, and which model each node holds. Pure: no clock, no loop, no wire."""
