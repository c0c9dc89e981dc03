"""The decision: tiers, their thresholds and policies. The paper in one folder, and pure."""
