"""What device, edge and cloud agents have in common; it knows tiers, never agents."""
